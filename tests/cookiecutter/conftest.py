"""Runs Cookiecutter as a person would, in a home of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

Door = Callable[..., subprocess.CompletedProcess[str]]
Files = dict[str, tuple[int, bytes]]
IDENTITY = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
# How this machine reaches a package index, and its language.
KEPT = ("LANG", "UV_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
PARTS = ("copier.yml", "cookiecutter.json", "hooks", "template")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; it has to succeed."""
    command = ["git", *IDENTITY, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def release(repository: Path, tag: str, note: str) -> None:
    """Change a file every project has, commit and tag it."""
    flake8 = repository / "template" / "{% if linter == 'flake8' %}.flake8{% endif %}"
    flake8.write_text(f"# {note}\n" + flake8.read_text(encoding="utf-8"), encoding="utf-8")
    git(repository, "commit", "--quiet", "--all", "--message", note)
    git(repository, "tag", tag)


def files(folder: Path) -> Files:
    """Read a whole folder: every file's mode and bytes, but no byte code."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def copied(source: Path | str, folder: Path, **answers: object) -> Files:
    """Copy the template with Copier itself; read what came out."""
    copier.run_copy(
        str(source), folder, data=answers, defaults=True, quiet=True, settings=copier.Settings()
    )
    return files(folder)


@pytest.fixture(scope="session")
def skeleton(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in a repository: released twice, with an unreleased change on top."""
    folder = tmp_path_factory.mktemp("door") / "skeleton.git"
    folder.mkdir()
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    for part in (*PARTS, *(path.name for path in root.glob("{{*}}"))):
        if (root / part).is_dir():
            shutil.copytree(root / part, folder / part, ignore=skip)
        else:
            shutil.copy(root / part, folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    git(folder, "tag", "v0.1.0")
    release(folder, "v0.2.0", "Newer.")
    release(folder, "unreleased", "Newest.")
    return folder


@pytest.fixture(scope="session")
def default(skeleton: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What Copier gives somebody who answers nothing."""
    return copied(skeleton, tmp_path_factory.mktemp("copier") / "project")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose home is empty: no settings, no clones, no answers of a person."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: text for name, text in os.environ.items() if name.startswith(KEPT)}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        # Cookiecutter leaves its copies there when a hook fails.
        "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
        # A Copier without byte code takes two seconds to start: keep it for all runs.
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture
def door(environment: dict[str, str], tmp_path: Path) -> Door:
    """Calls Cookiecutter from a folder, as a shell would."""

    def call(
        *arguments: str | Path,
        cwd: Path = tmp_path,
        typed: str | None = None,
        python: Path | str = sys.executable,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        no_input = ["--no-input"] if typed is None else []
        return subprocess.run(
            [python, "-m", "cookiecutter", *no_input, *arguments],
            cwd=cwd,
            env={**environment, "PWD": str(cwd), **more},
            input=typed or "",
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def made(done: subprocess.CompletedProcess[str], folder: Path) -> Files:
    """Read the project of a call that has to succeed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return files(folder)
