"""The ledger: one immutable file per event on a git ref of its own.

It needs no server and works in shallow clones. Appending is one fast-forward of
``refs/delivery/ledger``; who loses a race appends again on top of the winner.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from .errors import DeliveryError, UsageError
from .event import EVENTS, Event, login
from .git import Git
from .listing import Entry, Listing
from .objects import Object, Objects

REF = "refs/delivery/ledger"
SHARED = "refs/delivery/shared"  # what the remote's ledger was when it was last asked
TRIES = 20
NO_LEDGER = f"{REF} is not a ledger: look at it with git show {REF}, then move it away"


class Ledger:
    """The events of one repository.

    Args:
        git: the repository.
        remote: the remote the ledger is shared through; empty: it is not shared.
    """

    def __init__(self, git: Git, remote: str = "") -> None:
        self.git, self.remote = git, remote
        self._objects: Objects | None = None
        # What was read, by its hash, so that it is read and understood once.
        self._trees: dict[str, bytes] = {}
        self._events: dict[str, Event | None] = {}
        if remote and not git.ok("remote", "get-url", remote):
            raise UsageError(
                f"delivery.toml [ledger]: there is no git remote {remote!r}: git remote add"
            )

    def append(self, event: Event) -> None:
        """Write ``event`` on the ref, and share it when there is a remote.

        Raises:
            DeliveryError: the ref kept changing, or the remote does not take it; the event is then
                on the local ref and is shared by the next append or ``sync``.
        """
        files = {event.path(): event.body().encode()}
        self._retry(
            lambda: self._commit(REF, self._tip(REF), files, f"{event.stage} {event.event}")
        )
        self.sync()

    def sync(self) -> None:
        """Bring the local ledger and the remote's together; without a remote, do nothing.

        Raises:
            DeliveryError: the remote cannot be reached, or does not take the ledger.
        """
        if self.remote:
            self._retry(self._share)

    @contextmanager
    def held(self) -> Iterator[Ledger]:
        """Yield this ledger for questions: one git process answers all of them."""
        if self._objects:
            yield self
            return
        with Objects(self.git) as objects:
            held = copy.copy(self)
            held._objects = objects
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
        tip = self._objects.one(REF)
        if tip is None:
            return iter(())
        if tip.kind != "commit":
            raise UsageError(NO_LEDGER)
        root = tip.body.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        listing = Listing(self._objects, root, self._trees)
        return listing.newest_first(event=event, stage=stage, about=about)

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

    def object(self, name: str) -> Object | None:
        """Return any object of the repository, None without it; the ledger has to be held."""
        assert self._objects
        return self._objects.one(name)

    def _tip(self, ref: str) -> str | None:
        if not self.git.ok("rev-parse", "--verify", "--quiet", ref):
            return None
        if not self.git.ok("rev-parse", "--verify", "--quiet", ref + "^{commit}"):
            raise UsageError(NO_LEDGER)
        return self.git.text("rev-parse", ref)

    def _commit(self, ref: str, parent: str | None, files: dict[str, bytes], message: str) -> bool:
        """Put one commit with ``files`` on ``parent``; say whether ``ref`` now is that commit."""
        name, _, email = (self.git.identity() or f"{login()} <{login()}>").partition(" <")
        lines = [f"commit {ref}", f"committer {name} <{email} {int(time.time())} +0000"]
        stream = "\n".join([*lines, f"data {len(message.encode())}", message, ""]).encode()
        stream += f"from {parent}\n".encode() if parent else b""
        for path, body in files.items():
            stream += f"M 100644 inline {path}\ndata {len(body)}\n".encode() + body + b"\n"
        try:
            self.git.output("fast-import", "--quiet", "--date-format=raw", data=stream)
        except DeliveryError:
            if self._tip(ref) == parent:
                raise
            return False
        return True

    def _share(self) -> bool:
        """Fetch the remote's ledger, put ours on top, push; say whether the remote took it."""
        self.git.output("update-ref", "-d", SHARED)
        listed = self.git.text("ls-remote", self.remote, REF)
        if listed:
            self.git.output("fetch", "--quiet", "--no-tags", self.remote, f"+{REF}:{SHARED}")
        theirs, ours = self._tip(SHARED), self._tip(REF)
        if ours is None or ours == theirs:
            if theirs and ours is None:
                self.git.output("update-ref", REF, theirs, "")
            return True
        if theirs and not self.git.ok("merge-base", "--is-ancestor", theirs, ours):
            # Renames would hide our files: events look alike.
            added = ("diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", theirs, ours)
            mine = [path for path in self.git.text(*added).split("\0") if path]
            files = {path: self.git.output("show", f"{ours}:{path}") for path in mine}
            if files and not self._commit(SHARED, theirs, files, f"re-apply {len(files)} events"):
                return False
            both = self.git.text("rev-parse", SHARED)
            # The old value guards an event that another process appends meanwhile.
            if not self.git.ok("update-ref", REF, both, ours):
                return False
            ours = both
        if listed and listed.split()[0] == ours:
            return True
        try:
            self.git.output("push", "--quiet", self.remote, f"{ours}:{REF}")
        except DeliveryError:
            if self.git.text("ls-remote", self.remote, REF) == listed:
                raise  # nobody was faster: the remote itself refuses
            return False
        return True

    def _retry(self, attempt: Callable[[], bool]) -> None:
        for turn in range(TRIES):
            if attempt():
                return
            time.sleep(random.uniform(0, 0.02 * 2 ** min(turn, 6)))
        raise DeliveryError(f"{REF} kept changing for {TRIES} tries: run this again")
