"""Run what the module runs, and die where told: child.py MODULE_UTILS STEP UV ("-": none).

STEP is the place of a rollout's step before which to die; or "set-up 3": before the third change
of what the service stands on, or of its end.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

sys.path.insert(0, sys.argv[1])

from service_host import (
    api,
    foundation,
    install,
    journal,
    lock,
    rollout,
    stack,
    supervisor,
    systemd,
    units,
)

ASKS = {"is-active", "list-units", "show"}


def die(_rollout: rollout.Rollout) -> None:
    """End as nobody can prepare for."""
    os.kill(os.getpid(), signal.SIGKILL)


def asks(words: tuple[Any, ...]) -> bool:
    """Tell whether a call to supervisor or systemd only asks, and changes nothing."""
    return any(word.startswith("get") or word in ASKS for word in map(str, words))


def dying(place: int) -> None:
    """Die before one of the calls by which the set-up, or the end, changes something."""
    left = itertools.count(place, -1)

    def die_before(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*words: Any, **more: Any) -> Any:
            if not asks(words) and next(left) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **more)

        return wrapped

    for where, names in (
        (stack, ("write",)),
        (stack.Stack, ("reload", "replace_front")),
        (supervisor.Supervisor, ("call", "restart")),
        (systemd, ("write", "call", "discard", "forget")),
        (units, ("call",)),
        (foundation, ("discard",)),
    ):
        for name in names:
            setattr(where, name, die_before(getattr(where, name)))


class Printer:
    """Takes the place of Ansible."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.check_mode: bool = params.pop("check", False)

    def exit_json(self, **result: Any) -> None:
        """Print a result."""
        print(json.dumps(result))

    def fail_json(self, msg: str, **result: Any) -> None:
        """Print a failure."""
        print(json.dumps({"failed": True, "msg": msg, **result}))


def off_by(difference: timedelta) -> None:
    """Let the clock of the host be wrong."""
    right = time.time

    class Wrong(datetime):
        """What the clock says."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + difference

    for module in (journal, lock):
        vars(module)["datetime"] = Wrong
    time.time = lambda: right() + difference.total_seconds()


def main() -> None:
    """Read parameters, do the work."""
    if sys.argv[2].startswith("set-up "):
        dying(int(sys.argv[2].removeprefix("set-up ")))
    elif sys.argv[2]:
        place = int(sys.argv[2])
        step: tuple[str, Callable[[rollout.Rollout], None]] = ("install", die)
        rollout.STEPS = (*rollout.STEPS[:place], step, *rollout.STEPS[place:])
    if sys.argv[3]:
        install.find_uv = lambda: None if sys.argv[3] == "-" else sys.argv[3]
    parameters = json.load(sys.stdin)
    off_by(timedelta(days=parameters.pop("days", 0)))
    api.answer(Printer(parameters))


if __name__ == "__main__":
    main()
