"""Everything that may happen to a host in a day, under load, and no request is lost."""

from __future__ import annotations

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service

pytestmark = pytest.mark.hosts


def test_twenty_thousand_requests_and_none_is_lost(one: Service) -> None:
    host, unit = one.hosts[0], f"/etc/systemd/system/{NAME}-front.service"
    assert one.deploy(one.wheel("30.0"))["h1"].ok
    with one.load(host, "--slow=2", "--requests=20000", "--pause=0") as count:
        assert one.deploy(one.wheel("30.1"))["h1"].ok
        assert not one.deploy(one.wheel("30.2", "500 only"), service_probe_seconds=3)["h1"].ok
        assert one.rollback()["h1"].ok
        host.sh(f"sed -i s/^TimeoutStopSec=.*/TimeoutStopSec=1/ {unit}")
        run = one.deploy(one.wheel("30.0"))["h1"]
        assert run.ok and run.host["changed"], run.output
    assert one.live() == ["30.0"]
    assert count["failed"] == 0, count
    assert count["sent"] >= 20_000
    assert all(many > 0 for many in count["kinds"].values())
    assert len(count["kinds"]) == 8, count["kinds"]
