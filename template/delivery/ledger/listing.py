"""The names of the ledger's files, newest first: most questions are answered by them alone."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
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


Hour = tuple[str, str, bytes]  # the day, the hour, and its tree as git has it


class Listing:
    """The names in the ledger's tree.

    Args:
        objects: where trees are read from.
        root: the hash of the tree.
        known: trees that were read before, by their hash; it is added to.
        kept: a folder that keeps the names of months that are over, so that they are read at once;
            None: there is none. What is damaged there, missing or of another tree is made anew.
    """

    def __init__(
        self, objects: Objects, root: str, known: dict[str, bytes], kept: Path | None = None
    ) -> None:
        self._objects, self._root, self._known, self._kept = objects, root, known, kept

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
        bytes_stage = f".{stage}.".encode() if stage else b""

        def may_be_in(names: bytes) -> bool:
            # Most days have nothing about one commit, and to see that takes no parsing.
            return bytes_stage in names and (
                not about or any(digits in names for digits in bytes_about)
            )

        for day, hour, names in self._hours(may_be_in):
            if not may_be_in(names):
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

    def _hours(self, wanted: Callable[[bytes], bool]) -> Iterator[Hour]:
        """Yield the hours, newest first; of a month that is kept only if its names are wanted."""
        at_once = 1  # one by one at first: the newest is mostly what is asked for
        for year, in_year in self._folders(self._root, "year"):
            for month, oid in self._folders(in_year, "month"):
                if self._kept is None or at_once == 1:
                    yield from self._within(f"{year}/{month}", oid, at_once)
                elif wanted(names := self._whole(self._kept, f"{year}/{month}", oid)):
                    yield from _apart(names)
                at_once = AT_ONCE

    def _within(self, month: str, oid: str, at_once: int) -> Iterator[Hour]:
        waiting = self._dates(month, oid)
        while hours := list(islice(waiting, at_once)):
            at_once = min(at_once * 4, AT_ONCE)
            trees = self._trees([oid for _, _, oid in hours])
            yield from ((day, hour, tree) for (day, hour, _), tree in zip(hours, trees))

    def _dates(self, month: str, in_month: str) -> Iterator[tuple[str, str, str]]:
        for day, in_day in self._folders(in_month, "day"):
            for hour, oid in self._folders(in_day, "hour"):
                yield f"{month}/{day}", hour, oid
            # The first ledgers had no folders of hours, and their events lie here.
            yield f"{month}/{day}", "", in_day

    def _whole(self, kept: Path, month: str, oid: str) -> bytes:
        """Return the hours of a month as one; see `_apart`."""
        key = f"all of {oid}"
        if key not in self._known:
            place = kept / month.replace("/", "-")
            names = _kept(place, oid)
            if names is None:
                names = b"".join(
                    f"{day} {hour} {len(tree)}\n".encode() + tree
                    for day, hour, tree in self._within(month, oid, AT_ONCE)
                )
                _keep(place, oid, names)
            self._known[key] = names
        return self._known[key]

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


def _apart(names: bytes) -> Iterator[Hour]:
    start = 0
    while start < len(names):
        end = names.index(b"\n", start)
        day, hour, size = names[start:end].decode().split(" ")
        start = end + 1 + int(size)
        yield day, hour, names[end + 1 : start]


def _kept(place: Path, oid: str) -> bytes | None:
    """Return the names of a month's tree as they were kept; None when they are not, or damaged."""
    with suppress(OSError):
        head, _, names = place.read_bytes().partition(b"\n")
        if head == _head(oid, names):
            return names
    return None


def _keep(place: Path, oid: str, names: bytes) -> None:
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    with suppress(OSError):  # it would only have been quicker
        place.parent.mkdir(exist_ok=True)
        try:
            part.write_bytes(_head(oid, names) + b"\n" + names)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)


def _head(oid: str, names: bytes) -> bytes:
    return f"{oid} {zlib.crc32(names)}".encode()
