"""What the canary is judged by: sizes of batches, metrics, and what is worse than chance."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import DELIVERY, Site

sys.path.insert(0, str(DELIVERY / "plugins/filter"))

from canary import batches, judged
from service_host import requests
from service_host.layout import Layout


def host(count: int, failed: int = 0, slow: int = 0, instance: str = "old") -> dict[str, Any]:
    """Return what a host tells of so many requests, some of them longer than a second."""
    buckets = {"0.1": count - slow, "1.0": count - slow, "5.0": count, "+Inf": count}
    return {"requests": count, "failed": failed, "buckets": buckets, "instance": instance}


def verdict(canary: Mapping[str, Any] | None, *others: Mapping[str, Any] | None) -> dict[str, str]:
    """Judge h2 beside h3, h4 and so on."""
    watched = {f"h{number}": told for number, told in enumerate([canary, *others], 2)}
    return judged(watched, ["h2"], 50, 1.0, 2.0)


@pytest.mark.parametrize(
    "sizes, hosts, found",
    [
        ([1, "25%", "100%"], 1, [1]),
        ([1, "25%", "100%"], 3, [1, 1, 1]),
        ([1, "25%", "100%"], 16, [1, 4, 11]),
        ([2], 5, [2, 2, 1]),
        (["100%"], 4, [4]),
        ([], 4, [4]),
        ([0], 2, [1, 1]),
    ],
)
def test_batches_are_counted_as_ansible_does(
    sizes: list[int | str], hosts: int, found: list[int]
) -> None:
    assert batches(sizes, hosts) == found


def test_a_canary_that_fails_more_than_the_others_is_bad() -> None:
    told = verdict(host(240, 29, instance="new"), host(250), host(230))
    assert told["bad"] == (
        "canary h2: 12.1 % of 240 requests failed, h3 and h4 on the old release: 0 %"
    )


def test_a_canary_that_fails_as_much_as_the_others_is_good() -> None:
    told = verdict(host(200, 12, instance="new"), host(200, 10), host(200, 11))
    assert told["bad"] == "" and "6 % of 200" in told["said"]


def test_what_may_be_chance_is_no_verdict() -> None:
    assert verdict(host(50, 2, instance="new"), host(50, 1))["bad"] == ""
    assert verdict(host(5000, 200, instance="new"), host(5000, 100))["bad"]


def test_a_slow_canary_is_bad() -> None:
    told = verdict(host(100, slow=20, instance="new"), host(100))
    assert told["bad"] == (
        "canary h2: 95 % of 100 requests were answered within 4 s,"
        " h3 on the old release: within 0.095 s"
    )


def test_too_few_requests_are_said_and_pass() -> None:
    told = verdict(host(7, 7, instance="new"), host(100))
    assert told == {
        "bad": "",
        "said": "canary h2: 7 requests are too few to judge, it takes 50",
    }


def test_without_others_to_compare_with_failures_alone_decide() -> None:
    told = verdict(host(100, 20, slow=50, instance="new"), host(3))
    assert told["bad"] == (
        "canary h2: 20 % of 100 requests failed, h3 on the old release: too few to compare"
    )
    assert verdict(host(100, slow=50, instance="new"))["bad"] == ""


def test_a_host_that_has_the_release_already_is_not_compared() -> None:
    told = verdict(host(100, 20, instance="new"), host(100, 20, instance="new"), host(100))
    assert "h4 on the old release: 0 %" in told["bad"]


def test_a_canary_that_died_or_cannot_be_asked_is_bad() -> None:
    assert verdict({"problem": "its process died"}, host(100))["bad"] == (
        "canary h2: its process died"
    )
    assert verdict(None, host(100))["bad"] == "canary h2: out of reach while it was watched"


def test_a_canary_without_metrics_is_not_judged() -> None:
    told = verdict({"unknown": "/metrics answers 404"}, host(100))
    assert told == {"bad": "", "said": "canary h2: /metrics answers 404, so it was not judged"}


def test_metrics_are_counted_without_what_operations_asks() -> None:
    page = """
# HELP http_request_seconds To answer.
http_request_seconds_bucket{le="0.1",method="GET",route="/",status="200"} 3.0
http_request_seconds_bucket{le="0.1",method="GET",route="/a \\"b\\",",status="500"} 1.0
http_request_seconds_bucket{le="+Inf",method="GET",route="/",status="200"} 5.0
http_request_seconds_count{method="GET",route="/",status="200"} 5.0
http_request_seconds_count{method="GET",route="/a \\"b\\",",status="500"} 1.0
http_request_seconds_count{method="GET",route="/healthz",status="200"} 90.0
process_start_time_seconds 1.7e+09
"""
    sample = requests.parse(page)
    assert (sample.born, sample.requests, sample.failed) == (1.7e9, 6, 1)
    assert sample.buckets == {"0.1": 4, "+Inf": 5}


def test_a_release_is_watched_while_it_serves(shared: Site) -> None:
    told = requests.watch(Layout(shared.root), 0.1)
    assert (told["requests"], told["failed"]) == (0, 0)


def test_a_release_that_died_meanwhile_is_a_problem(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = iter([requests.Sample(1.0, 9), requests.Sample(2.0, 1)])
    monkeypatch.setattr(requests, "sample", lambda _: next(samples))
    told = requests.watch(Layout(shared.root), 0.0)
    assert told == {"problem": "its process died and was started again"}


def test_a_release_that_is_down_when_the_watch_begins_is_a_problem(tmp_path: Path) -> None:
    told = requests.watch(Layout(tmp_path), 0.0)
    assert told["problem"].startswith("/metrics gives no answer (")


def test_a_release_that_hangs_when_the_watch_begins_is_a_problem(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TIMEOUT", 0.3)
    pids = [p.pid for p in shared.processes() if "/releases/" in p.arguments[0]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        told = requests.watch(Layout(shared.root), 0.0)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert told == {"problem": "/metrics gives no answer (timed out)"}


def test_a_release_that_has_no_metrics_is_unknown(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ask", lambda *_: (404, b""))
    assert requests.watch(Layout(shared.root), 0.0) == {"unknown": "/metrics answers 404"}
