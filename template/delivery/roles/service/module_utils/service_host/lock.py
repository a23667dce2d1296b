"""One run at a time, by a lock that the kernel takes back from the dead."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import Busy


class Lock:
    """A lock that is held; a child that is given its handle holds it too."""

    def __init__(self, handle: int, note: dict[str, Any]) -> None:
        self.handle = handle
        self._note = note

    def run(self, command: Sequence[str], **options: Any) -> tuple[int, str]:
        """Run a command; should we be killed, it keeps the lock until it has ended.

        Returns:
            Its exit status, and its output if `options` ask for that.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            pass_fds=[self.handle],
            text=True,
            errors="replace",
            **options,
        )
        self.note(child=process.pid)
        output = process.communicate()[0]
        return process.returncode, output or ""

    def note(self, **facts: Any) -> None:
        """Write down who holds the lock, for those who come too late."""
        self._note |= facts
        text = json.dumps(self._note, ensure_ascii=False).encode()
        # A full disk must not stop a run that makes room.
        with contextlib.suppress(OSError):
            os.ftruncate(self.handle, 0)
            os.pwrite(self.handle, text, 0)


@contextlib.contextmanager
def held(path: Path, who: str, version: str | None, seconds: float = 0.0) -> Iterator[Lock]:
    """Hold the lock, or refuse, at once or after so many seconds, and say who holds it."""
    deadline = time.monotonic() + seconds
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _taken(handle):
            if time.monotonic() >= deadline:
                raise Busy(_busy(path, os.pread(handle, 4096, 0)))
            time.sleep(0.1)
        lock = Lock(handle, {"who": who, "pid": os.getpid(), "version": version})
        lock.note(since=datetime.now(timezone.utc).isoformat(timespec="seconds"))
        yield lock
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Take the lock, and tell whether that went well."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: Path, text: bytes) -> str:
    """Say who holds the lock, as far as the note in it tells."""
    try:
        note = json.loads(text)
        work = f" with version {note['version']}" if note["version"] else ""
        pid = f"process {note['pid']}"
        if "child" in note and not Path(f"/proc/{note['pid']}").exists():
            pid = f"process {note['child']}, which a run that was killed has left"
        who = f"{note['who']}{work}, since {note['since']} ({pid})"
    except (ValueError, KeyError, TypeError):
        who = "a run that has just begun"
    return f"{path.parent} is being changed by {who}: wait until it has ended, or end it."
