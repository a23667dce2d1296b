"""``delivery.toml`` is read strictly: what is wrong is named, with its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Toy


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('index = "{data}/index"', "", "index is missing"),
        ('index = "{data}/index"', 'index = "ftp://x"', "index cannot be ftp://"),
        ('index = "{data}/index"', "index = 3", "index cannot be 3"),
        ('index = "{data}/index"', 'index = "x"\nindx = "y"', "unknown key 'indx'"),
        ('index = "{data}/index"', 'index = "x', "cannot be read"),
        ("[stages.lint]", "[stages.lint]\nbudgets = 3", "[stages.lint]: unknown key 'budgets'"),
        ("[stages.lint]", "[stages.Lint]", "lower-case letters"),
        ("budget = 20", "", "[stages.build]: budget is missing"),
        ("budget = 20", "budget = -1", "more than 0"),
        ("budget = 20", "budget = nan", "more than 0"),
        ("budget = 20", "budget = true", "budget cannot be True"),
        ('needs = ["lint", "unit"]', 'needs = ["publish"]', "no stage before it"),
        ('needs = ["lint", "unit"]', 'needs = ["build"]', "no stage before it"),
        ('needs = ["lint", "unit"]', 'needs = [["lint"]]', "no stage before it"),
        ("tests = true", 'environment = "x"', "it has to need 'build'"),
        ("budget = 20", "budget = 20\napproval = 1", "approval cannot be 1"),
        ("budget = 20", "budget = 20\napproval = true", "a stage with an environment"),
        ("budget = 20", "budget = 20\nfour_eyes = true", "nothing without approval = true"),
        ("budget = 20", "budget = 20\napproval_days = 3", "nothing without approval = true"),
        (
            "budget = 20",
            "budget = 20\n[stages.p]\nneeds = ['build']\nenvironment = 'p'\nbudget = 1\n"
            "approval = true\napproval_days = 0",
            "[stages.p]: approval_days is more than 0, not 0",
        ),
        ("[stages.lint]", '[performance."/"]\nrate = 9\n[stages.lint]', "p50 is missing"),
        ("[stages.lint]", "[performance.x]\n[stages.lint]", "a path begins with /"),
        ("[stages.lint]", "[system]\npackages = ['-y']\n[stages.lint]", "no Debian package's name"),
        ("[stages.lint]", "[ledger]\nremote = 'nowhere'\n[stages.lint]", "no git remote 'nowhere'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(toy: Toy, old: str, new: str, said: str) -> None:
    text = (toy.root / "delivery.toml").read_text()
    assert old in text
    toy.write("delivery.toml", text.replace(old, new, 1))
    done = toy.delivery("status")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("delivery: ") and done.stderr.count("\n") <= 2


@pytest.mark.parametrize("text", ["", "project = 3", '[project]\nversion = "1"'])
def test_a_project_without_a_name_is_told_so(toy: Toy, text: str) -> None:
    toy.write("pyproject.toml", text)
    done = toy.delivery("status")
    assert done.returncode == 2
    assert done.stderr == "delivery: pyproject.toml [project]: name is missing\n"


def test_without_git_it_says_what_to_install(toy: Toy) -> None:
    done = toy.delivery("status", env={**os.environ, "PATH": ""})
    assert done.returncode == 2
    assert done.stderr.startswith(
        "delivery: git is not installed: install it (apt-get install git)"
    )
    assert done.stderr.count("\n") == 1


def test_without_a_repository_it_says_what_to_do(toy: Toy) -> None:
    (toy.root / ".git").rename(toy.root / "elsewhere")
    done = toy.delivery("status")
    assert done.returncode == 2
    assert "not in a git repository: git init" in done.stderr


def test_a_part_of_another_repository_is_no_project(toy: Toy) -> None:
    part = toy.root / "part"
    part.mkdir()
    (toy.root / "delivery.toml").rename(part / "delivery.toml")
    command = [sys.executable, "-m", "delivery", "status"]
    env = {**os.environ, "PYTHONPATH": str(toy.root)}
    done = subprocess.run(command, cwd=part, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{part} is only a part of the repository {toy.root}" in done.stderr


def test_without_a_commit_it_says_what_to_do(toy: Toy) -> None:
    toy.git("checkout", "--quiet", "--orphan", "empty")
    for command in ("status", "walk"):
        done = toy.delivery(command)
        assert done.returncode == 2
        assert "there is no commit yet: git add -A && git commit" in done.stderr


def test_an_older_python_than_the_project_asks_for_is_refused(toy: Toy) -> None:
    text = (toy.root / "pyproject.toml").read_text()
    toy.write("pyproject.toml", text.replace(">=3.11", ">=3.99"))
    done = toy.delivery("status")
    assert done.returncode == 2
    assert "needs Python 3.99 or newer" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("run", "brew"), "no stage 'brew' (delivery.toml has: lint, unit, build, publish)"),
        (("run", ""), "no stage ''"),
        (("walk", "--from", "brew"), "no stage 'brew'"),
        (("walk", "--only", "brew", "--dry-run"), "no stage 'brew'"),
        (("walk", "--from", "build", "--to", "lint"), "lint comes first in delivery.toml"),
        (("walk", "--only", "lint", "--from", "unit"), "no --from, no --to"),
        (("walk", "--jobs", "0"), "how many stages may run at a time, not 0"),
        (("performance",), "SERVICE_URL is not set"),
        (("verify", "--hosts"), "nothing is deployed"),
        (("log", "-n", "0"), "-n takes how many events, 1 or more"),
        (("log", "-n", "-3"), "-n takes how many events, 1 or more"),
        (("metrics", "--days", "999999999999"), "--days takes a number of days, 1 to 36500"),
        (("board", "--html", "x.html", "--serve"), "not allowed with argument --html"),
        (("lock", "--cool-off", "-1"), "0 or more"),
        (("deploy", "moon", "--force"), "--force needs --reason"),
        (("exec", "moon"), "exec needs a command"),
        (("exec", "moon", "--", "true"), "no stage deploys to 'moon'"),
    ],
)
def test_a_wrong_command_line_is_explained(toy: Toy, args: tuple[str, ...], said: str) -> None:
    done = toy.delivery(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (toy.root / ".delivery").exists()


def test_the_beginning_of_two_stages_names_is_none(toy: Toy) -> None:
    toy.write("delivery.toml", 'index = "x"\n[stages.lint]\nbudget = 1\n[stages.link]\nbudget = 1')
    done = toy.delivery("run", "li")
    assert done.returncode == 2
    assert "'li' is short for lint and link" in done.stderr


@pytest.mark.parametrize("command", ["walk", "run lint", "walk --dry-run"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[env.unit]", "delivery.toml has the stage lint, and tox.toml no [env.lint]"),
        ("[env", "tox.toml cannot be read"),
    ],
)
def test_a_stage_without_an_environment_is_named_and_nothing_is_written(
    toy: Toy, command: str, text: str, said: str
) -> None:
    toy.commit(tox_toml=text)
    done = toy.delivery(*command.split())
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not (toy.root / ".delivery").exists()
    assert not toy.git("for-each-ref", "refs/delivery")


def test_without_the_pins_of_its_tools_nothing_is_written(toy: Toy) -> None:
    (toy.root / "requirements" / "tools.txt").unlink()
    toy.commit()
    done = toy.delivery("walk")
    assert done.returncode == 2
    assert "tools.txt is missing: it pins tox" in done.stderr
    assert not (toy.root / ".delivery").exists()


def test_without_a_network_for_the_tools_it_says_so(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP", "UV"):
        monkeypatch.setenv(f"{name}_INDEX_URL", "http://127.0.0.1:9/simple")
        monkeypatch.setenv(f"{name}_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    done = toy.delivery("walk")
    assert done.returncode == 1
    assert "requirements/tools.txt cannot be installed" in done.stderr
    assert "a package index within reach" in done.stderr
    assert not toy.git("for-each-ref", "refs/delivery")
    assert not list(tmp_path.glob("cache/delivery/*/"))
