"""What comes back after a failure, a power cut or somebody's hand: one release, and its front."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_host import rollout

from tests.delivery.role.conftest import wait
from tests.delivery.role.wheels import NAME

from .conftest import Service, journal
from .test_cut_off import Module, inside, parameters
from .test_systemd import instances

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
STEPS = [step.__name__ for _, step in rollout.STEPS]
# A release whose server does not end when it is asked to: a thread of its own holds it.
HOLDS = "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()"


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


@pytest.fixture
def patient(one: Service) -> Iterator[dict[str, str]]:
    """Units that systemd gives longer to end than their file says, for who asks waits no longer."""
    host, folder = one.hosts[0], f"/etc/systemd/system/{NAME}@.service.d"
    host.sh(f"mkdir {folder} && printf '[Service]\\nTimeoutStopSec=25\\n' >{folder}/stop.conf")
    made = parameters(one.wheel("27.5"), Path("/"))["files"]["instance"]
    assert made.count("TimeoutStopSec=40\n") == 1
    yield {"instance": made.replace("TimeoutStopSec=40\n", "TimeoutStopSec=1\n")}
    host.sh(f"rm -r {folder} && systemctl daemon-reload")


def test_an_instance_that_takes_long_to_end_is_left_to_the_next_run(
    one: Service, patient: dict[str, str]
) -> None:
    host, module, what = one.hosts[0], Module(one.hosts[0]), one.wheel("27.6")
    limit = f"{module.folder}/utils/service_host/units.py"
    host.sh(f"sed -i 's/^CALL_SECONDS = 90.0$/CALL_SECONDS = 5.0/' {limit}")
    assert module.run(one.wheel("27.5", extra=HOLDS), files=patient)
    (old,) = instances(host)
    with one.load(host) as count:
        told = module.run(what, files=patient)
    assert told and told["version"] == "27.6" and inside(host) == "27.6", told
    assert f"{old} did not end within 6 s" in told["warnings"][0]
    assert journal(host)[-1]["ok"]
    assert old in instances(host)
    assert count["failed"] == 0, count
    wait(lambda: "deactivating" not in host.sh(f"systemctl is-active {old}", check=False), 60)
    told = module.run(what, files=patient)
    assert told and told["changed"] and "warnings" not in told, told
    assert old not in instances(host)
    told = module.run(what, files=patient)
    assert told and not told["changed"], told


def test_a_power_cut_brings_back_who_has_the_traffic_alone(one: Service) -> None:
    host, module, new = one.hosts[0], Module(one.hosts[0]), one.wheel("27.8")
    assert module.run(one.wheel("27.7"))
    (old,) = instances(host)
    for place in ("cutover", "verify"):
        assert module.run(new, STEPS.index(place)) is None
        assert len(instances(host)) == 2
        host.sh("sync")
        host.halt(signal.SIGKILL)
        host.boot()
        assert inside(host) == ("27.7" if place == "cutover" else "27.8")
        assert len(instances(host)) == 1
        assert (old in instances(host)) == (place == "cutover")
    told = module.run(new)
    assert told and told["recovered"] == "finished the deploy of 27.8", told


def test_what_somebody_disabled_is_told_and_enabled_again(one: Service) -> None:
    host, what = one.hosts[0], one.wheel("27.9")
    assert one.deploy(what)["h1"].ok
    units = f"{instances(host)[0]} {NAME}-front.socket {NAME}-front.service"
    host.sh(f"systemctl disable {units}")
    assert one.deploy(what, "--check")["h1"].host["changed"]
    run = one.deploy(what)["h1"]
    assert run.ok and run.host["changed"], run.output
    assert host.sh(f"systemctl is-enabled {units}").split() == ["enabled"] * 3
    host.halt()
    host.boot()
    assert one.live() == ["27.9"]
    run = one.deploy(what)["h1"]
    assert run.ok and not run.host["changed"], run.output


def test_a_front_that_does_not_start_says_why(one: Service) -> None:
    host, what = one.hosts[0], one.wheel("27.9")
    assert one.deploy(what)["h1"].ok
    folder = f"/etc/systemd/system/{NAME}-front.service.d"
    said = "[Service]\\nExecStart=\\nExecStart=/bin/sh -c 'echo no front today; exit 3'\\n"
    host.sh(f'mkdir {folder} && printf "{said}" >{folder}/broken.conf && systemctl daemon-reload')
    host.sh(f"systemctl stop {NAME}-front.service")
    run = one.deploy(what)["h1"]
    host.sh(f"rm -r {folder} && systemctl daemon-reload")
    assert not run.ok
    where = f"see journalctl --unit={NAME}-front.service"
    assert run.host["reason"] == f"Caddy does not start: {where}."
    assert "| no front today" in run.output
    assert one.deploy(what)["h1"].ok
    assert one.live() == ["27.9"]
