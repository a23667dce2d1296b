"""What a person sees: one line a stage, the environments, the log."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

WIDTH = 12


class Line:
    """One stage's line; on a terminal its seconds run.

    Args:
        name: the stage.
        budget: what it may take, in seconds.
    """

    def __init__(self, name: str, budget: float) -> None:
        self.name, self.budget, self.live = name, budget, sys.stdout.isatty()

    def tick(self, seconds: float) -> None:
        """Show how long the stage has been running."""
        if self.live:
            print(f"\r{self._text('…', seconds)}", end="", flush=True)

    def end(self, verdict: str, seconds: float, note: str = "") -> None:
        """Show the verdict; a stage over its budget is marked."""
        over = "over budget" if seconds > self.budget else ""
        rest = "  ".join(text for text in (over, note) if text)
        print(
            f"{chr(13) if self.live else ''}{self._text(verdict, seconds)}  {rest}".rstrip(),
            flush=True,
        )

    def _text(self, verdict: str, seconds: float) -> str:
        return f"  {self.name:<{WIDTH}} {verdict:<7} {seconds:6.1f} s of {self.budget:3g} s"


def title(name: str, commit: str, subject: str) -> str:
    """Return the heading of a walk."""
    return f"{name}, commit {commit[:9]}: {subject}"


def ago(at: str) -> str:
    """Return how long ago an ISO 8601 time was, in the largest fitting unit.

    >>> ago("2000-01-01T00:00:00+00:00").endswith("days ago")
    True
    """
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} seconds ago" if seconds >= 5 else "just now"


def who(by: str) -> str:
    """Return a person's name without their address.

    >>> who("Ada Lovelace <ada@example.org>"), who("ada@host")
    ('Ada Lovelace', 'ada@host')
    """
    return by.partition(" <")[0]
