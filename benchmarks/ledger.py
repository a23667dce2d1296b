"""What the ledger costs when it is long, each figure against git's own in the same run.

    python benchmarks/ledger.py --times 7

push     git's own push of one small commit to a bare remote that has the ledger (the yardstick)
append   one event, recorded here and shared with that remote
fetch    git's own fetch of the whole ledger into an empty repository (the yardstick)
sync     the first sync of a fresh clone
names    git ls-tree of every file's name
walk     git log through the whole chain, for what was changed: most of what verify takes
gate     what may go to production: every rule asked, for the newest artifact
crowd    8 writers in 8 clones append 50 events each at the same time: how many of 400 are kept

For 100, 1,000 and 10,000 commits of 8 events within a year. Wall-clock seconds, and beside them the
CPU seconds of all processes, which other work on the machine changes least; each is a median.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "template"))

from delivery.artifact.folder import Folder
from delivery.config import Config
from delivery.errors import DeliveryError
from delivery.git import Git
from delivery.ledger.chain import REF
from delivery.ledger.event import Event, now
from delivery.ledger.store import Ledger
from delivery.pipeline import gate
from delivery.tables import Stage

CODE = "5805b676e247eb9a8046ad0c4d249cd2fb2513df"  # the tree of a folder with one empty file, "x"
WHO = "Ada Lovelace <ada@example.org>"
EVENTS = (
    ("lint", "passed"),
    ("unit", "passed"),
    ("build", "built"),
    ("build", "passed"),
    ("publish", "published"),
    ("acceptance", "deployed"),
    ("acceptance", "passed"),
    ("production", "deployed"),
)
STAGES = {
    "build": Stage("build", 1, artifact=True),
    "acceptance": Stage("acceptance", 1, ("build",), environment="acceptance", artifact=True),
    "production": Stage("production", 1, ("acceptance",), environment="production", artifact=True),
}


def history(bare: Path, commits: int) -> tuple[str, str]:
    """Fill a bare repository with the ledger of a year; return the newest commit and sha256."""
    git("init", "--quiet", "--bare", bare)
    writer = subprocess.Popen(["git", "-C", bare, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert writer.stdin
    start, gap = datetime.now(UTC) - timedelta(days=366), timedelta(days=365) / commits
    for number in range(commits):
        commit = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
        sha256 = hashlib.sha256(commit.encode()).hexdigest()
        for turn, (stage, kind) in enumerate(EVENTS):
            at = start + gap * number + timedelta(seconds=5 * turn)
            version = f"1.{number}"
            made = {"wheel": f"toy-{version}.whl", "version": version, "sha256": sha256}
            event = Event(
                kind,
                stage,
                commit,
                at.isoformat(timespec="microseconds"),
                WHO,
                "ci",
                seconds=1.5 + number % 7,
                environment=stage if kind == "deployed" else None,
                code=CODE if kind == "deployed" else None,
                **(made if turn > 1 else {}),  # type: ignore[arg-type]  # fields by name
            )
            body = event.body().encode()
            head = f"commit {REF}\ncommitter {WHO} {int(at.timestamp())} +0000\ndata 1\nx\n"
            file = f"M 100644 inline {event.path()}\ndata {len(body)}\n"
            writer.stdin.write(head.encode() + file.encode() + body + b"\n")
    writer.stdin.close()
    assert writer.wait() == 0
    git("-C", bare, "gc", "--quiet")
    return commit, sha256


def git(*arguments: str | Path) -> None:
    """Run git; it has to succeed."""
    subprocess.run(["git", *arguments], check=True)


def taken(step: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Return the wall-clock and the CPU seconds that a step takes."""
    wall, before = time.monotonic(), os.times()
    step(*arguments)
    after = os.times()
    return time.monotonic() - wall, sum(after[:4]) - sum(before[:4])


