"""Whether the ledger still says all that it ever said, and nothing that was never so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..artifact import provenance
from ..errors import DeliveryError, Refused, UsageError
from ..project import Project
from ..view import show, show_json
from .chain import REF, Chain, no_ledger
from .event import PATH, Event
from .export import files
from .signature import FILE, Signers, intact

CHANGED = {"D": "was removed", "M": "was changed", "T": "was changed"}


@dataclass
class Report:
    """What was found.

    Attributes:
        events: how many events there are.
        problems: what must not be: something was changed, is missing, or is signed badly.
        notes: what a person should know: records of other forms, events that are not shared yet.
    """

    events: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(project: Project, as_json: bool) -> int:
    """Print what is wrong with the ledger; return the exit status: 0 when nothing is, else 1.

    Raises:
        DeliveryError: the remote cannot be reached, or git's objects are damaged.
    """
    found, chain = Report(), project.ledger.chain
    if chain.remote:
        found.problems += _remote(chain, found.notes)
    tip = chain.tip()
    if tip:
        if not chain.dated(tip):
            raise UsageError(no_ledger(REF))
        found.problems += _history(chain)
        found.problems += _records(project, found)
        found.problems += _provenance(project, found.notes)
    if as_json:
        show_json(vars(found))
    else:
        notes = (f"NOTE: {line}" for line in found.notes)
        end = f"{found.events} events: {len(found.problems) or 'no'} problems"
        show("\n".join([*found.problems, *notes, end]))
    return 1 if found.problems else 0


def _remote(chain: Chain, notes: list[str]) -> Iterator[str]:
    """Yield what the remote's ledger has lost or changed since this repository saw it."""
    seen, theirs = chain.peek()
    if seen and theirs is None:
        yield f"{chain.remote} had a ledger ({seen[:9]}) and has none any more"
    elif seen and theirs and not chain.git.ok("merge-base", "--is-ancestor", seen, theirs):
        yield f"{chain.remote}: the ledger was rewritten, {seen[:9]} is not in it any more"
        told = chain.git.text("diff", "--no-renames", "--name-status", "-z", seen, theirs)
        parts = told.split("\0")
        for how, path in zip(parts[::2], parts[1::2]):
            if how in CHANGED:
                yield f"{chain.remote}: {path} {CHANGED[how]}"
    tip = chain.tip()
    if tip and tip != theirs:
        apart = chain.git.text("rev-list", "--count", tip, *([f"^{theirs}"] if theirs else []))
        if apart != "0":
            notes.append(f"{apart} appends are not at {chain.remote} yet: python3 -m delivery sync")


def _history(chain: Chain) -> Iterator[str]:
    """Yield what the chain's commits did besides adding files, and what git has not any more."""
    form = "--format=%x00%h by %cn at %cI%x00"
    told = chain.git.text(
        "log", "-m", "--no-renames", "--diff-filter=MDT", "--name-status", form, REF
    ).split("\0")
    for commit, changes in zip(told[1::2], told[2::2]):
        for line in filter(None, changes.splitlines()):
            how, _, path = line.partition("\t")
            yield f"{path} {CHANGED[how]} in commit {commit}"
    missing = chain.git.text("rev-list", "--objects", "--missing=print", REF)
    for line in missing.splitlines():
        if line.startswith("?"):
            yield f"object {line[1:]} of the ledger is missing in this repository: git fsck"


def _records(project: Project, found: Report) -> Iterator[str]:
    """Yield what a file says that its name does not, and signatures that are no good."""
    signers: Signers | None = None
    envelopes: dict[str, str] = {}
    for path, body in files(project.ledger.chain, lambda _: True):
        if body is None:
            continue  # the history has told
        event, name = Event.parse(body), PATH.fullmatch(path)
        if event is None or name is None:
            found.notes.append(f"{path} is no event of a form known here; it is kept")
            continue
        found.events += 1
        if _told(path) != _told(event.path()):
            yield f"{path} says something else than its name: {event.path()}"
        if event.envelope is None:
            continue
        first = envelopes.setdefault(event.envelope, path)
        if first != path:
            yield f"{path} is a copy of {first}"
        signers = signers or Signers.find(project.git, project.config.remote)
        if not intact(event.envelope):
            yield f"{path} has a bad signature: it is not what was signed"
        elif signers.text is not None and not signers.names(event.envelope, event.by):
            found.notes.append(f"{path} is signed by nobody in {FILE} of {signers.branch}")


def _provenance(project: Project, notes: list[str]) -> Iterator[str]:
    """Yield what is wrong with the provenance of what is live, and of this commit's artifact."""
    live = filter(None, map(project.live, project.config.environments))
    found = {project.artifact(event.sha256) for event in live} | {project.artifact()}
    signers: Signers | None = None
    for artifact in sorted(filter(None, found), key=lambda artifact: artifact.wheel):
        try:
            place = project.papers(artifact).get("provenance")
        except Refused as error:
            yield str(error)
            continue
        except DeliveryError as error:
            notes.append(str(error))
            continue
        if place is None:  # built before there were papers
            continue
        text = place.read_text(encoding="utf-8")
        if artifact.sha256 not in provenance.subjects(text):
            yield f"{place.name} is no provenance of {artifact.wheel}"
            continue
        signers = signers or Signers.find(project.git, project.config.remote)
        built = project.ledger.events(event=("built",), about=artifact.sha256, newest=1)[-1]
        if "payload" not in json.loads(text):
            if signers.text is not None:
                notes.append(f"{place.name} is not signed, and {signers.branch} has {FILE}")
        elif not intact(text):
            yield f"{place.name} has a bad signature: it is not what was signed"
        elif signers.text is not None and not signers.names(text, built.by):
            notes.append(f"{place.name} is signed by nobody in {FILE} of {signers.branch}")


def _told(path: str) -> str:
    """Return what a path tells: its end is chance, and the first ledgers had no folder of hours."""
    return path.replace("/", "").removesuffix(".json")[:-8]
