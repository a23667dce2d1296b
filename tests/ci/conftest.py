"""Projects for CI systems: rendered, committed, pushed to a bare repository."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import pytest

from tests.ci.sample import Sample, environment
from tests.ci.standin import standin
from tests.render.conftest import Render, default, render, template

__all__ = ["Render", "default", "render", "standin", "template"]
Begin = Callable[..., Sample]


@pytest.fixture(scope="session")
def slim(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Copies what CI files are made of, and nothing else: the stage table and what renders it."""
    small = tmp_path_factory.mktemp("slim")
    shutil.copy(template / "copier.yml", small)
    (small / "template" / "delivery").mkdir(parents=True)
    for path in (template / "template").iterdir():
        if path.name in ("delivery.toml.jinja", "pyproject.toml.jinja"):
            shutil.copy(path, small / "template")
        elif " in ci " in path.name:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, small / "template" / path.name)
    ci = Path("template", "delivery", "ci")
    shutil.copytree(template / ci, small / ci)

    def make(**answers: Any) -> Path:
        folder = tmp_path_factory.mktemp("slim") / "project"
        settings = copier.Settings()
        copier.run_copy(str(small), folder, answers, defaults=True, quiet=True, settings=settings)
        return folder

    return make


def started(
    render: Render,
    home: Path,
    change: Callable[[Sample], None] = lambda sample: None,
    whole: bool = False,
    **answers: Any,
) -> Sample:
    """Make a project on main, pushed, whose stages are stood in for.

    Args:
        render: what renders it.
        home: where everything of it is.
        change: edits the project before it is committed.
        whole: whether it has the default table, and not one with as many stages as it takes.
        answers: the answers.
    """
    sample = Sample(home, environment(home, shims=True))
    rendered = render(**answers)
    shutil.copytree(rendered, sample.root)
    (sample.home / "bin").mkdir()
    # Nothing is installed: what stands in for tox comes by PYTHONPATH.
    (sample.root / "requirements" / "tools.txt").write_text("")
    sample.git("init", "--quiet", "--initial-branch=main")
    subprocess.run(["git", "init", "--quiet", "--bare", sample.origin], check=True)
    exclude = sample.root / ".git" / "info" / "exclude"
    exclude.write_text(".gitlab-ci-local/\n")  # gitlab-ci-local's own
    sample.git("remote", "add", "origin", str(sample.origin))
    if not whole:
        sample.shorten()
    change(sample)
    sample.commit("Start")
    return sample


@dataclass(frozen=True)
class Moving:
    """A template that moves on.

    Attributes:
        source: its repository.
    """

    source: Path

    def release(self, version: str, news: str = "") -> None:
        """Release a version, with a file that has news."""
        (self.source / "template" / "NEWS").write_text(news)
        for args in (("add", "--all"), ("commit", "--quiet", "-m", version), ("tag", version)):
            subprocess.run(["git", *args], cwd=self.source, check=True)

    def render(self, **answers: Any) -> Path:
        """Copy its newest version."""
        folder, settings = self.source.with_name("rendered"), copier.Settings()
        url = str(self.source)
        copier.run_copy(url, folder, answers, defaults=True, quiet=True, settings=settings)
        return folder


@pytest.fixture
def moving(template: Path, tmp_path: Path) -> Moving:
    """A template with one release."""
    made = Moving(tmp_path / "template")
    shutil.copytree(template, made.source)
    subprocess.run(["git", "init", "--quiet", made.source], check=True)
    made.release("v1.0.0")
    return made


@pytest.fixture
def begin(render: Render, tmp_path: Path) -> Iterator[Begin]:
    """Returns a maker of such a project; its arguments are answers, and ``change``.

    Nothing that ran for it may be left behind.
    """
    made: list[Sample] = []

    def make(change: Callable[[Sample], None] = lambda sample: None, **answers: Any) -> Sample:
        made.append(started(render, tmp_path, change, **answers))
        return made[-1]

    yield make
    for sample in made:
        sample.ended()
