"""The names of the ledger's files, newest first: most questions are answered by them alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from .objects import AT_ONCE, Objects

DIGITS = {"year": r"\d{4}", "month": r"\d\d", "day": r"\d\d", "hour": r"\d\d"}
# What event.PATH says of a name, with the mode before and the hash behind it as a tree has them.
FILE = (
    r"\d+ (?:(\d{{10}}(?:\d\d)?)\.([a-z0-9-]+)\.([a-z-]+)\.([0-9a-f]{{12}})\.([0-9a-f]{{12}}|none)"
    r"\.[0-9a-f]{{8}}\.json|[^\0]+)\0(.{{{size}}})"
)


class Entry(NamedTuple):
    """What the name of an event's file tells, and the file's hash.

    Attributes:
        day: when it happened, in UTC: ``YYYY/MM/DD``.
        time: and ``HHMMSS`` with six digits more, the microseconds.
        stage: the stage it happened in.
        event: what happened.
        commit: the first twelve digits of the commit.
        sha256: those of the artifact, or ``none``.
        raw: the file's hash, a letter a byte.
    """

    day: str
    time: str
    stage: str
    event: str
    commit: str
    sha256: str
    raw: str

    @property
    def oid(self) -> str:
        """The file's hash, in hexadecimal."""
        return self.raw.encode("latin-1").hex()

    @property
    def when(self) -> datetime:
        """When it happened."""
        return datetime.strptime(self.day + self.time, "%Y/%m/%d%H%M%S%f").replace(tzinfo=UTC)


class Listing:
    """The names in the ledger's tree.

    Args:
        objects: where trees are read from.
        root: the hash of the tree.
        known: trees that were read before, by their hash; it is added to.
    """

    def __init__(self, objects: Objects, root: str, known: dict[str, bytes]) -> None:
        self._objects, self._root, self._known = objects, root, known

    def newest_first(
        self, *, event: Iterable[str], stage: str | None = None, about: Collection[str] = ()
    ) -> Iterator[Entry]:
        """Yield the entries of these kinds, newest first.

        Args:
            event: these kinds of event.
            stage: only those of this stage.
            about: only those about a commit or a sha256 that begins with these twelve digits.
        """
        kinds, bytes_about = set(event), [digits.encode() for digits in about]
        for day, hour, names in self._hours():
            # Most days have nothing about one commit, and to see that takes no parsing.
            if about and not any(digits in names for digits in bytes_about):
                continue
            if stage and f".{stage}.".encode() not in names:
                continue
            for found in reversed(self._file.findall(names.decode("latin-1"))):
                if (
                    found[2] in kinds
                    and (stage is None or found[1] == stage)
                    and (not about or found[3] in about or found[4] in about)
                ):
                    yield Entry(day, hour + found[0], *found[1:])

    @cached_property
    def _file(self) -> re.Pattern[str]:
        return re.compile(FILE.format(size=len(self._root) // 2), re.DOTALL)

    def _hours(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield day, hour and tree, newest first; one by one at first, then more at once."""
        waiting, at_once = self._dates(), 1
        while hours := list(islice(waiting, at_once)):
            at_once = min(at_once * 4, AT_ONCE)
            trees = self._trees([oid for _, _, oid in hours])
            yield from ((day, hour, tree) for (day, hour, _), tree in zip(hours, trees))

    def _dates(self) -> Iterator[tuple[str, str, str]]:
        for year, in_year in self._folders(self._root, "year"):
            for month, in_month in self._folders(in_year, "month"):
                for day, in_day in self._folders(in_month, "day"):
                    for hour, oid in self._folders(in_day, "hour"):
                        yield f"{year}/{month}/{day}", hour, oid
                    # The first ledgers had no folders of hours, and their events lie here.
                    yield f"{year}/{month}/{day}", "", in_day

    def _folders(self, oid: str, kind: str) -> list[tuple[str, str]]:
        """Return the folders in a tree that are named by a part of a date, last first."""
        (body,) = self._trees([oid])
        size = len(oid) // 2
        every = re.findall(rf"(\d+) ([^\0]+)\0(.{{{size}}})", body.decode("latin-1"), re.DOTALL)
        return [
            (name, raw.encode("latin-1").hex())
            for mode, name, raw in reversed(every)
            if mode == "40000" and re.fullmatch(DIGITS[kind], name)
        ]

    def _trees(self, oids: list[str]) -> list[bytes]:
        unknown = [oid for oid in oids if oid not in self._known]
        for oid, found in zip(unknown, self._objects.read(unknown)):
            self._known[oid] = found.body if found else b""
        return [self._known[oid] for oid in oids]
