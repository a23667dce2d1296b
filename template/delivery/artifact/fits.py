"""Whether the locks still fit ``pyproject.toml``; nobody outside is asked.

It needs ``packaging``, so it runs in the environment of the stage that asks: security.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement

from ..errors import DeliveryError
from .lock import DEV, TOOLS, TOOLS_GROUP
from .sbom import pins
from .wheel import LOCK, normalized

Pins = dict[str, list[tuple[str, str]]]  # version and marker of each line, by name


def check(root: Path) -> None:
    """See that every requirement of ``pyproject.toml`` is met by the locks.

    Raises:
        DeliveryError: one is not; the text names its line, and the cure.
    """
    wrong = misfits(root)
    if wrong:
        raise DeliveryError(
            "the locks do not fit pyproject.toml: python3 -m delivery lock"
            + "".join(f"\n  {line}" for line in wrong)
        )
    print("the locks fit pyproject.toml")


def misfits(root: Path) -> list[str]:
    """Return each requirement that a lock does not meet, with its line and what the lock has."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    locks: dict[str, Pins] = {}
    wrong = []
    for wanted, lock in _requirements(tomllib.loads(text)):
        if lock not in locks:
            locks[lock] = _pins(root / lock)
        problem = _problem(wanted, locks[lock])
        if problem:
            wrong.append(f"pyproject.toml{_line(text, wanted)}: {wanted}, and {lock} {problem}")
    return wrong


def _requirements(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each requirement, and the lock that has to meet it."""
    yield from ((wanted, LOCK) for wanted in table.get("project", {}).get("dependencies", ()))
    yield from ((wanted, DEV) for wanted in table.get("build-system", {}).get("requires", ()))
    for group, entries in table.get("dependency-groups", {}).items():
        for wanted in (entry for entry in entries if isinstance(entry, str)):
            yield wanted, DEV
            if group == TOOLS_GROUP:
                yield wanted, TOOLS


def _pins(path: Path) -> Pins:
    found: Pins = {}
    if path.is_file():
        for name, version, marker, _ in pins(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append((version, marker))
    return found


def _problem(wanted: str, lock: Pins) -> str | None:
    try:
        requirement = Requirement(wanted)
    except InvalidRequirement as error:
        return f"cannot say: {str(error).splitlines()[0]}"
    if requirement.marker and not requirement.marker.evaluate():
        return None  # it is for another machine than this one
    there = lock.get(normalized(requirement.name))
    if there is None:
        return "has none"
    if requirement.marker:  # of several lines, those for this machine
        there = [pin for pin in there if not pin[1] or Marker(pin[1]).evaluate()]
    bad = [version for version, _ in there if not requirement.specifier.contains(version, True)]
    return f"has {' and '.join(bad)}" if bad else None


def _line(text: str, wanted: str) -> str:
    lines = enumerate(text.splitlines(), 1)
    found = [number for number, line in lines if f'"{wanted}"' in line or f"'{wanted}'" in line]
    return f" line {found[0]}" if found else ""
