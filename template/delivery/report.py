"""What a person sees: one line a stage, the environments, the log."""

from __future__ import annotations

from datetime import UTC, datetime

from . import environment, progress
from .event import Event
from .project import Project


def title(name: str, commit: str, subject: str) -> str:
    """Return the heading of a walk."""
    return f"{name}, commit {commit[:9]}: {subject}"


def ago(at: str) -> str:
    """Return how long ago an ISO 8601 time was, in the largest fitting unit.

    >>> ago("2000-01-01T00:00:00+00:00").endswith("days ago")
    True
    """
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} seconds ago" if seconds >= 5 else "just now"


def who(by: str) -> str:
    """Return a person's name without their address.

    >>> who("Ada Lovelace <ada@example.org>"), who("ada@host")
    ('Ada Lovelace', 'ada@host')
    """
    return by.partition(" <")[0]


def status(project: Project) -> None:
    """Print what each environment runs, and how far the checked-out commit has come."""
    commit = project.git.head()
    artifact = project.artifact()
    print(title(project.config.name, commit, project.git.subject(commit)))
    for stage in project.config.stages.values():
        about = artifact.sha256 if artifact and stage.artifact else commit
        events = project.ledger.events(event=("passed", "failed"), stage=stage.name, about=about)
        if events:
            last = events[-1]
            verdict = "FAILED" if last.event == "failed" else "passed"
            print(progress.row(stage, verdict, last.seconds or 0, ago(last.at)))
        else:
            print(f"  {stage.name:<{progress.WIDTH}} not yet")
    for name in project.config.environments:
        print(f"\n{name}: {_live(project, name, commit)}")


def _live(project: Project, name: str, head: str) -> str:
    last = project.live(name)
    if last is None:
        return "nothing was deployed there yet"
    said = environment.answers(last.url) if last.url else None
    now = (
        "does not answer"
        if said is None
        else (
            "answers"
            if said.get("sha256") == last.sha256
            else f"answers as {said.get('version')}, which is not what was deployed"
        )
    )
    behind = project.git.behind(last.commit, head)
    distance = "" if not behind else f", {behind} commit{'s' if behind > 1 else ''} behind"
    return (
        f"{last.version}{distance}, deployed {ago(last.at)} by {who(last.by)}\n  {last.url}/ {now}"
    )


def log(project: Project, limit: int) -> None:
    """Print the newest ``limit`` events, newest first."""
    for event in reversed(project.ledger.events()[-limit:]):
        print(_entry(event))


def _entry(event: Event) -> str:
    at = datetime.fromisoformat(event.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    took = f"{event.seconds:.1f} s" if event.seconds is not None else ""
    told = (took, "FORCED" if event.forced else "", event.reason, f"by {who(event.by)}")
    rest = "  ".join(text for text in told if text)
    about = event.version or f"commit {event.commit[:9]}"
    return f"{at}  {event.stage:<{progress.WIDTH}} {event.event:<11} {about}  {rest}"
