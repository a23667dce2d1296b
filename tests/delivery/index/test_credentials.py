"""Who we are to an index: found in three places, told to that index alone, shown to nobody."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from delivery.artifact import credentials
from delivery.artifact.index import at
from delivery.artifact.site import Site
from delivery.errors import UsageError

from devpi.local import Server
from tests.delivery.tool.conftest import Toy

from .conftest import Way, wheels

HOST = "https://index.example.org"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's home, without a keyring on the PATH."""
    credentials.find.cache_clear()
    for name in (credentials.USER, credentials.PASSWORD):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return folder


def netrc(home: Path, text: str, mode: int = 0o600) -> None:
    """Write ``~/.netrc``."""
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(mode)


def test_nobody_is_nobody() -> None:
    assert credentials.find(HOST, "team") is None


def test_the_environment_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc(home, "machine index.example.org login ada password file\n")
    monkeypatch.setenv(credentials.PASSWORD, "environment")
    assert credentials.find(HOST, "team") == ("team", "environment")
    monkeypatch.setenv(credentials.USER, "ci")
    credentials.find.cache_clear()
    assert credentials.find(HOST, "team") == ("ci", "environment")


def test_then_the_file_that_pip_and_uv_read_too(home: Path) -> None:
    netrc(home, "machine index.example.org login ada password file\n")
    assert credentials.find(HOST, "team") == ("ada", "file")
    assert credentials.find("https://other.example.org", "team") is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_reach_is_refused(home: Path, mode: int) -> None:
    netrc(home, "machine index.example.org login ada password t0k3n\n", mode)
    with pytest.raises(UsageError, match=rf"its mode {mode:04o} .*: chmod 600 ") as error:
        credentials.find(HOST, "team")
    assert "t0k3n" not in str(error.value)


def test_a_broken_file_is_named_and_not_quoted(home: Path) -> None:
    netrc(home, "machine index.example.org login ada t0k3n password\n")
    with pytest.raises(UsageError, match="netrc cannot be read at line 1") as error:
        credentials.find(HOST, "team")
    assert "t0k3n" not in str(error.value)


def test_then_keyring(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    keyring = ["keyring", "set", HOST, "team"]
    subprocess.run(keyring, input="kept\n", text=True, check=True, env=dict(os.environ))
    assert credentials.find(HOST, "team") == ("team", "kept")
    assert credentials.find(HOST, "other") is None


def test_a_user_may_stand_in_the_address_and_is_not_shown(tmp_path: Path) -> None:
    index = at("devpi+https://ci@index.example.org/devpi/team", tmp_path)
    assert str(index) == "https://index.example.org/devpi/team/dev"


def test_no_word_of_it_is_said_or_written_or_in_a_process_list(
    built: Toy, server: Server, way: Way, team: str, home: Path
) -> None:
    netrc(home, f"machine 127.0.0.1 login {team} password {server.password}\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DELIVERY_INDEX")}
    environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    way.fault, way.on = "is slow", "POST"  # so that there is time to look
    command = [sys.executable, "-m", "delivery", "publish"]
    seen = []
    with subprocess.Popen(
        command,
        cwd=built.root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        while process.poll() is None:
            listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True)
            seen.append(listed.stdout)
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    assert any(" publish --no-config" in listed for listed in seen)
    assert not any(server.password in text for text in (*seen, said, *way.seen))
    assert len(wheels(server, f"{team}/dev")) == 1
    found = subprocess.run(
        ["grep", "-rl", server.password, str(built.root)], capture_output=True, text=True
    )
    assert not found.stdout


class Leads(BaseHTTPRequestHandler):
    """Leads on to where it is told, or nowhere; keeps what it was told of who asks."""

    to = ""
    told: list[str | None]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer."""
        self.told.append(self.headers["Authorization"])
        self.send_response(302 if self.to else 200)
        if self.to:
            self.send_header("Location", self.to)
        self.end_headers()


def test_they_are_not_sent_on_to_where_an_index_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(credentials.PASSWORD, "secret")

    class Here(Leads):
        """The index."""

        told = []

    class There(Leads):
        """Somebody else."""

        told = []

    with contextlib.ExitStack() as stack:
        servers = [ThreadingHTTPServer(("127.0.0.1", 0), each) for each in (Here, There)]
        for server in servers:
            thread = threading.Thread(target=stack.enter_context(server).serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        own, other = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
        Here.to = f"{other}/file"
        site = Site.parse(own, tmp_path, "ada")
        assert site.ask(f"{own}/file").url == f"{other}/file"
        assert Here.told == [credentials.header(("ada", "secret"))]
        assert There.told == [None]
        site.ask(f"{other}/file")  # a page may name any address
        assert There.told == [None, None]


def test_stages_that_need_no_index_are_not_told(
    built: Toy, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_INDEX_PASSWORD", "secret")
    tell = "import os, sys; sys.exit(os.environ.get('DELIVERY_INDEX_PASSWORD', 'nothing told'))"
    built.commit("Tell", lint_py=tell, accept_py=tell)
    done = built.delivery("run", "lint", env={**os.environ, "PATH": os.environ["PATH"]})
    assert "nothing told" in done.stdout and "secret" not in done.stdout
