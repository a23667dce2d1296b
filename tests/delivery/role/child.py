"""Run what the module runs, and die where told: child.py MODULE_UTILS STEP UV ("-": none)."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv[1])

from service_host import api, install, rollout


def die(_rollout: rollout.Rollout) -> None:
    """End as nobody can prepare for."""
    os.kill(os.getpid(), signal.SIGKILL)


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


def main() -> None:
    """Read parameters, do the work."""
    if sys.argv[2]:
        place = int(sys.argv[2])
        step: tuple[str, Callable[[rollout.Rollout], None]] = ("install", die)
        rollout.STEPS = (*rollout.STEPS[:place], step, *rollout.STEPS[place:])
    if sys.argv[3]:
        install.find_uv = lambda: None if sys.argv[3] == "-" else sys.argv[3]
    api.answer(Printer(json.load(sys.stdin)))


if __name__ == "__main__":
    main()
