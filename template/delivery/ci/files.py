"""Write the CI files, or compare them with what ``delivery.toml`` says.

Each system is a module of this package, there when it was chosen: ``COMMENT`` is how a comment
begins in its files, ``files(plan)`` returns the text of each by its path from the project's top,
and ``KEEP``, if it has that, matches what stays as a file has it: group 1 tells what it is about.
That text stands between two marks. What a person writes above or below them is theirs: it is
neither compared nor written over. A file that a system has no use for any more is not removed.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from ..config import Config
from ..errors import UsageError
from .plan import Plan, plan

SYSTEMS = ("github", "gitlab", "jenkins", "buildbot")
Renderer = Callable[[Plan], dict[str, str]]
BEGIN = ">>> from delivery.toml, by: python3 -m delivery ci --write"
END = "<<< what stands below, or above the other mark, is yours"


def write(config: Config) -> list[str]:
    """Render every CI file anew between its marks; return the paths of those that changed.

    Raises:
        UsageError: a file has no two marks.
    """
    changed = [(path, new) for path, old, new in _compared(config) if old != new]
    for path, new in changed:
        _write(config.root / path, new)
    return [path for path, _ in changed]


def differences(config: Config) -> list[str]:
    """Return the lines of a unified diff from what the CI files say to what they should say.

    Raises:
        UsageError: a file has no two marks.
    """
    return [
        line
        for path, old, new in _compared(config)
        for line in difflib.unified_diff(
            (old or "").splitlines(), new.splitlines(), path, f"{path} (delivery.toml)", lineterm=""
        )
    ]


def differing(config: Config) -> list[str]:
    """Return the paths of the CI files that say something else than they should.

    Raises:
        UsageError: a file has no two marks.
    """
    return [path for path, old, new in _compared(config) if old != new]


def rendered(config: Config) -> dict[str, str]:
    """Return each CI file as it is with nothing of a person's own, by its path."""
    made = plan(config)
    return {
        path: _between(comment, text)
        for comment, files, _ in _systems()
        for path, text in files(made).items()
    }


def _systems() -> Iterator[tuple[str, Renderer, re.Pattern[str] | None]]:
    """Yield how comments begin, what renders the files, and what stays, of each chosen system."""
    for name in SYSTEMS:
        if find_spec(f"{__package__}.{name}"):
            module = importlib.import_module(f"{__package__}.{name}")
            yield module.COMMENT, module.files, getattr(module, "KEEP", None)


def _between(comment: str, text: str) -> str:
    return f"{comment} {BEGIN}\n{text}{comment} {END}\n"


def _compared(config: Config) -> Iterator[tuple[str, str | None, str]]:
    """Yield each file's path, what it is, and what it should be."""
    made = plan(config)
    for comment, files, keep in _systems():
        for path, text in files(made).items():
            place, new = config.root / path, _between(comment, text)
            old = place.read_text(encoding="utf-8") if place.exists() else None
            if old is not None:
                new = _merged(path, old, _kept(keep, old, new) if keep else new)
            yield path, old, new


def _kept(keep: re.Pattern[str], old: str, new: str) -> str:
    """Return ``new`` with what ``keep`` matches as ``old`` has it."""
    there = {found[1]: found[0] for found in keep.finditer(old)}
    return keep.sub(lambda found: there.get(found[1], found[0]), new)


def _merged(path: str, old: str, new: str) -> str:
    """Return ``old`` with what is between its marks, and the marks, replaced by ``new``."""
    marks = [
        [found.span() for found in re.finditer(rf"^\S+ {re.escape(mark)}\n", old, re.MULTILINE)]
        for mark in (BEGIN, END)
    ]
    if [len(found) for found in marks] != [1, 1] or marks[0][0] > marks[1][0]:
        raise UsageError(
            f"{path} has not the two lines between which delivery.toml is rendered: move what you"
            " wrote there elsewhere, remove the file, and: python3 -m delivery ci --write"
        )
    return old[: marks[0][0][0]] + new + old[marks[1][0][1] :]


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".", suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, mode)
    os.replace(name, place)
