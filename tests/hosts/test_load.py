"""Everything that may happen to a host in a day, under load, and no request is lost.

Each of it happens until 20,000 requests were sent from its beginning to its end: GET and POST with
a body, on connections that are kept and on new ones, some of them for a page that takes 2 s. What
happens to hosts behind a balancer is in test_balancer.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.delivery.role.conftest import DELIVERY
from tests.delivery.role.wheels import NAME

from .conftest import KINDS, MANY, Service

pytestmark = pytest.mark.hosts

Steady = Callable[[Callable[[int], None]], None]


@pytest.fixture
def steady(one: Service) -> Iterator[Steady]:
    """What lets something happen under load, and none of many requests be lost."""
    for version in ("30.0", "30.1"):
        assert one.deploy(one.wheel(version))["h1"].ok

    def happens(event: Callable[[int], None]) -> None:
        with one.load(one.hosts[0], "--slow=2", "--pause=0") as count:
            count.during(MANY, event)
        assert count["failed"] == 0, count
        assert len(count["kinds"]) == KINDS, count["kinds"]

    yield happens
    one.delivery = DELIVERY


def test_many_requests_and_a_deploy(one: Service, steady: Steady) -> None:
    def event(turn: int) -> None:
        run = one.deploy(one.wheel(f"31.{turn}"))["h1"]
        assert run.ok and run.host["changed"], run.output

    steady(event)


def test_many_requests_and_a_deploy_that_fails(one: Service, steady: Steady) -> None:
    def event(turn: int) -> None:
        bad = one.wheel(f"32.{turn}", "500 only")
        assert not one.deploy(bad, service_probe_seconds=3)["h1"].ok

    steady(event)
    assert one.live() == ["30.1"]


def test_many_requests_and_a_rollback(one: Service, steady: Steady) -> None:
    """Each goes forward again, by a deploy that has nothing to install."""

    def event(_turn: int) -> None:
        for run in (one.rollback()["h1"], one.deploy(one.wheel("30.1"))["h1"]):
            assert run.ok and run.host["changed"], run.output

    steady(event)


def test_many_requests_and_other_tools_for_the_front(
    one: Service, steady: Steady, tmp_path: Path
) -> None:
    host, what = one.hosts[0], one.wheel("30.1")
    front = f"systemctl show --property=MainPID --value {NAME}-front"

    def event(turn: int) -> None:
        one.delivery = tmp_path / str(turn)
        shutil.copytree(DELIVERY, one.delivery, ignore=shutil.ignore_patterns("inventories"))
        with (one.delivery / "roles/service/files/caddy.txt").open("a") as lock:
            lock.write(f"# Build {turn}.\n")
        before = host.sh(front)
        run = one.deploy(what)["h1"]
        assert run.ok and run.host["changed"], run.output
        assert host.sh(front) != before

    steady(event)
