"""Say before the first question when Copier, which renders the project, cannot be had."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COPIER_YML = Path(__file__).resolve().parents[1] / "copier.yml"


def minimum() -> str:
    """Read from copier.yml which Copier the template needs."""
    found = re.search(
        r'^_min_copier_version: "([\d.]+)"$', COPIER_YML.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found, f"no _min_copier_version in {COPIER_YML}"
    return found[1]


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _asked(*command: str) -> str:
    # Its complaints go to the person: uvx without a network says so itself.
    ask = [*command, "--version"]
    done = subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=False)
    return "" if done.returncode else done.stdout


def _ways() -> Iterator[tuple[list[str], str]]:
    with suppress(PackageNotFoundError):
        yield [sys.executable, "-m", "copier"], version("copier")
    if copier := shutil.which("copier"):
        yield [copier], _asked(copier)
    if uvx := shutil.which("uvx"):
        # With this Python: uvx might have to download one.
        command = [uvx, "--python", sys.executable, "--from", f"copier>={minimum()},<10", "copier"]
        yield command, _asked(*command)


def find_copier() -> list[str]:
    """Find a command that runs a Copier new enough: this Python's, PATH's, or uvx's.

    Exits with one sentence when there is none. What a command complains about is seen.
    """
    for command, said in _ways():
        if _version(said) >= _version(minimum()):
            return command
    sys.exit(
        f"Copier {minimum()} or newer renders this project, and there is none: get it with "
        "`uv tool install copier` or `pipx install copier`, then try again."
    )


if __name__ == "__main__":
    find_copier()
