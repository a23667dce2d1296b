"""The few questions this package asks git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from .errors import DeliveryError, Refused, UsageError


class Git:
    """A repository, driven through git's own command line.

    Args:
        root: the top folder of the work tree.
        umask: what git makes files with; -1: as whoever runs this.
    """

    def __init__(self, root: Path, umask: int = -1) -> None:
        self.root, self.umask = root, umask

    @classmethod
    def find(cls, start: Path) -> Git:
        """Return the repository whose work tree holds ``start``.

        Raises:
            UsageError: git is not installed, or ``start`` is in no repository.
        """
        if shutil.which("git") is None:
            raise UsageError("git is not installed: install it (apt-get install git) and try again")
        found = cls(start)._run("rev-parse", "--show-toplevel")
        if found.returncode:
            raise UsageError(
                f"{start} is not in a git repository: git init -b main && git add -A && git commit"
            )
        return cls(Path(os.fsdecode(found.stdout).rstrip("\n")))

    def _run(self, *args: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *args],
            cwd=self.root,
            env=_settings(),
            input=data,
            capture_output=True,
            check=False,
            umask=self.umask,
        )

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start ``git ARGS``, to talk with through its standard input and output."""
        return subprocess.Popen(
            ["git", *args],
            cwd=self.root,
            env=_settings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for us, who may still have something to ask
        )

    def ok(self, *args: str) -> bool:
        """Return whether ``git ARGS`` exits with 0."""
        return self._run(*args).returncode == 0

    def output(self, *args: str, data: bytes = b"") -> bytes:
        """Return what ``git ARGS`` prints, given ``data`` on its standard input.

        Raises:
            DeliveryError: git exits with another status than 0; the text is git's own.
        """
        done = self._run(*args, data=data)
        if done.returncode:
            said = os.fsdecode(done.stderr).strip() or f"exit status {done.returncode}"
            raise DeliveryError(f"git {args[0]}: {said}")
        return done.stdout

    def text(self, *args: str) -> str:
        """Return what ``git ARGS`` prints as text, without the last line's end."""
        return self.output(*args).decode("utf-8", "replace").rstrip("\n")

    def head(self) -> str:
        """Return the full hash of the commit that is checked out.

        Raises:
            UsageError: nothing has been committed yet.
        """
        found = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if found.returncode:
            raise UsageError("there is no commit yet: git add -A && git commit")
        return found.stdout.decode().strip()

    def commit(self, name: str) -> str | None:
        """Return the full hash of what git takes for a commit; None when it takes it for none."""
        if name.startswith("-"):
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return None if found.returncode else found.stdout.decode().strip()

    def subject(self, commit: str) -> str:
        """Return the first line of the commit's message."""
        return self.text("show", "--no-patch", "--format=%s", commit)

    def refuse_dirty(self, rule: str = "only a commit is delivered") -> None:
        """Refuse a work tree with changes: what is tested has to be what is committed.

        Args:
            rule: why, for the person whose changes they are.

        Raises:
            Refused: files are changed, staged or untracked.
        """
        self.head()  # what was never committed cannot be put aside, either
        changed = self.text("status", "--porcelain", "--untracked-files=all").splitlines()
        if changed:
            names = ", ".join(line[3:] for line in changed[:3]) + (", …" if changed[3:] else "")
            raise Refused(
                f"the work tree is dirty ({names}): {rule}; commit the changes, or git stash -u"
            )

    def refuse_shallow(self) -> None:
        """Refuse a clone without its whole history: versions count commits since a tag.

        Raises:
            Refused: the clone is shallow.
        """
        if self.shallow():
            raise Refused(
                "this clone is shallow, so its version would be wrong: git fetch --unshallow --tags"
                " (on a CI server: clone with the whole history)"
            )

    def shallow(self) -> bool:
        """Return whether the clone lacks a part of its history."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    def setting(self, key: str) -> str:
        """Return what ``git config`` says of ``key``; empty when it says nothing."""
        return self._run("config", key).stdout.decode().strip()

    def identity(self) -> str | None:
        """Return ``name <email>`` as git is configured, or None."""
        told = self._run("config", "--get-regexp", r"^user\.(name|email)$").stdout.decode()
        known = dict(line.partition(" ")[::2] for line in told.splitlines())  # the last one counts
        name, email = known.get("user.name"), known.get("user.email")
        return f"{name} <{email}>" if name and email else None

    def behind(self, commit: str, head: str) -> int | None:
        """Return how many commits ``commit`` is behind ``head``; None when that is unknown here."""
        if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
            return None
        counted = self._run("rev-list", "--count", f"{commit}..{head}")
        return None if counted.returncode else int(counted.stdout)


def _settings() -> dict[str, str]:
    # The C locale keeps git's answers parseable; a prompt would hang a pipeline.
    return {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
