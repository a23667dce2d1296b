"""One try of a stage: what it needs before, what it runs, and what came of it."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from .. import tools
from ..artifact.credentials import PASSWORD
from ..artifact.wheel import Artifact
from ..errors import Refused
from ..project import Project
from ..tables import BUILD, Stage
from . import gate, progress

TAIL = 15  # lines of a red stage's log that are shown
SAID = "delivery: "  # how this package's own errors begin
TOX_END = re.compile(r"^ +[a-z0-9-]+: FAIL|^ +evaluation failed")
TOX_EXIT = re.compile(r"^\S+: exit (-?\d+) \(\S+ seconds\) .*?> (.*) pid=\d+$")
UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # for XML 1.0


@dataclass
class Attempt:
    """One try of a stage: for which commit and artifact, where its log and reports go; its end.

    Attributes:
        started: when it began, by the monotonic clock, in seconds.
        seconds: how long it took; None as long as it runs.
        problem: why it is red, in one sentence; None when it is green.
        tests: how many tests it ran.
    """

    stage: Stage
    commit: str
    artifact: Artifact | None
    number: int
    log: Path
    reports: Path
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    problem: str | None = None
    tests: int = 0

    @classmethod
    def prepare(cls, project: Project, stage: Stage) -> Attempt:
        """Ask the gate, and make the places a stage needs.

        Raises:
            Refused: the work tree is dirty, the clone too shallow to build, or the gate is shut.
            DeliveryError: the artifact is not to be had.
        """
        project.git.refuse_dirty()
        if stage.name == BUILD:
            project.git.refuse_shallow()
        project.ledger.sync()
        commit, artifact = project.git.head(), project.artifact()
        sha256 = artifact.sha256 if artifact else None
        gate.check(project.config, project.ledger, stage, commit, sha256)
        tools.tox(project.config.root)  # made once; the first stage does not pay for it
        if not stage.artifact or stage.name == BUILD:
            artifact = None
        if artifact:
            project.wheel(artifact)
        before = project.ledger.events(event=("passed", "failed"), stage=stage.name, about=commit)
        folder, number = project.config.root / ".delivery", len(before) + 1
        log = folder / "logs" / commit[:12] / f"{stage.name}.{number}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        reports = _reports(folder / "reports", commit) / stage.name
        shutil.rmtree(reports, ignore_errors=True)
        reports.mkdir(parents=True)
        return cls(stage, commit, artifact, number, log, reports)

    def command(self, root: Path) -> list[str]:
        """Return the command that runs the stage's tox environment."""
        quiet = ("--no-list-dependencies", "--colored", "no")
        return [*tools.tox(root), "run", *quiet, "-e", self.stage.name]

    def environment(self) -> dict[str, str]:
        """Return the environment of that command: who it is, and which artifact it is about."""
        told = {**tools.environ(), "DELIVERY_STAGE": self.stage.name}
        if self.artifact:
            return {**told, "DELIVERY_SHA256": self.artifact.sha256}
        told.pop(PASSWORD, None)  # a stage without an artifact has no business with the index
        return told

    def close(self, project: Project, status: int | None, strict: bool = False) -> None:
        """Find out what came of it.

        Args:
            project: the project.
            status: the command's exit status; None when it was interrupted.
            strict: whether it is red when it took longer than its budget.
        """
        self.seconds = round(time.monotonic() - self.started, 2)
        self.tests = _tests(self.reports)
        self.problem = self._problem(project, status)
        if strict and not self.problem and self.seconds > self.stage.budget:
            took = f"took {self.seconds:.1f} s, over its budget of {self.stage.budget:g} s"
            self.problem = f"{took}, and budgets are strict"
        self._report()

    def _problem(self, project: Project, status: int | None) -> str | None:
        if status is None:
            return "interrupted"
        if status:
            return _reason(self.log)
        if self.stage.tests and not self.tests:
            where = self.reports.relative_to(project.config.root)
            return f"no test ran: {where} has no JUnit XML of one"
        if not self.stage.environment:
            # Such a stage reads the work tree: what it says is about the commit only if they agree.
            if project.git.head() != self.commit:
                return "another commit was checked out while the stage ran"
            with contextlib.suppress(Refused):
                project.git.refuse_dirty()
                return None
            return "the work tree changed while the stage ran: git status shows it"
        return None

    def record(self, project: Project) -> None:
        """Write the verdict into the ledger.

        Raises:
            DeliveryError: the ledger cannot be written, or not shared.
        """
        project.record(
            "failed" if self.problem else "passed",
            self.stage.name,
            project.artifact(self.commit) if self.stage.name == BUILD else self.artifact,
            commit=self.commit,
            attempt=self.number,
            seconds=self.seconds,
            environment=self.stage.environment,
            reason=self.problem,
        )

    def recorded(self, project: Project) -> bool:
        """Return whether the ledger has the verdict."""
        events = project.ledger.events(
            event=("passed", "failed"), stage=self.stage.name, about=self.commit
        )
        return any(event.attempt == self.number for event in events)

    def row(self) -> str:
        """Return its line, as it runs or as it ended."""
        if self.seconds is None:
            return progress.row(self.stage, "…", time.monotonic() - self.started)
        counted = f"{self.tests} test{'s' if self.tests > 1 else ''}" if self.tests else ""
        verdict = "FAILED" if self.problem else "passed"
        return progress.row(self.stage, verdict, self.seconds, counted)

    def told(self, root: Path) -> list[str]:
        """Return the stage's notes and, when it is red, why, and where the rest of its log is."""
        lines = _lines(self.log)
        shown = [f"    {line}" for line in lines if line.startswith("NOTE: ")]
        if self.problem:
            shown += [f"    {self.problem}", *(f"    | {line}".rstrip() for line in _tail(lines))]
            shown.append(f"    the whole log: {self.log.relative_to(root)}")
        return shown

    def _report(self) -> None:
        """Write the verdict as JUnit XML too, beside what the stage wrote of its own tests."""
        failures = "1" if self.problem else "0"
        suite = ElementTree.Element("testsuite", name="delivery", tests="1", failures=failures)
        case = ElementTree.SubElement(suite, "testcase", classname="delivery", name=self.stage.name)
        suite.set("time", str(self.seconds))
        case.set("time", str(self.seconds))
        if self.problem:
            failure = ElementTree.SubElement(case, "failure", message=UNFIT.sub("?", self.problem))
            failure.text = UNFIT.sub("?", "\n".join(_tail(_lines(self.log))))
        ElementTree.ElementTree(suite).write(self.reports / "stage.xml", "utf-8", True)


def _reports(folder: Path, commit: str) -> Path:
    """Return the folder for the reports of ``commit``, without those of another one."""
    mark = folder / "commit"
    if not mark.exists() or mark.read_text(encoding="utf-8") != commit:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mark.write_text(commit, encoding="utf-8")
    return folder


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


def _tail(lines: list[str]) -> list[str]:
    """Return the lines that explain a red stage, without the last, which is the reason."""
    # What this package says of a failure stands for itself; another tool needs its last lines.
    said = [number for number, line in enumerate(lines) if line.startswith(SAID)]
    return lines[said[-1] + 1 : -1] if said else lines[-TAIL:-1]
