"""Every value of every option is in a project that walks; what tests/project leaves, walks here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import git
from tests.render.conftest import Render
from tests.smoke.faults import FAULTS, Plant
from tests.smoke.options import WALKED, Answers, choices, options, questions

STAGES = ["lint", "unit", "build", "integration", "docs", "security", "publish", "acceptance"]
ENGINES = Path(__file__).parents[1] / "ci"
HERE = {name: told for name, told in WALKED.items() if told.get("kind", "service") != "service"}


def python(version: str) -> str:
    """Find a Python of a version: on PATH, behind a shim of pyenv, or where uv keeps them."""
    told = {**os.environ, "PYENV_VERSION": version}
    asked = [f"python{version}", "-c", "import sys; print(sys.executable)"]
    kept = ["uv", "python", "find", "--managed-python", "--no-project", version]
    for command in (asked, kept):
        try:
            found = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if found.returncode == 0:
            return found.stdout.strip()
    (pytest.fail if "CI" in os.environ else pytest.skip)(
        f"needs {asked[0]}: uv python install {version}"
    )


@dataclass(frozen=True)
class Walker:
    """A project, and the Python it is walked by.

    Attributes:
        root: its folder.
        interpreter: the Python.
        env: what it is told beside.
    """

    root: Path
    interpreter: str
    env: dict[str, str]

    def delivery(self, *args: str) -> tuple[int, str]:
        """Run ``python3 -m delivery``; return its status, and what it says."""
        command = [self.interpreter, "-m", "delivery", *args]
        env = {**os.environ, **self.env}
        done = subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def walker(
    request: pytest.FixtureRequest, render: Render, tmp_path_factory: pytest.TempPathFactory
) -> Walker:
    """Return a new project with its first commit."""
    answers, folder = HERE[request.param], tmp_path_factory.mktemp("walk")
    interpreter = python(answers.get("python_floor", "3.11"))
    project = render(folder / "project", **answers)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Walker(project, interpreter, {"XDG_DATA_HOME": str(folder / "data"), "PATH": path})


@pytest.mark.slow
@pytest.mark.parametrize("walker", HERE, indirect=True)
def test_it_walks_from_its_first_commit_into_the_index(walker: Walker) -> None:
    git(walker.root, "init", "--quiet")
    git(walker.root, "add", "--all")
    git(walker.root, "commit", "--quiet", "--message", "Start")
    status, said = walker.delivery("walk")
    assert status == 0, said
    assert re.findall(r"^  (\S+) +passed ", said, re.MULTILINE) == STAGES, said
    assert git(walker.root, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("plant", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("walker", ["library", "cli"], indirect=True)
def test_a_fault_turns_its_stage_red_and_no_other(walker: Walker, plant: Plant) -> None:
    """What was green in the walk just now is red with the fault."""
    plant(walker.root)
    git(walker.root, "add", "--all")
    git(walker.root, "commit", "--quiet", "--message", f"Break {plant.__name__}")
    try:
        status, said = walker.delivery("walk")
        assert status == 1, said
        # A stage that ran beside the red one has a verdict of its own.
        assert re.findall(r"^  (\S+) +FAILED ", said, re.MULTILINE) == [FAULTS[plant]], said
        assert not re.search(r"^  publish +passed ", said, re.MULTILINE), said
        assert "the whole log: .delivery/logs/" in said
    finally:
        git(walker.root, "reset", "--quiet", "--hard", "HEAD~1")


def test_no_value_of_any_option_goes_without_a_walk() -> None:
    for name, question in questions().items():
        walked = [taken(told, name, question) for told in WALKED.values()]
        if name == "ci":
            # In tests/ci each of them delivers.
            proved = {path.stem.removeprefix("test_") for path in ENGINES.glob("test_*.py")}
            assert proved >= set(choices(name))
        elif question.get("multiselect"):
            parts = [answers.get(name, question["default"]) for answers in WALKED.values()]
            assert {part for some in parts for part in some} == set(choices(name)), name
        elif "choices" in question:
            assert set(walked) >= set(choices(name)), name
        else:
            assert [told for told in WALKED.values() if name in told] or name in WRITTEN, name
    assert [] in [taken(told, "ci", questions()["ci"]) for told in WALKED.values()]


def test_every_choice_is_an_option() -> None:
    """What can be chosen is in the pairs, and in what they count."""
    known = {
        (name, part)
        for values in options().values()
        for told in values.values()
        for name, answer in told.items()
        for part in (answer if isinstance(answer, list) else [answer])
    }
    wanted = {
        (name, value)
        for name, question in questions().items()
        if "choices" in question
        for value in choices(name)
    }
    assert wanted <= known


# Texts that only enter as texts: tests/render has every one of them, and hostile ones.
WRITTEN = {"description", "author_name"}


def taken(told: Answers, name: str, question: Answers) -> object:
    """Return what a project has for a question."""
    return told.get(name, question["default"])