def measure(scratch: Path, commits: int, times: int) -> dict[str, tuple[float, float]]:
    """Return the figures for a ledger of so many commits."""
    bare = scratch / "bare.git"
    commit, sha256 = history(bare, commits)
    found: dict[str, list[tuple[float, float]]] = {}

    def take(name: str, step: Callable[..., object], *arguments: object) -> None:
        found.setdefault(name, []).append(taken(step, *arguments))

    def clone(name: str) -> Git:
        shutil.rmtree(scratch / name, ignore_errors=True)
        git("init", "--quiet", scratch / name)
        made = Git(scratch / name)
        made.text("remote", "add", "origin", str(bare))
        made.text("config", "user.name", "Ada Lovelace")
        made.text("config", "user.email", "ada@example.org")
        return made

    for _ in range(min(times, 3)):
        plain = clone("plain")
        take("fetch", plain.text, "fetch", "--quiet", "origin", f"{REF}:{REF}")
        ours = clone("ours")
        take("sync", Ledger(ours, "origin").sync)
    shared = Ledger(ours, "origin")
    tree = plain.text("rev-parse", f"{REF}^{{tree}}")
    other = plain.text("commit-tree", tree, "-m", "x")
    for _ in range(times):
        other = plain.text("commit-tree", tree, "-p", other, "-m", "x")
        take("push", plain.text, "push", "--quiet", "origin", f"{other}:refs/other/one")
        event = Event("passed", "unit", commit, now(), WHO, "ci")
        take("append", Ledger(ours, "origin").append, event)
        take("names", ours.text, "ls-tree", "-r", "--name-only", REF)
    config = Config(scratch, "toy", (3, 11), Folder(scratch), "", STAGES, {})
    production = STAGES["production"]
    (ours.root / "delivery").mkdir()
    (ours.root / "delivery" / "x").touch()
    ours.text("add", "--all")
    ours.text("commit", "--quiet", "--message", "Start")
    for _ in range(min(times, 3)):
        take("gate", gate.check, config, shared, production, commit, sha256)
    take("walk", ours.text, "log", "-m", "--diff-filter=MDT", "--name-status", REF)
    return {
        name: (statistics.median(w for w, _ in each), statistics.median(c for _, c in each))
        for name, each in found.items()
    }


def crowd(scratch: Path, writers: int, events: int) -> tuple[int, int, float]:
    """Let all write at once.

    Returns:
        How many events the remote has in the end; how many were appended at first in the clone
        alone, for others were in the way too long; the seconds until all had written.
    """
    bare = scratch / "bare.git"
    git("init", "--quiet", "--bare", bare)
    made = []
    for number in range(writers):
        git("init", "--quiet", scratch / str(number))
        made.append(Git(scratch / str(number)))
        made[-1].text("remote", "add", "origin", str(bare))

    def write(clone: Git) -> int:
        ledger, late = Ledger(clone, "origin"), 0
        for turn in range(events):
            reason = f"{clone.root.name}.{turn}"
            try:
                ledger.append(Event("passed", "unit", 40 * "c", now(), WHO, "ci", reason=reason))
            except DeliveryError:
                late += 1
        return late

    start = time.monotonic()
    with ThreadPoolExecutor(writers) as pool:
        late = sum(pool.map(write, made))
    seconds = time.monotonic() - start
    for clone in made:
        Ledger(clone, "origin").sync()
    return len({event.reason for event in Ledger(Git(bare)).events()}), late, seconds


def main() -> None:
    """Measure, print the figures, their growth and their ratios."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--times", type=int, default=7, help="how often each figure is taken")
    options.add_argument("--commits", type=int, nargs="*", default=[100, 1000, 10000])
    options.add_argument("--writers", type=int, default=8, help="how many write at once")
    options.add_argument("--events", type=int, default=50, help="how many events each of them")
    asked = options.parse_args()
    for commits in asked.commits:
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
            figures = measure(Path(folder), commits, asked.times)
        print(f"{commits} commits, {commits * len(EVENTS)} events: seconds (CPU seconds)")
        for name, (wall, cpu) in figures.items():
            print(f"  {name:<20} {wall:8.3f} ({cpu:.3f})")
        beyond = (
            figures["append"][0] - figures["push"][0],
            figures["append"][1] - figures["push"][1],
        )
        print(f"  {'append beyond push':<20} {beyond[0]:8.3f} ({beyond[1]:.3f}) of 0.050")
        print(
            f"  {'sync against fetch':<20} {figures['sync'][1] / figures['fetch'][1]:8.2f} in CPU"
        )
        print(
            f"  {'sync':<20} {figures['sync'][0]:8.3f} ({figures['sync'][1]:.3f}) of 5", flush=True
        )
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        kept, late, seconds = crowd(Path(folder), asked.writers, asked.events)
    every = asked.writers * asked.events
    print(
        f"{asked.writers} writers at once: {kept} of {every} events kept, {late} of them shared"
        f" late, {seconds:.1f} s"
    )
    assert kept == every


if __name__ == "__main__":
    main()
