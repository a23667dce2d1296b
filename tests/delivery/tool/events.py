"""Events to write, and clones to write them in."""

from __future__ import annotations

import subprocess

from delivery.git import Git
from delivery.ledger.event import Event, now

from .conftest import Toy

COMMIT = "c" * 40
SHA256 = "a" * 64


def an_event(**more: object) -> Event:
    told = {"commit": COMMIT, "at": now(), "by": "Ada", "via": "test", **more}
    return Event("passed", "unit", **told)  # type: ignore[arg-type]  # fields by name


def clones(toy: Toy, count: int) -> list[Git]:
    """Return clones of the project that share one bare remote."""
    bare = toy.root.parent / "bare.git"
    toy.git("clone", "--quiet", "--bare", str(toy.root), str(bare))
    subprocess.run(["git", "-C", bare, "config", "receive.denyNonFastForwards", "true"], check=True)
    made = [toy.root.parent / f"clone{number}" for number in range(count)]
    for path in made:
        toy.git("clone", "--quiet", str(bare), str(path))
    return [Git(path) for path in made]
