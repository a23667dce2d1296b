"""One rollout at a time: while it goes on, its first host keeps a note that turns others away.

A lease as in C. Gray, D. Cheriton: Leases (SOSP 1989): what its holder does not give back lapses.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import Busy
from .files import read, read_json, write_json
from .layout import Layout
from .lock import held

BOOT = Path("/proc/sys/kernel/random/boot_id")
# Whoever may take the place of everybody.
ANYBODY = "*"


@dataclass
class Attempt:
    """A rollout: its name, nothing for what is none; and whose place it may take, and has taken."""

    name: str | None
    over: str | None = None
    said: dict[str, str] = field(default_factory=dict)

    def admit(self, layout: Layout) -> None:
        """Let it go on, in the place of another one if it may.

        Raises:
            Busy: another rollout has the hosts.
        """
        note = standing(layout)
        if note is None or note["attempt"] == self.name:
            return
        who = f"{note['who']} with version {note['version']}, since {note['since']}"
        if self.over in (note["attempt"], ANYBODY):
            self.said["taken_over"] = who
            return
        minutes = f"{left(note) / 60:.0f} min"
        raise Busy(
            f"The hosts of this service are being rolled out to by {who}: wait until that has"
            f" ended, or end it; if nobody is at it any more, it lapses in {minutes}.",
            note["attempt"],
        )


def take(layout: Layout, attempt: Attempt, who: str, version: str, seconds: float) -> None:
    """Claim the hosts for so many seconds, while the lock is held."""
    attempt.admit(layout)
    note = {
        "attempt": attempt.name,
        "who": who,
        "version": version,
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        # The clock on the wall may be set meanwhile; this one runs on until the next boot.
        "boot": read(BOOT),
        "until": time.monotonic() + seconds,
        "seconds": seconds,
    }
    write_json(layout.claim, note)


def keep(layout: Layout, attempt: Attempt, who: str, version: str, seconds: float) -> None:
    """Claim the hosts for so many seconds more, if nobody has taken its place meanwhile."""
    attempt.admit(layout)
    if (read_json(layout.claim) or {}).get("attempt") != attempt.name:
        raise Busy(
            "Another rollout has taken the place of this one on the hosts, and has ended: see what"
            " is live there now, then deploy again."
        )
    take(layout, attempt, who, version, seconds)


def give_back(layout: Layout, attempt: Attempt) -> None:
    """End the claim of an attempt, if it still has one; where it had nothing, leave nothing."""
    if (read_json(layout.claim) or {}).get("attempt") == attempt.name:
        layout.claim.unlink(missing_ok=True)
        if [*layout.root.iterdir()] == [layout.lock]:
            with contextlib.suppress(Busy, OSError), held(layout.lock, "", None):
                layout.lock.unlink()
                layout.root.rmdir()


def standing(layout: Layout) -> dict[str, Any] | None:
    """Return the note of the rollout that has the hosts, None when there is none."""
    note = read_json(layout.claim)
    # A note that says nothing keeps nobody away.
    with contextlib.suppress(KeyError, TypeError, ValueError):
        if note and note["boot"] == read(BOOT) and 0 < left(note) <= note["seconds"]:
            return note
    return None


def left(note: dict[str, Any]) -> float:
    """Return for how many seconds a claim still holds."""
    return float(note["until"]) - time.monotonic()
