"""run and walk: order, verdicts, what is remembered, and how they end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from delivery.artifact.wheel import digest

from .conftest import UNIT, Toy

ASK = "import toy, sys; from importlib.metadata import version as v; print(v('toy'), sys.prefix)"
GREEN = [
    "lint passed",
    "unit passed",
    "build built",
    "build passed",
    "publish published",
    "publish passed",
]


@pytest.fixture()
def green(ready: Toy) -> Toy:
    """Return the project, its commit walked through every stage."""
    done = ready.delivery("walk")
    assert done.returncode == 0, done.stdout + done.stderr
    return ready


def test_a_walk_runs_every_stage_in_order_and_remembers(green: Toy) -> None:
    assert green.log() == GREEN
    assert green.git("status", "--porcelain") == ""


def test_a_second_walk_of_the_same_commit_runs_nothing(green: Toy) -> None:
    done = green.delivery("walk")
    assert done.returncode == 0
    assert done.stdout.count("before, ") == 4
    install = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"pip install --extra-index-url file:///\S+ toy==\S+", install)
    assert green.log() == GREEN


def test_what_is_published_can_be_installed_afresh(green: Toy, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    for _ in range(2):
        done = green.delivery("install", str(fresh))
        assert done.returncode == 0, done.stdout + done.stderr
    about = json.loads((fresh / "release.json").read_text())
    said = subprocess.run([fresh / "bin" / "python", "-I", "-c", ASK], capture_output=True)
    assert said.stdout.decode().split() == [about["version"], str(fresh.resolve())]


def test_a_folder_that_holds_something_else_is_not_installed_over(
    green: Toy, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "letter.txt").write_text("Dear Ada")
    done = green.delivery("install", str(tmp_path / "theirs"))
    assert done.returncode == 2
    assert "no virtual environment" in done.stderr
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("command", ["stop", "deploy production", "rollback production"])
def test_without_an_environment_nothing_can_be_deployed(toy: Toy, command: str) -> None:
    done = toy.delivery(*command.split())
    assert done.returncode == 2
    assert "no stage in delivery.toml has an environment" in done.stderr


def test_a_new_commit_is_walked_from_the_start(green: Toy) -> None:
    green.commit()
    assert green.delivery("walk").returncode == 0
    assert green.log() == GREEN * 2


def test_a_cleaned_clone_gets_its_artifact_back_from_the_index(green: Toy) -> None:
    green.git("clean", "-fdx", "--quiet", "--exclude=.delivery", "--exclude=.tox")
    done = green.delivery("run", "publish")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((green.root / "dist").glob("*.whl"))) == 1
    assert green.log().count("build built") == 1


def test_a_lost_artifact_is_built_again_to_the_same_bytes(green: Toy, tmp_path: Path) -> None:
    for path in [*(green.root / "dist").iterdir(), *(tmp_path / "data").rglob("*.whl")]:
        path.unlink()
    assert green.delivery("walk").returncode == 0
    assert green.log().count("build built") == 1
    assert len(list((green.root / "dist").glob("*.whl"))) == 1


INTEGRATION = """
[env.integration]
skip_install = false
package = "external"
package_env = "wheel"
commands = [["python", "-c", "import toy"]]

