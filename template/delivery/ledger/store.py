"""The ledger: one immutable file per event on a git ref of its own.

It needs no server and works in shallow clones. Appending is one fast-forward of
``refs/delivery/ledger``; who loses a race appends again on top of the winner.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

from ..errors import UsageError
from ..git import Git
from . import carried
from .chain import REF, SKEW, Chain, no_ledger
from .event import EVENTS, Event, login
from .listing import Entry, Listing
from .objects import Object, Objects

DATED = re.compile(rb"40000 \d{4}\0")  # in a tree of git's: a folder named by a year


class Ledger:
    """The events of one repository.

    Args:
        git: the repository.
        remote: the remote the ledger is shared through; empty: it is not shared.
        push: whether it is pushed there; if not, what is appended is carried on as files, too.
        tested: the stages whose events may come in as such files, see `carried`.
    """

    def __init__(
        self, git: Git, remote: str = "", push: bool = True, tested: Collection[str] = ()
    ) -> None:
        self.git, self.remote, self.push, self.tested = git, remote, push, tested
        self.chain = Chain(git, remote, push)
        self._objects: Objects | None = None
        self._kept: Path | None = None
        # What was read, by its hash, so that it is read and understood once.
        self._trees: dict[str, bytes] = {}
        self._events: dict[str, Event | None] = {}
        self._pasts: dict[tuple[str, str], list[Event]] = {}
        if remote and not git.ok("remote", "get-url", remote):
            raise UsageError(
                f"delivery.toml [ledger]: there is no git remote {remote!r}: git remote add"
            )

    def append(self, event: Event) -> Event:
        """Write ``event`` on the ref, share it when there is a remote, and return it as written.

        Raises:
            UsageError: this machine's clock is far behind the newest event; nothing is written.
            DeliveryError: the ref kept changing, or the remote does not take it; the event is then
                on the local ref and is shared by the next append or ``sync``.
        """
        written, made_of = event, dict[str, bytes]()

        def files(tip: str | None) -> dict[str, bytes]:
            nonlocal written, made_of
            if not event.envelope:  # what is signed cannot be told another time
                written = replace(event, at=self._after(tip, event))
            made_of = {written.path(): written.body().encode()}
            return made_of

        by = self._by()
        made = self.chain.add(files, f"{event.stage} {event.event}", by)
        if not self.push:
            carried.keep(self.git.root, made_of)
        self.chain.share(by, made)
        return written

    def sync(self) -> None:
        """Bring the local ledger and the remote's together, and what was carried here.

        Raises:
            DeliveryError: the remote cannot be reached, does not take the ledger, or has rewritten
                it.
        """
        by = self._by()
        carried.take_in(self.chain, self.tested, by)
        self.chain.share(by)

    def after(self, event: Event) -> str:
        """Return when ``event`` is to be said to happen: as it says, but after all that is known.

        Raises:
            UsageError: this machine's clock is far behind the newest event.
        """
        return self._after(self.chain.tip(), event)

    def _after(self, tip: str | None, event: Event) -> str:
        newest = self.chain.ahead(tip, event.path()) if tip else None
        if newest is None:
            return event.at
        if (newest - event.when).total_seconds() > float(os.environ.get("DELIVERY_SKEW", SKEW)):
            raise UsageError(
                f"this machine's clock says {event.when:%Y-%m-%d %H:%M:%S}, but the ledger has an"
                f" event of {newest:%Y-%m-%d %H:%M:%S} (UTC): set the clock; if it is right, write"
                " after that event all the same by DELIVERY_SKEW=SECONDS"
            )
        return (newest + timedelta(microseconds=1)).isoformat(timespec="microseconds")

    def _by(self) -> str:
        return self.git.identity() or login()

    @contextmanager
    def held(self, kept: Path | None = None) -> Iterator[Ledger]:
        """Yield this ledger for questions: one git process answers all of them.

        Args:
            kept: a folder that may keep the names of months that are over (see `Listing`), for who
                only wants to know; what decides reads the ledger itself.
        """
        if self._objects:
            yield self
            return
        with Objects(self.git) as objects:
            held = copy.copy(self)
            held._objects, held._kept, held._pasts = objects, kept, {}
            yield held

    def events(
        self,
        *,
        event: Iterable[str] = EVENTS,
        stage: str | None = None,
        about: str | None = None,
        newest: int | None = None,
    ) -> list[Event]:
        """Return events, oldest first.

        Args:
            event: only these kinds.
            stage: only those of this stage.
            about: only those about this commit or this sha256 (a full hash).
            newest: only so many, the newest ones.

        Returns:
            The events; a file that is no event of a form known here is left out.
        """
        with self.held() as held:
            names = held.names(event=event, stage=stage, about=(about[:12],) if about else ())
            found = (e for e in held.read(names) if about is None or about in (e.commit, e.sha256))
            return list(islice(found, newest))[::-1]

    def past(self, commit: str) -> list[Event]:
        """Return what happened to a commit, by its full hash, and to its artifact, oldest first."""
        with self.held() as held:
            key = (held._root() or "", commit)
            if key not in self._pasts:
                self._pasts[key] = held.events(about=commit)
            return self._pasts[key]

    def names(
        self,
        *,
        event: Iterable[str] = EVENTS,
        stage: str | None = None,
        about: Collection[str] = (),
    ) -> Iterator[Entry]:
        """Yield what the names of the events' files tell, newest first; the ledger has to be held.

        Args:
            event: only these kinds.
            stage: only those of this stage.
            about: only those about a commit or a sha256 that begins with these twelve digits.
        """
        assert self._objects
        root = self._root()
        if root is None:
            return iter(())
        listing = Listing(self._objects, root, self._trees, self._kept)
        return listing.newest_first(event=event, stage=stage, about=about)

    def _root(self) -> str | None:
        """Return the hash of the newest tree; None when nothing has been appended yet."""
        assert self._objects
        tip = self._objects.one(REF)
        if tip is None:
            return None
        root = tip.body.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        if root not in self._trees:
            tree = self._objects.one(root) if tip.kind == "commit" else None
            if tree is None or not DATED.search(tree.body):
                raise UsageError(no_ledger(REF))
            self._trees[root] = tree.body
        return root

    def read(self, names: Iterable[Entry]) -> Iterator[Event]:
        """Yield the events of these files, in the same order; the ledger has to be held."""
        assert self._objects
        waiting, at_once = iter(names), 1
        while entries := list(islice(waiting, at_once)):
            at_once = min(at_once * 4, 1000)
            oids = [entry.oid for entry in entries]
            new = [oid for oid in oids if oid not in self._events]
            for oid, found in zip(new, self._objects.read(new)):
                self._events[oid] = Event.parse(found.body) if found else None
            yield from (event for oid in oids if (event := self._events[oid]))

    def marked(self) -> Iterator[Event]:
        """Yield what was forced, rolled back or revoked, newest first; it has to be held."""
        assert self._objects
        undone = ("rolled-back", "revoked")
        entries = list(self.names(event=("deployed", "failed", *undone)))
        for entry, found in zip(entries, self._objects.read(entry.oid for entry in entries)):
            # Names do not tell what was forced, and few bodies do: most need no parsing.
            if found and (entry.event in undone or b'"forced"' in found.body):
                event = Event.parse(found.body)
                if event and (entry.event in undone or event.forced):
                    yield event

    def object(self, name: str) -> Object | None:
        """Return any object of the repository, None without it; the ledger has to be held."""
        assert self._objects
        return self._objects.one(name)
