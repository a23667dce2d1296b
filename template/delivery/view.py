"""How answers reach a person or a script: streams, colours, width, times, people."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from .errors import DeliveryError

# For a terminal that cannot show them.
PLAIN = dict(zip("✓✗●·…↩⊘→≠", ("+", "x", "*", ".", "...", "<", "-", "->", "#")))
COLOURS = {"green": 32, "red": 31, "amber": 33, "blue": 34, "faint": 2, "bold": 1}


def settle() -> None:
    """Make the standard streams bear whatever is printed: closed ones, and those of LANG=C."""
    codecs.register_error("plain", _plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, open to the end
            setattr(sys, name, nowhere)
        else:
            # Git and file systems may hold bytes that are no UTF-8, which come as lone surrogates.
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


def show(text: str) -> None:
    """Print ``text``; that nobody reads on (``| head``) is no error.

    Raises:
        DeliveryError: it cannot be written, for the disk is full, say.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # What is still in the buffer would be an error once more, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise DeliveryError(f"the answer cannot be written: {error.strerror}") from None


def show_json(value: Any) -> None:
    """Print a value as JSON, for scripts."""
    show(json.dumps(value, indent=2))


def coloured(stream: TextIO) -> bool:
    """Return whether colours are wanted: on a terminal, unless ``NO_COLOR`` is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *colours: str) -> str:
    """Return ``text`` in these colours, if standard output has them."""
    if not text or not coloured(sys.stdout):
        return text
    return f"\x1b[{';'.join(str(COLOURS[name]) for name in colours)}m{text}\x1b[0m"


def width() -> int | None:
    """Return how many columns there are; None when nobody says: a pipe takes whole lines."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def cut(text: str, size: int) -> str:
    """Return ``text`` in at most ``size`` columns.

    >>> cut("production", 6), cut("unit", 6)
    ('produ…', 'unit')
    """
    return text if len(text) <= size else text[: max(size - 1, 0)] + "…"


def line(text: str) -> str:
    """Return ``text`` as one line that can do nothing to a terminal.

    >>> line("a\\nb\\x1b[2J")
    'a b�[2J'
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def moment(at: str) -> str:
    """Return an ISO 8601 time in the reader's zone, to the minute."""
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")


def took(seconds: float) -> str:
    """Return a duration in the two largest fitting units.

    >>> took(2.64), took(75), took(7260), took(200_000)
    ('2.6 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = int(seconds)
    said: list[str] = []
    for unit, size in units:
        if left >= size or said:
            said.append(f"{left // size} {unit}" if left // size else "")
            left %= size
    return " ".join(text for text in said[:2] if text)


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "commit"), count(0, "commit")
    ('1 commit', '0 commits')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Return rows of equal length as lines, with columns as wide as they have to be."""
    sizes = [max(map(len, column)) for column in zip(*rows)]
    return [gap.join(f"{c:<{n}}" for c, n in zip(row, sizes)).rstrip() for row in rows]


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
