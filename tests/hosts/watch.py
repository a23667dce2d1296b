"""Look again and again while something goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def watched(look: Callable[[], Iterable[str]], pause: float) -> Iterator[set[str]]:
    """Collect all that a look finds while the block runs.

    Args:
        look: what is called.
        pause: seconds between two looks.
    """
    found: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(pause):
            found.update(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
