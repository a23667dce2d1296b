"""Copier notes where the template came from, not where Cookiecutter had put it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hooks.post_gen_project import source
from tests.cookiecutter.conftest import Door, git, made

NAMES = {
    "gh:ada/skeleton": ("https://github.com/", "gh:ada/skeleton"),
    "bb:ada/skeleton.git": ("https://bitbucket.org/", "https://bitbucket.org/ada/skeleton.git"),
}
ADDRESSES = {
    "https://github.com/ada/skeleton": "https://github.com/ada/skeleton",
    "https://example.org/ada/skeleton.git": "https://example.org/ada/skeleton.git",
    "https://git.example.org/ada/skeleton": "git+https://git.example.org/ada/skeleton",
    "git+https://example.org/ada/skeleton": "git+https://example.org/ada/skeleton",
    "ssh://git@example.org/ada/skeleton": "git+ssh://git@example.org/ada/skeleton",
    "git@example.org:ada/skeleton": "git@example.org:ada/skeleton",
    "ours:ada/skeleton": "git+https://git.example.org/ours",
    "gh:ada/elsewhere": "git+https://git.example.org/ours",
}


@pytest.mark.parametrize("name", NAMES)
def test_an_abbreviation(door: Door, skeleton: Path, tmp_path: Path, name: str) -> None:
    host, noted = NAMES[name]
    # git takes the host's address for the repository next door.
    instead = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{skeleton.parent.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"{host}ada/",
    }
    project = tmp_path / "hello-delivery"
    made(door(name, **instead), project)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (answers["_src_path"], answers["_commit"]) == (noted, "v0.2.0")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone as Cookiecutter keeps it in a home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PWD", str(tmp_path))
    folder = tmp_path / ".cookiecutters" / "skeleton"
    folder.mkdir(parents=True)
    (folder / "copier.yml").write_text("")
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", "https://git.example.org/ours")
    return folder


def context(template: str, clone: Path) -> dict[str, Any]:
    """Write down what Cookiecutter tells of a template and of the copy it made of a clone."""
    copy = clone.parents[1] / "copy"
    if not copy.exists():
        shutil.copytree(clone, copy)
    return {"_template": template, "_repo_dir": str(copy), "_output_dir": str(clone.parents[1])}


@pytest.mark.parametrize("template", ADDRESSES)
def test_an_address(clone: Path, template: str) -> None:
    assert source(context(template, clone)) == ADDRESSES[template]


def test_the_name_of_a_clone_means_its_origin(clone: Path) -> None:
    assert source(context("skeleton", clone)) == "git+https://git.example.org/ours"


def test_a_path_is_made_absolute(clone: Path) -> None:
    assert source(context("./.cookiecutters/../.cookiecutters/skeleton/", clone)) == str(clone)


@pytest.mark.parametrize("template", ["elsewhere/skeleton", "https://example.org/git.zip"])
def test_what_copier_could_not_update_from(clone: Path, template: str) -> None:
    with pytest.raises(SystemExit) as error:
        source(context(template, clone))
    assert f"Copier could not update a project from {template}:" in str(error.value)
