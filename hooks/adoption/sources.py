"""What a project says of itself, in the words of pyproject.toml's `[project]` (PEP 621)."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import setup_py
from .repository import Refused, Repository

SETUP_PY, SETUP_CFG, PYPROJECT = "setup.py", "setup.cfg", "pyproject.toml"
# The names of setuptools for what [project] has.
RENAMED = {
    "name": "name",
    "version": "version",
    "description": "description",
    "license": "license",
    "python_requires": "requires-python",
    "install_requires": "dependencies",
    "extras_require": "optional-dependencies",
    "keywords": "keywords",
    "classifiers": "classifiers",
}
LISTS = {"install_requires": ";", "classifiers": ",", "tests_require": ";"}
# Sections of setup.cfg that are the packaging's own, or another template's.
PACKAGING = ("metadata", "options", "bumpversion", "bdist_wheel", "pyscaffold", "devpi")


def _strings(what: Any) -> bool:
    return isinstance(what, list) and all(isinstance(part, str) for part in what)


def _table(what: Any, good: Callable[[Any], bool] = lambda part: isinstance(part, str)) -> bool:
    return isinstance(what, dict) and all(map(good, what.values()))


# What [project] may have, and as what. `dynamic` is read apart.
KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("name", "version", "description", "readme"), lambda it: isinstance(it, str)),
    **dict.fromkeys(("requires-python", "license"), lambda it: isinstance(it, str)),
    **dict.fromkeys(("dependencies", "classifiers", "keywords", "license-files"), _strings),
    **dict.fromkeys(("urls", "scripts", "gui-scripts"), _table),
    **dict.fromkeys(("authors", "maintainers"), lambda it: all(map(_table, it))),
    "optional-dependencies": lambda it: _table(it, _strings) and not any(":" in key for key in it),
    "entry-points": lambda it: _table(it, _table),
}


@dataclass
class Said:
    """What a project says of itself.

    Attributes:
        project: as `[project]` would have it.
        where: for each key, the file that says it.
        tables: the rest of pyproject.toml.
        needs: what its tests need besides the project.
        notes: what could not be read, in sentences.
    """

    project: dict[str, Any] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take(self, source: str, told: dict[str, Any]) -> None:
        """Let a file overrule what was said before it."""
        for key, value in told.items():
            if not value:
                continue
            if key in KINDS and KINDS[key](value):
                self.project[key], self.where[key] = value, source
            else:
                self.notes.append(
                    f"{source}: {key} is not as [project] could have it: {value!r:.60}"
                )


def read(repository: Repository) -> Said:
    """Read the three files, each overruling the one before, as setuptools does.

    Raises:
        Refused: a file cannot be read, or says it in words of another tool.
    """
    said = Said()
    text = repository.read(SETUP_PY)
    if text is not None:
        arguments, notes = setup_py.arguments(text)
        said.notes += notes
        _take_setuptools(said, SETUP_PY, arguments)
    text = repository.read(SETUP_CFG)
    if text is not None:
        _take_setuptools(said, SETUP_CFG, _declared(text, repository, said.notes))
    text = repository.read(PYPROJECT)
    if text is not None:
        try:
            said.tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Refused(f"{PYPROJECT} is no TOML ({error}): mend it first") from None
        _take_project(said, repository)
    extras = said.project.get("optional-dependencies", {})
    groups = extras | said.tables.get("dependency-groups", {})
    for name in ("test", "tests", "testing"):
        said.needs += [need for need in groups.get(name, []) if isinstance(need, str)]
    return said


def _take_setuptools(said: Said, source: str, told: dict[str, Any]) -> None:
    """Take arguments of setuptools' `setup`."""
    project: dict[str, Any] = {ours: told.get(theirs) for theirs, ours in RENAMED.items()}
    words = project["keywords"]
    if isinstance(words, str):
        words = re.split(r"," if "," in words else r"\s", words)
        project["keywords"] = [word.strip() for word in words if word.strip()]
    for role in ("author", "maintainer"):
        person = {"name": told.get(role), "email": told.get(f"{role}_email")}
        project[f"{role}s"] = [{key: text for key, text in person.items() if text}]
        if not project[f"{role}s"][0]:
            del project[f"{role}s"]
    urls = {"Homepage": told["url"]} if told.get("url") else {}
    project["urls"] = urls | dict(told.get("project_urls") or {})
    groups = _entry_points(told.get("entry_points") or {}, said.notes)
    project["scripts"] = groups.pop("console_scripts", {})
    project["gui-scripts"] = groups.pop("gui_scripts", {})
    project["entry-points"] = groups
    said.needs += told.get("tests_require") or []
    if told.get("scripts"):
        said.notes.append(f"{source} installs the files of `scripts`, which [project] cannot say")
    if told.get("ext_modules"):
        said.notes.append(f"{source} has `ext_modules`: keep it for them, and for nothing else")
    said.take(source, project)


