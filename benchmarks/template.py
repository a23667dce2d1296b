"""How long Copier takes for a project, each figure against a yardstick of the same run.

    make bench

one file    a template of one file and one question: what Copier takes for itself
plain       the default project's files as a template without questions, conditions or Jinja: what
            Copier takes for that many files
copy        the default project
update      the default project, to a release that changed one of its files

All in CPU seconds, which other work on the machine changes least; each is taken in turn, and the
median stands for it. Of what Copier takes for each file (it compiles every part of its path twice,
and asks git for a setting) a template can save nothing but files: hence the second yardstick.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
AIMS = {("copy", "one file"): 1.15, ("copy", "plain"): 1.15, ("update", "copy"): 2.5}


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder; it has to succeed."""
    subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True)


def release(folder: Path, tag: str) -> Path:
    """Commit all there is in a folder, and tag it; return the folder."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", tag)
    git(folder, "tag", tag)
    return folder


def copier(*arguments: str | Path, cwd: Path) -> float:
    """Run Copier; return the CPU seconds that it and what it started took."""
    command = [sys.executable, "-m", "copier", *arguments]
    before = os.times()
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def templates(scratch: Path) -> dict[str, Path]:
    """Make the three templates, each a repository with a release; return where they are."""
    ours = scratch / "ours"
    ours.mkdir()
    shutil.copy(ROOT / "copier.yml", ours)
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(ROOT / "template", ours / "template", ignore=skip)
    release(ours, "v1")
    for name in ("one file", "plain"):
        (scratch / name).mkdir()
        (scratch / name / "copier.yml").write_text(
            "_subdirectory: template\nname: {type: str, default: Ada}\n"
        )
    (scratch / "one file" / "template").mkdir()
    (scratch / "one file" / "template" / "README.md.jinja").write_text("# {{ name }}\n")
    copier("copy", "--quiet", "--defaults", ours, scratch / "plain" / "template", cwd=scratch)
    for name in ("one file", "plain"):
        place = scratch / name / "template" / ANSWERS
        place.write_text("{{ _copier_answers | to_nice_yaml }}")
        release(scratch / name, "v1")
    return {"one file": scratch / "one file", "plain": scratch / "plain", "copy": ours}


def measure(scratch: Path, times: int) -> dict[str, float]:
    """Take every figure, in turn; return the medians."""
    sources = templates(scratch)
    project = scratch / "project"
    copier("copy", "--quiet", "--defaults", sources["copy"], project, cwd=scratch)
    release(project, "start")
    taken: dict[str, list[float]] = {name: [] for name in (*sources, "update")}
    newer = sources["copy"] / "template" / ".gitignore.jinja"
    for _ in range(times):
        for name, source in sources.items():
            made = scratch / "made"
            quiet = ("--quiet", "--defaults", "--vcs-ref=v1")
            taken[name].append(copier("copy", *quiet, source, made, cwd=scratch))
            shutil.rmtree(made)
        if not taken["update"]:
            newer.write_text(newer.read_text(encoding="utf-8") + "cache/\n", encoding="utf-8")
            release(sources["copy"], "v2")
        taken["update"].append(copier("update", "--quiet", "--defaults", cwd=project))
        git(project, "reset", "--quiet", "--hard", "start")
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Measure, print the figures and their ratios."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--times", type=int, default=7, help="how often each figure is taken")
    times = options.parse_args().times
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        figures = measure(Path(folder), times)
    for figure, seconds in figures.items():
        print(f"{figure:<26} {seconds:8.3f}")
    for (figure, yardstick), aim in AIMS.items():
        ratio = figures[figure] / figures[yardstick]
        verdict = f"of {aim}" + (", missed" if ratio > aim else "")
        print(f"{f'{figure} against {yardstick}':<26} {ratio:8.2f} {verdict}")


if __name__ == "__main__":
    main()
