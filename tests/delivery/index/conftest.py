"""A real devpi, a team of its own for each test, and a bad connection to it where one is wanted."""

from __future__ import annotations

import contextlib
import http.client
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devpi.local import Server, create
from tests.conftest import ROOT
from tests.delivery.tool.conftest import (  # noqa: F401  # pytest looks for them here
    DELIVERY,
    TOX,
    Toy,
    ready,
    tools,
    toy,
)

sys.path.insert(0, str(ROOT / "template"))

ACCEPTANCE = """
[stages.acceptance]
needs = ["publish"]
budget = 5
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A devpi that is up."""
    made = create(tmp_path_factory.mktemp("devpi"))
    yield made
    made.stop()


@pytest.fixture()
def team(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A team with its indices, and who we are to them in the environment."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    server.team(name, [])
    monkeypatch.setenv("DELIVERY_INDEX_PASSWORD", server.password)
    from delivery.artifact import credentials

    credentials.find.cache_clear()
    return name


@dataclass
class Way:
    """A way to a server that can be made a bad one.

    Attributes:
        server: where it leads.
        port: where it begins.
        fault: what goes wrong on it, if anything; see `Between`.
        on: the requests it goes wrong for: those whose first line holds this.
        seen: the first line of every request.
    """

    server: Server
    port: int = 0
    fault: str = ""
    on: str = ""
    seen: list[str] = field(default_factory=list)

    def index(self, team: str) -> str:
        """Return what ``delivery.toml`` takes to go this way."""
        return f"devpi+http://127.0.0.1:{self.port}/{team}"


class Between(BaseHTTPRequestHandler):
    """Hands requests on, and answers back; whole, or as the fault has it."""

    way: Way
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        """Serve one request; a client that has left is none of our concern."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Hand it on."""
        self.way.seen.append(self.requestline)
        fault = self.way.fault if self.way.on in self.requestline else ""
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "drops the upload":
            self.rfile.read(length // 2)
            self.connection.close()
            return
        body = self.rfile.read(length)
        if fault == "is slow":
            time.sleep(8)
        if fault.isdigit():
            self.send_response(int(fault))
            self.end_headers()
            return
        there = http.client.HTTPConnection("127.0.0.1", self.way.server.port, timeout=60)
        with contextlib.closing(there) as link:
            link.request(self.command, self.path, body or None, dict(self.headers))
            answer = link.getresponse()
            told = answer.read()
        if fault == "serves other bytes":
            told = told[:-1] + bytes([told[-1] ^ 1])
        self.send_response(answer.status)
        for name in ("Content-Type", "WWW-Authenticate"):
            if answer.headers[name]:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if fault == "trickles":
            for byte in told:
                self.wfile.write(bytes([byte]))
                time.sleep(0.3)
        self.wfile.write(told[: len(told) // 2] if fault == "drops the answer" else told)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls


@pytest.fixture()
def way(server: Server) -> Iterator[Way]:
    """A way to the server, a good one at first."""
    made = Way(server)
    handler = type("Handler", (Between,), {"way": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as between:
        made.port = between.server_address[1]
        thread = threading.Thread(target=between.serve_forever)
        thread.start()
        yield made
        between.shutdown()
        thread.join()


@pytest.fixture()
def built(ready: Toy, way: Way, team: str) -> Toy:  # noqa: F811  # by its name
    """A library whose commit is built, and is to be published on devpi."""
    table = DELIVERY.replace('"{data}/index"', f'"{way.index(team)}"') + ACCEPTANCE
    tox = TOX + '\n[env.acceptance]\ncommands = [["python", "accept.py"]]\n'
    ready.commit("Publish on devpi", delivery_toml=table, tox_toml=tox, accept_py="")
    assert ready.delivery("build").returncode == 0
    return ready


def files(server: Server, index: str, name: str = "toy") -> list[str]:
    """Return the names of the files that an index itself has, of every version."""
    found = []
    try:
        versions = server.api("GET", f"/{index}/{name}?ignore_bases")
    except urllib.error.HTTPError as error:
        error.close()
        assert error.code == 404
        return []
    for version in versions.values():
        links = [link["href"] for link in version["+links"]]
        found += [link.rpartition("/")[2] for link in links if f"/{index}/+f/" in link]
    return found


def wheels(server: Server, index: str, name: str = "toy") -> list[str]:
    """Return the wheels that an index itself has."""
    return [file for file in files(server, index, name) if file.endswith(".whl")]
