"""The locks: renewed as one, shown, waited with; and red when they no longer fit."""

from __future__ import annotations

import http.server
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery.artifact.fits import check
from delivery.artifact.lock import changes
from delivery.artifact.wheel import digest
from delivery.errors import DeliveryError

from .conftest import PYPROJECT, Toy
from .test_index import wheel

NEEDS = (
    PYPROJECT.replace("[tool.", 'dependencies = ["hello-delivery>=1"]\n\n[tool.', 1)
    + '\n[dependency-groups]\ntest = ["hello-delivery"]\n[tool.setuptools]\npackages = ["toy"]\n'
)


class Served(http.server.BaseHTTPRequestHandler):
    """An index of a folder of wheels, as PEP 691 has it; a file is as old as its time says."""

    folder: Path

    def do_GET(self) -> None:  # noqa: N802  # http.server looks for this name
        """Answer with the list of files, or with the metadata of one."""
        name = self.path.rpartition("/")[2]
        if name:
            with zipfile.ZipFile(self.folder / name.removesuffix(".metadata")) as archive:
                (told,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
                kind, body = "text/plain", archive.read(told)
        elif "hello-delivery" not in self.path:
            return self.send_error(404)
        else:
            kind = "application/vnd.pypi.simple.v1+json"
            body = json.dumps(
                {
                    "meta": {"api-version": "1.1"},
                    "name": "hello-delivery",
                    "files": [self.file(path) for path in sorted(self.folder.glob("*.whl"))],
                }
            ).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def file(path: Path) -> dict[str, object]:
        """Return what an index says of a file."""
        since = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return {
            "filename": path.name,
            "url": f"/files/{path.name}",
            "hashes": {"sha256": digest(path)},
            "core-metadata": True,
            "upload-time": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        }

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture()
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder of releases: 1.0, ten days old, and 1.1 of today. Return the folder."""
    folder = tmp_path / "released"
    old = wheel(folder, "1.0")
    wheel(folder, "1.1")
    then = (datetime.now(UTC) - timedelta(days=10)).timestamp()
    os.utime(old, (then, then))
    handler = type("Handler", (Served,), {"folder": folder})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture()
def needy(ready: Toy, released: Path) -> Toy:
    """Return a project that needs the release, and is not locked yet."""
    ready.write("pyproject.toml", NEEDS)
    return ready


def locked(toy: Toy) -> list[str]:
    """Return the first lines of the two locks."""
    return [
        (toy.root / "requirements" / name).read_text().splitlines()[0].rstrip(" \\")
        for name in ("prod.txt", "dev.txt")
    ]


def test_lock_pins_by_hash_and_shows_what_changed(
    needy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No uv but the one that came with the project's own tools, which pip can make, too.
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = needy.delivery("lock", "--cool-off", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert locked(needy) == ["hello-delivery==1.0"] * 2
    assert "--hash=sha256:" in (needy.root / "requirements" / "prod.txt").read_text()
    assert "requirements/prod.txt: 1 change\n  hello-delivery 1.0 is new\n" in done.stdout


def test_a_pin_that_fits_stays_until_it_is_upgraded(needy: Toy) -> None:
    assert needy.delivery("lock", "--cool-off", "7").returncode == 0
    done = needy.delivery("lock")
    assert "requirements/prod.txt: no changes" in done.stdout
    done = needy.delivery("lock", "--upgrade-package", "hello-delivery")
    assert "hello-delivery 1.0 -> 1.1" in done.stdout
    assert locked(needy) == ["hello-delivery==1.1"] * 2


def test_a_package_that_is_in_no_lock_is_not_renewed(needy: Toy) -> None:
    assert needy.delivery("lock").returncode == 0
    done = needy.delivery("lock", "--upgrade-package", "Hello_Deliver")
    assert done.returncode == 2 and "hello-deliver is in no lock" in done.stderr
    assert needy.delivery("lock", "--upgrade-package", "Hello_Delivery<9").returncode == 0


def test_a_cool_off_in_the_settings_is_kept(needy: Toy) -> None:
    text = (needy.root / "delivery.toml").read_text()
    needy.write(
        "delivery.toml", text.replace("[stages.lint]", "[lock]\ncool-off = 7\n[stages.lint]")
    )
    assert needy.delivery("lock", "--upgrade").returncode == 0
    assert locked(needy) == ["hello-delivery==1.0"] * 2
    assert needy.delivery("lock", "--upgrade", "--cool-off", "0").returncode == 0
    assert locked(needy) == ["hello-delivery==1.1"] * 2


def test_what_cannot_be_locked_leaves_every_lock_as_it_was(needy: Toy) -> None:
    needy.write(
        "pyproject.toml", NEEDS.replace('test = ["hello', 'test = ["nobody-has-this", "hello')
    )
    before = {path: path.read_bytes() for path in (needy.root / "requirements").iterdir()}
    done = needy.delivery("lock", "--cool-off", "7")
    assert done.returncode == 1
    assert "requirements/dev.txt cannot be made of releases 7 days old: what uv" in done.stderr
    assert {p: p.read_bytes() for p in (needy.root / "requirements").iterdir()} == before


def test_changes_are_told_by_name() -> None:
    assert changes("a==1\nb==1\n", "a==2\nc==1\n") == ["a 1 -> 2", "b 1 is gone", "c 1 is new"]
    assert changes("a==1\n", "A==1 ; os_name == 'nt'\n") == []


@pytest.fixture()
def fitting(tmp_path: Path) -> Path:
    """Return a folder with a pyproject.toml and the locks that fit it."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=80"]\n[project]\nname = "toy"\n'
        'dependencies = [\n    "flask>=3",\n    "waitress; sys_platform == \'win32\'",\n]\n'
        '[dependency-groups]\ntest = ["Flask_Login[x]<1", {include-group = "tools"}]\n'
        'tools = ["tox>=4,<5"]\n'
    )
    (tmp_path / "requirements" / "prod.txt").write_text("flask==3.1.0\n")
    (tmp_path / "requirements" / "dev.txt").write_text(
        "flask-login==0.6\nsetuptools==82.0.0\ntox==4.1 ; python_version < '4'\ntox==4.2rc1\n"
    )
    (tmp_path / "requirements" / "tools.txt").write_text("tox==4.2\n")
    return tmp_path


