"""The service on a host with systemd: units, user, front, reboot."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.role.conftest import DELIVERY, ROLE, wait
from tests.delivery.role.wheels import NAME

from .conftest import Service
from .host import Host

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"


def instances(host: Host) -> list[str]:
    """Return the units of instances that run."""
    units = host.sh(f"systemctl list-units --plain --no-legend '{NAME}@*'").splitlines()
    return [line.split()[0] for line in units]


def test_a_second_run_changes_nothing(one: Service) -> None:
    one.deploy(one.wheel("1.0"))
    run = one.deploy(one.wheel("1.0"))["h1"]
    assert run.ok and not run.host["changed"], run.output
    assert "changed=0" in run.output


def test_a_dry_run_tells_what_would_change_and_changes_nothing(one: Service) -> None:
    before = one.live()
    run = one.deploy(one.wheel("1.0.1"), "--check", "--diff")["h1"]
    assert run.ok and run.host["changed"], run.output
    assert "+live: 1.0.1" in run.output
    assert one.live() == before
    assert not Path(f"{one.hosts[0].disk}{ROOT}/releases/1.0.1").exists()


def test_the_world_loses_no_request_to_a_cutover(one: Service) -> None:
    with one.load(one.hosts[0]) as count:
        run = one.deploy(one.wheel("1.1"))["h1"]
    assert run.ok, run.output
    assert one.live() == ["1.1"]
    assert count["failed"] == 0, count
    assert count["sent"] > 500
    assert len(instances(one.hosts[0])) == 1


def test_a_release_that_never_answers_well_leaves_the_live_one(one: Service) -> None:
    before, units = one.live(), instances(one.hosts[0])
    run = one.deploy(one.wheel("1.2", "500 only"), service_probe_seconds=3)["h1"]
    assert not run.ok
    assert "/healthz answers 500" in run.host["reason"]
    assert "journalctl --unit=tiny-service@" in run.host["reason"]
    assert one.live() == before
    assert instances(one.hosts[0]) == units


def test_what_a_dying_release_wrote_is_shown(one: Service) -> None:
    run = one.deploy(one.wheel("1.3", "import error"))["h1"]
    assert not run.ok
    assert "ModuleNotFoundError: No module named 'not_there'" in run.output


@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_the_live_release_and_no_other_is_back_after_a(one: Service, how: str) -> None:
    host = one.hosts[0]
    one.deploy(one.wheel("3.0"))
    one.deploy(one.wheel("3.1"))
    units = instances(host)
    host.sh("sync")
    if how == "reboot":
        host.halt()
    else:
        host.halt(signal.SIGKILL)
    host.boot()
    assert one.live() == ["3.1"]
    assert instances(host) == units
    run = one.deploy(one.wheel("3.1"))["h1"]
    assert run.ok and not run.host["changed"], run.output


def test_a_dead_instance_is_started_again(one: Service) -> None:
    host = one.hosts[0]
    unit = instances(host)[0]
    show = f"systemctl show --property=MainPID --value {unit}"
    before = host.sh(show)
    host.sh(f"systemctl kill --signal=KILL {unit}")
    host.sh(
        f"until systemctl is-active --quiet {unit} && [ $({show}) != {before} ]; do sleep .1; done"
    )
    one.live()


def test_an_instance_that_is_not_well_is_not_up(one: Service) -> None:
    host = one.hosts[0]
    assert one.deploy(one.wheel("3.4", "sick where told"))["h1"].ok
    (unit,) = instances(host)
    path = f"{ROOT}/instances/{unit.partition('@')[2].removesuffix('.service')}.json"
    sick = '"environment": {"TINY_SICK": "yes"}'
    host.sh(f"cp --preserve {path} /root/kept; sed -i 's/\"environment\": {{}}/{sick}/' {path}")
    host.sh(f"systemctl restart --no-block {unit}")
    state = f"systemctl is-active {unit}"
    wait(lambda: host.sh(state, check=False) == "activating")
    host.sh("sleep 5")
    assert host.sh(state, check=False) == "activating"
    host.sh(f"mv /root/kept {path}; systemctl restart {unit}")
    assert host.sh(state) == "active"


@pytest.fixture
def other_tools(one: Service, tmp_path: Path) -> Iterator[None]:
    """A role whose tools are others, as far as their lock tells."""
    one.delivery = tmp_path / "delivery"
    shutil.copytree(DELIVERY, one.delivery, ignore=shutil.ignore_patterns("inventories"))
    with (one.delivery / "roles/service/files/caddy.txt").open("a") as lock:
        lock.write("# Another build.\n")
    yield
    one.delivery = DELIVERY


def test_other_tools_take_over_and_the_old_ones_go(one: Service, other_tools: None) -> None:
    host, what = one.hosts[0], one.wheel("5.1")
    one.delivery, others = DELIVERY, one.delivery
    assert one.deploy(what)["h1"].ok
    before = host.sh(f"readlink {ROOT}/tools/current")
    one.delivery = others
    with one.load(host) as count:
        run = one.deploy(what)["h1"]
    assert run.ok and run.host["changed"], run.output
    now = host.sh(f"readlink {ROOT}/tools/current")
    assert now != before
    assert host.sh(f"ls {ROOT}/tools").split() == sorted([now, "current"])
    front = host.sh(f"systemctl show --property=MainPID --value {NAME}-front")
    assert host.sh(f"readlink /proc/{front}/exe").startswith(f"{ROOT}/tools/{now}/")
    assert count["failed"] == 0, count
    assert not one.deploy(what)["h1"].host["changed"]


def test_a_release_has_the_python_that_the_inventory_names(one: Service) -> None:
    host = one.hosts[0]
    run = one.deploy(one.wheel("3.5"), service_python="python9")["h1"]
    assert "There is no service_python python9 on this host" in run.host["reason"]
    host.sh("mkdir -p /opt/python && ln -sfn /usr/bin/python3 /opt/python/python3")
    run = one.deploy(one.wheel("3.5"), service_python="/opt/python/python3")["h1"]
    assert run.ok, run.output
    assert host.sh(f"grep ^home {ROOT}/releases/3.5/pyvenv.cfg") == "home = /opt/python"


def test_a_release_is_made_by_the_uv_of_the_tools_and_shares_no_file(one: Service) -> None:
    host, release = one.hosts[0], f"{ROOT}/releases/3.6"
    assert host.sh("command -v uv", check=False) == ""
    assert one.deploy(one.wheel("3.6"))["h1"].ok
    pinned = re.match(r"uv==(\S+)", (ROLE / "files/uv.txt").read_text())
    assert pinned and host.sh(f"grep ^uv {release}/pyvenv.cfg") == f"uv = {pinned[1]}"
    assert host.sh(f"find {release} -name '*.pyc' | grep --count /gunicorn/") != "0"
    assert host.sh(f"find {release} -type f -links +1") == ""
    assert host.sh(f"ls -A {ROOT}/tools/current {release} | grep cache", check=False) == ""


def test_no_compiler_is_needed(one: Service) -> None:
    assert one.hosts[0].sh("command -v cc gcc c++ make", check=False) == ""


@pytest.mark.parametrize("unit", ["instance", "front"])
def test_a_unit_may_flood_no_journal(one: Service, unit: str) -> None:
    host = one.hosts[0]
    name = instances(host)[0] if unit == "instance" else f"{NAME}-front.service"
    limits = "LogRateLimitIntervalUSec,LogRateLimitBurst"
    said = host.sh(f"systemctl show --property={limits} {name}").split()
    assert said == ["LogRateLimitIntervalUSec=10s", "LogRateLimitBurst=5000"]


@pytest.mark.parametrize("unit", ["instance", "front"])
def test_a_unit_has_few_rights(one: Service, unit: str) -> None:
    host = one.hosts[0]
    name = instances(host)[0] if unit == "instance" else f"{NAME}-front.service"
    said = host.sh(f"systemd-analyze security --no-pager {name}").splitlines()[-1]
    exposure = re.search(r"([0-9.]+) OK", said)
    assert exposure and float(exposure[1]) <= 1.5, said


def test_nobody_of_the_service_is_root(one: Service) -> None:
    rows = one.hosts[0].sh("ps -eo user:32,args").splitlines()
    ours = {row.split()[0] for row in rows if f"{ROOT}/" in row}
    # The front is somebody whom systemd made up, and whom some tools know by number only.
    assert len(ours) == 2
    assert NAME in ours and "root" not in ours


def test_a_release_migrates_with_the_rights_it_runs_with(one: Service) -> None:
    host, before = one.hosts[0], one.live()
    run = one.deploy(one.wheel("3.8", migrate="sys.exit('no such table: parcels')"))["h1"]
    assert "its migration failed (tiny-service-migrate ended with 1)" in run.host["reason"]
    assert "| no such table: parcels" in run.output
    assert one.live() == before
    words = {"TINY_WORD": "open sesame"}
    good = one.wheel("3.9", migrate="sys.exit(0)")
    run = one.deploy(good, service_environment=words)["h1"]
    assert run.ok and run.host["migrated"], run.output
    kept = f"/var/lib/{NAME}/migrations"
    assert host.sh(f"stat --format='%U %a' {kept}").split() == [NAME, "600"]
    told = json.loads(host.sh(f"tail -n 1 {kept}"))
    assert (told["version"], told["word"]) == ("3.9", "open sesame")


def test_a_setting_that_changes_is_cut_over_to(one: Service) -> None:
    host = one.hosts[0]
    run = one.deploy(one.wheel("4.0"), service_environment={"TINY_WORD": "first"})["h1"]
    assert run.ok, run.output
    assert one.get(host, "/")["word"] == "first"
    run = one.deploy(one.wheel("4.0"), service_environment={"TINY_WORD": "second"})["h1"]
    assert run.ok and run.host["changed"], run.output
    assert one.get(host, "/")["word"] == "second"


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        (f"/etc/systemd/system/{NAME}-front.service", "s/^TimeoutStopSec=.*/TimeoutStopSec=1/"),
        (f"{ROOT}/Caddyfile", "s/try_duration .*/try_duration 4s/"),
        (f"/etc/systemd/system/{NAME}@.service", "s/^RestartSec=.*/RestartSec=9/"),
        (f"/etc/systemd/system/{NAME}-front.socket", "s/^Backlog=.*/Backlog=64/"),
    ],
    ids=["front", "Caddyfile", "instance", "port"],
)
def test_an_edited_file_is_put_right_and_costs_no_request(
    one: Service, path: str, edit: str
) -> None:
    host = one.hosts[0]
    one.deploy(one.wheel("5.0"))
    before = host.sh(f"cat {path}")
    host.sh(f"sed -i '{edit}' {path}")
    assert host.sh(f"cat {path}") != before
    with one.load(host) as count:
        run = one.deploy(one.wheel("5.0"))["h1"]
    assert run.ok and run.host["changed"], run.output
    assert host.sh(f"cat {path}") == before
    assert count["failed"] == 0, count


def test_a_changed_unit_is_no_release_to_go_back_to(one: Service) -> None:
    host = one.hosts[0]
    one.deploy(one.wheel("5.1"))
    one.deploy(one.wheel("5.2"))
    (before,) = instances(host)
    run = one.deploy(one.wheel("5.2"), service_drain_seconds=31, service_keep=1)["h1"]
    assert run.ok and run.host["advanced"] and instances(host) != [before], run.output
    assert (run.host["previous"], run.host["earlier"][0]) == ("5.1", "5.1")
    asked = {"state": "undone", "version": "5.2", "by": "ada", "check": False}
    told = json.loads(host.sh(f"{ROOT}/rollback --json '{json.dumps(asked)}'"))
    # An attempt takes back what it has brought, and no more.
    assert told["advanced"] and instances(host) == [before], told
    one.deploy(one.wheel("5.2"), service_drain_seconds=31)
    run = one.rollback()["h1"]
    assert run.ok and one.live() == ["5.1"], run.output


def test_a_unit_that_systemd_knows_otherwise_is_read_again(one: Service) -> None:
    host, what = one.hosts[0], one.wheel("5.0")
    one.deploy(what)
    path = f"/etc/systemd/system/{NAME}@.service"
    # As a run leaves it that is killed when it has written the file.
    host.sh(f"sed -i 's/^RestartSec=1$/RestartSec=9/' {path} && systemctl daemon-reload")
    host.sh(f"sed -i 's/^RestartSec=9$/RestartSec=1/' {path}")
    assert one.deploy(what, "--check")["h1"].host["changed"]
    run = one.deploy(what)["h1"]
    assert run.ok and run.host["changed"], run.output
    told = host.sh(f"systemctl show --property=RestartUSec --value {instances(host)[0]}")
    assert told == "1s"
    assert not one.deploy(what)["h1"].host["changed"]


def test_a_front_that_is_restarted_by_hand_costs_no_request(one: Service) -> None:
    host = one.hosts[0]
    with one.load(host) as count:
        for _ in range(4):
            host.sh(f"systemctl restart {NAME}-front")
    assert count["failed"] == 0, count
    assert "Traceback" not in host.sh(f"journalctl --no-pager --unit={NAME}-front")
