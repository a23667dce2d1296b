"""The jobs of a CI system, whichever it is, from the stage table of ``delivery.toml``.

A job clones with the whole history, takes ``dist/`` and ``.delivery/events/`` of the jobs before
it, runs ``python3 -m delivery run STAGE`` for each of its stages in turn, and hands both on.

- A job with ``delivers = False`` runs for every commit of every branch, and sees no secret. It has
  ``DELIVERY_LEDGER_PUSH=no``: it fetches the ledger and pushes nothing; its events are the files in
  ``.delivery/events/`` (see `ledger.carried`), which have to be handed on also when it is red.
- A job with ``delivers = True`` runs on the branch that is delivered, for tags, and on demand. It
  takes the events in, and pushes the ledger itself.
- What no such job follows (something is red, say) is shared on the delivered branch by
  ``python3 -m delivery sync`` in a last job that runs always, runs no tox and may push.

Every job has ``DELIVERY_LEDGER_REMOTE=origin``, ``DELIVERY_VIA`` (the system's name) and
``DELIVERY_BY`` (who started it). Before the stages of a job with ``approval`` a person is waited
for, and ``python3 -m delivery approve`` is run with that person as ``DELIVERY_BY``: without it the
gate refuses. ``python3 -m delivery rollback ENV [--to VERSION]`` and ``deploy ENV VERSION`` are the
buttons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..config import Config
from ..errors import UsageError
from ..tables import BUILD, Stage

COLD = 5  # minutes for a clone, and for tools that no cache has
SLOW = 4  # how much slower than two warm cores an agent may be

CARRIED = ".delivery/events"  # what every job hands on, besides dist/ of the one that builds
KEPT = (".delivery/logs", ".delivery/reports")  # what a person may want to see; JUnit is in reports


@dataclass(frozen=True)
class Job:
    """One job: a stage, or several that a lock holds together.

    Attributes:
        name: its name, that of its first stage.
        stages: its stages, in order. A stage that needs what a job deployed is in that job: what
            it looks at must not be replaced before it has looked.
        needs: the jobs that have to be green before, in the table's order.
        before: all jobs that are, directly or not, in the table's order.
        minutes: when it is broken off, in minutes; from the budgets.
        environment: the environment it deploys to, if any: one such job at a time.
        approval: whether a person has to approve the artifact first.
        delivers: whether it is only for what is delivered, see the module's docstring.
        builds: whether it makes ``dist/``.
        takes: whether it needs ``dist/``.
        secrets: the secrets it is handed, by the names of variables.
    """

    name: str
    stages: tuple[Stage, ...]
    needs: tuple[str, ...]
    before: tuple[str, ...]
    minutes: int
    environment: str | None
    approval: bool
    delivers: bool
    builds: bool
    takes: bool
    secrets: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its stages, in order."""
        return tuple(stage.name for stage in self.stages)


@dataclass(frozen=True)
class Plan:
    """What a CI system has to know.

    Attributes:
        jobs: the jobs, in the table's order.
        branch: the branch that is delivered.
        runner: the label of the agents; empty: whichever the system takes.
        python: the oldest Python the project runs on, like ``3.11``.
        environments: the environments, in the order the pipeline reaches them; none: what is
            delivered is the artifact itself.
    """

    jobs: tuple[Job, ...]
    branch: str
    runner: str
    python: str
    environments: tuple[str, ...]

    @property
    def tested(self) -> tuple[Job, ...]:
        """The jobs for every commit."""
        return tuple(job for job in self.jobs if not job.delivers)

    @property
    def delivered(self) -> tuple[Job, ...]:
        """The jobs for what is delivered."""
        return tuple(job for job in self.jobs if job.delivers)


def plan(config: Config) -> Plan:
    """Return the jobs of a project's pipeline.

    Raises:
        UsageError: a stage for every commit wants secrets.
    """
    for name in config.tested:
        if config.stages[name].secrets:
            raise UsageError(
                f"delivery.toml [stages.{name}]: secrets are for what publishes or deploys; this"
                " stage runs for every commit, whoever wrote it"
            )
    home: dict[str, str] = {}  # the job of each stage
    groups: dict[str, list[Stage]] = {}
    for stage in config.stages.values():
        ahead = {home[name] for name in stage.needs}
        # The last deploying job may take another stage, as long as none is between the two.
        last = next(reversed(groups), "")
        rides = not stage.environment and ahead == {last} and bool(groups[last][0].environment)
        home[stage.name] = last if rides else stage.name
        groups.setdefault(home[stage.name], []).append(stage)
    jobs: dict[str, Job] = {}
    for name, stages in groups.items():
        jobs[name] = _job(config, name, tuple(stages), home, jobs)
    return Plan(
        tuple(jobs.values()),
        config.branch,
        config.runner,
        ".".join(map(str, config.python)),
        config.environments,
    )


def _job(
    config: Config, name: str, stages: tuple[Stage, ...], home: dict[str, str], jobs: dict[str, Job]
) -> Job:
    wanted = {home[need] for stage in stages for need in stage.needs} - {name}
    known = wanted.union(*(jobs[need].before for need in wanted))
    return Job(
        name,
        stages,
        needs=tuple(job for job in jobs if job in wanted),
        before=tuple(job for job in jobs if job in known),
        minutes=COLD + math.ceil(SLOW * sum(stage.budget for stage in stages) / 60),
        environment=stages[0].environment,
        approval=stages[0].approval,
        delivers=name not in config.tested,
        builds=name == BUILD,
        takes=name != BUILD and any(stage.artifact for stage in stages),
        secrets=tuple(dict.fromkeys(secret for stage in stages for secret in stage.secrets)),
    )


def waves(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return jobs in waves: each needs only jobs of the waves before its own.

    Jobs that are not among ``jobs`` are not waited for.
    """
    level: dict[str, int] = {}
    for job in jobs:
        level[job.name] = max((level[need] + 1 for need in job.needs if need in level), default=0)
    return [
        [job for job in jobs if level[job.name] == number]
        for number in range(max(level.values(), default=-1) + 1)
    ]