def test_locks_that_fit_are_green(fitting: Path) -> None:
    check(fitting)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("flask>=3", "flask>=3.2", r"line 6: flask>=3.2, and requirements/prod.txt has 3.1.0"),
        ("flask>=3", "quart", r"line 6: quart, and requirements/prod.txt has none"),
        ("flask>=3", "flask>>3", r"line 6: flask>>3, and requirements/prod.txt cannot say"),
        ("win32", "linux", r"line 7: waitress; .*requirements/prod.txt has none"),
        ("<1", ">1", r"line 10: Flask_Login\[x\]>1, and requirements/dev.txt has 0.6"),
        ("setuptools>=80", "setuptools>=90", r"line 2: .*requirements/dev.txt has 82.0.0"),
        (">=4,<5", ">=4.2", r"requirements/dev.txt has 4.1 and 4.2rc1"),
    ],
)
def test_a_lock_that_no_longer_fits_is_red_and_its_line_named(
    fitting: Path, old: str, new: str, said: str
) -> None:
    text = (fitting / "pyproject.toml").read_text()
    (fitting / "pyproject.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(DeliveryError, match=rf"(?s)python3 -m delivery lock\n.*{said}"):
        check(fitting)


def test_the_stage_security_looks_at_the_locks_first(toy: Toy) -> None:
    toy.write("pyproject.toml", NEEDS)
    done = toy.delivery("security")
    assert done.returncode == 1
    assert "the locks do not fit pyproject.toml: python3 -m delivery lock" in done.stderr
    assert "hello-delivery>=1, and requirements/prod.txt has none" in done.stderr
