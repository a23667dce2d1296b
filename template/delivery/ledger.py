"""The ledger: one immutable file per event on a git ref of its own.

It needs no server and works in shallow clones. Appending is one fast-forward of
``refs/delivery/ledger``; who loses a race appends again on top of the winner.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from .chain import REF, SKEW, Chain
from .errors import UsageError
from .event import EVENTS, PATH, Event, login
from .git import Git


class Ledger:
    """The events of one repository.

    Args:
        git: the repository.
        remote: the remote the ledger is shared through; empty: it is not shared.
    """

    def __init__(self, git: Git, remote: str = "") -> None:
        self.git, self.remote = git, remote
        self.chain = Chain(git, remote)
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
        written = event

        def files(tip: str | None) -> dict[str, bytes]:
            nonlocal written
            if not event.envelope:  # what is signed cannot be told another time
                written = replace(event, at=self._after(tip, event))
            return {written.path(): written.body().encode()}

        by = self._by()
        made = self.chain.add(files, f"{event.stage} {event.event}", by)
        self.chain.share(by, made)
        return written

    def sync(self) -> None:
        """Bring the local ledger and the remote's together; without a remote, do nothing.

        Raises:
            DeliveryError: the remote cannot be reached, does not take the ledger, or has rewritten
                it.
        """
        self.chain.share(self._by())

    def after(self, event: Event) -> str:
        """Return when ``event`` is to be said to happen: as it says, but after all that is known.

        Raises:
            UsageError: this machine's clock is far behind the newest event.
        """
        return self._after(self.chain.tip(), event)

    def _after(self, tip: str | None, event: Event) -> str:
        ahead = self.chain.ahead(tip, event.path()) if tip else None
        if ahead is None:
            return event.at
        newest = datetime.strptime(ahead[:24], "%Y/%m/%d/%H/%M%S%f").replace(tzinfo=UTC)
        if (newest - event.when).total_seconds() > float(os.environ.get("DELIVERY_SKEW", SKEW)):
            raise UsageError(
                f"this machine's clock says {event.when:%Y-%m-%d %H:%M:%S}, but the ledger has an"
                f" event of {newest:%Y-%m-%d %H:%M:%S} (UTC): set the clock; if it is right, write"
                " after that event all the same by DELIVERY_SKEW=SECONDS"
            )
        return (newest + timedelta(microseconds=1)).isoformat(timespec="microseconds")

    def _by(self) -> str:
        return self.git.identity() or login()

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
        if self.chain.tip() is None:
            return []
        listed = self.git.text("ls-tree", "-r", "--name-only", REF).splitlines()
        kinds = set(event)
        paths = sorted(
            path
            for path in listed
            if (m := PATH.fullmatch(path))
            and m["event"] in kinds
            and (stage is None or m["stage"] == stage)
            and (about is None or about[:12] in (m["commit"], m["sha256"]))
        )
        found: list[Event] = []
        while paths and (newest is None or len(found) < newest):
            start = 0 if newest is None else max(0, len(paths) - newest)
            read = map(Event.parse, self._bodies(paths[start:]))
            told = [e for e in read if e and (about is None or about in (e.commit, e.sha256))]
            found, paths = told + found, paths[:start]
        return found if newest is None else found[-newest:]

    def _bodies(self, paths: list[str]) -> Iterable[bytes]:
        asked = "".join(f"{REF}:{path}\n" for path in paths).encode()
        answer = self.git.output("cat-file", "--batch", data=asked) if paths else b""
        while answer:
            head, _, answer = answer.partition(b"\n")
            size = int(head.split()[2])
            yield answer[:size]
            answer = answer[size + 1 :]
