"""What a project keeps from its first day still works with all that the updates brought."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import git
from tests.update.conftest import RELEASES, save, take, update


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for a project and its releases, whose name is short enough for a socket's."""
    folder = Path(tempfile.mkdtemp(prefix="update-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.browser
def test_a_project_of_the_oldest_release_walks_after_an_update(skeleton: Path, home: Path) -> None:
    project = home / "project"
    take(skeleton, project, next(iter(RELEASES)), {"project_name": "Old Parcels"})
    # That release's test takes a socket that is bound for one that is listened on.
    test = project / "tests" / "integration" / "test_wheel.py"
    old = test.read_text()
    assert old.count("        yield folder\n") == 1
    test.write_text(
        old.replace("        yield folder\n", "        time.sleep(1)\n        yield folder\n")
    )
    git(project, "init", "--quiet")
    save(project)
    update(project)
    save(project)
    delivery = ["python3", "-m", "delivery"]
    env = {**os.environ, "XDG_DATA_HOME": str(home)}
    try:
        # As the update says: the new template asks for tools that the old locks do not have.
        subprocess.run([*delivery, "lock"], cwd=project, env=env, check=True)
        save(project)
        walk = subprocess.run(
            [*delivery, "walk"], cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert walk.returncode == 0, walk.stdout + walk.stderr
        assert " is in production: http://" in walk.stdout
    finally:
        subprocess.run([*delivery, "stop"], cwd=project, env=env, check=False)
