"""The service on a host with systemd: units, user, front, reboot, nothing left behind."""

from __future__ import annotations

import pytest

from .conftest import Service

pytestmark = pytest.mark.hosts


def test_a_release_goes_live_and_a_second_run_changes_nothing(one: Service) -> None:
    first = one.deploy(one.wheel("1.0"))["h1"]
    assert first.ok, first.output
    assert one.live() == ["1.0"]
    again = one.deploy(one.wheel("1.0"))["h1"]
    assert again.ok and not again.host["changed"], again.output
