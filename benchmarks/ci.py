"""How long each CI system takes to deliver a commit, against `python3 -m delivery walk` of it.

    tox run -e engines

The stages are stood in for and take no time, as in tests/ci, so what is left is what brings them
about: clones, jobs, artifacts handed on, and an interpreter for each. Groovy and a Java have to be
there for Jenkins, for which a stand-in runs the file.

walk      python3 -m delivery walk, in the clone that is there (the first yardstick)
jobs      what any CI system has to do: the same by python3 -m delivery run, each job in a new clone
          of its own, two beside each other where the table lets them (the second yardstick)
github    act;  gitlab  gitlab-ci-local;  jenkins  the stand-in;  buildbot  itself, running already
beyond    seconds more than the walk, and than the jobs, until the last of ten stages has run
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import copier
from delivery.ci.plan import CARRIED, Job, plan, waves
from delivery.config import load

from tests.ci import standin, test_github, test_gitlab
from tests.ci.bot import Bot
from tests.ci.conftest import started
from tests.ci.sample import DEFAULT, Sample

ROOT = Path(__file__).resolve().parents[1]
YARDSTICKS = ("walk", "jobs")
SYSTEMS = (*YARDSTICKS, "github", "gitlab", "jenkins", "buildbot")
WHO = {"NAME": "Ada Lovelace", "EMAIL": "ada@example.org"}
# Delivers the commit that is checked out, to the end.
Engine = Callable[[Sample, str], object]


def project(scratch: Path, system: str) -> Path:
    """Render a project for a CI system."""
    template, folder = scratch / "template", scratch / "projects" / system
    if not template.exists():
        template.mkdir()
        shutil.copy(ROOT / "copier.yml", template)
        shutil.copytree(ROOT / "template", template / "template")
    answers = {"ci": [system] if system not in YARDSTICKS else []}
    settings = copier.Settings()
    copier.run_copy(str(template), folder, answers, defaults=True, quiet=True, settings=settings)
    return folder


def jobs(place: Path, sample: Sample, commit: str) -> None:
    """Deliver a commit job by job, as any CI system has to: clone, take, run, hand on."""
    kept = place / commit
    kept.mkdir()

    def run(job: Job) -> None:
        root = kept / "jobs" / job.name
        clone = ["git", "clone", "--quiet", "--branch=main", f"file://{sample.origin}", str(root)]
        subprocess.run(clone, check=True)
        for name in ("dist", CARRIED):
            if job.before and (kept / name).exists():
                shutil.copytree(kept / name, root / name, dirs_exist_ok=True)
        told = {"DELIVERY_LEDGER_REMOTE": "origin", "DELIVERY_VIA": "jobs"}
        told |= {} if job.delivers else {"DELIVERY_LEDGER_PUSH": "no"}
        for stage in job.names:
            command = ["python3", "-m", "delivery", "run", stage]
            quiet: Any = {"stdout": subprocess.DEVNULL, "check": True}
            subprocess.run(command, cwd=root, env={**sample.env, **told}, **quiet)
        for name in ["dist"] * job.builds + [CARRIED] * (not job.delivers):
            shutil.copytree(root / name, kept / name, dirs_exist_ok=True)

    for wave in waves(plan(load(sample.root)).jobs):
        with ThreadPoolExecutor(2) as lanes:
            list(lanes.map(run, wave))


@contextmanager
def engine(scratch: Path, system: str, sample: Sample) -> Iterator[Engine]:
    """Make a CI system ready; yield what lets it deliver."""
    place = scratch / f"engine-{system}"
    place.mkdir()
    match system:
        case "github":
            yield lambda sample, commit: test_github.act(sample)
        case "gitlab":
            gitlab = test_gitlab.installed(place)
            yield lambda sample, commit: test_gitlab.through(sample, gitlab)
        case "jenkins":
            command = standin.compiled(place)
            yield lambda sample, commit: standin.build(command, sample, commit)
        case "buildbot":
            bot = Bot(sample)
            with bot.running():
                yield lambda sample, commit: bot.built(commit, until=DEFAULT[-1])
        case "jobs":
            yield lambda sample, commit: jobs(place, sample, commit)
        case _:
            walk = ["python3", "-m", "delivery", "walk"]
            yield lambda sample, commit: sample.run(walk, sample.root)


def measure(scratch: Path, system: str, times: int) -> float:
    """Return the median seconds from a pushed commit to the end of its last stage."""
    home, found = scratch / f"home-{system}", []
    home.mkdir()
    sample = started(lambda **_: project(scratch, system), home, whole=True)
    with engine(scratch, system, sample) as deliver:
        for number in range(times + 1):
            commit = sample.commit(f"Change {number}")
            start = time.time()
            deliver(sample, commit)
            # What a system does after that keeps nobody waiting; the last line is its end.
            found.append(Path(sample.env["JOURNAL"]).stat().st_mtime - start)
            if sorted(sample.journal(commit)) != sorted(DEFAULT):
                sys.exit(f"{system} did not run every stage once:\n{sample.said}")
    return statistics.median(found[1:])  # the first one warms caches


def main() -> None:
    """Measure, print a table."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--times", type=int, default=3, help="how often each figure is taken")
    options.add_argument("systems", nargs="*", default=SYSTEMS, help=f"of {', '.join(SYSTEMS)}")
    told: Any = options.parse_args()
    if unknown := set(told.systems) - set(SYSTEMS):
        options.error(f"{', '.join(sorted(unknown))} is none of {', '.join(SYSTEMS)}")
    os.environ |= {f"GIT_{r}_{name}": t for r in ("AUTHOR", "COMMITTER") for name, t in WHO.items()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        took: dict[str, float] = {}
        for system in (*YARDSTICKS, *(name for name in told.systems if name not in YARDSTICKS)):
            took[system] = measure(Path(folder), system, told.times)
            more = "".join(
                f", {took[system] - took[name]:5.1f} s beyond the {name}"
                for name in YARDSTICKS
                if name != system and name in took
            )
            print(f"{system:<10}{took[system]:6.1f} s{more}", flush=True)


if __name__ == "__main__":
    main()
