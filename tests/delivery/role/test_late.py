"""What fails late: until the new release is seen to serve all goes back, then nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_host import rollout, units

from tests.delivery.load import load

from .conftest import Site

STEPS = [step.__name__ for _, step in rollout.STEPS]
LATE = range(STEPS.index("cutover"), len(STEPS))


@pytest.mark.parametrize("place", [pytest.param(place, id=STEPS[place]) for place in LATE])
def test_failure_goes_back_or_forward_and_costs_no_request(shared: Site, place: int) -> None:
    old, new = shared.live(), f"3.{place}"
    with load(shared.url, clients=2, pause=0.02) as running:
        told = shared.module("live", shared.wheel(new), kill=f"full {place}")
    assert '"failed": true' in told.stdout and "No space left on device" in told.stdout
    forward = place > STEPS.index("stop")
    assert (f"{new} is live all the same: deploy it again" in told.stdout) == forward
    assert shared.live() == (new if forward else old)
    assert shared.instances() == {shared.live()}
    assert running.count.failed == 0, running.count.reasons
    again = shared.told("live", shared.wheel(new))
    assert again["recovered"] == (f"finished the deploy of {new}" if forward else None)
    assert again["version"] == shared.live() == new


def test_who_gets_the_traffic_back_is_well_first(live: Site) -> None:
    slow = live.wheel("1.1", extra="import time; time.sleep(8)")
    assert live.told("live", slow, probe_seconds=30)["version"] == "1.1"
    live.module("live", live.wheel("1.2"), kill=str(STEPS.index("end")))
    assert live.instances() == {"1.2"}
    # It serves, and is not what it should be.
    (live.root / "releases/1.2/release.json").write_text("{}")
    with load(live.url, clients=2, pause=0.02) as running:
        told = live.told("live", live.wheel("1.3", "import error"), probe_seconds=30)
    assert told["failed"], told
    assert live.live() == "1.1"
    assert live.instances() == {"1.1"}
    assert running.count.failed == 0, running.count.reasons


def test_call_may_take_what_systemd_gives_to_whom_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "UNITS", tmp_path)
    (tmp_path / "tiny@.service").write_text("[Service]\nTimeoutStopSec=95\n")
    (tmp_path / "tiny-front.service").write_text("[Service]\nTimeoutStopSec=20\n")
    asked = units.patience("systemctl", "is-active", "tiny-front.socket")
    assert units.patience("systemctl", "stop", "tiny@0a1b2c.service") == asked + 95
    assert units.patience("systemctl", "stop", "tiny-front.service", "a.socket") == asked + 20
