"""Run stages for the commit that is checked out, beside each other where the table allows.

A stage starts when all that it needs has passed. One that deploys runs alone, and none after it in
the table overtakes it. Verdicts are recorded and shown in the table's order, whichever ended first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .. import tools, view
from ..errors import DeliveryError
from ..ledger.event import Event
from ..project import Project
from ..tables import Stage
from . import progress, promotion
from .attempt import Attempt
from .process import Processes

TICK = 0.1  # seconds between two looks of a terminal at what runs
Passed = Callable[[Stage], Event | None]


def run(
    project: Project,
    stages: Iterable[Stage],
    jobs: int | None = None,
    strict: bool = False,
    passed: Passed = lambda stage: None,
) -> bool:
    """Ask each stage's gate, run its tox environment, time it, record the verdict.

    When a stage is red no other starts; those beside it run to their own end, so that each verdict
    in the ledger is a true one.

    Args:
        project: the project; the commit that is checked out is what the stages run for.
        stages: the stages, in the table's order.
        jobs: how many may run at a time; None for as many as there are cores.
        strict: whether a stage that takes longer than its budget is red.
        passed: returns the event that makes running a stage again needless, if there is one.

    Returns:
        Whether all have passed. A stage that has to run tests and ran none has not.

    Raises:
        Refused: the work tree is dirty, or a gate is shut.
        UsageError: a stage has no tox environment.
        DeliveryError: a stage could not be started, or the ledger could not be written.
        KeyboardInterrupt: it was interrupted; the ledger says so of what ran.
    """
    turns = [Turn(stage) for stage in stages]
    tools.check_environments(project.config.root, [turn.stage.name for turn in turns])
    return Round(project, turns, jobs or cores(), strict, passed).go()


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


@dataclass
class Turn:
    """A stage's turn in a round, and what came of it so far.

    Attributes:
        stage: the stage.
        attempt: what runs, or ran.
        before: the event that made that needless.
        told: whether it is recorded and shown.
    """

    stage: Stage
    attempt: Attempt | None = None
    before: Event | None = None
    told: bool = False

    @property
    def begun(self) -> bool:
        """Whether it has had its turn, or is having it."""
        return self.attempt is not None or self.before is not None

    @property
    def ended(self) -> bool:
        """Whether what came of it is known."""
        return self.begun and (self.attempt is None or self.attempt.seconds is not None)


@dataclass
class Round:
    """Stages on their way, each in its turn."""

    project: Project
    turns: list[Turn]
    jobs: int
    strict: bool
    passed: Passed

    def __post_init__(self) -> None:
        self.processes = Processes()
        self.screen = progress.Screen()
        self.stopped = False  # no other stage starts
        self.error: DeliveryError | None = None  # what stopped it, unless a red stage did

    def go(self) -> bool:
        """Let every stage have its turn; return whether all have passed."""
        with self.processes.listening():
            try:
                self._loop()
            except BaseException:
                self._break_off()
                raise
        if self.error:
            raise self.error
        return all(turn.told and not (turn.attempt and turn.attempt.problem) for turn in self.turns)

    def _loop(self) -> None:
        self._start()
        while self.processes.running:
            ended = self.processes.wait(TICK if self.screen.live else None)
            if ended:
                self._close(*ended)
                self._tell()
                self._start()
            self._show()

    def _start(self) -> None:
        """Start all that may start now."""
        while turn := self._next():
            try:
                turn.before = self.passed(turn.stage)
                if not turn.before:
                    self._begin(turn)
            except DeliveryError as error:
                self._stop(error)
            self._tell()

    def _next(self) -> Turn | None:
        """Return the first stage that may start now."""
        if self.processes.interrupted:
            raise KeyboardInterrupt
        if self.stopped or len(self.processes.running) >= self.jobs:
            return None
        ahead: list[Stage] = []  # what has not been recorded yet
        for turn in self.turns:
            if not turn.begun:
                if turn.stage.environment and ahead:
                    return None
                if not any(stage.name in turn.stage.needs for stage in ahead):
                    return turn
            if not turn.told:
                ahead.append(turn.stage)
                if turn.stage.environment:
                    return None
        return None

    def _begin(self, turn: Turn) -> None:
        root = self.project.config.root
        attempt = Attempt.prepare(self.project, turn.stage)
        try:
            self.processes.start(
                turn.stage.name,
                attempt.command(root),
                root,
                attempt.environment(),
                attempt.log,
            )
        except OSError as error:
            raise DeliveryError(f"{turn.stage.name} cannot be started: {error}") from None
        turn.attempt = attempt
        self._show()

    def _close(self, name: str, status: int | None) -> None:
        for turn in self.turns:
            if turn.stage.name == name and turn.attempt:
                turn.attempt.close(self.project, status, self.strict)
                self.stopped = self.stopped or turn.attempt.problem is not None

    def _tell(self) -> None:
        """Record and show what is known, in the table's order."""
        for turn in self.turns:
            if turn.told:
                continue
            if not turn.ended:
                if turn.begun or not self.stopped:
                    return  # its verdict comes first
                continue  # it has no turn any more
            turn.told = True
            if turn.before:
                note = f"before, {view.ago(turn.before.at)}"
                seconds = turn.before.seconds or 0
                self.screen.say(progress.row(turn.stage, "passed", seconds, note))
            elif turn.attempt:
                self._record(turn.attempt)
                self.screen.say(turn.attempt.row(), *turn.attempt.told(self.project.config.root))
            self._promote(turn)

    def _promote(self, turn: Turn) -> None:
        if self.error or (turn.attempt and turn.attempt.problem):
            return
        try:
            said = promotion.passed(self.project, turn.stage)
            self.screen.say(*([f"    {said}"] if said else []))
        except DeliveryError as error:
            self._stop(error)

    def _record(self, attempt: Attempt) -> None:
        try:
            attempt.record(self.project)
        except DeliveryError as error:
            # An interrupt from a terminal hits git, too.
            if self.processes.interrupted and not attempt.recorded(self.project):
                attempt.record(self.project)
            else:
                self._stop(error)

    def _show(self) -> None:
        on_their_way = [turn.attempt for turn in self.turns if turn.attempt and not turn.told]
        self.screen.show(*(attempt.row() for attempt in on_their_way))

    def _stop(self, error: DeliveryError) -> None:
        self.stopped = True
        self.error = self.error or error

    def _break_off(self) -> None:
        """End what runs, and record that it was interrupted."""
        self.stopped = True
        names = list(self.processes.running)
        self.processes.end()
        for name in names:
            self._close(name, None)
        self._tell()
