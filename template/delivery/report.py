"""How times and people are told to a person."""

from __future__ import annotations

from datetime import UTC, datetime


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
