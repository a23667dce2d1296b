"""Let the front end without losing a request: leave.py PID, run by systemd before it ends that.

A server written in Go that is told to end drops whoever it has accepted and not yet heard. So it is
made to accept nobody first: a process that may open nothing more leaves new connections in the
queue of the port, to the front after it. What it has to open for the requests it took, Caddy tries
again for some seconds, and may as soon as it has closed the port.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable

# What the kernel calls a socket that listens, is open, was closed by the other side.
LISTENS, OPEN = "0A", "01 08"
# Who keeps a connection and says nothing for so long will hardly speak at the very end.
PARTING_SECONDS = 2.0
HEARING_SECONDS = 1.0
CLOSING_SECONDS = 3.0


def sockets(pid: int) -> list[str]:
    """Return the sockets that a process has, one entry a handle."""
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        # It may be closed by now.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry.path))
    return [name[8:-1] for name in found if name.startswith("socket:[")]


def connections(pid: int, states: str) -> dict[str, int]:
    """Return the TCP sockets of a process in some states, and what they have not read, in bytes."""
    own, found = set(sockets(pid)), dict[str, int]()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for fields in list(map(str.split, lines))[1:]:
                if fields[3] in states.split() and fields[9] in own:
                    found[fields[9]] = int(fields[4].partition(":")[2], 16)
    return found


def wait(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, for a while."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def leave(pid: int, sign: str) -> None:
    """Ask everybody to make a new connection, accept nobody, hear who is there, then end."""
    with open(sign, "w", encoding="ascii"):
        kept = set(connections(pid, OPEN))
    wait(lambda: not kept & set(connections(pid, OPEN)), PARTING_SECONDS)
    ports = set(connections(pid, LISTENS))
    held = sum(name in ports for name in sockets(pid))
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, limits[1]))
    time.sleep(0.1)
    wait(lambda: not any(connections(pid, OPEN).values()), HEARING_SECONDS)
    os.kill(pid, signal.SIGTERM)
    wait(lambda: sum(name in ports for name in sockets(pid)) < held, CLOSING_SECONDS)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


# One that has ended by itself has nothing to say, and may be gone at any time.
if len(sys.argv) == 2:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        leave(int(sys.argv[1]), os.path.join(os.environ["RUNTIME_DIRECTORY"], "ending"))
