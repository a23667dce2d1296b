"""What ships is looked up in an advisory database; what was not is never called good."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from .conftest import Service

pytestmark = pytest.mark.slow


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


@pytest.fixture
def advisories() -> Iterator[dict[str, Any]]:
    """Serve advisories; return the variables that lead an audit there."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
        "PIP_AUDIT_OSV_URL": f"http://127.0.0.1:{server.server_port}/v1/query",
    }
    server.shutdown()
    server.server_close()
    thread.join()
    Advisories.flaws.clear()


def test_what_nobody_knows_bad_of_is_green(green: Service, advisories: dict[str, Any]) -> None:
    said = green.delivery("run", "security", **advisories)
    assert "NOTE" not in said
    log = max((green.root / ".delivery/logs").rglob("*security*"))
    assert "requirements have no known vulnerability" in log.read_text()


def test_a_known_vulnerability_is_red_and_named(green: Service, advisories: dict[str, Any]) -> None:
    Advisories.flaws["flask"] = "PYSEC-2099-1"
    said = green.delivery("run", "security", status=1, **advisories)
    assert "flask 3." in said
    assert "PYSEC-2099-1, mended in 99.1" in said


def test_a_database_out_of_reach_is_told_and_makes_nothing_good(
    green: Service, advisories: dict[str, Any]
) -> None:
    nobody = {**advisories, "PIP_AUDIT_OSV_URL": "http://127.0.0.1:9/v1/query"}
    said = green.delivery("run", "security", **nobody)
    assert "NOTE: requirements/prod.txt was not audited" in said
    green.edit("tox.toml", '"delivery", "security"]', '"delivery", "security", "--required"]')
    green.commit("Require an audit")
    said = green.delivery("run", "security", status=1, **nobody)
    assert "requirements/prod.txt was not audited" in said
