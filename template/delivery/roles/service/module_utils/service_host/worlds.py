"""A release lives in a world of its own: what it takes from the system's has a name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import Refused

# What would let Python, or the linker, look elsewhere.
LEAKS = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "LD_PRELOAD")
# Prints what a Python would import from besides its environment and its standard library.
LOOK = """
import os, sys, sysconfig
zipped = os.path.join(sys.base_prefix, sys.platlibdir, "python%d%d.zip" % sys.version_info[:2])
library = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
library |= {os.path.join(path, "lib-dynload") for path in library}
for path in filter(None, sys.path):
    if path not in library and path != zipped and not path.startswith(sys.prefix + os.sep):
        print(path)
"""
MISSING = re.compile(r"^\s+(\S+) => not found$")


def check(release: Path) -> None:
    """Refuse a release that takes modules from the system, or needs a library that is not there."""
    settings = (release / "pyvenv.cfg").read_text(encoding="utf-8")
    open_ = re.search(r"^include-system-site-packages\s*=\s*true", settings, re.M | re.I)
    if found := ["the system's site-packages"] * bool(open_) or outside(release):
        raise Refused(
            f"{release} would import from {', '.join(found)}, too: a release has all it imports in"
            " itself; look at its .pth files and at pyvenv.cfg."
        )
    if lost := libraries(release):
        name, module = next(iter(lost.items()))
        more = f" and {len(lost) - 1} more" if lost.keys() - {name} else ""
        raise Refused(
            f"{module} needs {name}{more}, which this host does not have: name the package that has"
            ' it in delivery.toml, like [system] packages = ["libpq5"].'
        )


def outside(release: Path) -> list[str]:
    """Return the places out of its own world that a release would import from."""
    python = str(release / "bin/python")
    told = subprocess.run(
        [python, "-c", LOOK],
        cwd=release,
        env={name: text for name, text in os.environ.items() if name not in LEAKS},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if told.returncode:
        raise Refused(f"{python} does not run: see the lines below.", told.stderr.splitlines())
    return told.stdout.splitlines()


def libraries(release: Path) -> dict[str, Path]:
    """Return the shared libraries that are nowhere, each with a module that needs it."""
    modules = sorted(path for path in release.rglob("*.so*") if path.is_file())
    ldd = shutil.which("ldd")
    if not modules or ldd is None:
        return {}
    told = subprocess.run(
        # With two it says which is which; the first file of all is named twice for that.
        [ldd, str(modules[0]), *map(str, modules)],
        env={"LC_ALL": "C", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ).stdout
    # What comes with the release may be loaded by it, in an order that ldd does not know.
    own, current = {path.name for path in modules}, modules[0]
    found: dict[str, Path] = {}
    for line in told.splitlines():
        if line.endswith(":") and not line[0].isspace():
            current = Path(line[:-1])
        elif (match := MISSING.match(line)) and match[1] not in own:
            found.setdefault(match[1], current.relative_to(release))
    return found


def packages(names: Sequence[str]) -> list[str]:
    """Return name and version of each of the system's packages, or refuse when one is missing.

    A host without dpkg has other names for them, and is not asked.
    """
    if shutil.which("dpkg-query") is None:
        return []
    told = {name: version(name) for name in names}
    if lost := [name for name, found in told.items() if not found]:
        raise Refused(
            f"The release needs {', '.join(lost)} of the system (delivery.toml, [system]), and this"
            f" host does not have it: apt-get install {' '.join(lost)}"
        )
    return [f"{name} {found}" for name, found in told.items()]


def version(name: str) -> str:
    """Return the version of a Debian package; nothing when it is not installed."""
    told = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\n", "--", name],
        env={"LC_ALL": "C", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    lines = (line.partition(" ") for line in told.splitlines())
    return next((found for status, _, found in lines if status == "installed"), "")
