"""Every released state of the template, and the work tree as the newest one, in a repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from delivery.git import Git

from tests.cookiecutter.conftest import Files, files, git

RELEASES = dict(
    line.split() for line in (Path(__file__).parent / "releases.txt").read_text().splitlines()
)
NEWEST = "v99.0.0"
ONCE = (
    *("README.md", "CHANGELOG.md", "LICENSE", "src/", "tests/", "docs/", "requirements/"),
    "delivery/inventories/",
)
SETTINGS = copier.Settings()
COPIES: dict[str, Files] = {}

Begin = Callable[..., Path]


def release(repository: Path, tag: str) -> None:
    """Commit all there is in a repository, and tag it."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", tag)
    git(repository, "tag", tag)


@pytest.fixture(scope="session")
def skeleton(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's repository with a tag for every release; the work tree is the newest."""
    here = Git(root)
    if (
        not here.ok("rev-parse", "HEAD")
        or here.text("rev-parse", "--is-shallow-repository") != "false"
    ):
        pytest.fail("the releases are commits of this repository: clone it with its whole history")
    missing = [tag for tag, commit in RELEASES.items() if not here.ok("cat-file", "-e", commit)]
    assert not missing, f"releases.txt names commits that are not here: {', '.join(missing)}"
    folder = tmp_path_factory.mktemp("update") / "skeleton"
    git(root, "clone", "--quiet", "--no-tags", "--no-checkout", str(root), str(folder))
    for tag, commit in RELEASES.items():
        git(folder, "tag", tag, commit)
    listed = here.output("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, os.fsdecode(listed).split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Of the same history")
    release(folder, NEWEST)
    return folder


@pytest.fixture
def future(skeleton: Path, tmp_path: Path) -> Path:
    """A clone in which a test makes releases that are still to come."""
    folder = tmp_path / "future"
    git(skeleton, "clone", "--quiet", str(skeleton), str(folder))
    return folder


@pytest.fixture
def begin(skeleton: Path, tmp_path: Path) -> Begin:
    """Begins a project as a release of the template gave it, with one commit."""

    def call(tag: str, template: Path = skeleton, **answers: object) -> Path:
        project = tmp_path / "project"
        take(template, project, tag, answers)
        git(project, "init", "--quiet")
        save(project)
        return project

    return call


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace text in a file; it has to be there."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text, name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def save(project: Path) -> None:
    """Commit everything in a project."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Ours")


def take(template: Path, project: Path, tag: str, answers: dict[str, Any]) -> None:
    """Copy a release of the template."""
    copier.run_copy(
        str(template), project, answers, vcs_ref=tag, defaults=True, quiet=True, settings=SETTINGS
    )


def update(project: Path) -> None:
    """Update as `copier update --defaults` does, which the README of every release names."""
    copier.run_update(project, defaults=True, overwrite=True, quiet=True, settings=SETTINGS)


def content(project: Path) -> Files:
    """Read a project's files, without its history."""
    return {name: text for name, text in files(project).items() if not name.startswith(".git/")}


def fresh(project: Path, template: Path, tag: str = NEWEST) -> Files:
    """Copy a release of the template with a project's answers, once; read what came out."""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    told = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    key = f"{template} {tag} {told}"
    if key not in COPIES:
        take(template, project.with_name("fresh"), tag, told)
        COPIES[key] = files(project.with_name("fresh"))
    return COPIES[key]


def once(found: Files) -> Files:
    """Keep the files that an update leaves alone."""
    return {name: text for name, text in found.items() if name.startswith(ONCE)}


def merged(found: Files) -> Files:
    """Keep the files that an update brings: managed and shared ones."""
    return {name: text for name, text in found.items() if not name.startswith(ONCE)}
