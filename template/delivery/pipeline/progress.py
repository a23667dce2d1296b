"""One line for each stage of a round: on a terminal those that run are seen running."""

from __future__ import annotations

import os
import shutil
import sys

from ..tables import Stage

WIDTH = 12
UP, CLEAR = "\x1b[A", "\x1b[K"


def row(stage: Stage, verdict: str, seconds: float, note: str = "") -> str:
    """Return a stage's line: its verdict and its seconds; over its budget, it is marked.

    >>> row(Stage("lint", budget=3), "passed", 3.14, "2 tests")
    '  lint         passed     3.1 s of   3 s  over budget  2 tests'
    """
    over = "over budget" if seconds > stage.budget else ""
    rest = "  ".join(text for text in (over, note) if text)
    spent = f"{seconds:6.1f} s of {stage.budget:3g} s"
    return f"  {stage.name:<{WIDTH}} {verdict:<7} {spent}  {rest}".rstrip()


class Screen:
    """What a person sees of a round: lines that stay, and below them, on a terminal, the rest."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._rows = 0  # of the part that does not stay

    def say(self, *lines: str) -> None:
        """Print lines that stay."""
        self._write(self._wipe() + "".join(f"{line}\n" for line in lines))

    def show(self, *lines: str) -> None:
        """Show lines until the next ones come; nowhere but on a terminal."""
        if not self.live:
            return
        width = shutil.get_terminal_size().columns - 1  # a line that wraps would count as two
        text = "".join(f"{line[:width]}{CLEAR}\n" for line in lines)
        # What is left of more lines before goes at once with what replaces it: no flicker.
        self._write(f"{UP * self._rows}\r{text}\x1b[J" if self._rows else text)
        self._rows = len(lines)

    def _wipe(self) -> str:
        rows, self._rows = self._rows, 0
        return f"{UP * rows}\r\x1b[J" if rows else ""

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            # Whoever read along has gone (a pipe, a terminal that was closed): the round goes on,
            # and the ledger tells of it.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as we live
            self.live = False
