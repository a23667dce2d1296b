"""Lets projects join, by the commands that docs/adopting.rst has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooks.adoption import answers, sources
from hooks.adoption.repository import Repository
from tests.adopt.files import Files, start
from tests.adopt.shapes import SHAPES
from tests.cookiecutter.conftest import git

NEW = "v0.9.0"
ADDRESS = "<repository>"

Project = Callable[[Files], Path]
Begin = Callable[..., "Joining"]


@dataclass(frozen=True)
class Done:
    """A command that ran: its exit status, and what it said on standard output and error."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Joining:
    """A project on its way.

    Attributes:
        root: its folder; the template's clone is beside it.
        cache: where Python keeps byte code, without which Copier takes two seconds to start.
        said: what each documented command said, by the command.
    """

    root: Path
    cache: Path
    said: dict[str, Done]

    def run(self, command: str, status: int | None = 0) -> Done:
        """Run a command line in the project as a person's shell would."""
        home = {"XDG_DATA_HOME": str(self.root.parent / "data"), "GIT_PAGER": "cat"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.root,
            env={**os.environ, **home, "PYTHONPYCACHEPREFIX": str(self.cache)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        told = Done(done.returncode, done.stdout, done.stderr)
        assert status in (None, told.status), f"{command}\n{told.out}{told.err}"
        self.said[command] = told
        return told

    def steps(self, *commands: str) -> None:
        """Run commands of the page, in their order; those it prints are the printed ones."""
        for command in commands:
            self.run(command)


def documented(root: Path) -> dict[str, list[str]]:
    """Return the commands of docs/adopting.rst, by the title of their step."""
    page = (root / "docs/adopting.rst").read_text(encoding="utf-8")
    parts = re.split(r"^(\d\. .+)\n-+\n", page, flags=re.MULTILINE)
    steps = {}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        joined = re.sub(r" \\\n +", " ", text)
        steps[title.split(". ")[1]] = re.findall(r"^   \$ (.+)$", joined, re.MULTILINE)
    return steps


def printed(text: str, title: str) -> list[str]:
    """Return the commands that the script prints below a title."""
    joined = re.sub(r" \\\n +", " ", text)
    found = re.search(rf"^{re.escape(title)}\n((?:  .+\n)+)", joined, re.MULTILINE)
    return [line.strip() for line in found[1].splitlines()] if found else []


@pytest.fixture(scope="session")
def steps(root: Path) -> dict[str, list[str]]:
    """The commands of the page, by the title of their step."""
    return documented(root)


def clone(root: Path, folder: Path) -> None:
    """Make a released template of the work tree, with its hooks."""
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    for part in ("hooks", "template"):
        shutil.copytree(root / part, folder / part, ignore=skip)
    shutil.copy(root / "copier.yml", folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    git(folder, "tag", NEW)


@pytest.fixture(scope="session")
def skeleton(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, released."""
    folder = tmp_path_factory.mktemp("adopt") / "skeleton"
    clone(root, folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Makes a project of some files, all committed, in a folder called `theirs`."""

    def make(files: Files) -> Path:
        folder = tmp_path / "theirs"
        start(folder, files)
        return folder

    return make


@pytest.fixture(scope="session")
def begin(skeleton: Path, tmp_path_factory: pytest.TempPathFactory) -> Begin:
    """Makes a project of some files, or of a shape, beside a clone of the template."""

    def make(files: Files | None = None, shape: str = "") -> Joining:
        home = tmp_path_factory.mktemp("home")
        git(home, "clone", "--quiet", str(skeleton), "skeleton")
        git(home / "skeleton", "remote", "remove", "origin")
        folder = home / (SHAPES[shape].name if shape else "theirs")
        if shape:
            SHAPES[shape].make(folder)
        else:
            start(folder, files or {})
        return Joining(folder, skeleton.parent / "pycache", {})

    return make


def join(joining: Joining, status: int = 0) -> Joining:
    """Look, copy as the script says, and merge."""
    script = "python3 ../skeleton/hooks/adopt.py"
    look = joining.run(f"{script} look > ../answers.yml")
    (copy,) = printed(look.err, "Look at the answers; then:")
    joining.run(copy)
    joining.run(f"{script} merge", status)
    return joining


def found(folder: Path) -> tuple[dict[str, object], list[str]]:
    """Return the answers that a project gives, and the notes."""
    repository = Repository.at(folder)
    said = sources.read(repository)
    told = answers.answers(repository, said, said.notes)
    return {name: answer.value for name, answer in told.items()}, said.notes
