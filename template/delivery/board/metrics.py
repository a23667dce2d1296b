"""The four figures of DORA (https://dora.dev), from the names of the ledger's files alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..ledger.event import EVERYWHERE
from ..ledger.listing import Entry

DEFINITION = {
    "change": "an artifact that went live in {place} for the first time, if that was in"
    " the last {days} days",
    "lead time": "from the end of its commit's first stage until it was live",
    "deployment frequency": "changes in a week; where the first one began later, since then",
    "change failure rate": "the part of them that, while live, was rolled back or revoked, or"
    " failed its stage; what failed before its cutover was never live",
    "time to restore": "from such a change going live until something else was live there, or it"
    " passed after all",
}


@dataclass(frozen=True)
class Change:
    """An artifact's first time in an environment.

    Attributes:
        sha256: the artifact's first digits.
        begun: when the pipeline first saw its commit.
        live: when it went live.
        failed: whether it turned out bad while it was live.
        restored: when something good was there again; None when nothing is, or it was good.
    """

    sha256: str
    begun: datetime
    live: datetime
    failed: bool = False
    restored: datetime | None = None


@dataclass(frozen=True)
class Spread:
    """Some durations: how many, and two of them, in seconds; None when there are none."""

    count: int
    median: float | None
    p90: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread:
        """Return the spread of durations; the p90 is that of the nearest rank."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, None, None)
        rank = math.ceil(0.9 * len(ordered))
        return cls(len(ordered), statistics.median(ordered), ordered[rank - 1])


@dataclass(frozen=True)
class Figures:
    """The four figures of some changes.

    Attributes:
        since: the beginning of the time they are from.
        until: its end.
        changes: how many there were.
        lead: their lead time.
        weekly: changes in a week.
        failed: how many of them failed.
        restore: the time to restore.
    """

    since: datetime
    until: datetime
    changes: int
    lead: Spread
    weekly: float
    failed: int
    restore: Spread

    @property
    def rate(self) -> float | None:
        """The change failure rate, from 0 to 1; None without a change."""
        return self.failed / self.changes if self.changes else None

    def told(self) -> dict[str, Any]:
        """Return the figures for JSON; durations are in seconds."""
        return {
            "since": self.since.isoformat(timespec="seconds"),
            "until": self.until.isoformat(timespec="seconds"),
            "changes": self.changes,
            "lead_time": vars(self.lead),
            "deployments_per_week": round(self.weekly, 3),
            "change_failure_rate": self.rate,
            "time_to_restore": vars(self.restore),
        }


def changes(names: Iterable[Entry], stage: str, goes_live: str = "deployed") -> list[Change]:
    """Return the changes of one stage, in the order in which they went live.

    Args:
        names: the names of all events, newest first.
        stage: the stage.
        goes_live: the event that makes an artifact live: without an environment, ``published``.
    """
    begun: dict[str, Entry] = {}
    there = []
    for entry in names:
        begun[entry.commit] = entry  # the last one to come is the first that happened
        if entry.stage in (stage, EVERYWHERE) and entry.sha256 != "none":
            there.append(entry)
    found: dict[str, Change] = {}
    live, bad = "", ""
    for entry in reversed(there):
        this = entry.sha256
        if entry.event == goes_live:
            if this not in found:
                found[this] = Change(this, begun[entry.commit].when, entry.when)
            if bad and this != bad:
                found[bad] = replace(found[bad], restored=entry.when)
                bad = ""
            live = this
        elif entry.event in ("rolled-back", "revoked", "failed") and this == live in found:
            found[this] = replace(found[this], failed=True)
            bad = this
        elif entry.event == "passed" and this == bad:
            found[bad] = replace(found[bad], restored=entry.when)
            bad = ""
    return list(found.values())


def figures(found: Iterable[Change], since: datetime, until: datetime) -> Figures:
    """Return the four figures of the changes that went live between two moments."""
    week, found = timedelta(weeks=1), list(found)
    these = [change for change in found if since <= change.live < until]
    first = min([until - week, *(change.begun for change in found)])
    bad = [change for change in these if change.failed]
    return Figures(
        since,
        until,
        len(these),
        Spread.of((change.live - change.begun).total_seconds() for change in these),
        len(these) / ((until - max(since, first)) / week),
        len(bad),
        Spread.of((c.restored - c.live).total_seconds() for c in bad if c.restored),
    )


def weeks(found: list[Change], until: datetime, count: int) -> list[Figures]:
    """Return the figures of each of the last ``count`` weeks, the oldest first."""
    week = timedelta(weeks=1)
    return [
        figures(found, until - (n + 1) * week, until - n * week) for n in reversed(range(count))
    ]


def definition(place: str, days: int) -> dict[str, str]:
    """Return what is counted, and how, in words."""
    return {term: said.format(place=place, days=days) for term, said in DEFINITION.items()}
