"""What a project keeps from its first day still works with all that the updates brought."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cookiecutter.conftest import git
from tests.update.conftest import RELEASES, edit, save, take, update


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for a project and its releases, whose name is short enough for a socket's."""
    folder = Path(tempfile.mkdtemp(prefix="update-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def begun(project: Path, skeleton: Path, tag: str, answers: dict[str, Any]) -> None:
    """Begin a project as a release gave it, and update it."""
    take(skeleton, project, tag, answers)
    git(project, "init", "--quiet")
    save(project)
    update(project)
    save(project)


def walk(project: Path, home: Path) -> str:
    """Lock anew, as the update says, for the new template asks for other tools; walk, and stop."""
    delivery = ["python3", "-m", "delivery"]
    env = {**os.environ, "XDG_DATA_HOME": str(home)}
    try:
        subprocess.run([*delivery, "lock"], cwd=project, env=env, check=True)
        save(project)
        done = subprocess.run(
            [*delivery, "walk"], cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    finally:
        subprocess.run([*delivery, "stop"], cwd=project, env=env, check=False)


@pytest.mark.slow
@pytest.mark.browser
def test_a_project_of_the_oldest_release_walks_after_an_update(skeleton: Path, home: Path) -> None:
    project = home / "project"
    begun(project, skeleton, next(iter(RELEASES)), {"project_name": "Old Parcels"})
    # That release's test takes a socket that is bound for one that is listened on.
    test = project / "tests" / "integration" / "test_wheel.py"
    old = "        yield folder\n"
    edit(project, str(test.relative_to(project)), old, f"        time.sleep(1)\n{old}")
    assert " is in production: http://" in walk(project, home)


@pytest.mark.slow
def test_a_command_of_the_first_release_with_commands_walks_after_an_update(
    skeleton: Path, home: Path
) -> None:
    project = home / "project"
    begun(project, skeleton, "v0.4.0", {"kind": "cli", "linter": "ruff", "command_name": "parcel"})
    assert re.search(r"^  acceptance +passed ", walk(project, home), re.MULTILINE)
