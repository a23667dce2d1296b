"""What comes back after a failure, a power cut or somebody's hand: one release, and its front."""

from __future__ import annotations

import pytest
from service_host import rollout

from tests.delivery.role.wheels import NAME

from .conftest import Service
from .test_cut_off import Module, inside
from .test_systemd import instances

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
STEPS = [step.__name__ for _, step in rollout.STEPS]


def test_a_release_that_is_sick_once_it_is_live_is_taken_back(one: Service) -> None:
    host = one.hosts[0]
    assert one.deploy(one.wheel("27.0"))["h1"].ok
    units = instances(host)
    with one.load(host) as count:
        run = one.deploy(one.wheel("27.1", "sick once live"), service_probe_seconds=5)["h1"]
    assert not run.ok
    assert "failed after cutover, through the front: /healthz answers 500" in run.host["reason"]
    assert one.live() == ["27.0"]
    assert instances(host) == units
    assert count["failed"] == 0, count


def test_the_release_before_is_started_again_when_it_had_stopped(one: Service) -> None:
    host, module = one.hosts[0], Module(one.hosts[0])
    slow = one.wheel("27.2", extra="import time; time.sleep(9)")
    assert module.run(slow)
    units = instances(host)
    # Killed when the old one had stopped, before that was written down.
    assert module.run(one.wheel("27.3"), STEPS.index("end")) is None
    assert inside(host) == "27.3"
    assert instances(host) != units
    # By now the new one is no good.
    host.sh(f"echo '{{}}' >{ROOT}/releases/27.3/release.json")
    # And who comes next is no better: what was begun is undone, and that is all.
    with one.load(host) as count:
        told = module.run(one.wheel("27.4", "import error"))
    assert told and told["failed"], told
    assert inside(host) == "27.2"
    assert instances(host) == units
    assert count["failed"] == 0, count
