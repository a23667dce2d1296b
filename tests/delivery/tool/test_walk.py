"""Stages beside each other, parts of a walk, what it would do, and what it leaves behind."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from .conftest import DELIVERY, TOX, UNIT, Toy

# Each waits until the other has begun: alone, none would ever end.
MEET = """\
import sys, time
from pathlib import Path
Path(".delivery/{me}").touch()
for _ in range(1200):
    if Path(".delivery/{other}").exists():
        break
    time.sleep(0.1)
else:
    sys.exit("{other} has not begun")
"""
LINT, BESIDE = MEET.format(me="l", other="u"), MEET.format(me="u", other="l")
# Says when it begins and when it ends.
NOTED = """\
import time
for word in ("begins", "ends"):
    with open(".delivery/noted", "a") as file:
        file.write("{name} " + word + "\\n")
    time.sleep(0.2)
"""


def test_stages_that_need_nothing_of_each_other_run_at_the_same_time(ready: Toy) -> None:
    ready.commit(lint_py=LINT, unit_py=BESIDE + UNIT.format(tests=1))
    done = ready.delivery("walk", "--jobs", "2", "--to", "unit")
    assert done.returncode == 0, done.stdout
    assert ready.log() == ["lint passed", "unit passed"]
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["lint", "unit"]


def test_a_red_stage_lets_the_one_beside_it_end_and_none_begin(ready: Toy) -> None:
    ready.commit(lint_py=LINT + "sys.exit('wrong')", unit_py=BESIDE + UNIT.format(tests=1))
    done = ready.delivery("walk", "--jobs", "2")
    assert done.returncode == 1
    assert ready.log() == ["lint failed", "unit passed"]
    assert "wrong" in done.stdout


def test_one_job_is_one_stage_at_a_time(ready: Toy) -> None:
    ready.commit(lint_py=NOTED.format(name="lint"), unit_py=NOTED.format(name="unit"))
    ready.delivery("walk", "--jobs", "1", "--to", "unit")
    noted = (ready.root / ".delivery" / "noted").read_text().splitlines()
    assert noted == ["lint begins", "lint ends", "unit begins", "unit ends"]


def test_nothing_runs_beside_a_stage_that_deploys(ready: Toy) -> None:
    table = '\n[stages.live]\nneeds = ["build"]\nenvironment = "live"\nbudget = 5\n'
    after = '\n[stages.after]\nneeds = ["build"]\nbudget = 5\n'
    commands = "".join(
        f'\n[env.{name}]\ncommands = [["python", "{name}.py"]]\n' for name in ("live", "after")
    )
    ready.commit(
        delivery_toml=DELIVERY.split("\n[stages.publish]")[0] + table + after,
        tox_toml=TOX + commands,
        live_py=NOTED.format(name="live"),
        after_py=NOTED.format(name="after"),
    )
    done = ready.delivery("walk", "--jobs", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    noted = (ready.root / ".delivery" / "noted").read_text().splitlines()
    assert noted == ["live begins", "live ends", "after begins", "after ends"]


def test_only_and_from_run_again_what_has_passed(ready: Toy) -> None:
    assert ready.delivery("walk", "--to", "unit").returncode == 0
    assert ready.delivery("walk", "--only", "uni").returncode == 0
    assert ready.delivery("walk", "--from", "lint", "--to", "lint").returncode == 0
    assert ready.log() == ["lint passed", "unit passed", "unit passed", "lint passed"]


def test_a_dry_run_tells_what_would_run_and_writes_nothing(ready: Toy) -> None:
    ready.delivery("run", "lint")
    ledger = ready.git("rev-parse", "refs/delivery/ledger")
    before = sorted(ready.root.joinpath(".delivery").rglob("*"))
    done = ready.delivery("walk", "--dry-run")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "passed" in lines[1] and "before, " in lines[1]
    assert lines[2].split(None, 1) == ["unit", "runs: it has no verdict yet; its gate is open"]
    assert "after unit, if its gate lets it" in lines[3]
    assert ready.git("rev-parse", "refs/delivery/ledger") == ledger
    assert sorted(ready.root.joinpath(".delivery").rglob("*")) == before


def test_a_dry_run_asks_the_gates(toy: Toy) -> None:
    done = toy.delivery("walk", "--dry-run", "--from", "build")
    assert done.returncode == 3
    assert "build        refused: build takes only what passed lint" in done.stdout


def test_with_strict_budgets_a_stage_over_its_own_is_red(ready: Toy) -> None:
    ready.commit(delivery_toml=DELIVERY.replace("budget = 5", "budget = 0.01", 1))
    done = ready.delivery("walk", "--strict-budgets")
    assert done.returncode == 1
    assert ready.log() == ["lint failed"]
    assert "over its budget of 0.01 s, and budgets are strict" in ready.delivery("log").stdout


def test_every_stage_leaves_junit_xml_and_only_of_this_commit(ready: Toy) -> None:
    ready.commit(lint_py="raise SystemExit('Bad \\x1b[31mform')")
    ready.delivery("walk", "--jobs", "2")
    reports = ready.root / ".delivery" / "reports"
    case = ElementTree.parse(reports / "lint" / "stage.xml").getroot().find("testcase/failure")
    assert case is not None and "Bad ?[31mform" in str(case.text)
    ready.commit(lint_py="")
    ready.delivery("run", "lint")
    assert [path.parent.name for path in reports.rglob("*.xml")] == ["lint"]


def test_somebody_elses_tox_does_not_lead_ours_astray(
    ready: Toy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOX_WORK_DIR", str(tmp_path / "theirs"))
    monkeypatch.setenv("TOX_ENV_DIR", str(tmp_path / "theirs" / "env"))
    assert ready.delivery("run", "lint").returncode == 0
    assert (ready.root / ".tox" / "lint").is_dir()
    assert not (tmp_path / "theirs").exists()


def test_a_detached_shallow_clone_does_all_but_build(ready: Toy, tmp_path: Path) -> None:
    ready.commit()
    clone = Toy(tmp_path / "clone")
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", ready.root.as_uri(), clone.root], check=True
    )
    clone.git("checkout", "--quiet", "--detach")
    done = clone.delivery("walk")
    assert done.returncode == 3
    assert "this clone is shallow" in done.stderr and "git fetch --unshallow" in done.stderr
    assert clone.log() == ["lint passed", "unit passed"]


def test_a_terminal_shows_the_stages_running(ready: Toy) -> None:
    ready.commit(lint_py=LINT, unit_py=BESIDE + UNIT.format(tests=1))
    ours, theirs = pty.openpty()
    walk = subprocess.Popen(
        [sys.executable, "-m", "delivery", "walk", "--jobs", "2", "--to", "unit"],
        cwd=ready.root,
        env={**os.environ, "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert walk.wait() == 0
    text = said.decode()
    assert "\x1b[A\x1b[A\r  lint         …" in text  # two lines, drawn again
    assert text.rindex("unit         passed") > text.rindex("lint         passed")
