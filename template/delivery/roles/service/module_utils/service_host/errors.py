"""How the host says no."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """What cannot be done: one sentence that says what, where and what to do, and the last log."""

    def __init__(self, reason: str, log: Sequence[str] = ()) -> None:
        super().__init__(reason, log)
        self.reason = reason
        self.log = tuple(log)

    def __str__(self) -> str:
        """Return the sentence, and under it the log."""
        return "\n".join([self.reason, *(f"  | {line}" for line in self.log)])


class Busy(Refused):
    """Somebody else is at it; the claim is the name of their attempt, if they have one."""

    def __init__(self, reason: str, claim: str | None = None) -> None:
        super().__init__(reason)
        self.claim = claim


def sentence(error: Refused | OSError) -> str:
    """Say in one sentence what an error means."""
    if isinstance(error, Refused):
        return error.reason
    return (
        f"The host cannot go on: {error.strerror or error} ({error.filename or 'no file named'})."
    )
