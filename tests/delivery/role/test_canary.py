"""What the canary is judged by: sizes of batches, metrics, and what is worse than chance."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.load import load

from .conftest import DELIVERY, Site

sys.path.insert(0, str(DELIVERY / "plugins/filter"))

from canary import batches, judged, why, wrong
from service_host import requests
from service_host.journal import Journal
from service_host.layout import Layout
from service_host.supervisor import Supervisor


def host(count: int, failed: int = 0, slow: int = 0, instance: str = "old") -> dict[str, Any]:
    """Return what a host tells of so many requests, some of them longer than a second."""
    buckets = {"0.1": count - slow, "1.0": count - slow, "5.0": count, "+Inf": count}
    return {"requests": count, "failed": failed, "buckets": buckets, "instance": instance}


def behind(told: Mapping[str, Any], unanswered: int = 0, slow: int = 0) -> dict[str, Any]:
    """Return what a host tells when its front has counted, too."""
    return {**told, "front": host(told["requests"] + unanswered, unanswered, slow)}


def watch(root: Path, seconds: float) -> dict[str, Any]:
    """Watch what is under a root, as is done where there is no systemd."""
    return requests.watch(Layout(root), seconds, root / "run/admin.sock", lambda: main(root))


def main(root: Path) -> int:
    """Return the process that supervisor keeps for the live release."""
    live = Journal(root / "journal.jsonl", "").state().live
    return Supervisor(Layout(root)).status(live.instance).pid if live else 0


def verdict(canary: Mapping[str, Any] | None, *others: Mapping[str, Any] | None) -> dict[str, str]:
    """Judge h2 beside h3, h4 and so on."""
    watched = {f"h{number}": told for number, told in enumerate([canary, *others], 2)}
    return judged(watched, ["h2"], 50, 1.0, 2.0)


FAILED = {"failed": True, "cmd": ["python3"], "msg": "non-zero return code"}


@pytest.mark.parametrize(
    "result, said",
    [
        ({"reason": "the port is taken", "msg": "see above"}, "the port is taken"),
        ({"msg": "no such package", "stderr": "E: unknown"}, "no such package"),
        (FAILED | {"stderr": "Traceback\nKeyError: 'web'\n"}, "KeyError: 'web'"),
        (FAILED | {"stderr": ""}, "non-zero return code"),
        ({"msg": "x", "results": [{"msg": "well"}, FAILED | {"stderr": "refused"}]}, "refused"),
        ({"msg": "no item", "results": []}, "no item"),
    ],
)
def test_why_a_task_failed_is_told_by_what_failed_in_it(result: dict[str, Any], said: str) -> None:
    assert why(result) == said


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
        (1, 2, [1, 1]),
        ("25%", 8, [2, 2, 2, 2]),
        (["33.3%"], 9, [2, 2, 2, 2, 1]),
    ],
)
def test_batches_are_counted_as_ansible_does(
    sizes: list[int | str] | int | str, hosts: int, found: list[int]
) -> None:
    assert wrong(sizes) == ""
    assert batches(sizes, hosts) == found


@pytest.mark.parametrize("sizes", [None, "half", "-1", [1, True], [1.5], ["%"], {"a": 1}])
def test_what_is_no_size_of_a_batch_is_named(sizes: object) -> None:
    assert "is no size of a batch: give numbers or shares" in wrong(sizes)


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


def test_what_never_got_an_answer_fails_at_the_front() -> None:
    others = [behind(host(250)), behind(host(230))]
    told = verdict(behind(host(211, instance="new"), 29), *others)
    assert told["bad"] == (
        "canary h2: 12.1 % of 240 requests failed (29 of them at its front: no answer from the"
        " release), h3 and h4 on the old release: 0 %"
    )
    both = verdict(behind(host(211, instance="new"), 29), *[behind(host(220), 30)] * 2)
    assert not both["bad"] and both["said"].endswith("h3 and h4 on the old release: 12 %")


def test_enough_that_never_got_an_answer_are_enough_to_judge() -> None:
    told = verdict(behind(host(10, instance="new"), 40), behind(host(100)))
    assert told["bad"].startswith("canary h2: 80 % of 50 requests failed (40 of them at its front")


def test_who_waits_at_the_front_is_as_slow_as_the_release() -> None:
    told = verdict(behind(host(100, instance="new"), slow=20), behind(host(100)))
    assert told["bad"] == (
        "canary h2: 95 % of 100 requests were answered within 4 s at its front,"
        " h3 on the old release: within 0.095 s"
    )


def test_a_front_counts_only_where_those_that_it_is_compared_with_do() -> None:
    canary = behind(host(100, instance="new"), 20, slow=20)
    assert verdict(canary, behind(host(100)), host(100))["bad"] == ""
    # One that nothing was asked of has nothing to count, and one alone is compared with nobody.
    assert "20 of them at its front" in verdict(canary, behind(host(100)), host(0))["bad"]
    assert "20 of them at its front" in verdict(canary, host(3))["bad"]


def test_who_has_several_workers_is_timed_by_the_front_alone() -> None:
    several = {**host(100), "buckets": {}}
    canary = host(100, slow=20, instance="new")
    assert verdict(canary, several)["bad"] == verdict(behind(canary), behind(several))["bad"] == ""
    assert " at its front" in verdict(behind(canary, slow=20), behind(several))["bad"]


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
# HELP http_request_seconds Seconds that answering a request took.
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


def test_the_front_counts_each_request_once_and_leaves_out_what_leads_elsewhere() -> None:
    page = """
