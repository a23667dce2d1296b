"""What was begun and ended on a host: the one order of releases there is."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .files import sync


@dataclass(frozen=True)
class Entry:
    """One instance of one artifact.

    ``settings`` is what a rollback can bring back: other units may run the same of them.
    """

    instance: str
    version: str
    sha256: str
    settings: str = field(default="", compare=False)


@dataclass(frozen=True)
class Begun:
    """A run that the journal knows no end of."""

    run: str
    action: str
    target: Entry
    before: str | None


@dataclass(frozen=True)
class State:
    """What the journal says: who was live in turn, what is open, all versions by last success.

    ``last`` is what brought the live one there: a deploy, a rollback, or a withdrawal.
    ``known`` has the version of every instance that ever began.
    """

    stack: tuple[Entry, ...] = ()
    begun: Begun | None = None
    versions: tuple[str, ...] = ()
    last: str = ""
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def live(self) -> Entry | None:
        """The instance that should get the traffic."""
        return self.stack[-1] if self.stack else None

    @property
    def earlier(self) -> tuple[Entry, ...]:
        """Who was live before with another artifact or environment, the last one first."""
        settings = self.live.settings if self.live else ""
        return tuple(entry for entry in reversed(self.stack) if entry.settings != settings)

    @property
    def previous(self) -> Entry | None:
        """The instance that a rollback goes to."""
        return next(iter(self.earlier), None)

    def after(self, action: str, target: Entry) -> State:
        """Return what the journal would say after an action that goes well."""
        versions = tuple(v for v in self.versions if v != target.version)
        return State(ended(self.stack, action, target), None, (*versions, target.version), action)

    def find(self, version: str) -> Entry | None:
        """Return the last instance of a version among those that were live before."""
        return next((e for e in reversed(self.stack) if e.version == version), None)


def ended(stack: tuple[Entry, ...], action: str, target: Entry) -> tuple[Entry, ...]:
    """Return who was live in turn after an action went well: a deploy pushes, the others pop."""
    if action == "deploy" and stack[-1:] != (target,):
        return (*stack, target)
    if action == "rollback" and target in stack:
        return stack[: len(stack) - stack[::-1].index(target)]
    if action == "withdraw" and stack[-1:] == (target,):
        return stack[:-1]
    return stack


def replay(lines: Iterable[str]) -> State:
    """Read the journal from its first line to its last; a torn line is as if not there."""
    stack: tuple[Entry, ...] = ()
    begun: Begun | None = None
    versions: dict[str, None] = {}
    known: dict[str, str] = {}
    last = ""
    for line in lines:
        try:
            fact = json.loads(line)
            if fact["event"] == "begin":
                names = fact["instance"], fact["version"], fact["sha256"]
                target = Entry(*names, fact.get("settings", fact["instance"]))
                begun = Begun(fact["run"], fact["action"], target, fact["before"])
                known[target.instance] = target.version
                if target.version not in versions:
                    versions = {target.version: None, **versions}
            elif fact["event"] == "end" and begun and fact["run"] == begun.run:
                if fact["ok"]:
                    stack = ended(stack, begun.action, begun.target)
                    last = last if begun.action == "stage" else begun.action
                    versions.pop(begun.target.version)
                    versions[begun.target.version] = None
                begun = None
        except (ValueError, KeyError, TypeError):
            continue
    return State(stack, begun, tuple(versions), last, known)


class Journal:
    """The journal of one host; written only under the lock."""

    def __init__(self, path: Path, by: str) -> None:
        self.path = path
        self.by = by

    def state(self) -> State:
        """Return what the journal says now."""
        try:
            return replay(self.path.read_text(encoding="utf-8", errors="replace").splitlines())
        except FileNotFoundError:
            return State()

    def begin(self, action: str, target: Entry, before: str | None) -> str:
        """Write down what is about to be done; return the run's name."""
        run = uuid.uuid4().hex[:12]
        self._append(event="begin", run=run, action=action, before=before, **vars(target))
        return run

    def migrated(self, run: str, script: str) -> None:
        """Write down that a run has prepared what its release needs."""
        self._append(event="migrated", run=run, script=script)

    def end(self, run: str, reason: str | None = None) -> None:
        """Write down how a run ended: well, or for what reason not."""
        self._append(event="end", run=run, ok=reason is None, reason=reason)

    def _append(self, **fact: Any) -> None:
        """Add one line that lasts, or leave the journal as it was."""
        fact |= {"by": self.by, "at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        line = json.dumps(fact, ensure_ascii=False).encode() + b"\n"
        new = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(handle).st_size
            # A line torn by a power cut must not swallow this one.
            torn = size and os.pread(handle, 1, size - 1) != b"\n"
            try:
                if os.write(handle, data := b"\n" * bool(torn) + line) != len(data):
                    raise OSError(28, os.strerror(28), str(self.path))
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if new:
            sync(self.path.parent)
