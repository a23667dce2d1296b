"""The locks: exact versions of what ``pyproject.toml`` asks for, renewed by uv, compared here.

``prod.txt`` is what a release installs, by hash. ``dev.txt`` constrains every tox environment.
``tools.txt`` makes tox itself, by hash.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import DeliveryError, UsageError
from .sbom import pins
from .wheel import LOCK

DEV, TOOLS = "requirements/dev.txt", "requirements/tools.txt"
PLAIN = ("--no-header", "--no-annotate", "--no-emit-index-url")
TOOLS_GROUP = "tools"  # in [dependency-groups]: tox, and uv with it


def renew(
    root: Path, uv: str, python: tuple[int, int], options: list[str], cool_off: float = 0
) -> dict[str, list[str]]:
    """Make the locks anew, all or none; a pin that still fits stays, if ``options`` do not differ.

    Args:
        root: the project's top folder.
        uv: the program.
        python: the oldest Python they are for; they hold for every newer one and every system.
        options: more of ``uv pip compile``'s, like ``--upgrade``.
        cool_off: days that a release has to be old to be taken; 0: any.

    Returns:
        What changed in each file, a line each.

    Raises:
        UsageError: a package to be renewed is in no lock.
        DeliveryError: uv finds no versions that fit, or no index; what it said stands above.
    """
    groups = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    named = list(groups.get("dependency-groups", {}))
    wanted: dict[str, list[str]] = {LOCK: ["--generate-hashes", "pyproject.toml", *options]}
    if named:
        every = [f"--group={name}" for name in named]
        wanted[DEV] = [f"--constraints={LOCK}", *every, *options]
    if TOOLS_GROUP in named:
        wanted[TOOLS] = ["--generate-hashes", f"--constraints={DEV}", f"--group={TOOLS_GROUP}"]
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    if cool_off:
        env["UV_EXCLUDE_NEWER"] = (
            f"{datetime.now(UTC) - timedelta(days=cool_off):%Y-%m-%dT%H:%M:%SZ}"
        )
    compiles = [uv, "pip", "compile", "--quiet", "--universal", *PLAIN]
    compiles.append(f"--python-version={python[0]}.{python[1]}")
    before = {name: _read(root / name) for name in wanted}
    known = {name for text in before.values() for name in _versions(text or "")}
    for option in options:
        name = re.sub("[-_.]+", "-", option.partition("--upgrade-package=")[2].lower())
        if name and re.split("[^a-z0-9-]", name)[0] not in known:
            raise UsageError(f"{name} is in no lock, so nothing of it can be renewed")
    (root / LOCK).parent.mkdir(exist_ok=True)
    try:
        for name, arguments in wanted.items():
            command = [*compiles, f"--output-file={name}", *arguments]
            done = subprocess.run(
                command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            if done.returncode:
                waits = f" of releases {cool_off:g} days old" if cool_off else ""
                raise DeliveryError(
                    f"{name} cannot be made{waits}: what uv said stands above;"
                    " the locks are as they were"
                )
    except BaseException:
        for name, text in before.items():
            _write(root / name, text)
        raise
    return {name: changes(text or "", _read(root / name) or "") for name, text in before.items()}


def changes(before: str, after: str) -> list[str]:
    """Return how the pins of two locks differ, a line for each name.

    >>> changes("a==1\\nb==1\\n", "a==2\\nc==1\\n")
    ['a 1 -> 2', 'b 1 is gone', 'c 1 is new']
    """
    old, new = _versions(before), _versions(after)
    told = [
        f"{name} {old[name]} -> {new[name]}" for name in old.keys() & new if old[name] != new[name]
    ]
    told += [f"{name} {old[name]} is gone" for name in old.keys() - new]
    told += [f"{name} {new[name]} is new" for name in new.keys() - old]
    return sorted(told)


def _versions(lock: str) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for name, version, _, _ in pins(lock):
        found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8")