[env.wheel]
package_glob = "{tox_root}{/}dist{/}*.whl"
"""
BUILDER = 'import sys\nsys.exit("the builder is gone")\n'


def test_after_the_build_nothing_is_built_again(ready: Toy, tmp_path: Path) -> None:
    ready.write("tox.toml", (ready.root / "tox.toml").read_text() + INTEGRATION)
    stage_of = '\n[stages.integration]\nneeds = ["publish"]\nbudget = 20\n'
    ready.write("delivery.toml", (ready.root / "delivery.toml").read_text() + stage_of)
    ready.commit()
    for stage in ("lint", "unit", "build"):
        assert ready.delivery("run", stage).returncode == 0
    (wheel,) = (ready.root / "dist").glob("*.whl")
    before = wheel.stat().st_mtime_ns
    # No stage has an environment to build in, and no Python has a backend.
    shutil.rmtree(ready.root / ".tox" / "build")
    for module in ("build", "setuptools", "setuptools_scm"):
        (tmp_path / "gone").mkdir(exist_ok=True)
        (tmp_path / "gone" / f"{module}.py").write_text(BUILDER)
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "gone")}
    fresh = tmp_path / "fresh"
    for command in (["walk"], ["install", str(fresh)]):
        done = ready.delivery(*command, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    assert wheel.stat().st_mtime_ns == before
    assert ready.log().count("build built") == 1
    assert json.loads((fresh / "release.json").read_text())["sha256"] == digest(wheel)


def test_a_version_belongs_to_one_commit(ready: Toy) -> None:
    first = ready.git("rev-parse", "--short=9", "HEAD")
    ready.git("tag", "1.2")
    for stage in ("lint", "unit", "build"):
        assert ready.delivery("run", stage).returncode == 0
    ready.commit()
    ready.git("tag", "1.2.0")  # another tag, and to pip the same version
    for stage in ("lint", "unit"):
        assert ready.delivery("run", stage).returncode == 0
    done = ready.delivery("run", "build")
    assert done.returncode == 1
    assert f"1.2 is commit {first}" in done.stdout
    assert "with a version of its own" in done.stdout
    assert ready.log().count("build built") == 1


def test_a_red_stage_stops_the_walk_and_says_which_why_and_where(ready: Toy) -> None:
    ready.commit(unit_py="print('the reason')\nraise SystemExit(1)\n")
    done = ready.delivery("walk")
    assert done.returncode == 1
    assert ready.log() == ["lint passed", "unit failed"]
    assert "FAILED" in done.stdout and "| the reason" in done.stdout
    log = done.stdout.split("the whole log: ")[1].strip()
    assert "the reason" in (ready.root / log).read_text()


def test_the_next_walk_goes_on_at_the_red_stage(ready: Toy, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    ready.commit(unit_py=f"assert open({str(flag)!r})\n" + UNIT.format(tests=1))
    assert ready.delivery("walk").returncode == 1
    flag.touch()
    assert ready.delivery("walk").returncode == 0
    assert ready.log() == ["lint passed", "unit failed", *GREEN[1:]]
    logs = ready.root / ".delivery" / "logs" / ready.git("rev-parse", "HEAD")[:12]
    assert "FileNotFoundError" in (logs / "unit.1.log").read_text()
    assert "FileNotFoundError" not in (logs / "unit.2.log").read_text()
    assert not (logs / "lint.2.log").exists()


SKIPPED = UNIT.format(tests=3).replace('skipped="0"', 'skipped="3"')


@pytest.mark.parametrize(
    "unit",
    [UNIT.format(tests=0), "", SKIPPED],
    ids=["empty report", "no report", "all were skipped"],
)
def test_a_stage_that_ran_no_test_is_red(ready: Toy, unit: str) -> None:
    ready.commit(unit_py=unit)
    done = ready.delivery("walk")
    assert done.returncode == 1
    assert "no test ran: .delivery/reports/unit has no JUnit XML of one" in done.stdout
    assert ready.log()[-1] == "unit failed"


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        ("open('unit.py', 'a').write('#')", "the work tree changed while the stage ran"),
        ("os.system('git checkout -q HEAD~1')", "another commit was checked out"),
    ],
)
def test_a_verdict_on_something_else_than_the_commit_is_red(
    ready: Toy, meanwhile: str, said: str
) -> None:
    commit = ready.commit(lint_py=f"import os\n{meanwhile}\n")
    done = ready.delivery("run", "lint")
    assert done.returncode == 1
    assert said in done.stdout
    (path,) = ready.git("ls-tree", "-r", "--name-only", "refs/delivery/ledger").splitlines()
    assert f".lint.failed.{commit[:12]}." in path


def test_a_note_of_a_stage_is_shown(ready: Toy) -> None:
    ready.commit(lint_py="print('NOTE: no browser: apt-get install chromium')\n")
    done = ready.delivery("run", "lint")
    assert "    NOTE: no browser: apt-get install chromium\n" in done.stdout


def test_a_stage_over_its_budget_is_marked(ready: Toy) -> None:
    text = (ready.root / "delivery.toml").read_text()
    ready.write("delivery.toml", text.replace("budget = 5", "budget = 0.01", 1))
    ready.commit()
    assert "over budget" in ready.delivery("run", "lint").stdout


def test_a_dirty_tree_is_not_walked(ready: Toy) -> None:
    ready.write("lint.py", "x = 1\n")
    done = ready.delivery("walk")
    assert done.returncode == 3
    assert "the work tree is dirty (lint.py)" in done.stderr


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("build", "build takes only what passed lint"),
        ("publish", "publish takes only what passed build"),
    ],
)
def test_a_shut_gate_names_the_rule_and_the_way_out(ready: Toy, stage: str, said: str) -> None:
    done = ready.delivery("run", stage)
    assert done.returncode == 3
    assert said in done.stderr and "python3 -m delivery walk --to" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_stage_that_failed_last_shuts_the_gate_again(green: Toy, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    ledger = green.git("rev-parse", "refs/delivery/ledger")
    green.commit(lint_py="raise SystemExit(1)\n")
    assert green.delivery("run", "lint").returncode == 1
    assert green.git("rev-parse", "refs/delivery/ledger~1") == ledger
    done = green.delivery("run", "build")
    assert done.returncode == 3 and "failed it" in done.stderr


def test_a_tampered_wheel_goes_no_further(ready: Toy) -> None:
    for stage in ("lint", "unit", "build"):
        assert ready.delivery("run", stage).returncode == 0
    (wheel,) = (ready.root / "dist").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    done = ready.delivery("run", "publish")
    assert done.returncode == 3
    assert "is not the artifact that was built" in done.stderr
    assert "publish published" not in ready.log()


def test_without_a_git_identity_the_ledger_names_the_login(
    ready: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert ready.delivery("run", "lint").returncode == 0
    assert "by " in ready.delivery("log").stdout and "@" in ready.delivery("log").stdout


def test_status_tells_what_has_passed_and_what_has_not(ready: Toy) -> None:
    for name in ("lint", "unit"):
        ready.git("branch", name)  # which means the stage all the same
    assert ready.delivery("run", "lint").returncode == 0
    assert len(ready.delivery("log", "lint").stdout.splitlines()) == 1
    assert ready.delivery("log", "unit").stdout == ""
    lines = ready.delivery("status").stdout.splitlines()
    assert lines[0].startswith("toy, commit ")
    assert "passed" in lines[1] and lines[2].split() == ["unit", "not", "yet"]


def test_the_log_is_newest_first(green: Toy) -> None:
    lines = green.delivery("log", "-n", "2").stdout.splitlines()
    assert len(lines) == 2
    assert "publish" in lines[0] and "passed" in lines[0]
    assert "published" in lines[1]
