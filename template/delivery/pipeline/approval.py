"""Approvals: whether one holds, for this artifact, in this environment, at this moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ..config import Config
from ..git import Git
from ..ledger.chain import SKEW
from ..ledger.event import Event, email
from ..ledger.signature import FILE, SETUP, Signers
from ..tables import Stage


def missing(
    config: Config, git: Git, stage: Stage, about: Event, past: Iterable[Event]
) -> str | None:
    """Return what is missing for an approval to hold, as a clause; None when one holds.

    Args:
        config: the project's pipeline.
        git: its repository.
        stage: the stage that asks for it.
        about: any event about the artifact: it tells sha256, version and commit.
        past: what happened to its commit.
    """
    known = list(past)
    given = [
        event
        for event in known
        if event.event == "approved"
        and event.sha256 == about.sha256
        and event.environment == stage.environment
    ]
    undone = [e.when for e in known if e.event == "rolled-back" and e.stage == stage.name]
    flaws = []
    # The newest speaks, by the time it was signed with: a copy of an old one is as old.
    for event in sorted(given, key=lambda event: event.when, reverse=True):
        if undone and event.when <= max(undone):
            flaw: str | None = f"was given before the rollback from {stage.environment}"
        else:
            flaw = wrong(config, git, stage, event, about.commit)
        if flaw is None:
            return None
        flaws.append(f"the approval by {event.by.partition(' <')[0]} {flaw}")
    return flaws[0] if flaws else "nobody has approved it"


def wrong(config: Config, git: Git, stage: Stage, event: Event, commit: str) -> str | None:
    """Return what is wrong with an approval, as the end of a sentence; None when it is good."""
    moment, days = datetime.now(UTC), timedelta(days=stage.approval_days)
    end = min(event.when + days, datetime.fromisoformat(event.expires or event.at))
    if event.commit != commit:
        return f"is for commit {event.commit[:9]}"
    if event.when > moment + timedelta(seconds=SKEW):
        return f"is from the future ({event.at})"
    if moment > end:
        return f"held until {end:%Y-%m-%d %H:%M} UTC"
    signers, names = Signers.find(git, config.remote), set[str]()
    if signers.text is not None:
        if event.envelope is None:
            return f"is not signed, and {signers.branch} has {FILE}: {SETUP}"
        names = set(signers.names(event.envelope, event.by))
        if not names:
            return f"is not signed by anybody in {FILE} of {signers.branch}"
    return _four_eyes(git, names | {email(event.by)}, commit) if stage.four_eyes else None


def _four_eyes(git: Git, names: set[str], commit: str) -> str | None:
    # Who puts another's name on a commit still is its committer.
    if not git.ok("cat-file", "-e", f"{commit}^{{commit}}"):
        return f"cannot be told from one by the author: commit {commit[:9]} is not here: git fetch"
    told = git.text("show", "--no-patch", "--format=%ae%n%an%n%ce%n%cn", commit).splitlines()
    folded = {name.casefold() for name in names}
    for role, address, name in (("author", *told[:2]), ("committer", *told[2:])):
        if folded & {address.casefold(), name.casefold()}:
            return f"is by the {role} of the commit, {name}, and four_eyes asks for another one"
    return None
