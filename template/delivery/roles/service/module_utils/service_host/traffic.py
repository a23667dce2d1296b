"""Which instance gets the traffic, and whether the one before still has some."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from .files import sync
from .layout import Layout

NETWORK = Path("/proc/net/unix")
LISTENING = 0x00010000
PAUSE = 0.02
# Where the kernel does not tell who is connected (macOS), this long has to do.
BLIND_SECONDS = 3.0


def point(layout: Layout, instance: str | None) -> None:
    """Give the traffic to an instance by one rename, or to none."""
    if instance is None:
        layout.current.unlink(missing_ok=True)
    else:
        draft = layout.run / ".current.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(layout.socket(instance).name)
        os.rename(draft, layout.current)
    sync(layout.run)


def busy(lines: Iterable[bytes], path: Path) -> int:
    """Count the connections to a socket, accepted or still queued, in /proc/net/unix."""
    wanted, count = os.fsencode(path), 0
    for line in lines:
        fields = line.rstrip(b"\n").split(maxsplit=7)
        if len(fields) == 8 and fields[7] == wanted and not int(fields[3], 16) & LISTENING:
            count += 1
    return count


def drain(layout: Layout, instance: str, seconds: float) -> int:
    """Wait until nothing is open to an instance, twice in a row; return what was left."""
    if not NETWORK.exists():
        time.sleep(min(seconds, BLIND_SECONDS))
        return 0
    path, deadline, empty, left = layout.socket(instance), time.monotonic() + seconds, 0, 0
    while empty < 2:
        with NETWORK.open("rb") as lines:
            left = busy(lines, path)
        empty = 0 if left else empty + 1
        if time.monotonic() > deadline:
            break
        time.sleep(PAUSE if empty < 2 else 0)
    return left
