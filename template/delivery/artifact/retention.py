"""Which artifacts the index may lose, and taking them away: the ledger keeps what they were."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from ..config import Config
from ..errors import UsageError
from ..git import Git
from ..ledger.event import EVERYWHERE, Event
from ..project import Project
from ..tables import Retention
from ..view import show
from .devpi import DEV, Devpi
from .folder import Folder
from .index import Shelf

PLAIN = re.compile(r"((?!\.dev)[^+])*")  # a version that counts no commits since a tag


def prune(project: Project, remove: bool) -> None:
    """Name the artifacts that the index may lose by the rule of ``[retention]``; remove them.

    Args:
        project: the project.
        remove: whether to take them away; otherwise it is only told what would go.

    Raises:
        UsageError: the index is neither a folder nor devpi.
        Refused: the index has other bytes than were built.
        DeliveryError: the remote of the ledger cannot be reached, so that nobody knows what is
            live; or the index cannot be read or written. The next run completes what was begun.
    """
    name, rule, places = project.config.name, project.config.retention, shelves(project.config)
    project.ledger.sync()
    there = set[str]().union(*(place.wheels(name) for place in places))
    # As it was built last: what was removed may have been built and published again.
    built = {e.wheel: e for e in project.ledger.events(event=("built",)) if e.wheel in there}
    deployed = project.ledger.events(event=("deployed",))
    stay = kept(rule, built.values(), deployed, tagged(project.git), datetime.now(UTC))
    old = [e for e in built.values() if e.sha256 not in stay]
    for about in old:
        artifact = project.artifact(about.sha256)
        if remove and artifact:
            for place in places:
                place.remove(name, artifact)
            reason = f"older than the newest {rule.newest}, not live within {rule.days:g} days"
            project.record("pruned", EVERYWHERE, artifact, reason=reason)
        show(f"{about.version}, built {about.when.astimezone():%Y-%m-%d}")
    done = "went" if remove else "may go" if old else "may go: nothing is old enough"
    how = ": python3 -m delivery prune --remove" if old and not remove else ""
    index = ", ".join(str(place) for place in reversed(places))
    show(f"{len(old)} of {len(there)} wheels in {index} {done}{how}")
    if unknown := there - built.keys():
        show(f"{len(unknown)} are not in this ledger, and stay")


def shelves(config: Config) -> Sequence[Shelf]:
    """Return the indices that an artifact may be in, and goes from, in this order.

    On devpi production's is the first: whatever comes in between, what one level has, those before
    it have, too.

    Raises:
        UsageError: the index takes nothing away.
    """
    index = config.index
    if isinstance(index, Devpi):
        return [index.at(level) for level in (*reversed(config.levels), DEV)]
    if isinstance(index, Folder):
        return [index]
    raise UsageError(f"prune is for a folder or devpi; {index} has ways of its own")


def kept(
    rule: Retention,
    built: Iterable[Event],
    deployed: Iterable[Event],
    tags: set[str],
    moment: datetime,
) -> set[str | None]:
    """Return the sha256 of each artifact that stays.

    Args:
        rule: how many, and for how long.
        built: that artifacts were built.
        deployed: all that was deployed, oldest first.
        tags: the commits that have a tag.
        moment: now.
    """
    known = sorted(built, key=lambda built: built.when)
    stay = {event.sha256 for event in known[-rule.newest :]}
    # Only a tag gives a plain version, even where this clone does not have the tag.
    stay |= {e.sha256 for e in known if e.commit in tags or PLAIN.fullmatch(str(e.version))}
    start = moment - timedelta(days=rule.days)
    runs: dict[str | None, list[Event]] = {}
    for e in deployed:
        runs.setdefault(e.environment, []).append(e)
    for past in runs.values():
        stay |= {e.sha256 for e in past[-1:] + _before(past)}
        # It ran until the next one came.
        ended = zip(past, past[1:])
        stay |= {e.sha256 for e, following in ended if following.when >= start}
    return stay


def _before(past: list[Event]) -> list[Event]:
    """Return the last deployment of another artifact than the live one: a rollback goes there."""
    return [e for e in past if e.sha256 != past[-1].sha256][-1:]


def tagged(git: Git) -> set[str]:
    """Return the commits that have a tag."""
    told = git.text("for-each-ref", "--format=%(objectname) %(*objectname)", "refs/tags")
    return set(told.split())
