"""Run a stage, or walk a commit through all of them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from . import environment, gate, report, tools
from .artifact import Artifact
from .config import BUILD, Stage
from .errors import DeliveryError, Refused
from .event import Event
from .project import Project

TAIL = 15  # lines of a red stage's log that are shown
PATIENCE = 20.0  # seconds an interrupted stage has for its own end, a deploy above all
SAID = "delivery: "  # how this package's own errors begin
TOX_END = re.compile(r"^ +[a-z0-9-]+: FAIL|^ +evaluation failed")
TOX_EXIT = re.compile(r"^\S+: exit (-?\d+) \(\S+ seconds\) .*?> (.*) pid=\d+$")


def run(project: Project, stage: Stage) -> bool:
    """Ask the gate, run a stage's tox environment, time it, record the verdict.

    Args:
        project: the project; the commit that is checked out is what the stage runs for.
        stage: the stage.

    Returns:
        Whether the stage passed. A stage that has to run tests and ran none has not.

    Raises:
        Refused: the work tree is dirty, or the gate is shut.
        DeliveryError: the stage could not be started.
        KeyboardInterrupt: it was interrupted; the ledger says so.
    """
    attempt = _prepare(project, stage)
    line = report.Line(stage.name, stage.budget)
    started = time.monotonic()
    try:
        problem = _execute(project, attempt, line.tick)
    except KeyboardInterrupt:
        problem = "interrupted"
    seconds = round(time.monotonic() - started, 2)
    tests = _tests(attempt.reports)
    if problem is None and stage.tests and not tests:
        problem = "no test ran"
    project.record(
        "failed" if problem else "passed",
        stage.name,
        project.artifact(attempt.commit) if stage.name == BUILD else attempt.artifact,
        commit=attempt.commit,
        attempt=attempt.number,
        seconds=seconds,
        environment=stage.environment,
        reason=problem,
    )
    counted = f"{tests} test{'s' if tests > 1 else ''}" if tests else ""
    line.end("FAILED" if problem else "passed", seconds, counted)
    _explain(attempt.log, problem, project.config.root)
    if problem == "interrupted":
        raise KeyboardInterrupt
    return problem is None


@dataclass(frozen=True)
class Attempt:
    """One try of a stage: for which commit and artifact, and where its log and reports go."""

    stage: Stage
    commit: str
    artifact: Artifact | None
    number: int
    log: Path
    reports: Path


def _prepare(project: Project, stage: Stage) -> Attempt:
    """Ask the gate, and make the places a stage needs."""
    project.git.refuse_dirty()
    project.ledger.sync()
    commit, artifact, folder = (
        project.git.head(),
        project.artifact(),
        project.config.root / ".delivery",
    )
    gate.check(project.config, project.ledger, stage, commit, artifact.sha256 if artifact else None)
    if not stage.artifact or stage.name == BUILD:
        artifact = None
    if artifact:
        project.wheel(artifact)
    before = project.ledger.events(event=("passed", "failed"), stage=stage.name, about=commit)
    number = len(before) + 1
    log = folder / "logs" / commit[:12] / f"{stage.name}.{number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    reports = folder / "reports" / stage.name
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    return Attempt(stage, commit, artifact, number, log, reports)


def walk(project: Project) -> bool:
    """Walk the commit that is checked out through every stage; stop at the first red one.

    What passed before for this commit is not run again, except that the last environment has to
    answer with this commit's artifact.

    Returns:
        Whether the commit is through.

    Raises:
        Refused: the work tree is dirty, or a gate is shut.
        DeliveryError: a stage could not be started.
    """
    project.git.refuse_dirty()
    project.ledger.sync()
    commit = project.git.head()
    print(report.title(project.config.name, commit, project.git.subject(commit)), flush=True)
    for stage in project.config.stages.values():
        before = _done(project, stage, commit)
        if before:
            note = f"before, {report.ago(before.at)}"
            report.Line(stage.name, stage.budget).end("passed", before.seconds or 0, note)
        elif not run(project, stage):
            return False
    for environment_name in reversed(project.config.environments):
        live = project.live(environment_name)
        if live:
            print(f"\n{live.version} is in {environment_name}: {live.url}/")
            return True
    made = project.artifact()
    if made:
        wanted = f"{project.config.name}=={made.version}"
        print(f"\npip install --extra-index-url {project.config.index.url} {wanted}")
    return True


def _done(project: Project, stage: Stage, commit: str) -> Event | None:
    """Return the event that makes running ``stage`` again needless, if there is one."""
    artifact = project.artifact()
    about = artifact.sha256 if artifact and stage.artifact else commit
    events = project.ledger.events(event=("passed", "failed"), stage=stage.name, about=about)
    if not events or events[-1].event != "passed":
        return None
    if stage.name == BUILD and not (artifact and _kept(project, artifact)):
        return None
    if stage.environment and stage.environment == project.config.environments[-1]:
        live = project.live(stage.environment)
        said = environment.answers(live.url) if live and live.url else None
        if not said or not artifact or said.get("sha256") != artifact.sha256:
            return None
    return events[-1]


def _kept(project: Project, artifact: Artifact) -> bool:
    with contextlib.suppress(DeliveryError):
        return bool(project.config.index.fetch(project.config.name, artifact))
    with contextlib.suppress(DeliveryError):
        return bool(project.wheel(artifact))
    return False


def _execute(project: Project, attempt: Attempt, tick: Callable[[float], None]) -> str | None:
    """Run a stage's tox environment, telling ``tick`` the seconds; return why it is red."""
    tox = [
        *tools.tox(project.config.root),
        "run",
        "--no-list-dependencies",
        "--colored",
        "no",
        "-e",
    ]
    env = {**os.environ, "DELIVERY_STAGE": attempt.stage.name}
    if attempt.artifact:
        env["DELIVERY_SHA256"] = attempt.artifact.sha256
    with attempt.log.open("wb") as out:
        status = _wait([*tox, attempt.stage.name], project.config.root, env, out, tick)
    if status:
        return _reason(attempt.log)
    if not attempt.stage.environment:
        # Such a stage reads the work tree: what it says is about the commit only if they agree.
        if project.git.head() != attempt.commit:
            return "another commit was checked out while the stage ran"
        with contextlib.suppress(Refused):
            project.git.refuse_dirty()
            return None
        return "the work tree changed while the stage ran: git status shows it"
    return None


