"""What somebody changed by hand on a host, or moved in the inventory, is put right or refused."""

from __future__ import annotations

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
LIVE = f"$(readlink {ROOT}/run/current.sock | cut -d . -f 1)"
DESCRIPTION = f"{ROOT}/instances/{LIVE}.json"
WITHOUT_USER = f"sed -i '/^{NAME}:/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow"


@pytest.mark.parametrize(
    ("edit", "path", "rights"),
    [
        (f"rm {DESCRIPTION}", DESCRIPTION, "600"),
        (f"chmod 644 {DESCRIPTION}", DESCRIPTION, "600"),
        (f"chmod 600 {ROOT}/Caddyfile", f"{ROOT}/Caddyfile", "644"),
        (f"chmod 600 {ROOT}/launch.py", f"{ROOT}/launch.py", "644"),
        (WITHOUT_USER, "/etc/passwd", "644"),
    ],
    ids=["lost", "open", "Caddyfile", "launch.py", "user"],
)
def test_what_was_changed_by_hand_is_put_right(
    one: Service, edit: str, path: str, rights: str
) -> None:
    host, what = one.hosts[0], one.wheel("6.0")
    assert one.deploy(what)["h1"].ok
    host.sh(edit)
    run = one.deploy(what, "--check")["h1"]
    assert run.ok and run.host["changed"], run.output
    with one.load(host) as count:
        run = one.deploy(what)["h1"]
    assert run.ok and run.host["changed"], run.output
    assert host.sh(f"stat --format=%a {path}; id --name --user {NAME}").split() == [rights, NAME]
    # All of it starts again by what is there now.
    host.sh(f"systemctl restart {NAME}-front {NAME}@{LIVE}")
    assert one.live() == ["6.0"]
    assert count["failed"] == 0, count
    run = one.deploy(what)["h1"]
    assert run.ok and not run.host["changed"], run.output


def test_a_front_that_cannot_start_is_put_right(one: Service) -> None:
    host, what = one.hosts[0], one.wheel("6.0")
    assert one.deploy(what)["h1"].ok
    host.sh(f"chmod 600 {ROOT}/Caddyfile; systemctl restart {NAME}-front", check=False)
    assert one.deploy(what)["h1"].ok
    assert one.live() == ["6.0"]


@pytest.mark.parametrize("state", ["live", "stopped", "absent"])
def test_another_root_is_refused_before_anything_is_touched(one: Service, state: str) -> None:
    host, before = one.hosts[0], one.live()
    moved = {"service_root": "/srv/tiny", "service_state": state}
    run = one.deploy(one.wheel("6.1"), **moved)["h1"]
    assert not run.ok
    assert run.host["reason"] == (
        f"{NAME} is on this host in {ROOT}, and service_root is /srv/tiny: give service_root"
        f" {ROOT} again; to move it, first take it away with that, by stop --remove, which takes"
        " its data along."
    )
    assert one.live() == before
    assert host.sh("ls /srv/tiny", check=False) == ""


def test_seconds_may_be_text(one: Service) -> None:
    run = one.deploy(one.wheel("6.2"), service_probe_seconds="20", service_drain_seconds="5")["h1"]
    assert run.ok, run.output


def test_a_root_that_ends_in_a_slash_is_the_same(one: Service) -> None:
    what = one.wheel("6.2")
    run = one.deploy(what, service_root=f"{ROOT}/")["h1"]
    assert run.ok, run.output
    run = one.deploy(what)["h1"]
    assert run.ok and not run.host["changed"], run.output


def test_every_user_that_was_made_goes_with_the_service(bare: Service) -> None:
    host = bare.hosts[0]
    users = host.sh("cat /etc/passwd /etc/group")
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    bare.variables = {"service_user": "parcels"}
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    assert bare.live() == ["1.0"]
    assert bare.gone()["h5"].ok
    assert host.sh("cat /etc/passwd /etc/group") == users
