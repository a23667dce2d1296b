"""A Caddy before a Buildbot, by the lines that the docs have; and a browser that trusts it."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.ci.bot import Login
from tests.ci.sample import BIN

ROOT = Path(__file__).resolve().parents[2]
PINNED = ROOT / "template/delivery/roles/service/files/caddy.txt"
# For this machine: nobody vouches for it, and nothing of it is anywhere else.
HERE = """{{
    admin off
    auto_https disable_redirects
    local_certs
    skip_install_trust
    storage file_system {storage}
}}
"""
PATIENCE = 120  # seconds until a page is there


def documented(name: str, to: str) -> str:
    """Return the site that the documentation has, for another name and another master."""
    text = (ROOT / "docs" / "ci.rst").read_text(encoding="utf-8")
    (site,) = re.findall(r"which with Caddy is::\n\n((?: {3}.*\n)+)", text)
    told = textwrap.dedent(site)
    assert told.count("ci.example.org") == told.count("127.0.0.1:8010") == 1
    return told.replace("ci.example.org", name).replace("127.0.0.1:8010", to)


@dataclass(frozen=True)
class Front:
    """What is in front of a master.

    Attributes:
        port: where it speaks TLS, as ``localhost``.
        home: where its files are.
    """

    port: int
    home: Path

    @property
    def url(self) -> str:
        """How browsers reach it."""
        return f"https://localhost:{self.port}/"

    @contextmanager
    def running(self, master: int) -> Iterator[Front]:
        """Let it run before the master at a port."""
        self.home.mkdir()
        tools, config = str(self.home / "tools"), self.home / "Caddyfile"
        for command in (["venv", tools], ["pip", "install", "--prefix", tools, "-r", str(PINNED)]):
            subprocess.run([BIN / "uv", *command, "--quiet"], check=True)
        site = documented(self.url.rstrip("/"), f"127.0.0.1:{master}")
        config.write_text(HERE.format(storage=self.home / "kept") + site)
        log = (self.home / "caddy.log").open("w")
        words = [f"{tools}/bin/caddy", "run", "--config", str(config)]
        caddy = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            end = time.monotonic() + PATIENCE
            while not self._answers():
                assert caddy.poll() is None and time.monotonic() < end, log.name
                time.sleep(0.1)
            yield self
        finally:
            caddy.terminate()
            caddy.wait(timeout=PATIENCE)
            log.close()

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/").status == 200
        return False

    def _socket(self) -> ssl.SSLSocket:
        authority = self.home / "kept/pki/authorities/local/root.crt"
        context = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection(("localhost", self.port), 60)
        return context.wrap_socket(plain, server_hostname="localhost")

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Ask for a page by TLS; redirects are not followed."""
        connection = http.client.HTTPConnection("localhost", self.port)
        connection.sock = self._socket()
        data = json.dumps(body).encode() if body else None
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        told = {name.lower(): text for name, text in answer.getheaders()}
        stream = told.get("content-type", "").startswith("text/event-stream")
        text = answer.readline() if stream else answer.read()
        connection.close()
        return Answer(answer.status, told, text.decode())

    def login(self, who: Login) -> Answer:
        """Log in as browsers do."""
        secret = base64.b64encode(":".join(who).encode()).decode()
        return self.ask("GET", "/auth/login", Authorization=f"Basic {secret}")

    def press(self, button: str, who: Login, origin: str = "", **told: str) -> int:
        """Press a button of a page, which is the master's own or of another origin."""
        cookie = self.login(who).headers["set-cookie"].split(";")[0]
        body = {"jsonrpc": "2.0", "method": "force", "id": 1, "params": told}
        about = {
            "Content-Type": "application/json",
            "Cookie": cookie,
            "Origin": origin or self.url.rstrip("/"),
        }
        return self.ask("POST", f"/api/v2/forceschedulers/{button}", body, **about).status

    def ping(self, cookie: str) -> str:
        """Say a word by web socket; return the answer."""
        with self._socket() as wire:
            lines = (
                *("GET /ws HTTP/1.1", f"Host: localhost:{self.port}", f"Cookie: {cookie}"),
                *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
                *("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"Origin: {self.url[:-1]}"),
            )
            wire.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            read = wire.makefile("rb")
            status = read.readline().decode()
            assert " 101 " in status, status
            while read.readline().strip():
                pass
            text = b'{"_id": 1, "cmd": "ping"}'
            # One frame of text, masked with zeros.
            wire.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
            _, length = read.read(2)
            return read.read(length).decode()


@dataclass(frozen=True)
class Answer:
    """What was answered; of a stream of events, the first line."""

    status: int
    headers: dict[str, str]
    text: str