def _wait(
    command: list[str],
    root: Path,
    env: dict[str, str],
    out: BinaryIO,
    tick: Callable[[float], None],
) -> int:
    """Run a command to its end; return its exit status."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    try:
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
        try:
            while True:
                try:
                    return process.wait(0.1)
                except subprocess.TimeoutExpired:
                    tick(time.monotonic() - started)
        except KeyboardInterrupt:
            _end(process)
            raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a command and all that it started; insist when something does not end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tests(reports: Path) -> int:
    """Return how many tests ran, by the JUnit XML files in a folder."""
    count = 0
    for path in reports.rglob("*.xml"):
        try:
            suites = ElementTree.parse(path).getroot()
        except ElementTree.ParseError:
            continue
        for suite in suites.iter("testsuite"):
            count += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    return count


def _lines(log: Path) -> list[str]:
    """Return a log's lines, tox's account of a failed command as a short one."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    # tox's own last words only repeat that it failed.
    while lines and (not lines[-1].strip() or TOX_END.search(lines[-1])):
        lines.pop()
    return [TOX_EXIT.sub(r"\2 exited with status \1", line) for line in lines]


def _reason(log: Path) -> str:
    """Return why a stage failed, in one line: what this package said, else the last line."""
    lines = _lines(log)
    told = [line.removeprefix(SAID) for line in lines if line.startswith(SAID)]
    return (told or [line.strip() for line in lines if line.strip()] or ["it said nothing"])[-1]


def _explain(log: Path, problem: str | None, root: Path) -> None:
    """Show a stage's notes and, when it is red, why, and where the rest of its log is."""
    lines = _lines(log)
    for note in (line for line in lines if line.startswith("NOTE: ")):
        print(f"    {note}", flush=True)
    if problem:
        print(f"    {problem}")
        # What this package says of a failure stands for itself; another tool needs its last lines.
        said = [number for number, line in enumerate(lines) if line.startswith(SAID)]
        for line in lines[said[-1] + 1 : -1] if said else lines[-TAIL:-1]:
            print(f"    | {line}".rstrip())
        print(f"    the whole log: {log.relative_to(root)}", flush=True)
