"""The ledger: one immutable file per event on a git ref of its own.

It needs no server and works in shallow clones. Appending is one fast-forward of
``refs/delivery/ledger``; who loses a race appends again on top of the winner.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable

from .errors import DeliveryError, UsageError
from .event import EVENTS, PATH, Event, login
from .git import Git

REF = "refs/delivery/ledger"
SHARED = "refs/delivery/shared"  # what the remote's ledger was when it was last asked
TRIES = 20


class Ledger:
    """The events of one repository.

    Args:
        git: the repository.
        remote: the remote the ledger is shared through; empty: it is not shared.
    """

    def __init__(self, git: Git, remote: str = "") -> None:
        self.git, self.remote = git, remote
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

    def events(
        self, *, event: Iterable[str] = EVENTS, stage: str | None = None, about: str | None = None
    ) -> list[Event]:
        """Return events, oldest first.

        Args:
            event: only these kinds.
            stage: only those of this stage.
            about: only those about this commit or this sha256 (a full hash).

        Returns:
            The events; a file that is no event of a form known here is left out.
        """
        if self._tip(REF) is None:
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
        found = [Event.parse(body) for body in self._bodies(paths)]
        return [e for e in found if e and (about is None or about in (e.commit, e.sha256))]

    def _bodies(self, paths: list[str]) -> Iterable[bytes]:
        asked = "".join(f"{REF}:{path}\n" for path in paths).encode()
        answer = self.git.output("cat-file", "--batch", data=asked) if paths else b""
        while answer:
            head, _, answer = answer.partition(b"\n")
            size = int(head.split()[2])
            yield answer[:size]
            answer = answer[size + 1 :]

    def _tip(self, ref: str) -> str | None:
        if not self.git.ok("rev-parse", "--verify", "--quiet", ref):
            return None
        if not self.git.ok("rev-parse", "--verify", "--quiet", ref + "^{commit}"):
            raise UsageError(
                f"{ref} is not a ledger: look at it with git show {ref}, then move it away"
            )
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
