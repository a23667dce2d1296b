"""The service on a host that had none: what it must not take, and leaves nothing behind of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"


def test_a_service_that_is_taken_away_leaves_nothing(bare: Service) -> None:
    host = bare.hosts[0]
    look = "find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/journal/*'"
    look += " -not -path '/tmp/*' -not -path '/var/tmp/*' -not -path '/run/systemd/*' | sort"
    users, before = host.sh("cat /etc/passwd /etc/group"), host.sh(look).splitlines()
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    run = bare.gone()["h5"]
    assert run.ok and run.host["changed"], run.output
    left = set(host.sh(look).splitlines()) - set(before)
    # Folders of the system and of Ansible, for whoever comes next; nothing in them, and no cache.
    assert left <= {"/etc/sysusers.d", "/root/.ansible", "/root/.ansible/tmp"}
    assert host.sh("cat /etc/passwd /etc/group") == users
    assert host.sh("systemctl is-system-running") == "running"
    run = bare.gone()["h5"]
    assert run.ok and not run.host["changed"], run.output


def test_a_user_who_was_there_before_stays(bare: Service) -> None:
    host = bare.hosts[0]
    users = host.sh("cat /etc/passwd /etc/group")
    bare.variables = {"service_root": "/srv/tiny", "service_user": "www-data"}
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    assert bare.live() == ["1.0"]
    rows = host.sh("ps -eo user:32,args").splitlines()
    assert {row.split()[0] for row in rows if "/srv/tiny/releases/" in row} == {"www-data"}
    assert bare.gone()["h5"].ok
    assert not Path(f"{host.disk}/srv/tiny").exists()
    assert host.sh("cat /etc/passwd /etc/group") == users


def test_a_port_that_somebody_else_has_is_refused(bare: Service) -> None:
    host = bare.hosts[0]
    host.sh("systemd-run --unit=other python3 -m http.server 80")
    host.sh("until ss -ltn | grep -q ':80 '; do sleep .1; done")
    try:
        run = bare.deploy(bare.wheel("1.0"))["h5"]
    finally:
        host.sh("systemctl stop other")
    assert not run.ok
    assert "Port 80 on 0.0.0.0 is taken by process" in run.host["reason"]
    assert "http.server" in run.host["reason"]
    assert not Path(f"{host.disk}{ROOT}").exists()