caddy_http_request_errors_total{handler="subroute",server="srv0"} 2
caddy_http_requests_total{handler="static_response",server="srv1"} 70
caddy_http_requests_total{handler="subroute",server="srv0"} 9
caddy_http_response_duration_seconds_bucket{code="200",handler="subroute",method="GET",le="0.1"} 3
caddy_http_response_duration_seconds_bucket{code="200",handler="subroute",method="GET",le="+Inf"} 6
caddy_http_response_duration_seconds_bucket{code="500",handler="subroute",method="GET",le="+Inf"} 1
caddy_http_response_duration_seconds_bucket{code="308",handler="static_response",le="+Inf"} 70
process_start_time_seconds 1.79584526324e+09
"""
    sample = requests.parse_front(page)
    assert (sample.born, sample.requests, sample.failed) == (1795845263.24, 9, 2)
    assert sample.buckets == {"0.1": 3, "+Inf": 7}


def test_a_release_is_watched_while_it_serves(shared: Site) -> None:
    told = watch(shared.root, 0.1)
    assert (told["requests"], told["failed"]) == (0, 0)
    assert (told["front"]["requests"], told["front"]["failed"]) == (0, 0)


def test_the_front_sees_what_got_no_answer(site: Site) -> None:
    assert site.told("live", site.wheel("1.0", "fails, or gives no answer"))["version"] == "1.0"
    before = watch(site.root, 0.0)
    assert before["front"]["failed"] == 0
    with load(site.url, clients=4, pause=0.01) as running:
        running.wait_for(20)
        told = watch(site.root, 2.0)
    count = running.count
    seen = {reason.split(": ")[-1]: number for reason, number in count.reasons.items()}
    assert {*seen} == {"status 500", "status 502"}
    assert 0 < told["failed"] and 0 < told["front"]["failed"] < count.failed
    bad = verdict({**told, "instance": "new"})["bad"]
    assert f"({told['front']['failed']} of them at its front: no answer from the release)" in bad


def test_a_front_that_does_not_count_is_left_out(shared: Site, tmp_path: Path) -> None:
    told = requests.watch(Layout(shared.root), 0.0, tmp_path / "admin.sock", lambda: 1)
    assert "front" not in told


def test_a_front_that_was_started_anew_meanwhile_is_left_out(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = iter([requests.Sample(1.0, 9), requests.Sample(2.0, 10)])
    monkeypatch.setattr(requests, "sample_front", lambda _: next(samples))
    assert "front" not in watch(shared.root, 0.0)


@pytest.mark.parametrize("born, pids", [(1.0, (7, 8)), (1.0, (7, 0)), (9e9, (7, 7))])
def test_a_release_that_died_meanwhile_is_a_problem(
    shared: Site, monkeypatch: pytest.MonkeyPatch, born: float, pids: tuple[int, ...]
) -> None:
    samples = iter([requests.Sample(1.0, 9), requests.Sample(born, 9)])
    monkeypatch.setattr(requests, "sample", lambda _: next(samples))
    place, told = Layout(shared.root), iter(pids)
    problem = {"problem": "its process died and was started again"}
    assert requests.watch(place, 0.0, shared.root / "run/admin.sock", lambda: next(told)) == problem


def test_a_release_that_dies_after_its_probes_is_a_problem(site: Site) -> None:
    assert site.told("live", site.wheel("1.0", "dies late"))["version"] == "1.0"
    # It may be up again by then, or not yet.
    assert watch(site.root, 6.0)["problem"]


def test_one_of_several_workers_that_answers_is_no_death(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = iter([requests.Sample(2.0, 9), requests.Sample(1.0, 90)] * 2)
    monkeypatch.setattr(requests, "sample", lambda _: next(samples))
    outer = iter([requests.Sample(1.0, 9), requests.Sample(1.0, 69, 6, 3, Counter({"0.1": 54}))])
    monkeypatch.setattr(requests, "sample_front", lambda _: next(outer, requests.Sample()))
    told = watch(shared.root, 0.0)
    assert (told["requests"], told["failed"], told["front"]["failed"]) == (54, 3, 6)
    told = watch(shared.root, 0.0)
    assert told == {"unknown": "/metrics is of one worker of several, and its front does not count"}


def test_a_release_with_several_workers_is_judged_by_its_front(site: Site) -> None:
    environment = json.dumps({"WEB_CONCURRENCY": "3"})
    what = site.wheel("1.0", "fails, or gives no answer")
    assert site.told("live", what, environment=environment)["version"] == "1.0"
    with load(site.url, clients=4, pause=0.01) as running:
        running.wait_for(20)
        # Whoever answers; it takes two of them to tell.
        told = next(
            seen for seen in (watch(site.root, 1.0) for _ in range(20)) if not seen["buckets"]
        )
    assert told["requests"] + told["front"]["failed"] == told["front"]["requests"] > 0
    assert 0 < told["failed"] == told["front"]["faulty"]
    bad = verdict({**told, "instance": "new"})["bad"]
    assert f"({told['front']['failed']} of them at its front: no answer from the release)" in bad


def test_a_release_that_is_down_when_the_watch_begins_is_a_problem(tmp_path: Path) -> None:
    told = watch(tmp_path, 0.0)
    assert told["problem"].startswith("/metrics gives no answer (")


def test_a_release_that_hangs_when_the_watch_begins_is_a_problem(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "TIMEOUT", 0.3)
    pids = [p.pid for p in shared.processes() if "/releases/" in p.arguments[0]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        told = watch(shared.root, 0.0)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert told == {"problem": "/metrics gives no answer (timed out)"}


def test_a_release_that_has_no_metrics_is_unknown(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ask", lambda *_: (404, b""))
    assert watch(shared.root, 0.0) == {"unknown": "/metrics answers 404"}
