"""Commands that run beside each other, and how they end: by themselves, or interrupted."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

PATIENCE = 20.0  # seconds that interrupted commands have for their own end, a deploy above all
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Processes:
    """The commands that run now, each known by a name."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.interrupted = False
        # What happens, in its order: the name of a command that ended, or None for an interrupt.
        # Of all queues only this one may be written to by the handler of a signal.
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take interrupts as news for `wait`, wherever they hit us, as long as the block runs."""
        # Who started us with a signal ignored (nohup, say) does not want us to hear it.
        before = {number: signal.getsignal(number) for number in SIGNALS}
        heard = [number for number in SIGNALS if before[number] != signal.SIG_IGN]
        for number in heard:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            for number in heard:
                signal.signal(number, before[number])

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self.interrupted = True
        self._news.put(None)

    def start(
        self, name: str, command: list[str], root: Path, env: Mapping[str, str], log: Path
    ) -> None:
        """Start a command in ``root``; all that it says goes to the file ``log``.

        Raises:
            OSError: it cannot be started.
        """
        with log.open("wb") as out:
            # A process group of its own: an interrupt comes to us, and we see to the end of it all.
            process = subprocess.Popen(
                command,
                cwd=root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,
            )
        self.running[name] = process
        threading.Thread(target=self._await, args=(name, process), daemon=True).start()

    def _await(self, name: str, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._news.put(name)

    def wait(self, seconds: float | None = None) -> tuple[str, int] | None:
        """Wait until a command ends; return its name and exit status.

        Args:
            seconds: how long; None for as long as it takes.

        Returns:
            None when the time is over and none has ended.

        Raises:
            KeyboardInterrupt: an interrupt came; the commands still run.
        """
        try:
            name = self._news.get(timeout=seconds)
        except queue.Empty:
            return None
        if name is None:
            raise KeyboardInterrupt
        return name, self.running.pop(name).wait()

    def end(self) -> None:
        """Interrupt the commands and all that they started; insist when something does not end."""
        left, deadline = set(self.running), time.monotonic() + PATIENCE
        self._signal(signal.SIGINT)
        while left:
            try:
                name = self._news.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if name is None:  # told again: no patience any more
                break
            left.discard(name)
        self._signal(signal.SIGKILL)
        for process in self.running.values():
            process.wait()
        self.running.clear()

    def _signal(self, number: signal.Signals) -> None:
        for process in self.running.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
