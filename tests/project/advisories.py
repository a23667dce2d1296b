"""An advisory database on this machine: what the public one says is not the template's to test."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import ClassVar


class Advisories(http.server.BaseHTTPRequestHandler):
    """An advisory database that speaks OSV's language."""

    flaws: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:  # noqa: N802  # http.server looks for this name
        """Answer what is known of a package."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = {"name": asked["package"]["name"], "ecosystem": "PyPI"}
        events = [{"introduced": "0"}, {"fixed": "99.1"}]
        flaw = {
            "id": self.flaws.get(package["name"], ""),
            "summary": "it leaks",
            "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        }
        text = json.dumps({"vulns": [flaw]} if flaw["id"] else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve advisories; give the variables that lead an audit there."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield {
            "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
            "PIP_AUDIT_OSV_URL": f"http://127.0.0.1:{server.server_port}/v1/query",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
