"""How long the ledger's questions take, for growing ledgers, each against git itself.

    python benchmarks/board.py [COMMITS …]

first   ``python3 -m delivery status`` of a project that nothing answers for, in a new clone
status  the same from then on: the names of months that are over are kept in ``.delivery``
html    ``python3 -m delivery board --html``
names   ``git ls-tree -r``: git alone lists all events, the yardstick
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "template")]

from tests.delivery.past import PIPELINE, fill

REF = "refs/delivery/ledger"
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
TIMES = 5


def cost(root: Path, *command: str, afresh: bool = False) -> tuple[float, float]:
    """Return the median wall and CPU seconds of a command."""
    wall, cpu = [], []
    for _ in range(TIMES):
        if afresh:
            shutil.rmtree(root / ".delivery" / "names", ignore_errors=True)
        before, start = os.times(), time.monotonic()
        subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, check=False)
        after = os.times()
        wall.append(time.monotonic() - start)
        cpu.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    """Fill ledgers, ask, print."""
    for commits in [int(word) for word in sys.argv[1:]] or [100, 1000, 10_000]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            shutil.copytree(ROOT / "template" / "delivery", root / "delivery")
            (root / "delivery.toml").write_text(PIPELINE)
            (root / "pyproject.toml").write_text('[project]\nname = "toy"\n')
            for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Start"]):
                subprocess.run(["git", *IDENTITY, *words], cwd=root, check=True)
            (root / ".delivery").mkdir()
            fill(root, commits, datetime.now(UTC))
            listed = ("git", "ls-tree", "-r", "--name-only", REF)
            names = subprocess.run(listed, cwd=root, capture_output=True, check=True).stdout
            python = (sys.executable, "-m", "delivery")
            figures = {
                "names": cost(root, *listed),
                "first": cost(root, *python, "status", afresh=True),
                "status": cost(root, *python, "status"),
                "html": cost(root, *python, "board", "--html", "board.html"),
            }
        print(f"{commits} commits, {names.count(b'.json')} events")
        for name, (wall, cpu) in figures.items():
            ratio = cpu / max(figures["names"][1], 0.001)
            print(f"  {name:<7} {wall:7.3f} s, CPU {cpu:7.3f} s, {ratio:7.1f} x git's list")


if __name__ == "__main__":
    main()
