"""The way people take the template: `copier copy` from a git repository with a tag."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.render import files


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command that has to succeed; return what it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def commit(folder: Path, message: str, tag: str | None = None) -> None:
    """Commit everything in a folder, and tag it."""
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", message, cwd=folder)
    if tag:
        run("git", "tag", tag, cwd=folder)


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """The template in a repository of its own, released as 0.1.0."""
    folder = tmp_path / "repository"
    shutil.copytree(template, folder)
    run("git", "init", "--quiet", cwd=folder)
    commit(folder, "Begin", "v0.1.0")
    return folder


def take(repository: Path, project: Path) -> str:
    """Copy the template as the README says: no trust, no answers."""
    return run(sys.executable, "-m", "copier", "copy", "--defaults", repository, project)


def test_copy_tells_what_to_do_next(repository: Path, tmp_path: Path, default: Path) -> None:
    project = tmp_path / "project"
    said = take(repository, project)
    steps = ["cd ", "git init -b main", "git add .", "git commit", "python3 -m delivery walk"]
    places = [said.find(f"\n  {step}") for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert files.names(project) == files.names(default)
    noted = files.answers(project)
    assert (noted["_commit"], noted["_src_path"]) == ("v0.1.0", str(repository))


def test_a_relative_address_is_noted_as_an_absolute_one(repository: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    run(*(sys.executable, "-m", "copier", "copy", "--defaults", ".", project), cwd=repository)
    assert files.answers(project)["_src_path"] == str(repository)


def test_an_update_keeps_what_is_yours(repository: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    take(repository, project)
    run("git", "init", "--quiet", cwd=project)
    (project / "README.md").write_text("# Ours\n")
    shutil.rmtree(project / "docs")
    with (project / "tox.toml").open("a") as tox:
        tox.write('\n[env.ours]\ncommands = [["true"]]\n')
    commit(project, "Make it ours")
    source = repository / "template"
    for name, old, new in [
        ("README.md.jinja", "# ", "# The new "),
        ("docs/conf.py", "furo", "alabaster"),
        ("{% if linter == 'flake8' %}.flake8{% endif %}", "[flake8]", "# Newer.\n[flake8]"),
        ("tox.toml.jinja", "# The stages", "# All stages"),
    ]:
        text = (source / name).read_text(encoding="utf-8")
        (source / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    commit(repository, "Move on", "v0.2.0")

    run(sys.executable, "-m", "copier", "update", "--defaults", cwd=project)

    assert (project / "README.md").read_text() == "# Ours\n"
    assert not (project / "docs").exists()
    assert (project / ".flake8").read_text().startswith("# Newer.\n")
    assert (project / "tox.toml").read_text().startswith("# All stages")
    assert "ours" in files.toml(project, "tox.toml")["env"]
    assert run("git", "ls-files", "--unmerged", cwd=project) == ""


def test_nothing_of_theirs_is_overwritten_unasked(template: Path, tmp_path: Path) -> None:
    project = tmp_path / "theirs"
    (project / "src" / "hello_delivery").mkdir(parents=True)
    theirs = ("README.md", "pyproject.toml", "src/hello_delivery/app.py")
    for name in theirs:
        (project / name).write_text("# Theirs\n")
    command = [sys.executable, "-m", "copier", "copy", "--defaults", str(template), str(project)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Interactive session required" in done.stderr
    assert {(project / name).read_text() for name in theirs} == {"# Theirs\n"}
