"""Renders the template as it is in the work tree, committed or not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import copier
import pytest

Render = Callable[..., Path]


@pytest.fixture(scope="session")
def template(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template without git: Copier would take the last tag of a repository."""
    copy = tmp_path_factory.mktemp("template")
    shutil.copy(root / "copier.yml", copy)
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(root / "template", copy / "template", ignore=skip)
    return copy


@pytest.fixture(scope="session")
def render(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Copies the template with some answers, to a new folder or a given one, or parts of it."""

    def copy(folder: Path | None = None, without: Sequence[str] = (), **answers: object) -> Path:
        folder = folder or tmp_path_factory.mktemp("project") / "project"
        copier.run_copy(
            str(template),
            folder,
            data=answers,
            exclude=without,
            defaults=True,
            quiet=True,
            unsafe=False,
            settings=copier.Settings(),
        )
        return folder

    return copy


@pytest.fixture(scope="session")
def default(render: Render) -> Path:
    """The project of somebody who answers nothing."""
    return render()