def _entry_points(told: Any, notes: list[str]) -> dict[str, dict[str, str]]:
    if isinstance(told, str):
        parser = _parser("=")
        try:
            parser.read_string(told)
        except configparser.Error:
            notes.append(f"{SETUP_PY}: `entry_points` cannot be read; write them into [project]")
        told = {
            group: [f"{name} = {target}" for name, target in parser[group].items()]
            for group in parser.sections()
        }
    groups = {}
    for group, entries in told.items():
        entries = entries.splitlines() if isinstance(entries, str) else entries
        pairs = (entry.partition("=") for entry in entries if entry.strip())
        groups[group] = {name.strip(): target.strip() for name, _, target in pairs}
    return groups


def _parser(*delimiters: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(
        interpolation=None, delimiters=delimiters, default_section="\0", strict=False
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign] # as its documentation says
    return parser


def _declared(text: str, repository: Repository, notes: list[str]) -> dict[str, Any]:
    """Turn setup.cfg into the arguments of `setup`."""
    parser = _parser("=", ":")
    try:
        parser.read_string(text, SETUP_CFG)
    except configparser.Error as error:
        raise Refused(f"{SETUP_CFG} cannot be read ({error}): mend it first") from None
    told: dict[str, Any] = {}
    for section in ("metadata", "options"):
        for key, value in parser[section].items() if section in parser else ():
            key = key.replace("-", "_")
            if value.startswith("file:") and key in LISTS:
                names = re.split(r"[,\s]+", value.removeprefix("file:").strip())
                told[key] = required(repository, names, f"{SETUP_CFG}: {key}", notes)
            elif not value.startswith(("file:", "attr:")):
                told[key] = _split(value, LISTS[key]) if key in LISTS else value
    told["project_urls"] = _pairs(told.get("project_urls", ""))
    for section in ("extras_require", "entry_points"):
        if (name := f"options.{section}") in parser:
            told[section] = {key: _split(value, ";") for key, value in parser[name].items()}
    others = [name for name in parser.sections() if not name.startswith(PACKAGING)]
    if others:
        notes.append(f"{SETUP_CFG}: not carried over: {', '.join(f'[{name}]' for name in others)}")
    return told


def _split(value: str, separator: str) -> list[str]:
    lines = value.splitlines() if "\n" in value else value.split(separator)
    return [line.strip() for line in lines if line.strip()]


def _pairs(value: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in value.splitlines() if "=" in line)
    return {name.strip(): target.strip() for name, _, target in pairs}


def required(
    repository: Repository, names: list[str], who: str, notes: list[str]
) -> list[str] | None:
    """Read requirements from files; None, and a note, when one is more than a list of them."""
    found = []
    for name in names:
        for line in (repository.read(name) or "-").splitlines():
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if line.startswith("-"):
                notes.append(f"{who} comes from {name}, which is no plain list of requirements")
                return None
            found += [line] if line else []
    return found


def _take_project(said: Said, repository: Repository) -> None:
    """Take pyproject.toml."""
    for name in ("project", "tool", "dependency-groups"):
        if not isinstance(said.tables.get(name, {}), dict):
            raise Refused(f"{PYPROJECT}: {name} is no table: mend it first")
    told = said.tables.get("project")
    tools = said.tables.get("tool", {})
    if told is None:
        if "poetry" in tools:
            raise Refused(
                f"{PYPROJECT} has its metadata in [tool.poetry], which only Poetry reads: "
                "move them to [project] first, which Poetry 2 reads too"
            )
        return
    told = dict(told)
    if isinstance(told.get("license"), dict):
        told["license"] = told["license"].get("text", "")
    if isinstance(told.get("readme"), dict):
        told["readme"] = told["readme"].get("file", "")
    dynamic = tools.get("setuptools", {}).get("dynamic", {})
    for key in told.pop("dynamic", []):
        source = dynamic.get(key, {})
        if key == "dependencies" and "file" in source:
            names = [source["file"]] if isinstance(source["file"], str) else source["file"]
            told[key] = required(repository, names, f"{PYPROJECT}: {key}", said.notes)
        elif key not in ("version", "readme", "description"):
            said.notes.append(f"{PYPROJECT}: {key} is dynamic: write it into [project] by hand")
    said.take(PYPROJECT, told)
