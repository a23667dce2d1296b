"""Who runs on this host: what Linux tells in /proc; elsewhere nobody is known."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
# All that the service and the front see of whoever started them.
KEPT = ("HOME", "USER", "LOGNAME", "TZ", "TMPDIR")


@dataclass(frozen=True)
class Process:
    """A running process."""

    pid: int
    parent: int
    session: int
    program: str
    arguments: tuple[str, ...]

    def under(self, folder: Path) -> bool:
        """Tell whether it runs a program of a folder."""
        first = self.arguments[0] if self.arguments else ""
        return any(name.startswith(f"{folder}{os.sep}") for name in (self.program, first))


def environment() -> dict[str, str]:
    """Return the environment that everything of a service starts in."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def process(pid: int) -> Process | None:
    """Return a process, None when it is gone, a zombie, or not ours to see."""
    home = PROC / str(pid)
    try:
        state, parent, _, session, *_ = (home / "stat").read_text().rpartition(")")[2].split()
        words = (home / "cmdline").read_bytes().split(b"\0")[:-1]
        program = os.readlink(home / "exe")
    except OSError:
        return None
    arguments = tuple(os.fsdecode(word) for word in words)
    return None if state == "Z" else Process(pid, int(parent), int(session), program, arguments)


def everyone() -> Iterator[Process]:
    """Return every process that we can see."""
    for entry in os.scandir(PROC) if PROC.exists() else ():
        if entry.name.isdigit() and (found := process(int(entry.name))):
            yield found


def supervisors(root: Path) -> list[Process]:
    """Return the supervisors that run for a root."""
    return [
        p for p in everyone() if p.under(root / "tools") and "supervisor.supervisord" in p.arguments
    ]


def orphans(root: Path) -> list[Process]:
    """Return what a dead supervisor left running: programs of ours whose session leader is gone."""
    folders = (root / "tools", root / "releases")
    ours = [p for p in everyone() if any(p.under(folder) for folder in folders)]
    return [p for p in ours if process(p.session) is None]


def end(victims: list[Process], sockets: list[Path], seconds: float) -> None:
    """End processes gently, and leave the sockets of those who came after them in place.

    Who ends a server makes it remove its socket by name, even when another one listens there by
    now: a second name for the socket brings it back.
    """
    spare = {path: path.with_name(f"{path.name}.spare") for path in sockets if path.exists()}
    for path, copy in spare.items():
        copy.unlink(missing_ok=True)
        os.link(path, copy)
    pids = {victim.pid for victim in victims}
    for victim in victims:
        if victim.parent not in pids:
            _signal(victim.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while pids := {pid for pid in pids if process(pid)}:
        for path, copy in spare.items():
            if not path.exists():
                os.link(copy, path)
        if time.monotonic() > deadline:
            for pid in pids:
                _signal(pid, signal.SIGKILL)
        time.sleep(0.005)
    for path, copy in spare.items():
        if path.exists():
            copy.unlink()
        else:
            copy.rename(path)


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone by now."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def hindrance(address: str, port: int) -> OSError | None:
    """Return what keeps us from listening on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            # Two may bind, and only one may listen, where both allowed the address to be reused.
            probe.listen(1)
        except OSError as error:
            return error
    return None


def port_is_free(address: str, port: int) -> bool:
    """Tell whether we could listen on a port."""
    return hindrance(address, port) is None


def holders(port: int) -> list[Process]:
    """Return the processes that listen on a port, as far as we may know."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return [p for p in everyone() if inodes & _open_files(p.pid)] if inodes else []


def taken(address: str, port: int, variable: str) -> str:
    """Say who has a port that we need, or why nobody can have it, and what to do about it."""
    error = hindrance(address, port)
    if isinstance(error, socket.gaierror) or (error and error.errno == errno.EADDRNOTAVAIL):
        return (
            f"service_address {address} is no IPv4 address of this host ({error.strerror}): give"
            " it one of those that `ip -4 address` shows, or 0.0.0.0 for all."
        )
    if error and error.errno == errno.EACCES:
        return (
            f"Port {port} is for root alone, as those below 1024 are by default: give {variable}"
            " a higher number in the inventory."
        )
    found = [f"process {p.pid}: {' '.join(p.arguments)[:200]}" for p in holders(port)]
    return (
        f"Port {port} on {address} is taken by {', '.join(found) or 'a process of another user'}:"
        f" stop that, or give {variable} another number in the inventory."
    )


def _open_files(pid: int) -> set[str]:
    """Return what a process has open; nothing when we may not know."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(PROC / str(pid) / "fd"):
            found.add(os.readlink(entry.path))
    return found
