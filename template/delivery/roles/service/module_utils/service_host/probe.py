"""What a running instance says about itself."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from .errors import Refused
from .journal import Entry

GOOD_ANSWERS = 3
PAUSE = 0.02


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("127.0.0.1", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self.path))
        except OSError:
            self.sock.close()
            raise


class TlsConnection(http.client.HTTPConnection):
    """HTTP over TLS to an address, by a name that need not lead there."""

    def __init__(
        self, address: str, port: int, timeout: float, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(name, timeout=timeout)
        self.address, self.context = (address, port), context

    def connect(self) -> None:
        """Connect to the address, and ask for the name."""
        plain = socket.create_connection(self.address, self.timeout)
        try:
            self.sock = self.context.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise


Connect = Callable[[float], http.client.HTTPConnection]


def over_unix(path: Path) -> Connect:
    """Return what connects to a unix socket."""
    return lambda timeout: UnixConnection(path, timeout)


def over_tcp(address: str, port: int) -> Connect:
    """Return what connects to an address; one that means every address is asked at home."""
    home = "127.0.0.1" if address == "0.0.0.0" else address
    return lambda timeout: http.client.HTTPConnection(home, port, timeout=timeout)


def over_tls(address: str, port: int, name: str) -> Connect:
    """Return what connects by TLS to an address of this host, as who looks for a name does."""
    home = "127.0.0.1" if address == "0.0.0.0" else address
    # We ask ourselves, whether the release answers; whom to trust is for those outside to say.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return lambda timeout: TlsConnection(home, port, timeout, context, name)


def ask(
    connect: Connect,
    method: str,
    path: str,
    timeout: float,
    body: str | None = None,
    kind: str = "text/xml",
) -> tuple[int, bytes]:
    """Ask for one page; return its status and its text."""
    connection = connect(timeout)
    try:
        connection.request(method, path, body, {"Connection": "close", "Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class WrongArtifact(Exception):
    """An instance answers, and is another one than it should be."""


def fault(connect: Connect, target: Entry, timeout: float) -> str | None:
    """Return what is wrong with the answers of an instance, None when they are good."""
    try:
        status, _ = ask(connect, "GET", "/healthz", timeout)
        if status != 200:
            return f"/healthz answers {status}"
        status, body = ask(connect, "GET", "/version", timeout)
        if status != 200:
            return f"/version answers {status}"
        answer = json.loads(body)
        found = (answer["version"], answer["sha256"])
    except TimeoutError:
        return f"no answer within {timeout:.0f} s"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    except (ValueError, KeyError, TypeError):
        return "/version answers something that is no JSON with version and sha256"
    if found != (target.version, target.sha256):
        raise WrongArtifact(
            f"/version tells version {found[0]} with sha256 {found[1]},"
            f" not {target.version} with {target.sha256}"
        )
    return None


def wait_until_good(
    connect: Connect, target: Entry, seconds: float, gone: Callable[[], str | None]
) -> None:
    """Wait for good answers in a row; refuse the wrong artifact, and a process that is gone."""
    deadline, good, problem = time.monotonic() + seconds, 0, "no answer"
    while good < GOOD_ANSWERS:
        if reason := gone():
            raise Refused(reason)
        left = deadline - time.monotonic()
        if left <= 0:
            raise Refused(f"it was not healthy within {seconds:g} s: {problem}")
        try:
            found = fault(connect, target, max(0.1, min(left, 5.0)))
        except WrongArtifact as error:
            raise Refused(str(error)) from None
        good, problem = (0, found) if found else (good + 1, problem)
        time.sleep(PAUSE)
