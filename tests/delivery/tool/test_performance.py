"""The stage performance: a good service is within its limits, a slow or failing one is not."""

from __future__ import annotations

import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import TEMPLATE

sys.path.insert(0, str(TEMPLATE))

from delivery.errors import DeliveryError, UsageError
from delivery.pipeline import performance
from delivery.tables import Limits

# So wide that only what is wrong by much is over it, on the busiest machine.
LIMITS = Limits(rate=20, p50=5_000, p95=9_000, p99=9_000, seconds=1)
TIGHT = Limits(rate=20, p50=100, p95=9_000, p99=9_000, seconds=1)


class Pages(BaseHTTPRequestHandler):
    """A page that is there, one that takes half a second, and one that is not there."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer."""
        time.sleep(0.5 if self.path == "/slow" else 0)
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture()
def url() -> Iterator[str]:
    """Return where the pages are."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_within_its_limits_it_says_a_line_of_figures(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "limits.xml"
    performance.perform(url, {"/": LIMITS}, report)
    said = capsys.readouterr().out
    assert said.startswith("/: ") and "0 of 20 failed" in said and "p99" in said
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")


def test_a_slow_page_is_measured_twice_and_named_with_its_limit(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "limits.xml"
    with pytest.raises(DeliveryError, match=r"^p50 is \d+ ms on /slow, the limit is 100 ms") as e:
        performance.perform(url, {"/slow": TIGHT, "/": LIMITS}, report)
    assert str(e.value).endswith('(delivery.toml [performance."/slow"])')
    assert capsys.readouterr().out.count("/slow: ") == 2
    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_a_request_that_fails_is_over_every_limit(url: str, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"^20 of 20 requests for /none failed \(status 404\)"):
        performance.perform(url, {"/none": LIMITS}, tmp_path / "limits.xml")


def test_without_limits_it_says_where_they_belong(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="delivery.toml has no"):
        performance.perform(url, {}, tmp_path / "limits.xml")
