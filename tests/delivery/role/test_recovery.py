"""What is left when a run or a supervisor is killed, and how the next run puts it right."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from service_host import rollout
from service_host.layout import layout
from service_host.supervisor import Supervisor

from tests.delivery.load import load

from .conftest import Site, new_site, vars_of, wait

# The traffic has moved once the run was killed after the step that moves it.
CUT_OVER = [step.__name__ for _, step in rollout.STEPS].index("cutover") + 1
PLACES = [
    pytest.param(place, id=f"{place}-before-{step.__name__}")
    for place, (_, step) in enumerate(rollout.STEPS)
][1:]
PLACES += [pytest.param(len(rollout.STEPS), id="at-the-end")]


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_every_step_the_next_run_converges(shared: Site, place: int) -> None:
    old, new = shared.live(), f"2.{place}"
    with load(shared.url, clients=2, pause=0.02) as running:
        process = shared.module("live", shared.wheel(new), kill=str(place))
        assert process.returncode == -signal.SIGKILL, process.stderr
        assert shared.live() == (new if place >= CUT_OVER else old)
        told = shared.told("live", shared.wheel(new))
    assert told["version"] == new
    ended = place == len(rollout.STEPS)
    verb = "finished" if place >= CUT_OVER else "undid"
    assert told["recovered"] == (None if ended else f"{verb} the deploy of {new}")
    assert shared.live() == new
    assert shared.instances() == {new}
    assert running.count.failed == 0, running.count.reasons
    assert not shared.told("live", shared.wheel(new))["changed"]


def test_killed_before_each_change_of_the_set_up_the_next_run_ends_it(live: Site) -> None:
    what, keeper = live.wheel("1.0"), Supervisor(layout(str(live.root)))
    for place in itertools.count(1):
        told = live.parameters("live", what)
        for name, old, new in (
            ("Caddyfile", "grace_period 30s", f"grace_period {place}s"),
            ("supervisor/front.conf", "stopwaitsecs=40", f"stopwaitsecs={place}"),
        ):
            assert told["files"][name].count(old) == 1
            told["files"][name] = told["files"][name].replace(old, new)
        killed = live.begin(told, f"set-up {place}")
        killed.communicate(timeout=120)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        # Supervisor has no way to start a front anew in one call: until here it may be down.
        assert answer(live, told)["version"] == "1.0"
        assert not answer(live, told)["changed"]
        (front,) = (c for c in keeper.call("getAllConfigInfo") if c["name"] == "front")
        assert front["stopwaitsecs"] == place
        assert live.live() == "1.0"
    assert place > 6
    assert live.instances() == {"1.0"}


def test_killed_before_each_change_of_its_end_the_next_run_ends_it(site: Site) -> None:
    for place in itertools.count(1):
        assert site.told("live", site.wheel("1.0"))["version"] == "1.0"
        killed = site.module("absent", kill=f"set-up {place}")
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        assert site.told("absent", check=True)["changed"]
    assert place > 2
    assert not site.root.exists() and not site.processes()
    assert not site.told("absent")["changed"]


def answer(site: Site, told: dict[str, object]) -> dict[str, object]:
    """Run what the module runs with some parameters; return what it says."""
    return dict(json.loads(site.begin(told).communicate(timeout=120)[0]))


def test_killed_deploy_is_undone_by_a_deploy_of_another_version(live: Site) -> None:
    live.module("live", live.wheel("1.1"), kill="3")
    told = live.told("live", live.wheel("1.2"))
    assert told["recovered"] == "undid the deploy of 1.1"
    assert (told["version"], told["previous"]) == ("1.2", "1.0")
    assert live.instances() == {"1.2"}


def test_killed_after_cutover_and_broken_goes_back(live: Site) -> None:
    live.module("live", live.wheel("1.1"), kill=str(CUT_OVER))
    (live.root / "releases/1.1/release.json").write_text("{}")
    told = live.told("live", live.wheel("1.0"), probe_seconds=1.0)
    assert told["recovered"] == "undid the deploy of 1.1"
    assert live.live() == "1.0"


def test_killed_rollback_is_finished(live: Site) -> None:
    live.told("live", live.wheel("1.1"))
    live.module("previous", kill=str(CUT_OVER))
    told = live.told("live", live.wheel("1.0"))
    assert told["recovered"] == "finished the rollback of 1.0"
    assert (told["version"], told["previous"]) == ("1.0", None)


def test_torn_journal_line_is_as_if_not_there(live: Site) -> None:
    with (live.root / "journal.jsonl").open("a") as journal:
        journal.write('{"event": "begin", "run": "12')
    assert not live.told("live", live.wheel("1.0"))["changed"]
    assert live.told("live", live.wheel("1.1"))["previous"] == "1.0"
    assert live.told("previous")["version"] == "1.0"


def module_of(site: Site) -> int:
    """Return the process that holds the lock, once it has begun."""
    note = site.root / "lock"
    wait(lambda: '"1.1"' in note.read_text())
    return int(json.loads(note.read_text())["pid"])


def begun(site: Site, version: str) -> bool:
    """Tell whether the deploy of a version has begun."""
    journal = site.root / "journal.jsonl"
    return journal.exists() and f'"version": "{version}"' in journal.read_text()


def test_module_killed_under_ansible_then_a_normal_run(live: Site) -> None:
    wheel = live.wheel("1.1", "never ready")
    process = live.start("deploy.yml", **vars_of(wheel))
    wait(lambda: begun(live, "1.1"))
    os.kill(module_of(live), signal.SIGKILL)
    assert live.finish(process).code != 0
    run = live.deploy(live.wheel("1.2"))
    assert run.ok, run.output
    assert live.live() == "1.2"
    assert live.instances() == {"1.2"}


def test_ctrl_c_then_a_normal_run(live: Site) -> None:
    process = live.start("deploy.yml", **vars_of(live.wheel("1.1", "never ready")))
    wait(lambda: begun(live, "1.1"))
    module = module_of(live)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    wait(lambda: not os.path.exists(f"/proc/{module}"), 5)
    assert live.live() == "1.0"
    run = live.deploy(live.wheel("1.2"))
    assert run.ok, run.output
    assert live.instances() == {"1.2"}


def test_installer_of_a_killed_run_keeps_the_lock(live: Site) -> None:
    """Stop the installer where it is, kill the module: nobody else may touch the release."""
    wheel = live.wheel("1.1")
    uv = live.work / "uv"
    uv.write_text("#!/bin/sh\nexec sleep 60\n")
    uv.chmod(0o755)
    child = live.begin(live.parameters("live", wheel), uv=uv)
    wait(lambda: "child" in (live.root / "lock").read_text())
    installer = json.loads((live.root / "lock").read_text())["child"]
    child.kill()
    child.communicate()
    told = live.told("live", wheel)
    assert f"(process {installer}, which a run that was killed has left)" in told["reason"]
    os.kill(installer, signal.SIGKILL)
    wait(lambda: live.told("live", wheel).get("version") == "1.1")
    assert live.installed() == {"1.0", "1.1"}


def test_killed_supervisor_is_replaced_and_its_orphans_make_way(live: Site) -> None:
    os.kill(live.supervisor(), signal.SIGKILL)
    orphans = {p.pid for p in live.processes()}
    assert orphans
    with load(live.url, clients=2, pause=0.02) as running:
        run = live.deploy(live.wheel("1.1"))
    assert run.ok, run.output
    # Only who comes between the old front and the new one is turned away.
    assert [why for why in running.count.reasons if " new " not in why or "status" in why] == []
    assert running.count.failed <= 100
    assert live.instances() == {"1.1"}
    assert not orphans & {p.pid for p in live.processes()}
    assert not live.deploy(live.wheel("1.1")).host["changed"]


def test_deaf_supervisor_is_replaced(live: Site) -> None:
    (live.root / "run/init.sock").unlink()
    told = live.told("live", live.wheel("1.1"))
    assert told["version"] == "1.1"
    assert live.instances() == {"1.1"}


def test_killed_supervisor_can_be_stopped_for_good(live: Site) -> None:
    os.kill(live.supervisor(), signal.SIGKILL)
    assert live.told("stopped")["changed"]
    assert live.processes() == []


def test_killed_instance_comes_back_by_itself(live: Site) -> None:
    pids = [p.pid for p in live.processes() if "releases" in p.arguments[0]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait(lambda: answers(live))
    assert live.live() == "1.0"


def answers(site: Site) -> bool:
    """Tell whether the service answers."""
    try:
        return site.live() != ""
    except OSError:
        return False


def fill_bytes(ballast: Path) -> None:
    """Leave next to no room for bytes."""
    # Without a buffer: what is left in one is written at the end, and fails again.
    path = ballast / "bytes"
    with path.open("wb", buffering=0) as stream, pytest.raises(OSError, match="space"):
        while True:
            stream.write(bytes(65536))
    os.truncate(ballast / "bytes", (ballast / "bytes").stat().st_size - 200_000)


def fill_names(ballast: Path) -> None:
    """Leave room for bytes, and next to none for files."""
    with pytest.raises(OSError, match="space"):
        for number in itertools.count():
            (ballast / str(number)).touch()
    for number in range(20):
        (ballast / str(number)).unlink()


@pytest.mark.root
@pytest.mark.parametrize("fill", [fill_bytes, fill_names])
def test_full_disk_leaves_live_up_and_makes_room(fill: Callable[[Path], None]) -> None:
    with new_site() as site:
        site.root.mkdir()
        room = "size=120m,nr_inodes=5000"
        subprocess.run(["mount", "-t", "tmpfs", "-o", room, "tmpfs", str(site.root)], check=True)
        try:
            assert site.told("live", site.wheel("1.0"))["changed"]
            ballast = site.root / "ballast"
            ballast.mkdir()
            fill(ballast)
            run = site.deploy(site.wheel("1.1"))
            assert not run.ok
            assert "Installing" in run.host["reason"] or "No space" in run.host["reason"]
            assert "No space left" in run.output
            assert not (site.root / "releases/1.1").exists()
            assert site.live() == "1.0"
            assert site.journal()[-1]["ok"] is False
            shutil.rmtree(ballast)
            assert site.deploy(site.wheel("1.1")).ok
            assert site.live() == "1.1"
        finally:
            site.stop()
            subprocess.run(["umount", "-l", str(site.root)], check=True)


def test_live_release_that_was_deleted_is_installed_again(live: Site) -> None:
    shutil.rmtree(live.root / "releases/1.0")
    assert live.told("live", live.wheel("1.0"))["changed"]
    assert live.installed() == {"1.0"}
    for process in live.processes():
        if "releases" in process.arguments[0]:
            os.kill(process.pid, signal.SIGKILL)
    wait(lambda: answers(live))
    assert not live.told("live", live.wheel("1.0"))["changed"]


@pytest.mark.parametrize("days", [-365, 365])
def test_clock_that_was_a_year_off_changes_no_order(live: Site, days: int) -> None:
    """What was done by a wrong clock is as much past as all the rest."""
    assert live.told("live", live.wheel("1.1"), days=days)["changed"]
    first, *_, last = (datetime.fromisoformat(line["at"]) for line in live.journal())
    assert (last - first).days in (days, days - 1)
    for number, path in enumerate(live.root.rglob("*")):
        if not path.is_symlink() and not path.is_socket():
            os.utime(path, (1_700_000_000 + number % 7 * 10**7,) * 2)
    assert not live.told("live", live.wheel("1.1"))["changed"]
    assert live.told("live", live.wheel("1.2"))["previous"] == "1.1"
    assert [live.told("previous")["version"] for _ in range(2)] == ["1.1", "1.0"]


def test_release_that_says_not_what_it_is_is_installed_again(live: Site) -> None:
    (live.root / "releases/1.0/release.json").write_text("{}")
    told = live.told("live", live.wheel("1.0"))
    assert told["changed"] and live.get()["sha256"] == live.wheel("1.0").sha256, told
