"""Load on a service, counted exactly: every request that was sent, and every one that failed.

Half of the clients keep their connection, half open one for each request; every other request is
a POST of 20 kB. Some more clients may ask for a page that takes its time. Nothing is retried and
nothing forgiven: what is not a 200 with its whole body is a failure.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# The same word in a cookie and in a form is how Django knows its own; others do not look.
WORD = "x" * 32
BODY = f"csrfmiddlewaretoken={WORD}&name={'x' * 20_000}".encode()
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={WORD}"}
TIMEOUT = 30.0
# Certificates are looked at elsewhere.
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname, ANYBODY.verify_mode = False, ssl.CERT_NONE


class Secure(http.client.HTTPConnection):
    """A connection by TLS to a name, at an address that may be another one's."""

    def __init__(self, name: str, port: int, at: str) -> None:
        super().__init__(name, port, timeout=TIMEOUT)
        self.at = at or name

    def connect(self) -> None:
        """Open it."""
        plain = socket.create_connection((self.at, self.port), TIMEOUT)
        self.sock = ANYBODY.wrap_socket(plain, server_hostname=self.host)


@dataclass
class Count:
    """What was sent and what came back."""

    sent: int = 0
    failed: int = 0
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)
    kinds: collections.Counter[str] = field(default_factory=collections.Counter)
    seen: collections.Counter[str] = field(default_factory=collections.Counter)
    milliseconds: list[float] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Add what another client counted."""
        self.sent += other.sent
        self.failed += other.failed
        self.reasons += other.reasons
        self.kinds += other.kinds
        self.seen += other.seen
        self.milliseconds += other.milliseconds

    def percentile(self, share: float) -> float:
        """Return the time in milliseconds that a share of the requests stayed below."""
        ordered = sorted(self.milliseconds) or [0.0]
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)


class Load:
    """Clients that ask until they are told to stop."""

    def __init__(
        self,
        url: str,
        clients: int = 8,
        look: Callable[[bytes], str] | None = None,
        pause: float = 0.0,
        at: str = "",
        slow: int = 0,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self.secure, self.at = parts.scheme == "https", at
        self.address, self.port = parts.hostname or "", parts.port or (443 if self.secure else 80)
        self.look, self.pause = look, pause
        self.count = Count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.sent = 0
        self._threads = [
            threading.Thread(target=self._client, args=(number % 2 == 0, path), daemon=True)
            for path, many in (("/", clients), ("/slow", slow))
            for number in range(many)
        ]

    def start(self) -> None:
        """Let the clients begin."""
        for thread in self._threads:
            thread.start()

    def wait_for(self, requests: int, seconds: float = 120.0) -> None:
        """Wait until so many requests were sent from now on."""
        goal, deadline = self.sent + requests, time.monotonic() + seconds
        while self.sent < goal:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {self.sent} requests in {seconds:.0f} s")
            time.sleep(0.01)

    def stop(self) -> Count:
        """Let the clients end their last request, and return what they counted."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT * 2)
        return self.count

    def _client(self, keep: bool, path: str) -> None:
        """Ask for a page again and again, GET and POST in turn."""
        count, connection, turn = Count(), self._connect(), 0
        while not self._stop.is_set():
            turn += 1
            method = "POST" if turn % 2 else "GET"
            count.sent += 1
            count.kinds[f"{method} {path} {'kept' if keep else 'closed'}"] += 1
            start, opened = time.monotonic(), connection.sock is not None
            try:
                body = self._ask(connection, method, path, keep)
                if self.look:
                    count.seen[self.look(body)] += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                count.failed += 1
                kind = "kept" if keep and opened else "new"
                count.reasons[f"{method} {kind} {type(error).__name__}: {error}"] += 1
                connection.close()
            if path == "/":
                count.milliseconds.append((time.monotonic() - start) * 1000)
            if not keep:
                connection.close()
            with self._lock:
                self.sent += 1
            time.sleep(self.pause)
        connection.close()
        with self._lock:
            self.count.add(count)

    def _connect(self) -> http.client.HTTPConnection:
        """Return a connection; it opens itself whenever it is not open."""
        if self.secure:
            return Secure(self.address, self.port, self.at)
        return http.client.HTTPConnection(self.address, self.port, timeout=TIMEOUT)

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, method: str, path: str, keep: bool) -> bytes:
        """Ask for a page, and return the whole answer."""
        headers = {} if keep else {"Connection": "close"}
        if method == "POST":
            connection.request("POST", path, BODY, headers | FORM)
        else:
            connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        return body


@contextlib.contextmanager
def load(
    url: str,
    clients: int = 8,
    look: Callable[[bytes], str] | None = None,
    pause: float = 0.0,
    at: str = "",
    slow: int = 0,
) -> Iterator[Load]:
    """Put a service under load for as long as the block runs."""
    running = Load(url, clients, look, pause, at, slow)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def main() -> None:
    """Put load on a URL from the command line, and print the count.

    Each line of standard input is answered by how many requests came to an end until now.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, help="until standard input ends, if not given")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--at", default="", help="the address that the name of an https URL has")
    parser.add_argument("--slow", type=int, default=0, help="clients more, who ask for /slow")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before the next request")
    options = parser.parse_args()
    with load(
        options.url, options.clients, None, options.pause, options.at, options.slow
    ) as running:
        if options.seconds is None:
            for _ in sys.stdin:
                print(running.sent, flush=True)
        else:
            time.sleep(options.seconds)
    count = running.count
    told = {"sent": count.sent, "failed": count.failed, "reasons": count.reasons}
    told |= {
        "kinds": count.kinds,
        "p50_ms": count.percentile(0.5),
        "p99_ms": count.percentile(0.99),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
