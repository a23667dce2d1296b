"""A deploy to several hosts: one batch after the other, and all of them or none."""

from __future__ import annotations

import contextlib
import json
import re

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service, journal

pytestmark = pytest.mark.hosts

SICK: dict[str, object] = {"service_environment": {"TINY_SICK": "yes"}}


def test_all_hosts_get_the_release_the_canary_first(three: Service) -> None:
    runs = three.deploy(three.wheel("1.1"), service_batches=[1, "100%"])
    assert runs["h2"].code == 0, runs["h2"].output
    assert three.live() == ["1.1"] * 3
    ended = [journal(host)[-1]["at"] for host in three.hosts]
    begun = [journal(host)[-2]["at"] for host in three.hosts]
    assert ended[0] <= min(begun[1:])


def test_a_host_that_fails_takes_the_whole_attempt_back(three: Service) -> None:
    before, untouched = three.live(), journal(three.hosts[2])
    three.differences = {"h3": SICK}
    with three.load(three.hosts[0]) as count:
        runs = three.deploy(
            three.wheel("2.0", "sick where told"),
            service_batches=[1, 1, 1],
            service_probe_seconds=3,
        )
    three.differences = {}
    assert runs["h3"].code != 0
    assert "2.0 did not go live" in runs["h3"].host["reason"]
    assert "/healthz answers 500" in runs["h3"].host["reason"]
    assert three.live() == before
    assert [line["action"] for line in journal(three.hosts[0])[-4:] if "action" in line] == [
        "deploy",
        "rollback",
    ]
    assert journal(three.hosts[2]) == untouched
    assert count["failed"] == 0, count


def test_a_canary_that_fails_its_requests_takes_the_attempt_back(three: Service) -> None:
    before, untouched = three.live(), [journal(host) for host in three.hosts[1:]]
    with contextlib.ExitStack() as loads:
        counts = [loads.enter_context(three.load(host, "--clients=2")) for host in three.hosts]
        sick = three.wheel("2.5", "fails, or gives no answer")
        runs = three.deploy(sick, service_bake_seconds=4)
    assert runs["h2"].code != 0
    said = (
        r"canary h2: [23]\d[.\d]* % of \d+ requests failed"
        r" \([1-9]\d* of them at its front: no answer from the release\),"
        r" h3 and h4 on the old release: 0 %"
    )
    assert re.fullmatch(said, runs["h2"].host["reason"]), runs["h2"].output
    assert three.live() == before
    assert [journal(host) for host in three.hosts[1:]] == untouched
    assert [count["failed"] for count in counts[1:]] == [0, 0]
    assert {reason.split()[-1] for reason in counts[0]["reasons"]} == {"500", "502"}


def test_a_canary_as_good_as_the_others_goes_on(three: Service) -> None:
    with contextlib.ExitStack() as loads:
        counts = [loads.enter_context(three.load(host, "--clients=2")) for host in three.hosts]
        runs = three.deploy(three.wheel("2.6"), service_bake_seconds=3)
    assert runs["h2"].code == 0, runs["h2"].output
    said = r"canary h2: 0 % of \d+ requests failed, h3 and h4 on the old release: 0 %"
    assert re.fullmatch(said, runs["h2"].host["canary"])
    assert three.live() == ["2.6"] * 3
    assert [count["failed"] for count in counts] == [0, 0, 0]


def test_a_canary_with_several_workers_goes_on(three: Service) -> None:
    workers: dict[str, object] = {"service_environment": {"WEB_CONCURRENCY": 3}}
    for version in ("2.61", "2.62"):
        with contextlib.ExitStack() as loads:
            for host in three.hosts:
                loads.enter_context(three.load(host, "--clients=3"))
            runs = three.deploy(three.wheel(version), service_bake_seconds=3, **workers)
        assert runs["h2"].code == 0, runs["h2"].output
        assert re.fullmatch(r"canary h2: 0 % of \d+ requests failed.*", runs["h2"].host["canary"])
    assert three.live() == ["2.62"] * 3


def test_a_canary_that_dies_while_it_is_watched_goes_back(three: Service) -> None:
    before = three.live()
    runs = three.deploy(three.wheel("2.65", "dies late"), service_bake_seconds=7)
    assert runs["h2"].code != 0
    said = r"canary h2: (its process died and was started again|/metrics gives no answer .*)"
    assert re.fullmatch(said, runs["h2"].host["reason"]), runs["h2"].output
    assert three.live() == before


def test_without_traffic_nobody_is_judged_and_that_is_said(three: Service) -> None:
    runs = three.deploy(three.wheel("2.7"), service_bake_seconds=1)
    assert runs["h2"].code == 0, runs["h2"].output
    assert runs["h2"].host["canary"] == ("canary h2: 0 requests are too few to judge, it takes 50")
    assert three.live() == ["2.7"] * 3


def test_a_host_out_of_reach_takes_the_whole_attempt_back(three: Service) -> None:
    before = three.live()
    with three.hosts[2].unplugged():
        runs = three.deploy(three.wheel("3.0"), service_batches=[2, 1])
    assert runs["h4"].code != 0
    assert "h4" in runs["h4"].output and runs["h4"].host["reason"]
    assert three.live() == before
    again = three.deploy(three.wheel("3.0"), service_batches=[2, 1])
    assert again["h2"].code == 0, again["h2"].output
    assert three.live() == ["3.0"] * 3


def test_a_batch_is_as_large_as_the_inventory_says(three: Service) -> None:
    three.variables = {"service_batches": [2, 1]}
    runs = three.deploy(three.wheel("3.1"))
    three.variables = {}
    assert runs["h2"].code == 0, runs["h2"].output
    assert runs["h2"].output.count("Systemd keeps the service live") == 2
    assert three.live() == ["3.1"] * 3


def test_one_host_migrates_for_all(three: Service) -> None:
    runs = three.deploy(three.wheel("5.0", migrate="sys.exit(0)"), service_batches=[1, "100%"])
    assert runs["h2"].code == 0, runs["h2"].output
    assert {name: run.host["migrated"] for name, run in runs.items()} == {
        "h2": True,
        "h3": False,
        "h4": False,
    }
    count = f"cat /var/lib/{NAME}/migrations 2>/dev/null"
    told = [json.loads(line) for host in three.hosts for line in host.sh(count, False).splitlines()]
    assert [line["version"] for line in told].count("5.0") == 1
