"""Reads what was rendered: each file by its own parser."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def names(project: Path) -> set[str]:
    """Name the files of a project."""
    return {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}


def toml(project: Path, name: str = "pyproject.toml") -> dict[str, Any]:
    """Read a TOML file of a project."""
    return tomllib.loads((project / name).read_text(encoding="utf-8"))


def answers(project: Path) -> dict[str, Any]:
    """Read the answers that Copier noted."""
    noted: dict[str, Any] = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return noted


def markdown(text: str) -> str:
    """Read what a Markdown reader would show of a line: an escaped character is itself."""
    return ESCAPED.sub(r"\1", text)


def _ini(text: str) -> None:
    configparser.ConfigParser(interpolation=None).read_string(text)


def _python(text: str) -> None:
    compile(text, "rendered", "exec")


PARSERS: dict[str, Callable[[str], object]] = {
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
    ".json": json.loads,
    ".py": _python,
    ".cfg": _ini,
    ".flake8": _ini,
}


def parse(project: Path) -> set[str]:
    """Parse every file that has a parser; return the kinds that were met."""
    met = set()
    for path in (path for path in project.rglob("*") if path.is_file()):
        # Buildbot's master.cfg is Python.
        kind = ".py" if path.name == "master.cfg" else path.suffix or path.name
        if kind in PARSERS:
            met.add(kind)
            try:
                PARSERS[kind](path.read_text(encoding="utf-8"))
            except Exception as error:
                raise AssertionError(f"{path.relative_to(project)}: {error}") from error
    return met
