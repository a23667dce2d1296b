"""A walk that is interrupted tells the truth, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Toy


def running(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("to_the_group", [True, False], ids=["terminal", "process"])
def test_interrupted_stages_are_told_truly_and_nothing_runs_on(
    ready: Toy, signal_name: str, to_the_group: bool
) -> None:
    pids = {name: ready.root / ".delivery" / f"{name}.pid" for name in ("lint", "unit")}
    code = "import os, time\nopen({!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    lint, unit = (code.format(str(path)) for path in pids.values())
    ready.commit(lint_py=lint, unit_py=unit)
    walk = subprocess.Popen(
        [sys.executable, "-m", "delivery", "walk", "--jobs", "2"],
        cwd=ready.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not all(pid.exists() and pid.read_text() for pid in pids.values()):
        assert walk.poll() is None
        time.sleep(0.05)
    (os.killpg if to_the_group else os.kill)(walk.pid, getattr(signal, signal_name))
    _, said = walk.communicate(timeout=120)
    assert walk.returncode == 130
    assert "interrupted" in said
    assert ready.log() == ["lint failed", "unit failed"]
    assert not [pid for pid in pids.values() if running(int(pid.read_text()))]
