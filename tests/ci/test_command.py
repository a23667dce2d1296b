"""``python3 -m delivery ci``, and from one CI system to another by an update."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import copier
import pytest
from delivery.ci import files

from tests.ci.test_files import ROOT, SYSTEMS
from tests.render.conftest import Render


def git(place: Path, *args: str) -> None:
    """Run git in a folder."""
    subprocess.run(["git", *args], cwd=place, check=True, capture_output=True)


def delivery(project: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a project."""
    return subprocess.run(
        [sys.executable, "-m", "delivery", *args],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_what_differs_and_writes_it(slim: Render) -> None:
    project, env = slim(ci=SYSTEMS), {"PYTHONPATH": str(ROOT / "template")}
    git(project, "init", "--quiet")
    assert delivery(project, "ci", **env).returncode == 0
    table = project / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("budget = 30", "budget = 300"), encoding="utf-8")
    told = delivery(project, "ci", "--check", **env)
    assert told.returncode == 1
    assert "-    timeout-minutes: 8\n+    timeout-minutes: 26\n" in told.stdout
    assert "python3 -m delivery ci --write" in told.stdout
    unread = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m delivery ci | true"],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
    )
    assert unread.stderr == b""
    assert delivery(project, "ci", "--write", **env).returncode == 0
    assert delivery(project, "ci", **env).returncode == 0


def test_without_a_ci_system_it_says_how_to_have_one(render: Render) -> None:
    project = render(ci=[])
    git(project, "init", "--quiet")
    told = delivery(project, "ci")
    assert (told.returncode, "no CI system was chosen" in told.stderr) == (2, True)


def test_a_secret_for_a_stage_that_runs_for_every_commit_is_refused(slim: Render) -> None:
    project, env = slim(ci=SYSTEMS), {"PYTHONPATH": str(ROOT / "template")}
    git(project, "init", "--quiet")
    table = project / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    secret = text.replace("[stages.unit]\n", '[stages.unit]\nsecrets = ["TOKEN"]\n')
    table.write_text(secret, encoding="utf-8")
    told = delivery(project, "ci", **env)
    assert told.returncode == 2
    assert "secrets are for what publishes or deploys" in told.stderr


@pytest.mark.filterwarnings("ignore::copier.errors.DirtyLocalWarning")
def test_one_answer_changes_the_ci_system(template: Path, tmp_path: Path) -> None:
    source, project = tmp_path / "source", tmp_path / "project"
    shutil.copytree(template, source)
    git(source, "init", "--quiet")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message=Template")
    git(source, "tag", "v1.0.0")
    settings = copier.Settings()
    copier.run_copy(str(source), project, defaults=True, quiet=True, settings=settings)
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=Start")
    copier.run_update(
        project,
        data={"ci": ["gitlab"]},
        defaults=True,
        overwrite=True,
        quiet=True,
        settings=settings,
    )
    assert (project / ".gitlab-ci.yml").read_text(encoding="utf-8").startswith(f"# {files.BEGIN}")
    assert not list((project / ".github").rglob("*.yml"))
    modules = {path.name for path in (project / "delivery" / "ci").glob("*.py")}
    assert modules == {"__init__.py", "files.py", "gitlab.py", "plan.py"}
    git(project, "add", "--all")
    assert delivery(project, "ci").returncode == 0
