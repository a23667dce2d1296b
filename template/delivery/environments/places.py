"""Environment by environment: what is live, since when, by whom, how far behind, what is next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .. import view
from ..errors import Refused
from ..ledger.event import Event
from ..ledger.signature import Reader
from ..pipeline import gate
from ..project import Project
from ..tables import Stage
from . import playbooks

CANDIDATES = 20  # how many newer artifacts are looked at


@dataclass(frozen=True)
class Next:
    """The artifact that an environment gets next.

    Attributes:
        version: its version.
        commit: its commit's full hash.
        waits: what it waits for, as the gate says it; None when it waits for nobody but you.
    """

    version: str
    commit: str
    waits: str | None


@dataclass(frozen=True)
class Place:
    """One environment.

    Attributes:
        name: its name.
        stage: the stage that deploys to it.
        live: its last deployment; None when there was none.
        behind: how many commits that is behind; None when this clone does not have the commit.
        answers: what it says of itself: ``yes``, ``no`` when nothing answers, or another version;
            None when it was not asked.
        next: what comes next; None when nothing newer was built.
        drift: the drift that was found there after the last deployment, if any.
        approval: the approval that what is live was deployed with, if there was one.
        signature: what there is to say of that approval's signature.
        verdict: whether its stage passed or failed, the last time with what is live, if it ran.
    """

    name: str
    stage: str
    live: Event | None
    behind: int | None
    answers: str | None
    next: Next | None
    drift: Event | None = None
    approval: Event | None = None
    signature: str = ""
    verdict: Event | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is known to be other than the ledger says."""
        return self.answers in (None, "yes") and self.drift is None

    @property
    def drifted(self) -> str:
        """What is said of the drift; empty without one."""
        found = self.drift
        return f"drift, found {view.moment(found.at)}: {found.reason}" if found else ""

    def told(self) -> dict[str, Any]:
        """Return the environment for JSON."""
        live = self.live
        return {
            "environment": self.name,
            "version": live.version if live else None,
            "sha256": live.sha256 if live else None,
            "commit": live.commit if live else None,
            "since": live.at if live else None,
            "by": live.by if live else None,
            "forced": live.forced if live else False,
            "reason": live.reason if live else None,
            "verdict": self.verdict.event if self.verdict else None,
            "verdict_at": self.verdict.at if self.verdict else None,
            "seconds": self.verdict.seconds if self.verdict else None,
            "url": live.url if live else None,
            "hosts": list(live.hosts) if live else [],
            "answers": self.answers,
            "behind": self.behind,
            "drift": _drift(self.drift),
            "approved_by": self.approval.by if self.approval else None,
            "approval_signature": self.signature or None,
            "next": vars(self.next) if self.next else None,
        }


def _drift(found: Event | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"at": found.at, "by": found.by, "hosts": list(found.hosts), "reason": found.reason}


def places(project: Project, head: str, ask: bool = True) -> list[Place]:
    """Return every environment of a project whose ledger is held.

    Args:
        project: the project.
        head: the commit that is checked out; what is live is so far behind it.
        ask: whether the environments are asked what they run.
    """
    found = []
    built = project.ledger.events(event=("built",), newest=CANDIDATES)[::-1]
    reader = Reader(project.git, project.config.remote)
    for name in project.config.environments:
        stage, live = project.config.stage_of(name), project.live(name)
        last = project.ledger.events(event=("deployed", "drift"), stage=stage.name, newest=1)
        approval = _last(project, stage, live, "approved") if live else None
        found.append(
            Place(
                name,
                stage.name,
                live,
                project.git.behind(live.commit, head) if live else None,
                _answers(live) if live and live.url and ask else None,
                _next(project, stage, live, built),
                last[0] if last and last[0].event == "drift" else None,
                approval,
                reader.says(approval) if approval else "",
                _last(project, stage, live, "passed", "failed") if live else None,
            )
        )
    return found


def _answers(live: Event) -> str:
    said = playbooks.answers(str(live.url))
    if said is None:
        return "no"
    return "yes" if said.get("sha256") == live.sha256 else f"as {said.get('version')}"


def _last(project: Project, stage: Stage, live: Event, *kinds: str) -> Event | None:
    """Return the last event of these kinds about what is live; of approvals from before that."""
    found = [
        event
        for event in project.ledger.past(live.commit)
        if event.event in kinds
        and event.stage == stage.name
        and event.sha256 == live.sha256
        and (event.event != "approved" or event.when <= live.when)
    ]
    return found[-1] if found else None


def _next(
    project: Project, stage: Stage, live: Event | None, built: Iterable[Event]
) -> Next | None:
    """Return the newest artifact that has come as far as the stage's gate, else the newest."""
    newest: Next | None = None
    for event in built:
        if live and event.sha256 == live.sha256:
            break
        waits = _waits(project, stage, event)
        one = Next(str(event.version), event.commit, waits)
        needs = (project.config.stages[need] for need in stage.needs)
        if all(
            gate.verdict(project.config, project.ledger, need, event.commit, event.sha256)
            == "passed"
            for need in needs
        ):
            return one
        newest = newest or one
    return newest


def _waits(project: Project, stage: Stage, event: Event) -> str | None:
    try:
        gate.check(project.config, project.ledger, stage, event.commit, event.sha256)
    except Refused as refused:
        return str(refused)
    return None
