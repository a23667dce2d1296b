"""A project that CI systems run here: its clone, the repository it is pushed to, its journal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from delivery.git import Git
from delivery.ledger.event import Event
from delivery.ledger.store import Ledger

BIN = Path(sys.executable).parent
SHIMS = Path(__file__).parent / "shims"
DEFAULT = (
    *("lint", "unit", "build", "integration", "docs", "security"),
    *("publish", "acceptance", "performance", "production"),
)
# What the default table has once more adds nothing to how a CI system goes through it, but time.
LEFT_OUT = ("lint", "docs", "performance")
TESTED = ("unit", "build", "integration", "security")
STAGES = (*TESTED, "publish", "acceptance", "production")


@dataclass(frozen=True)
class Sample:
    """A project, and a home of its own for the CI system that runs it.

    Attributes:
        home: where everything is that a run makes; the CI system's own files, too.
        env: what a run has in its environment, and nothing of the caller's.
    """

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The clone somebody works in."""
        return self.home / "work"

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.home / "origin.git"

    def git(self, *args: str) -> str:
        """Run git in the clone."""
        return subprocess.check_output(["git", *args], cwd=self.root, text=True).strip()

    def commit(self, message: str = "Change", faults: str = "") -> str:
        """Commit everything and push it to main; return the hash.

        Args:
            message: the commit's message.
            faults: what goes wrong in its stages, see ``shims/tox.py``.
        """
        (self.root / "faults").write_text(faults)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def write(self) -> None:
        """Render the CI files anew, as ``delivery.toml`` and the answers say."""
        command = [sys.executable, "-m", "delivery", "ci", "--write"]
        subprocess.run(command, cwd=self.root, check=True, capture_output=True)

    def shorten(self) -> None:
        """Take the stages out of the table that are left out."""
        path = self.root / "delivery.toml"
        text = path.read_text()
        for name in LEFT_OUT:
            text = re.sub(rf"^\[stages\.{name}\]\n.*?(?=^\[)", "", text, flags=re.M | re.S)
            text = text.replace(f'"{name}", ', "").replace(f', "{name}"]', "]")
        path.write_text(re.sub(r'^\[performance\."/"\]\n.*?(?=^\[)', "", text, flags=re.M | re.S))
        self.write()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file; it has to be there."""
        text = (self.root / path).read_text()
        assert old in text, f"{path} does not have {old!r}"
        (self.root / path).write_text(text.replace(old, new))

    def journal(self, commit: str) -> list[str]:
        """Return the stages that ran for a commit, in their order."""
        return [line.split()[0] for line in self._lines() if line.split()[2] == commit[:9]]

    def digests(self, commit: str) -> set[str]:
        """Return the beginnings of the artifacts that stages ran with, for a commit."""
        told = [line.split() for line in self._lines()]
        return {sha256 for _, sha256, about in told if about == commit[:9]} - {"-"}

    def _lines(self) -> list[str]:
        path = Path(self.env["JOURNAL"])
        return path.read_text().splitlines() if path.exists() else []

    def events(self, commit: str) -> list[Event]:
        """Return what the ledger of the bare repository has about a commit, oldest first."""
        return Ledger(Git(self.origin)).events(about=commit)

    def told(self, commit: str) -> list[str]:
        """Return that in short, verdicts only: ``stage passed``."""
        verdicts = ("passed", "failed")
        return [f"{e.stage} {e.event}" for e in self.events(commit) if e.event in verdicts]

    @property
    def said(self) -> str:
        """What the CI system said in its last run."""
        return (self.home / "said").read_text(errors="replace")

    def start(
        self, command: Sequence[str | Path], cwd: Path, said: str = "said", **env: str
    ) -> subprocess.Popen[str]:
        """Start a command of a CI system, in a process group of its own.

        Args:
            command: the command.
            cwd: where it runs.
            said: the file below ``home`` that keeps what it says; another, for one beside it.
            env: what it has in its environment, too.
        """
        with (self.home / said).open("w") as out:  # a pipe that nobody reads would stop it
            return subprocess.Popen(
                list(map(str, command)),
                cwd=cwd,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )

    def interrupted(self, command: Sequence[str | Path]) -> str:
        """Run a CI system on a commit, interrupt it while it publishes; return the commit."""
        commit = self.commit(faults="publish waits")
        process = self.start(command, self.root)
        deadline = time.monotonic() + 240
        while "publish" not in self.journal(commit) and time.monotonic() < deadline:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
        self.ended()
        return commit

    def ended(self) -> None:
        """Wait until nothing is left of any run; nothing may stay."""
        # A job may be there for a moment longer than the engine, to tell the ledger.
        deadline = time.monotonic() + 60
        while left := self.running():
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.1)

    def running(self) -> list[int]:
        """Return the processes that are there of any run, by the journal they were told of."""
        mark, found = f"JOURNAL={self.env['JOURNAL']}".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended, or is somebody else's
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def run(self, command: Sequence[str | Path], cwd: Path, **env: str) -> str:
        """Run it; return what it says. Its exit status proves nothing: look at the journal."""
        process = self.start(command, cwd, **env)
        try:
            process.wait(timeout=600)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return self.said


def environment(home: Path, shims: bool) -> dict[str, str]:
    """Return the environment for a CI system: a home, a PATH and a journal of its own.

    Args:
        home: everything is below it.
        shims: whether stages are stood in for.
    """
    kept = ("PIP_", "UV_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
    told = {name: text for name, text in os.environ.items() if name.startswith(kept)}
    told |= {
        "HOME": str(home),
        "JOURNAL": str(home / "journal"),
        "LANG": "C.UTF-8",
        "PATH": f"{home / 'bin'}:{BIN}:/usr/local/bin:/usr/bin:/bin",
        "USER": "agent",
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv"),
    }
    return told | ({"PYTHONPATH": str(SHIMS)} if shims else {})


def in_order(stages: Sequence[str], table: Sequence[str] = STAGES) -> bool:
    """Return whether every stage of a table ran once, and after what it needs."""
    place = {name: number for number, name in enumerate(stages)}
    first = table.index("publish")
    return (
        sorted(stages) == sorted(table)
        and place["build"] < place["integration"]
        and list(stages[first:]) == list(table[first:])
    )
