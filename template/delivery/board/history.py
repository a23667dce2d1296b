"""What happened to the newest commits: one row for each, one cell for each of its stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ledger.event import EVERYWHERE, Event
from ..ledger.signature import BROKEN, SIGNED, Reader
from ..ledger.store import Ledger
from ..project import Project
from ..tables import Stage

VERDICTS = ("passed", "failed")


@dataclass(frozen=True)
class Commit:
    """What git knows of a commit; empty where this clone does not have it."""

    subject: str = ""
    author: str = ""


@dataclass(frozen=True)
class Cell:
    """One stage of one commit.

    Attributes:
        verdict: ``passed`` or ``failed``; None when there is none.
        last: the event that tells its state best: the verdict, else what happened last.
        attempts: how often it was tried.
        seconds: how long its last attempt took; None when that is unknown.
        over: whether that is over its budget.
        live: whether the artifact is what its environment runs now.
        forced: the deployment that overruled a gate, if one did.
        undone: the rollback that took it away, if nothing brought it back since.
        approval: the last approval for it.
        signature: what there is to say of that approval's signature.
    """

    verdict: str | None
    last: Event | None
    attempts: int = 0
    seconds: float | None = None
    over: bool = False
    live: bool = False
    forced: Event | None = None
    undone: Event | None = None
    approval: Event | None = None
    signature: str = ""

    @property
    def doubt(self) -> str | None:
        """``unproven`` or ``broken``, where the approval's signature is not one that holds."""
        if self.approval is None or self.signature.startswith(SIGNED):
            return None
        return "broken" if self.signature == BROKEN else "unproven"

    def told(self) -> dict[str, Any]:
        """Return the cell for JSON."""
        last = self.last
        return {
            "verdict": self.verdict,
            "at": last.at if last else None,
            "by": last.by if last else None,
            "attempts": self.attempts,
            "seconds": self.seconds,
            "over_budget": self.over,
            "live": self.live,
            "forced": _why(self.forced),
            "rolled_back": _why(self.undone),
            "approved_by": self.approval.by if self.approval else None,
            "approval_signed": self.doubt is None if self.approval else None,
            "approval_signature": self.signature or None,
        }


def _why(event: Event | None) -> str | bool:
    """Return the reason of what was done on purpose; True when none is known, False without it."""
    return bool(event) if event is None or event.reason is None else event.reason


@dataclass(frozen=True)
class Row:
    """One commit, and all that happened to it.

    Attributes:
        commit: its full hash.
        about: what git knows of it.
        version: its artifact's version; None as long as there is no artifact.
        sha256: its artifact's digest.
        events: what happened, oldest first.
        cells: its stages, by their names.
        revoked: the revocation of its artifact, if it was revoked.
        signatures: what there is to say of each signature among its events.
    """

    commit: str
    about: Commit
    version: str | None
    sha256: str | None
    events: tuple[Event, ...]
    cells: dict[str, Cell]
    revoked: Event | None
    signatures: dict[Event, str]

    @property
    def live(self) -> tuple[str, ...]:
        """The stages whose environments run it now."""
        return tuple(name for name, cell in self.cells.items() if cell.live)


def rows(project: Project, ledger: Ledger, count: int) -> list[Row]:
    """Return the newest commits the pipeline has seen, and those that are live, newest first.

    Args:
        project: the project.
        ledger: its ledger, held.
        count: how many; what is live comes on top, when it is older.
    """
    stages = project.config.stages
    live = {
        stage.name: found[0]
        for stage in stages.values()
        if stage.environment
        and (found := ledger.events(event=("deployed",), stage=stage.name, newest=1))
    }
    wanted = _newest(ledger, stages.values(), count)
    wanted |= dict.fromkeys(event.commit[:12] for event in live.values())
    by_commit: dict[str, list[Event]] = {}
    for event in ledger.read(ledger.names(about=tuple(wanted))):
        by_commit.setdefault(event.commit, []).insert(0, event)
    order, reader = list(wanted), Reader(project.git, project.config.remote)
    made = [
        _row(stages.values(), commit, happened, live, commit_of(ledger, commit), reader)
        for commit, happened in by_commit.items()
        if commit[:12] in wanted
    ]
    return sorted(made, key=lambda row: order.index(row.commit[:12]))


def _newest(ledger: Ledger, stages: Iterable[Stage], count: int) -> dict[str, None]:
    """Return the first digits of the commits that came into the pipeline last."""
    # A deployment, an approval or a revocation may come long after the commit: they do not count.
    first = {stage.name for stage in stages if not stage.environment}
    found: dict[str, None] = {}
    for entry in ledger.names():
        if entry.stage in first and entry.commit not in found:
            if len(found) == count:
                break
            found[entry.commit] = None
    return found


def older(ledger: Ledger, shown: Iterable[Row]) -> list[Event]:
    """Return what was forced, rolled back and revoked in all other commits, newest first."""
    commits = {row.commit for row in shown}
    return [event for event in ledger.marked() if event.commit not in commits]


def commit_of(ledger: Ledger, commit: str) -> Commit:
    """Return what git knows of a commit, by its full hash."""
    found = ledger.object(commit)
    if found is None or found.kind != "commit":
        return Commit()
    head, _, message = found.body.decode("utf-8", "replace").partition("\n\n")
    author = next(line[7:] for line in head.splitlines() if line.startswith("author "))
    return Commit(message.lstrip("\n").split("\n", 1)[0], author.rpartition(">")[0] + ">")


def _row(
    stages: Iterable[Stage],
    commit: str,
    events: list[Event],
    live: dict[str, Event],
    about: Commit,
    reader: Reader,
) -> Row:
    built = [event for event in events if event.event == "built"]
    signatures = {e: reader.says(e) for e in events if e.envelope or e.event == "approved"}
    sha256 = built[-1].sha256 if built else None
    return Row(
        commit,
        about,
        built[-1].version if built else None,
        sha256,
        tuple(events),
        {
            stage.name: cell(
                stage,
                [e for e in events if e.stage == stage.name and e.sha256 in (None, sha256)],
                bool(sha256) and stage.name in live and live[stage.name].sha256 == sha256,
                signatures,
            )
            for stage in stages
        },
        next((e for e in events if e.event == "revoked" and e.stage == EVERYWHERE), None),
        signatures,
    )


def cell(stage: Stage, events: list[Event], live: bool, signatures: Mapping[Event, str]) -> Cell:
    """Return the cell of a stage.

    Args:
        stage: the stage.
        events: what happened in it to one commit, oldest first.
        live: whether its environment runs the commit's artifact.
        signatures: what there is to say of each approval's signature.
    """
    verdicts = [event for event in events if event.event in VERDICTS]
    moves = [event for event in events if event.event in ("deployed", "rolled-back")]
    approvals = [event for event in events if event.event == "approved"]
    said = [event for event in events if event.event != "approved"]
    last = verdicts[-1] if verdicts else said[-1] if said else None
    undone = moves[-1] if moves and moves[-1].event == "rolled-back" else None
    seconds = last.seconds if last and last.event in VERDICTS else None
    return Cell(
        verdict=verdicts[-1].event if verdicts else None,
        last=last,
        attempts=len(verdicts),
        seconds=seconds,
        over=seconds is not None and seconds > stage.budget,
        live=live,
        forced=next((event for event in events if event.forced), None),
        undone=undone,
        approval=approvals[-1] if approvals else None,
        signature=signatures[approvals[-1]] if approvals else "",
    )
