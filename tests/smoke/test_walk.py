"""Every value of every option is in a project that walks; what tests/project leaves, walks here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import git
from tests.render.conftest import Render
from tests.smoke.options import WALKED, Answers, choices, questions

STAGES = ["lint", "unit", "build", "integration", "docs", "security", "publish", "acceptance"]
HERE = {name: told for name, told in WALKED.items() if told.get("kind", "service") != "service"}


def python(version: str) -> str:
    """Find a Python of a version: on PATH, or where pyenv or uv keep them."""
    name, home = f"python{version}", Path.home()
    kept = [home / ".local/bin", *home.glob(f".pyenv/versions/{version}.*/bin")]
    for folder in [*map(Path, os.environ["PATH"].split(os.pathsep)), *kept]:
        found = shutil.which(name, path=folder)
        # A shim of pyenv may have the name and nothing behind it.
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    (pytest.fail if "CI" in os.environ else pytest.skip)(
        f"needs {name}: uv python install {version}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_it_walks_from_its_first_commit_into_the_index(
    render: Render, tmp_path: Path, name: str
) -> None:
    answers = HERE[name]
    interpreter = python(answers.get("python_floor", "3.11"))
    project = render(tmp_path / "project", **answers)
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [interpreter, "-m", "delivery", "walk"],
        cwd=project,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.findall(r"^  (\S+) +passed ", said, re.MULTILINE) == STAGES, said
    assert git(project, "status", "--porcelain") == ""


def test_no_value_of_any_option_goes_without_a_walk() -> None:
    for name, question in questions().items():
        walked = [taken(told, name, question) for told in WALKED.values()]
        if question.get("multiselect"):
            parts = [answers.get(name, question["default"]) for answers in WALKED.values()]
            assert {part for some in parts for part in some} == set(choices(name)), name
        elif "choices" in question:
            assert set(walked) >= set(choices(name)), name
        else:
            assert [told for told in WALKED.values() if name in told] or name in WRITTEN, name
    assert [] in [taken(told, "ci", questions()["ci"]) for told in WALKED.values()]


# Texts that only enter as texts: tests/render has every one of them, and hostile ones.
WRITTEN = {"description", "author_name", "distribution_name"}


def taken(told: Answers, name: str, question: Answers) -> object:
    """Return what a project has for a question."""
    return told.get(name, question["default"])
