"""The ref the ledger lives on: a chain of commits that only ever add files, here and at a remote.

Each append is one commit, shared by one fast-forward push. Who loses a race puts its files on top
of the winner's chain. What the remote had is remembered, so that a rewritten one is noticed.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from ..errors import DeliveryError, UsageError
from ..git import Git
from .event import moment

REF = "refs/delivery/ledger"
PATIENCE = 120.0  # seconds that writers may be in each other's way
CROWD = 4  # tries that a first wait may last: best of those tried for eight writers
CONTEST = 10.0  # seconds in which those who were in the way are thought to be there still
SKEW = 300.0  # seconds that the clocks of those who write may be apart
STALE = 10.0  # seconds after which a lock's owner is dead: git holds it for milliseconds
LOCKED = r"cannot lock ref|failed to update ref|incorrect old value"
YEAR = re.compile(r"\d{4}")
DATED = re.compile(r"\d{4}(/\d\d){0,3}|\d{4}(/\d\d){3}/\d{10}\..*")


class Chain:
    """The ledger's chain in one repository.

    Args:
        git: the repository.
        remote: the remote it is shared through; empty: it is not shared.
        push: whether the remote takes it from here; if not, it is only fetched.
    """

    def __init__(self, git: Git, remote: str = "", push: bool = True) -> None:
        self.git, self.remote, self.push = git, remote, push
        self.seen = f"refs/delivery/remotes/{remote}"  # the remote's chain when it was last asked
        self._met, self._took = -math.inf, 0.0  # when others were met last, and how long it took

    def tip(self) -> str | None:
        """Return the hash of the newest commit; None when nothing has been appended yet.

        Raises:
            UsageError: the ref is something else than a commit.
        """
        found = self._hash(f"{REF}^{{commit}}")
        if found is None and self._hash(REF):
            # Another process may have begun the ledger after the first question.
            found = self._hash(f"{REF}^{{commit}}")
            if found is None:
                raise UsageError(no_ledger(REF))
        return found

    def add(self, files: Callable[[str | None], dict[str, bytes]], message: str, by: str) -> str:
        """Put a commit on the chain here, and return its hash.

        Args:
            files: returns the new files, by their paths, for the chain's tip.
            message: the commit's message.
            by: its committer, as ``name <email>``.

        Raises:
            DeliveryError: the ref kept changing, or git cannot write.
        """

        made: str | None = None

        def attempt() -> bool:
            nonlocal made
            tip = self.tip()
            inline = [
                f"M 100644 inline {path}\ndata {len(body)}\n".encode() + body + b"\n"
                for path, body in files(tip).items()
            ]
            made = self._commit(REF, tip, inline, message, by)
            return made is not None

        self._retry(attempt)
        return str(made)

    def ahead(self, tip: str, path: str) -> datetime | None:
        """Return when the newest event of a chain happened if it comes after ``path``, else None.

        Raises:
            UsageError: the tree is not a ledger's.
        """
        year, month, day, hour, _ = path.split("/")
        folders = [f"{year}/", f"{year}/{month}/", f"{year}/{month}/{day}/"]
        folders.append(f"{folders[-1]}{hour}/")
        names = self.git.text("ls-tree", "--name-only", tip).splitlines()
        if not any(map(YEAR.fullmatch, names)):
            raise UsageError(no_ledger(REF))
        names += self.git.text("ls-tree", "--name-only", tip, *folders).splitlines()
        later = [name for name in filter(DATED.fullmatch, names) if name > path]
        if whole := [name for name in later if "." not in name]:
            later += self.git.text("ls-tree", "-r", "--name-only", tip, *whole).splitlines()
        return max(filter(None, map(moment, later)), default=None)

    def share(self, by: str, made: str | None = None) -> None:
        """Bring the chain here and the remote's together; without a remote, do nothing.

        Args:
            by: the committer of what has to be put on top of the remote's chain.
            made: a commit that was just added. It is pushed without asking what the remote has,
                which saves a question and is refused when others were faster.

        Raises:
            DeliveryError: the remote cannot be reached, does not take the ledger, or has another
                history than it had.
        """
        if not self.remote or (made and not self.push):
            return
        if time.monotonic() - self._met < CONTEST:
            # Who won has the shortest way to win again: let those who lost go first.
            time.sleep(random.uniform(0, CROWD * self._took))
            made = None
        if made is None or self._pushed(made):
            self._retry(lambda: self._meet(by))

    def fetch(self) -> str | None:
        """Fetch the remote's chain; return the hash of its newest commit, None when it has none.

        Raises:
            DeliveryError: the remote cannot be reached, or was rewritten: its chain is not built on
                what it was when it was last asked.
            UsageError: what it has is no ledger.
        """
        try:
            # Not forced: git itself refuses what is not built on what was there.
            options = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
            self._ask("fetch", *options, self.remote, f"{REF}:{self.seen}")
        except DeliveryError as error:
            gone, other = "couldn't find remote ref" in str(error), "! [rejected]" in str(error)
            seen = self._hash(self.seen)
            if gone and seen is None:
                return None
            if gone or other:
                raise DeliveryError(
                    f"the ledger at {self.remote} was rewritten: {str(seen)[:9]}, which was there,"
                    " is gone: python3 -m delivery verify says what is missing; if it is meant so:"
                    f" git update-ref -d {self.seen}"
                ) from None
            raise
        return self._hash(self.seen)

    def peek(self) -> tuple[str | None, str | None]:
        """Return what the remote's chain was when it was last asked, and what it is; keep both."""
        theirs = self._listed()
        if theirs and theirs != self._hash(self.seen):
            self._ask("fetch", "--no-tags", "--no-write-fetch-head", self.remote, REF)
        return self._hash(self.seen), theirs

    def _meet(self, by: str) -> bool:
        """Put what only we have on top of the remote's chain; say whether both now are one."""
        started, new = time.monotonic(), self._hash(self.seen) is None
        try:
            theirs, ours = self.fetch(), self.tip()
        except DeliveryError:
            if self._locked(self.seen):  # another process fetches, too
                return False
            raise
        if theirs and new and not self.dated(theirs):
            self.git.ok("update-ref", "-d", self.seen)
            raise UsageError(no_ledger(f"{REF} of {self.remote}"))
        if ours and new and not self.dated(ours):
            raise UsageError(no_ledger(REF))
        if theirs and not (ours and self.git.ok("merge-base", "--is-ancestor", theirs, ours)):
            both = self._on_top(theirs, ours, by) if ours else theirs
            # The old value guards an event that another process appends meanwhile.
            if not self._moved(REF, both, ours or ""):
                return False
            self._met = time.monotonic() if ours else self._met
            ours = both
        if ours is None or ours == theirs or not self.push:
            return True
        problem = self._pushed(ours)
        self._took = min(time.monotonic() - started, 0.5)
        if problem and not re.search(LOCKED, str(problem)) and self._listed() == theirs:
            raise problem  # nobody was faster: the remote itself refuses
        return problem is None

    def dated(self, commit: str) -> bool:
        """Return whether a commit's files are a ledger's: in folders named by years."""
        found = self._hash(f"{commit}^{{commit}}")
        names = self.git.text("ls-tree", "--name-only", found).splitlines() if found else []
        return any(map(YEAR.fullmatch, names))

    def _on_top(self, theirs: str, ours: str, by: str) -> str:
        """Return a commit on ``theirs`` with the files that only ``ours`` has."""
        # Renames would hide files: events look alike.
        only = ("--no-renames", "--diff-filter=A", "--no-abbrev", "-z")
        told = self.git.text("diff", "--raw", *only, theirs, ours).split("\0")
        rows = [
            f"M 100644 {about.split()[3]} {path}\n".encode()
            for about, path in zip(told[::2], told[1::2])
        ]
        if not rows:
            return theirs
        scratch = f"refs/delivery/scratch/{random.getrandbits(64):016x}"
        made = self._commit(scratch, theirs, rows, f"re-apply {len(rows)} events", by)
        if made is None:
            raise DeliveryError(f"{scratch} cannot be written: git fsck")
        self.git.ok("update-ref", "-d", scratch)
        return made

    def _commit(
        self, ref: str, parent: str | None, rows: Iterable[bytes], message: str, by: str
    ) -> str | None:
        """Put one commit on ``parent``, which ``ref`` was; return it, None when ``ref`` moved."""
        name, _, email = by.rstrip(">").partition(" <")
        lines = [f"commit {ref}", "mark :1"]
        lines.append(f"committer {name} <{email or name}> {int(time.time())} +0000")
        stream = "\n".join([*lines, f"data {len(message.encode())}", message, ""]).encode()
        stream += f"from {parent}\n".encode() if parent else b""
        stream += b"".join(rows) + b"\nget-mark :1\n"
        try:
            made = self.git.output("fast-import", "--quiet", "--date-format=raw", data=stream)
        except DeliveryError:
            if not self._locked(ref) and self._hash(ref) == parent:
                raise
            return None
        return made.decode().strip()

    def _moved(self, ref: str, new: str, *old: str) -> bool:
        """Let ``ref`` be ``new`` if it still is ``old``; say whether it is."""
        if self.git.ok("update-ref", ref, new, *old):
            return True
        self._locked(ref)
        return False

    def _locked(self, ref: str) -> bool:
        """Return whether somebody writes ``ref``; the lock of a dead writer is removed."""
        lock = self.git.root / self.git.text("rev-parse", "--git-path", f"{ref}.lock")
        try:
            age = time.time() - lock.stat().st_mtime
        except FileNotFoundError:
            return False
        if age > STALE:
            lock.unlink(missing_ok=True)
        return True

    def _pushed(self, ours: str) -> DeliveryError | None:
        """Push ``ours``; return what was in the way."""
        try:
            self._ask("push", "--quiet", self.remote, f"{ours}:{REF}")
        except DeliveryError as error:
            return error
        self._moved(self.seen, ours)
        return None

    def _listed(self) -> str | None:
        """Return the hash that the remote's ref has."""
        # git matches the end of names: a branch may be called refs/heads/refs/delivery/ledger.
        for line in self._ask("ls-remote", self.remote, REF).splitlines():
            found, _, name = line.partition("\t")
            if name == REF:
                return found
        return None

    def _ask(self, *args: str) -> str:
        """Return what git says, having talked to the remote."""
        try:
            return self.git.text(*args)
        except DeliveryError as error:
            lines = (line.strip() for line in str(error).splitlines())
            said = [
                line for line in lines if re.match(r"(git \S+: )?(remote: \S|fatal: |! )", line)
            ]
            raise DeliveryError(
                f"the ledger cannot be shared through {self.remote}"
                f" ({'; '.join(said) or str(error).splitlines()[0]}): what was recorded is kept"
                " here: python3 -m delivery sync, once that can be (or DELIVERY_LEDGER_REMOTE=)"
            ) from None

    def _hash(self, name: str) -> str | None:
        with suppress(DeliveryError):
            return self.git.text("rev-parse", "--verify", "--quiet", name)
        return None

    def _retry(self, attempt: Callable[[], bool]) -> None:
        end, turn = time.monotonic() + PATIENCE, 0
        while not attempt():
            if time.monotonic() > end:
                raise DeliveryError(f"{REF} kept changing for {PATIENCE:g} s: run this again")
            # By chance, in the measure of what a try takes: with all at once nobody gets through.
            # The longer somebody has waited, the more often they try.
            turn += 1
            time.sleep(random.uniform(0.01, max(0.02, self._took) * CROWD / turn))


def no_ledger(name: str) -> str:
    """Return what to say of a ref that holds something else."""
    return f"{name} is not a ledger: look at it with git show, then move it away"
