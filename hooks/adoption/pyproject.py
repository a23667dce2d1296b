"""The template's pyproject.toml with what the project says of itself."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from . import toml
from .answers import normal
from .repository import Refused
from .sources import Said

SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
UNTYPED = """\
# Not typed yet: take a module out when it is, and mypy looks at it.
[[tool.mypy.overrides]]
module = {modules}
ignore_errors = true
"""


def carried(
    rendered: str, theirs: str, said: Said, files: dict[str, list[str]], untyped: list[str]
) -> tuple[str, list[str]]:
    """Return the template's pyproject.toml with the project's words in it, and notes.

    Args:
        rendered: the template's, with the answers.
        theirs: the project's, as it was; nothing when it had none.
        said: what the project says.
        files: its `readme` and its `license-files`, where it has them.
        untyped: the modules that mypy shall leave alone.

    Raises:
        Refused: what comes out is not what was meant.
    """
    notes: list[str] = []
    wanted = tomllib.loads(rendered)
    project = _project(wanted["project"], said, files)
    lines, rest = _split(rendered)
    lines = _entries(lines, wanted["project"], project)
    text = "\n".join(lines) + "\n" + _tables(project) + rest
    groups = wanted["dependency-groups"]
    text = _needs(text, groups, said, notes)
    appended, kept = _tools(theirs, said.tables, wanted, notes)
    if untyped:
        modules = ", ".join(map(toml.text, untyped))
        appended.append(UNTYPED.format(modules=f"[{modules}]"))
        mypy = wanted["tool"]["mypy"]
        mypy["overrides"] = [
            *mypy.get("overrides", []),
            {"module": untyped, "ignore_errors": True},
        ]
    text = text.rstrip("\n") + "\n" + "".join(f"\n{part}" for part in appended)
    wanted["project"] = project
    wanted["tool"] |= kept
    if not toml.same(text, wanted):
        raise Refused(
            "pyproject.toml says something in a way that could not be carried over: it is the "
            "template's now; bring yours by hand: git diff pyproject.toml"
        )
    return text, notes


def _project(rendered: dict[str, Any], said: Said, files: dict[str, list[str]]) -> dict[str, Any]:
    """Return the `[project]` that is meant."""
    told = dict(said.project)
    project = dict(rendered)
    for key in ("name", "version", "description", "requires-python", "readme", "license-files"):
        told.pop(key, None)
    named = [one for one in told.pop("authors", []) if isinstance(one, dict) and one.get("name")]
    if len(named) > 1:
        project["authors"] = named
    license = str(told.pop("license", ""))
    if project["license"] == "LicenseRef-Proprietary" and SPDX.fullmatch(license):
        project["license"] = license
    # A licence expression allows no classifier that says it again (PEP 639).
    classifiers = [one for one in told.pop("classifiers", []) if not one.startswith("License ::")]
    if classifiers:
        project["classifiers"] = classifiers
    needs = told.pop("dependencies", [])
    known = {_named(need) for need in needs}
    more = [need for need in rendered["dependencies"] if _named(need) not in known]
    project["dependencies"] = [*needs, *more]
    scripts = told.pop("scripts", {})
    if scripts or "scripts" in rendered:
        # A service is started by what the template calls it; a command has its own target.
        service = {k: v for k, v in rendered.get("scripts", {}).items() if ".cli:" not in v}
        project["scripts"] = scripts | service or rendered["scripts"]
    urls = rendered.get("urls", {}) | told.pop("urls", {})
    if urls:
        project["urls"] = urls
    for name in files["readme"][:1]:
        plain = {"file": name, "content-type": "text/plain"}
        project["readme"] = name if name.endswith((".md", ".rst", ".txt")) else plain
    if files["license-files"]:
        project["license-files"] = files["license-files"]
    return project | told


def _named(requirement: str) -> str:
    return normal(re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0])


def _split(rendered: str) -> tuple[list[str], str]:
    """Cut the text behind the table `[project]`; leave `[project.scripts]` out."""
    head, mark, rest = rendered.partition("\n# What the stages need")
    lines = head.partition("\n[project.scripts]\n")[0].splitlines()
    if not mark:
        raise Refused("pyproject.toml is not as the template gives it: begin anew, from git")
    return lines, mark + rest


def _entries(lines: list[str], before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Change the entries of `[project]` that are not what they were; add those that are new."""
    kept, skipping = [], False
    start = lines.index("[project]")
    for number, line in enumerate(lines):
        found = re.match(r"([a-z-]+) = ", line) if number > start else None
        what = after[found[1]] if found else None
        if found and (isinstance(what, dict) or what != before[found[1]]):
            # Tables are written below, each with a header of its own.
            skipping = line.endswith("[")
            if not isinstance(what, dict):
                kept.append(f"{found[1]} = {toml.value(what, wide=found[1] != 'dependencies')}")
        elif not skipping:
            kept.append(line)
        elif line == "]":
            skipping = False
    new = [key for key, what in after.items() if key not in before and not isinstance(what, dict)]
    return [*kept, *(f"{key} = {toml.value(after[key])}" for key in new)]


def _tables(project: dict[str, Any]) -> str:
    """Write the tables below `[project]`."""
    parts = []
    for name, table in project.items():
        if name == "entry-points":
            parts += [
                toml.table(f"project.entry-points.{toml.key(group)}", entries)
                for group, entries in table.items()
            ]
        elif isinstance(table, dict):
            parts.append(toml.table(f"project.{toml.key(name)}", table))
    return "".join(f"\n{part}" for part in parts)


def _needs(text: str, groups: dict[str, Any], said: Said, notes: list[str]) -> str:
    """Give the template's groups what the project's tests need, and the project's other groups."""
    known = {_named(need) for need in groups["test"] if isinstance(need, str)}
    more = [need for need in dict.fromkeys(said.needs) if _named(need) not in known]
    if more:
        before = f"test = {toml.value(groups['test'])}"
        groups["test"] = [*groups["test"], *more]
        text = text.replace(f"\n{before}\n", f"\ntest = {toml.value(groups['test'])}\n", 1)
    theirs = said.tables.get("dependency-groups", {})
    both = sorted({*groups} & {*theirs} - {"test"})
    if both:
        notes.append(
            f"dependency-groups: yours and the template's are both called {', '.join(both)}"
        )
    new = {name: group for name, group in theirs.items() if name not in groups}
    groups |= new
    lines = "".join(f"{toml.key(name)} = {toml.value(group)}\n" for name, group in new.items())
    return text.replace(
        "\n[tool.setuptools.packages.find]", f"{lines}\n[tool.setuptools.packages.find]", 1
    )


def _tools(
    theirs: str, tables: dict[str, Any], wanted: dict[str, Any], notes: list[str]
) -> tuple[list[str], dict[str, Any]]:
    """Return the project's own tool tables, word for word where that goes, and their values."""
    parts, kept = [], {}
    for name, table in tables.get("tool", {}).items():
        # Its version comes from git here.
        if name in ("setuptools_scm", "setuptools-scm", "versioneer", "bumpversion"):
            continue
        if name in wanted["tool"]:
            notes.append(f"[tool.{name}]: the template's is there; what you want of yours, add")
            continue
        part = toml.cut(theirs, f"tool.{name}")
        if not toml.same(part, {"tool": {name: table}}):
            part = toml.table(f"tool.{toml.key(name)}", table)
        parts.append(part)
        kept[name] = table
    return parts, kept
