"""A rollback by the host itself: this code, and what it was told last, in one file.

A person calls it where there is no controller; Ansible does, for that is quicker than a module.
"""

from __future__ import annotations

import getpass
import importlib.resources
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .claim import ANYBODY
from .files import write_bytes

USAGE = "usage: {0} [VERSION]\n\nMake the release before the live one live again, or VERSION.\n"
# For a shell; Python looks for the archive at the end of the file.
HEAD = b'#!/bin/sh\nexec "$(dirname "$0")/tools/current/bin/python" -I "$0" "$@"\n'
MAIN = "from service_host import api, byhand\n\nbyhand.main(api.answer)\n"
# What belongs to one deploy, or is nobody's to read.
OF_A_DEPLOY = frozenset(
    "state version sha256 commit wheel requirements python packages migrate by left".split()
    + "attempt over".split()
    + "environment certificate certificate_key".split()
)


def packed(parameters: Mapping[str, Any]) -> bytes:
    """Return the file: the same code and the same parameters give the same bytes."""
    kept = {name: value for name, value in parameters.items() if name not in OF_A_DEPLOY}
    texts = {"__main__.py": MAIN, "parameters.json": json.dumps(kept, indent=1, sort_keys=True)}
    for source in importlib.resources.files(str(__package__)).iterdir():
        if source.name.endswith(".py"):
            texts[f"service_host/{source.name}"] = source.read_text(encoding="utf-8")
    stream = io.BytesIO()
    stream.write(HEAD)
    # Not compressed: what that gives differs from one build of Python to the next.
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in sorted(texts.items()):
            archive.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


def missing(root: Path, parameters: Mapping[str, Any]) -> list[str]:
    """Return the name of the file if it is not as it should be."""
    path = root / "rollback"
    there = path.is_file() and path.read_bytes() == packed(parameters)
    return [] if there else [path.name]


def leave(root: Path, parameters: Mapping[str, Any]) -> list[str]:
    """Leave the file on the host; return its name if that changed anything."""
    changed = missing(root, parameters)
    for name in changed:
        write_bytes(root / name, packed(parameters), 0o755)
    return changed


class Person:
    """Takes the place of Ansible."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params, self.check_mode = params, False

    def exit_json(self, **result: Any) -> None:
        """Say what is live now."""
        again = "is live again" if result["changed"] else "was live already"
        print(f"{self.params['name']} {result['version']} {again}: {result['url']}")
        for warning in result.get("warnings", ()):
            print(warning, file=sys.stderr)

    def fail_json(self, msg: str, **result: Any) -> None:
        """Say why it failed, and end so."""
        sys.exit(msg)


class Controller(Person):
    """Is told all that a module tells, as the last line."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.check_mode = params.pop("check")

    def exit_json(self, **result: Any) -> None:
        """Give back a result."""
        print(json.dumps(result))

    def fail_json(self, msg: str, **result: Any) -> None:
        """Give back a failure."""
        print(json.dumps({"failed": True, "msg": msg, **result}))
        sys.exit(1)


def main(answer: Callable[[Person], None]) -> None:
    """Do what the command line asks for."""
    script, *words = sys.argv
    machine = len(words) == 2 and words[0] == "--json"
    if len(words) > 1 and not machine or words[:1] in (["-h"], ["--help"]):
        sys.exit(USAGE.format(script))
    with zipfile.ZipFile(script) as archive:
        kept = json.loads(archive.read("parameters.json"))
    nothing = dict.fromkeys(OF_A_DEPLOY) | {"environment": "{}", "migrate": False}
    person = {
        "version": words[0] if words else None,
        "by": os.environ.get("SUDO_USER") or getpass.getuser(),
        # Who is here by hand knows why.
        "over": ANYBODY,
    }
    asked = json.loads(words[1]) if machine else person
    told = {**kept, **nothing, "state": "previous", **asked}
    answer(Controller(told) if machine else Person(told))
