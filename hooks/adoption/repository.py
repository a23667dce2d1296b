"""The project that joins, as its last commit has it. Nothing of it is ever run."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ANSWERS = ".copier-answers.yml"


class Refused(Exception):
    """What is in the way, where, and what to do about it."""


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Attributes:
        root: its top folder.
    """

    root: Path

    @classmethod
    def at(cls, folder: Path) -> Repository:
        """Return the repository whose top folder this is.

        Raises:
            Refused: it is none, or nothing was committed to it yet.
        """
        if not folder.is_dir():
            raise Refused(f"{folder} is no folder: give the project's own")
        found = cls(folder.resolve())
        top = found._run("rev-parse", "--show-toplevel")
        if top.returncode or Path(os.fsdecode(top.stdout).rstrip("\n")) != found.root:
            said = os.fsdecode(top.stderr).strip() or "its top is another folder"
            raise Refused(
                f"{folder} is not the top of a git repository ({said}), so what changes could not "
                "be told from what was: git init -b main && git add . && git commit"
            )
        if found._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode:
            raise Refused(f"{folder} has no commit yet: git add . && git commit")
        return found

    def refuse_dirty(self) -> None:
        """Raise `Refused` unless everything is committed: the change must stand alone."""
        changed = self.names("status", "--porcelain", "--untracked-files=all")
        if changed:
            some = ", ".join(line[3:] for line in changed[:3]) + (", …" if changed[3:] else "")
            raise Refused(
                f"the work tree is dirty ({some}), and what joining changes must be told from your "
                "own changes: commit them, or git stash --include-untracked"
            )

    @cached_property
    def files(self) -> list[str]:
        """The names of the files in the last commit."""
        return self.names("ls-tree", "-r", "--name-only", "HEAD")

    def read(self, name: str) -> str | None:
        """Return a file's text in the last commit; None when there is none.

        Raises:
            Refused: it is no UTF-8.
        """
        if name not in self.files:
            return None
        try:
            return self.output("show", f"HEAD:{name}").decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise Refused(f"{name} is not UTF-8 ({error}): save it as UTF-8") from None

    def named(self, *patterns: str) -> list[str]:
        """Return the files in the top folder whose names match one of these, in any case."""
        pattern = re.compile("|".join(patterns), re.IGNORECASE)
        return [name for name in self.files if "/" not in name and pattern.fullmatch(name)]

    def origin(self) -> str:
        """Return the address of the remote `origin`; nothing when there is none."""
        return self._run("remote", "get-url", "origin").stdout.decode("utf-8", "replace").strip()

    def tags(self) -> list[str]:
        """Return the names of all tags."""
        return self.output("tag", "--list").decode("utf-8", "replace").split()

    def output(self, *arguments: str, data: bytes | None = None) -> bytes:
        """Return what `git ARGUMENTS` prints; it has to succeed."""
        done = self._run(*arguments, data=data)
        if done.returncode:
            raise Refused(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Run a git command; return whether its exit status is 0."""
        return self._run(*arguments).returncode == 0

    def names(self, command: str, *options: str) -> list[str]:
        """Return the names that a git command lists."""
        listed = self.output(command, "-z", *options).decode("utf-8", "surrogateescape")
        return [name for name in listed.split("\0") if name]

    def _run(
        self, *arguments: str, data: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments], cwd=self.root, input=data, capture_output=True, check=False
        )
