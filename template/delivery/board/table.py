"""The board: the newest versions as rows, stages as columns, and what the ledger says of it all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import view
from ..config import Config
from ..environments.places import Place, places
from ..ledger.event import Event
from ..project import Project
from ..view import who
from . import DAYS, ROWS, metrics
from .history import Cell, Row, commit_of, older, rows
from .metrics import Change, Figures, Spread
from .stream import Stream, stream

WEEKS = 13


@dataclass(frozen=True)
class Board:
    """All that a board shows.

    Attributes:
        config: the project's pipeline.
        at: when it was made.
        head: the commit that is checked out.
        subject: the first line of its message.
        rows: the newest commits, newest first.
        older: what was forced, rolled back and revoked in commits before those, newest first.
        places: the environments.
        stream: the value stream of the rows.
        place: where a change goes live, for the figures.
        figures: the four figures of the last ``DAYS`` days.
        weeks: those of each week of them.
    """

    config: Config
    at: datetime
    head: str
    subject: str
    rows: list[Row]
    older: list[Event]
    places: list[Place]
    stream: Stream
    place: str
    figures: Figures
    weeks: list[Figures]

    def told(self) -> dict[str, Any]:
        """Return the board for JSON."""
        return {
            "project": self.config.name,
            "at": self.at.isoformat(timespec="seconds"),
            "commit": self.head,
            "environments": [place.told() for place in self.places],
            "stages": list(self.config.stages),
            "versions": [_row_told(row) for row in self.rows],
            "older": [_older_told(event) for event in self.older],
            "stream": [asdict(step) for step in self.stream.steps],
            "metrics": {"environment": self.place, **self.figures.told()},
            "weeks": [week.told() for week in self.weeks],
        }


def _row_told(row: Row) -> dict[str, Any]:
    return {
        "version": row.version,
        "commit": row.commit,
        "sha256": row.sha256,
        "subject": row.about.subject,
        "author": row.about.author,
        "live": list(row.live),
        "revoked": bool(row.revoked),
        "stages": {name: cell.told() for name, cell in row.cells.items()},
    }


def _older_told(event: Event) -> dict[str, Any]:
    names = ("version", "commit", "sha256", "stage", "event", "forced", "at", "by", "reason")
    return {name: getattr(event, name) for name in names}


def make(project: Project, count: int = ROWS, ask: bool = True) -> Board:
    """Return the board of a project.

    Args:
        project: the project.
        count: how many versions it shows.
        ask: whether the environments are asked what they run.
    """
    with project.ledger.held(project.names) as ledger:
        project = replace(project, ledger=ledger)
        head, now = project.git.head(), datetime.now(UTC)
        place = (project.config.environments or ("the index",))[-1]
        found, shown = changes(project, place), rows(project, ledger, count)
        return Board(
            project.config,
            now,
            head,
            commit_of(ledger, head).subject,
            shown,
            older(ledger, shown),
            places(project, head, ask),
            stream(shown, project.config.stages),
            place,
            metrics.figures(found, now - timedelta(days=DAYS), now),
            metrics.weeks(found, now, WEEKS),
        )


def changes(project: Project, place: str) -> list[Change]:
    """Return the changes of an environment, or of the index, of a project with a held ledger."""
    names = project.ledger.names()
    if place in project.config.environments:
        return metrics.changes(names, project.config.stage_of(place).name)
    return metrics.changes(names, "publish", "published")


def told(figures: Figures) -> dict[str, str]:
    """Return the four figures in words."""
    rate, weekly = figures.rate, f"{figures.weekly:.1f} a week"
    return {
        "lead time": _spread(figures.lead),
        "deployment frequency": weekly if figures.changes else "none",
        "change failure rate": (
            "nothing to measure"
            if rate is None
            else f"{100 * rate:.0f} % ({figures.failed} of {figures.changes})"
        ),
        "time to restore": _spread(figures.restore),
    }


def _spread(spread: Spread) -> str:
    if spread.median is None or spread.p90 is None:
        return "nothing to measure"
    return f"{view.took(spread.median)} (p90 {view.took(spread.p90)})"


SIGNS = {
    "✓": "passed",
    "✗": "failed",
    "·": "not yet",
    "●": "live",
    "!": "forced",
    "↩": "rolled back",
    "⊘": "revoked",
    "?": "approval not signed",
    "≠": "approval whose signature does not hold",
}


def signs(cell: Cell) -> str:
    """Return a cell's state as signs: colours are never the only ones."""
    verdict = {"passed": "✓", "failed": "✗"}.get(cell.verdict or "", "·")
    return (
        ("●" if cell.live else "")
        + verdict
        + ("!" if cell.forced else "")
        + ("↩" if cell.undone else "")
        + {"unproven": "?", "broken": "≠"}.get(cell.doubt or "", "")
    )


