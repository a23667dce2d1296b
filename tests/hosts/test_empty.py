"""The service on a host that had none: what it must not take, and leaves nothing behind of."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service
from .test_cut_off import Module

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


def test_a_first_deploy_that_failed_early_can_be_taken_away(bare: Service) -> None:
    bare.variables = {"service_index": "http://127.0.0.1:9/simple"}
    assert not bare.deploy(bare.wheel("1.0"))["h5"].ok
    bare.variables = {}
    run = bare.gone()["h5"]
    assert run.ok and run.host["changed"], run.output
    assert not Path(f"{bare.hosts[0].disk}{ROOT}").exists()


def test_a_user_who_is_still_at_work_goes_with_the_next_run(bare: Service) -> None:
    host = bare.hosts[0]
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    host.sh(f"systemd-run --unit=other --property=User={NAME} sleep 600")
    run = bare.gone()["h5"]
    assert not run.ok and "userdel" in run.host["reason"], run.output
    host.sh("systemctl stop other")
    run = bare.gone()["h5"]
    assert run.ok and run.host["changed"], run.output
    assert host.sh(f"id {NAME}", check=False) == ""


def test_a_service_whose_name_is_that_of_the_front_keeps_its_data(bare: Service) -> None:
    host, kept = bare.hosts[0], f"/var/lib/{NAME}-front/kept"
    host.sh(f"mkdir /var/lib/{NAME}-front && touch {kept}")
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    run = bare.gone()["h5"]
    assert run.ok and run.host["changed"], run.output
    host.sh(f"rm {kept} && rmdir /var/lib/{NAME}-front")


def test_what_was_removed_by_hand_is_stopped_all_the_same(bare: Service) -> None:
    host = bare.hosts[0]
    assert bare.deploy(bare.wheel("1.0"))["h5"].ok
    host.sh(f"rm -r {ROOT} /etc/systemd/system/{NAME}@.service && systemctl daemon-reload")
    run = bare.play("deploy.yml", service_state="stopped")["h5"]
    assert run.ok and run.host["changed"], run.output
    left = f"systemctl list-units --plain --no-legend '{NAME}*'; ls /etc/systemd/system/*.wants"
    assert NAME not in host.sh(left)


def test_an_end_that_is_killed_anywhere_is_ended_by_the_next(bare: Service) -> None:
    host, module, what = bare.hosts[0], Module(bare.hosts[0]), bare.wheel("1.0")
    for place in itertools.count(1):
        assert (module.run(what) or {}).get("version") == what.version, place
        if module.run(what, f"set-up {place}", state="absent", version=None):
            break
        told = module.run(what, state="absent", version=None, check=True)
        assert told and told["changed"], place
    assert place > 6
    assert host.sh(f"find /etc /opt /run /var/lib -name '{NAME}*'; id {NAME}", check=False) == ""
    told = module.run(what, state="absent", version=None)
    assert told and not told["changed"]


def test_a_host_whose_umask_is_narrow_is_deployed_to(bare: Service) -> None:
    told = Module(bare.hosts[0]).run(bare.wheel("1.0"), umask="077")
    assert told and told.get("version") == "1.0", told
    assert bare.live() == ["1.0"]


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
