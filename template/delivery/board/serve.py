"""``board``: in the terminal, as JSON, as a file, or served to a wall screen."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..errors import DeliveryError, UsageError
from ..project import Project
from ..view import show, show_json
from . import page, table

FRESH = 4.0  # seconds a page is good for: the screens ask every five
SYNC = 30.0  # seconds between two looks at the remote's ledger
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def board(
    project: Project, count: int, as_json: bool, html: Path | None, port: int | None, bind: str
) -> int:
    """Show the board where it is asked for; return the exit status."""
    if count < 1:
        raise UsageError("-n takes a number of versions, 1 or more")
    if port is not None:
        return serve(project, count, port, bind)
    made = table.make(project, count)
    if html:
        write(html, page.render(made))
    elif as_json:
        show_json(made.told())
    else:
        show(table.text(made))
    return 0


def write(path: Path, text: str) -> None:
    """Write a file wholly or not at all.

    Raises:
        DeliveryError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DeliveryError(f"{path} cannot be written: {error.strerror}") from None


class Screen(ThreadingHTTPServer):
    """Serves the board of a project."""

    daemon_threads = True

    def __init__(self, project: Project, count: int, address: tuple[str, int]) -> None:
        self._project, self._count, self._lock = project, count, threading.Lock()
        self._page, self._made, self._synced, self._note = b"", 0.0, 0.0, ""
        self.local = address[0].startswith("127.")
        super().__init__(address, Handler)

    def page(self) -> bytes:
        """Return the page, made anew when the last one is some seconds old."""
        with self._lock:
            if time.monotonic() - self._made > FRESH or not self._page:
                self._sync()
                made = table.make(self._project, self._count)
                self._page = page.render(made, served=True, note=self._note).encode()
                self._made = time.monotonic()
            return self._page

    def _sync(self) -> None:
        if self._project.ledger.remote and time.monotonic() - self._synced > SYNC:
            self._synced, self._note = time.monotonic(), ""
            try:
                self._project.ledger.sync()
            except DeliveryError as error:
                self._note = f"; the shared ledger is out of reach: {error}"


class Handler(BaseHTTPRequestHandler):
    """Answers with the board, and with nothing else."""

    server: Screen

    def do_GET(self) -> None:  # noqa: N802, the name the library calls
        """Answer with the page."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if self.server.local and host not in LOOPBACK:
            return self.send_error(403, "this board is for this machine: --bind")
        if self.path != "/":
            return self.send_error(404)
        try:
            body = self.server.page()
        except DeliveryError as error:
            return self.send_error(500, explain=str(error))
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about each look."""


def serve(project: Project, count: int, port: int, bind: str) -> int:
    """Serve the board until Ctrl-C; return 0.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    try:
        screen = Screen(project, count, (bind, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{bind}:{port} cannot be served on ({why}): --serve PORT") from None
    with screen:
        show(f"the board is at http://{bind}:{screen.server_address[1]}/ until Ctrl-C")
        try:
            screen.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