def summary(board: Board) -> str:
    """Return how much was forced, rolled back and revoked before the rows; empty for nothing."""
    kinds = {"forced": "forced", "rolled-back": "rolled back", "revoked": "revoked"}
    found = [kinds["forced" if event.forced else event.event] for event in board.older]
    told = [f"{found.count(kind)} {kind}" for kind in kinds.values() if kind in found]
    return f"before these versions: {', '.join(told)}" if told else ""


def text(board: Board) -> str:
    """Return the board for a terminal, as wide as that is."""
    wide = view.width()
    stages, shown = list(board.config.stages), [_version(row) for row in board.rows]
    first = max(map(len, [*shown, "version"]), default=7)
    cells = [[signs(row.cells[name]) for name in stages] for row in board.rows]
    if wide is not None:
        first = min(first, max(wide // 3, 12))
        room = max((wide - first) // max(len(stages), 1) - 1, 4)
    else:
        room = 12
    sizes = [min(len(name), room) for name in stages]
    head = "  ".join(view.cut(name, size) for name, size in zip(stages, sizes))
    used, lines = set(), [view.paint(f"{'version':<{first}} {head}"[: wide or None], "bold")]
    for row, version, states in zip(board.rows, shown, cells):
        used |= set("".join(states)) | ({"⊘"} if row.revoked else set())
        painted = "  ".join(
            view.paint(f"{view.cut(state, max(size, 4)):<{size}}", *_colours(row.cells[name]))
            for state, size, name in zip(states, sizes, stages)
        )
        lines.append(f"{view.cut(version, first):<{first}} {painted}".rstrip())
    legend = [f"{sign} {word}" for sign, word in SIGNS.items() if sign in used]
    lines += ["", view.paint("  ".join(legend), "faint")]
    if board.older:
        lines.append(view.paint(f"{summary(board)} (--html and --json name them)", "amber"))
    for place in board.places:
        if place.live:
            behind = f", {view.count(place.behind, 'commit')} behind" if place.behind else ""
            by = f"since {view.moment(place.live.at)} by {view.line(who(place.live.by))}"
            lines.append(f"{place.name}: {view.line(str(place.live.version))} {by}{behind}")
        if place.drift:
            lines.append("  " + view.paint(view.line(place.drifted), "red"))
    slowest = board.stream.slowest
    if slowest:
        spent = f"waits {view.took(slowest.wait)}, takes {view.took(slowest.run)}"
        lines.append(f"the bottleneck is {slowest.stage}: {spent} (medians)")
    lines += [f"{term}: {said}" for term, said in told(board.figures).items()]
    return "\n".join(lines)


def _version(row: Row) -> str:
    return ("⊘ " if row.revoked else "") + view.line(row.version or f"commit {row.commit[:9]}")


def _colours(cell: Cell) -> tuple[str, ...]:
    verdict = {"passed": "green", "failed": "red"}.get(cell.verdict or "", "faint")
    return ("bold", verdict) if cell.live else (verdict,)
