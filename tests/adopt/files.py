"""Files of a project, and the sentence that its people write."""

from __future__ import annotations

from pathlib import Path

from tests.cookiecutter.conftest import git

Files = dict[str, str]

PACKAGE: Files = {"tides/__init__.py": ""}

FEATURE = """\
Feature: {name}

  Scenario: Somebody uses it
    When {when}
    Then it prints "{text}"
"""
SCRIPT = '''\
a script says
      """
      {first}
      {second}
      """'''


def write(folder: Path, files: Files) -> None:
    """Write files into a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace text in a file; it has to be there."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} does not have {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def start(folder: Path, files: Files) -> None:
    """Put files into a repository of their own, with one commit."""
    write(folder, files)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "Ours")


def setup(arguments: str, before: str = "") -> Files:
    """Return a project whose setup.py calls setup with these arguments."""
    text = f"from setuptools import setup\n{before}\nsetup(name='tides', {arguments})\n"
    return {**PACKAGE, "setup.py": text}


def cfg(text: str) -> Files:
    """Return a project with a setup.cfg."""
    return {**PACKAGE, "setup.cfg": f"[metadata]\nname = tides\n{text}"}


def pyproject(text: str) -> Files:
    """Return a project with a pyproject.toml."""
    return {**PACKAGE, "pyproject.toml": f'[project]\nname = "tides"\n{text}'}
