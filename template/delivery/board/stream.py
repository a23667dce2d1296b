"""The value stream: how long commits wait before each stage, and how long each takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from ..ledger.event import Event
from .history import VERDICTS, Row


@dataclass(frozen=True)
class Step:
    """One stage in the stream; medians over the commits that passed it, in seconds.

    Attributes:
        stage: its name.
        passed: how many commits passed it.
        wait: the time before it in which no stage worked on the commit.
        run: the time it took, all its attempts together.
    """

    stage: str
    passed: int
    wait: float
    run: float


@dataclass(frozen=True)
class Stream:
    """The steps in the pipeline's order.

    Attributes:
        steps: those that some commit passed.
        slowest: the step with the most time, waiting and running; None without a step.
    """

    steps: tuple[Step, ...]

    @property
    def slowest(self) -> Step | None:
        """The bottleneck: the stage that takes the most time, with the wait before it."""
        return max(self.steps, key=lambda step: step.wait + step.run, default=None)

    @property
    def total(self) -> float:
        """All waits and runs together."""
        return sum(step.wait + step.run for step in self.steps)

    @property
    def waiting(self) -> float:
        """All waits together."""
        return sum(step.wait for step in self.steps)


def stream(rows: Iterable[Row], stages: Iterable[str]) -> Stream:
    """Return the value stream of some commits.

    Args:
        rows: the commits.
        stages: the stages, in the pipeline's order.
    """
    waits: dict[str, list[float]] = {}
    runs: dict[str, list[float]] = {}
    for row in rows:
        for stage, (wait, run) in _times(row.events).items():
            cell = row.cells.get(stage)
            if cell and cell.verdict == "passed":
                waits.setdefault(stage, []).append(wait)
                runs.setdefault(stage, []).append(run)
    return Stream(
        tuple(
            Step(stage, len(runs[stage]), *map(statistics.median, (waits[stage], runs[stage])))
            for stage in stages
            if stage in runs
        )
    )


def _times(events: Iterable[Event]) -> dict[str, tuple[float, float]]:
    """Return the seconds that a commit waited before each of its stages, and that each took."""
    spans = sorted(
        (event.when - timedelta(seconds=event.seconds), event.when, event.stage)
        for event in events
        if event.event in VERDICTS and event.seconds is not None
    )
    found: dict[str, tuple[float, float]] = {}
    busy = spans[0][0] if spans else None  # until when some stage worked on it
    for begin, end, stage in spans:
        assert busy
        wait, run = found.get(stage, (0.0, 0.0))
        found[stage] = (
            wait + max(0.0, (begin - busy).total_seconds()),
            run + (end - begin).total_seconds(),
        )
        busy = max(busy, end)
    return found
