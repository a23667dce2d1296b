"""Any other index: simple pages to read, an upload to write; pypiserver is one."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.artifact import credentials
from delivery.artifact.index import Index, at
from delivery.artifact.wheel import Artifact, describe
from delivery.errors import DeliveryError, Missing, Refused

from tests.delivery.tool.conftest import Toy
from tests.delivery.tool.test_index import wheel


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A pypiserver that takes files from anybody: its address, and its folder."""
    folder = tmp_path_factory.mktemp("shelf")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("pypi-server"))
    options = ["--interface=127.0.0.1", f"--port={port}", "--authenticate=.", "--passwords=."]
    options += ["--disable-fallback", "--hash-algo=sha256", str(folder)]
    with subprocess.Popen([program, "run", *options], stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/simple/", timeout=5):
                    break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", folder
        process.terminate()


@pytest.fixture()
def index(
    shelf: tuple[str, Path],
    ready: Toy,
    monkeypatch: pytest.MonkeyPatch,  # noqa: F811  # pytest gives it by its name
) -> Index:
    """That server as an index."""
    monkeypatch.setenv("DELIVERY_INDEX_USER", "ada")
    monkeypatch.setenv("DELIVERY_INDEX_PASSWORD", "secret")
    credentials.find.cache_clear()
    return at(f"{shelf[0]}/simple/", ready.root, f"{shelf[0]}/")


def test_a_wheel_is_published_once_and_fetched_by_its_digest(index: Index, tmp_path: Path) -> None:
    made = wheel(tmp_path, "2.0+gabc")
    assert index.publish("hello-delivery", made)
    assert not index.publish("hello-delivery", made)
    found = index.fetch("hello-delivery", describe(made, "c" * 40))
    assert found.read_bytes() == made.read_bytes()
    assert index.paper("hello-delivery", "any") is None


def test_other_bytes_are_refused_to_publish_and_to_fetch(
    index: Index, shelf: tuple[str, Path], tmp_path: Path
) -> None:
    first = wheel(tmp_path / "a", "3.0")
    index.publish("hello-delivery", first)
    with pytest.raises(Refused, match="has hello_delivery-3.0.* with other bytes"):
        index.publish("hello-delivery", wheel(tmp_path / "b", "3.0", "x = 2\n"))
    other = describe(wheel(tmp_path / "b", "3.0", "x = 2\n"), "c" * 40)
    with pytest.raises(Refused, match="with other bytes"):
        index.fetch("hello-delivery", other)


def test_what_is_not_there_is_said(index: Index) -> None:
    with pytest.raises(Missing, match="does not have x.whl: python3 -m delivery run publish"):
        index.fetch("never-heard-of", Artifact("x.whl", "1", "a" * 64, "c" * 40))


def test_pypi_takes_tagged_commits_alone(tmp_path: Path) -> None:
    pypi = at("https://pypi.org/simple/", tmp_path, "https://upload.pypi.org/legacy/")
    with pytest.raises(Refused, match=r"PyPI takes releases alone, and 1.0\+g123 has no tag"):
        pypi.publish("hello-delivery", wheel(tmp_path, "1.0+g123"))


PAGES = {
    "application/vnd.pypi.simple.v1+json": """{{"meta": {{"api-version": "1.0"}}, "name": "x",
        "files": [{{"filename": "{file}", "url": "../{file}", "hashes": {{"sha256": "{sha256}"}}}}]
    }}""",
    "text/html": '<a href="../{quoted}#sha256={sha256}">{file}</a>',
}


@pytest.mark.parametrize("kind", PAGES)
def test_both_forms_of_a_page_are_read(tmp_path: Path, kind: str) -> None:
    made = wheel(tmp_path, "1.0+g1")
    artifact = describe(made, "c" * 40)
    told = {"file": made.name, "quoted": made.name.replace("+", "%2B"), "sha256": artifact.sha256}
    page = PAGES[kind].format(**told).encode()

    class Pages(http.server.BaseHTTPRequestHandler):
        """One page, one file."""

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            """Serve the page, or the file."""
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(page if self.path.endswith("/") else made.read_bytes())

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        index = at(f"http://127.0.0.1:{server.server_address[1]}/simple", tmp_path / "project")
        found = index.fetch("hello-delivery", artifact)
        server.shutdown()
        thread.join()
    assert found.read_bytes() == made.read_bytes()


@pytest.mark.parametrize(
    ("address", "upload", "said"),
    [
        ("devpi+https://host", None, "an index on devpi is devpi[+]https://HOST/TEAM"),
        ("devpi+ftp://host/team", None, "an index on devpi is devpi[+]https://HOST/TEAM"),
        ("devpi+https://host/team?x=1", None, "has to be https://HOST/PATH"),
        ("https:///simple", None, "has to be https://HOST/PATH"),
        ("https://host:port/simple", None, "the address of the index is none"),
        ("https://ada:tok3n@host/simple", None, "holds a password"),
        ("devpi+https://ada:tok3n@host/team", None, "holds a password"),
        ("https://host/simple", "https://ada:tok3n@host/", "holds a password"),
        ("a/folder", "https://host/", "upload is for an index that is an https"),
        ("s3://bucket", None, "index cannot be s3://"),
    ],
)
def test_a_bad_address_is_one_sentence(
    tmp_path: Path, address: str, upload: str | None, said: str
) -> None:
    with pytest.raises(DeliveryError, match=said) as error:
        at(address, tmp_path, upload)
    assert error.value.status == 2
    assert "\n" not in str(error.value) and "tok3n" not in str(error.value)
