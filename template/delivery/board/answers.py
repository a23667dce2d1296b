"""The questions a person or a script asks of the past: log, diff, metrics."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import UsageError
from ..git import Git
from ..ledger.event import Event
from ..pipeline.progress import WIDTH
from ..project import Project
from ..view import count, line, paint, show, show_json, who
from . import metrics
from .table import changes, told

LONGEST = 36_500  # days, a century: what a date can go back


def log(project: Project, name: str | None, limit: int, as_json: bool) -> int:
    """Tell the newest events, newest first; of one environment, stage, artifact or commit."""
    if limit < 1:
        raise UsageError("-n takes how many events, 1 or more")
    stage, about = named(project, name) if name else (None, None)
    events = project.ledger.events(stage=stage, about=about, newest=limit)[::-1]
    if as_json:
        show_json([_told(event) for event in events])
    elif events:
        show("\n".join(map(_entry, events)))
    return 0


def named(project: Project, name: str) -> tuple[str | None, str | None]:
    """Return the stage, or the full hash of the commit or artifact, that a person means.

    Args:
        project: the project.
        name: an environment, a stage, a version, a hash, each by its beginning; or what git takes
            for a commit.

    Raises:
        UsageError: nothing, or more than one thing, has that name.
    """
    config = project.config
    known = {name: name for name in config.stages}
    known |= {place: config.stage_of(place).name for place in config.environments}
    if name in known:
        return known[name], None
    stages = {stage for word, stage in known.items() if word.startswith(name)}
    if len(stages) == 1:
        return stages.pop(), None
    if stages:
        raise UsageError(f"{name!r} is the beginning of more than one: {', '.join(sorted(stages))}")
    commit = project.git.commit(name)
    if commit:
        return None, commit
    return None, project.named(name).sha256


def _told(event: Event) -> dict[str, Any]:
    """Return an event for JSON: what it has, and whether it came signed."""
    kept = {key: value for key, value in asdict(event).items() if value not in (None, (), False)}
    kept.pop("envelope", None)
    return kept | {"signed": bool(event.envelope)}


def _entry(event: Event) -> str:
    at = datetime.fromisoformat(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    seconds = f"{event.seconds:.1f} s" if event.seconds is not None else ""
    forced = paint("FORCED", "red") if event.forced else ""
    told = (seconds, forced, line(event.reason or ""), f"by {line(who(event.by))}")
    colour = {"passed": "green", "failed": "red", "deployed": "blue"}.get(event.event, "amber")
    about = line(event.version) if event.version else f"commit {event.commit[:9]}"
    word = paint(f"{event.event:<11}", colour)
    return f"{at}  {event.stage:<{WIDTH}} {word} {about}  {'  '.join(t for t in told if t)}"


def diff(project: Project, one: str, other: str, as_json: bool) -> int:
    """Tell the commits between what two environments run, with their authors.

    Returns:
        0 when both run the same commit, 1 when they do not.
    """
    names = [project.config.environment(name) for name in (one, other)]
    live = [project.live(name) for name in names]
    for name, event in zip(names, live):
        if event is None:
            raise UsageError(
                f"nothing was deployed to {name} yet: python3 -m delivery deploy {name}"
            )
    first, second = (event for event in live if event)
    sides = [
        _between(project.git, second.commit, first.commit),
        _between(project.git, first.commit, second.commit),
    ]
    if as_json:
        show_json(
            [
                {
                    "environment": name,
                    "version": event.version,
                    "commit": event.commit,
                    "only": only,
                }
                for name, event, only in zip(names, (first, second), sides)
            ]
        )
    elif first.commit == second.commit:
        show(f"{names[0]} and {names[1]} both run {line(str(first.version))}")
    else:
        lines = []
        for name, event, only in zip(names, (first, second), sides):
            lines.append(
                f"{paint(name, 'bold')} runs {line(str(event.version))}:"
                f" {count(len(only), 'commit')} more"
            )
            for entry in only:
                said = f"{line(entry['subject'])}  ({line(entry['author'])})"
                lines.append(f"  {paint(entry['commit'][:9], 'amber')}  {said}")
        show("\n".join(lines))
    return int(first.commit != second.commit)


def _between(git: Git, start: str, end: str) -> list[dict[str, str]]:
    """Return the commits that ``end`` has and ``start`` has not, newest first."""
    for commit in (start, end):
        if not re.fullmatch(r"[0-9a-f]{40,64}", commit) or not git.ok("cat-file", "-e", commit):
            raise UsageError(f"commit {commit[:12]} is not in this clone: git fetch")
    told = git.text("log", "-z", "--format=%H%x1f%an%x1f%aI%x1f%s", f"{start}..{end}")
    keys = ("commit", "author", "at", "subject")
    return [dict(zip(keys, entry.split("\x1f", 3))) for entry in told.split("\0") if entry]


def measure(project: Project, name: str | None, days: int, as_json: bool) -> int:
    """Tell the four figures of DORA for an environment, the last one by default.

    Returns:
        0; 1 when nothing went live in these days.
    """
    if not 0 < days <= LONGEST:
        raise UsageError(f"--days takes a number of days, 1 to {LONGEST}")
    place = project.config.environment(name) if name else None
    place = place or (project.config.environments or ("the index",))[-1]
    until = datetime.now(UTC)
    with project.ledger.held(project.names) as ledger:
        found = changes(replace(project, ledger=ledger), place)
    figures = metrics.figures(found, until - timedelta(days=days), until)
    definition = metrics.definition(place, days)
    if as_json:
        show_json({"environment": place, **figures.told(), "definition": definition})
    else:
        lines = [f"{place}, the last {count(days, 'day')}: {count(figures.changes, 'change')}", ""]
        lines += [f"  {term:<22}{said}" for term, said in told(figures).items()]
        lines += ["", *(f"{term}: {said}" for term, said in definition.items())]
        show("\n".join(lines))
    return 0 if figures.changes else 1
