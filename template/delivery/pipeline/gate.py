"""The rules that must hold before a stage may start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..config import Config
from ..errors import Refused
from ..git import Git
from ..ledger.event import Event
from ..ledger.store import Ledger
from ..tables import Stage
from . import approval


def check(config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None) -> None:
    """Let a stage start, or say why not.

    Args:
        config: the project's pipeline.
        ledger: what has happened so far.
        stage: the stage that wants to start.
        commit: the full hash of the commit it is for.
        sha256: the digest of the commit's artifact; None when it has not been built.

    Raises:
        Refused: a rule does not hold; the text is the rule and the way out.
    """
    for _, said in held(config, ledger, stage, commit, sha256):
        raise Refused(said)


def held(
    config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None
) -> Iterator[tuple[str, str]]:
    """Yield the rules that hold a stage back, by name, each with its sentence; see `check`."""
    case = Case(config, ledger, stage, commit, sha256)
    for name, rule in RULES.items():
        said = rule(case)
        if said:
            yield name, said


def verdict(
    config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None
) -> str | None:
    """Return the last verdict of ``stage``, ``passed`` or ``failed``; None when it has not run."""
    last = Case(config, ledger, stage, commit, sha256).verdict(stage)
    return last.event if last else None


def code(git: Git) -> str | None:
    """Return the tree of ``delivery/``, which deploys; None when it is not what is committed."""
    if git.text("status", "--porcelain", "--", "delivery"):
        return None
    return git.text("rev-parse", "HEAD:delivery")


@dataclass(frozen=True)
class Case:
    """What the rules are asked about; the fields are those of `check`."""

    config: Config
    ledger: Ledger
    stage: Stage
    commit: str
    sha256: str | None

    @cached_property
    def past(self) -> list[Event]:
        """What happened to the commit and its artifact, oldest first."""
        return self.ledger.past(self.commit)

    @property
    def name(self) -> str:
        """What the case is about, for a person."""
        versions = [e.version for e in self.past if e.version and e.sha256 == self.sha256]
        if self.sha256 is None:
            return f"commit {self.commit[:9]}"
        return versions[-1] if versions else f"artifact {self.sha256[:12]}"

    @property
    def way(self) -> str:
        """How the commit goes on, for a person who may have another one before them."""
        here = self.ledger.git.head() == self.commit
        there = "" if here else f"git switch --detach {self.commit[:9]} && "
        return f"{there}python3 -m delivery walk"

    @property
    def insist(self) -> str:
        """The way past a gate, for one who knows better."""
        if not self.stage.environment:
            return ""
        deploy = f"python3 -m delivery deploy {self.stage.environment} {self.name}"
        return f", or insist: {deploy} --force --reason '…'"

    def last(self, *kinds: str, stage: Stage | None = None) -> Event | None:
        """Return the last event of these kinds about the artifact, in a stage if one is given."""
        found = [
            event
            for event in self.past
            if event.event in kinds
            and event.sha256 == self.sha256
            and (stage is None or event.stage == stage.name)
        ]
        return found[-1] if found and self.sha256 else None

    def verdict(self, stage: Stage) -> Event | None:
        """Return how a stage ended last: for the artifact if it handles one, else the commit."""
        kinds = ("passed", "failed")
        if stage.artifact:
            return self.last(*kinds, stage=stage)
        found = [e for e in self.past if e.event in kinds and e.stage == stage.name]
        return found[-1] if found else None


def _needs(case: Case) -> str | None:
    before = [case.config.stages[name] for name in case.stage.needs]
    for stage in dict.fromkeys([*before, *case.config.accepted_by(case.stage)]):
        last = case.verdict(stage)
        if last is None or last.event != "passed":
            how = "failed it" if last else "has not been through it"
            what = f"commit {case.commit[:9]}"
            if case.sha256:
                what = f"artifact {case.sha256[:12]} of {what}"
            return (
                f"{case.stage.name} takes only what passed {stage.name}, and {what} {how}:"
                f" {case.way} --to {stage.name}"
            )
    return None


def _accepted(case: Case) -> str | None:
    for stage in case.config.accepted_by(case.stage):
        there, last = case.last("deployed", stage=stage), case.verdict(stage)
        if last and (there is None or there.when > last.when):
            how = "was deployed there again since" if there else "was never deployed there"
            return (
                f"{case.name} passed {stage.name}, but {how}, and what is deployed last has to be"
                f" what passed: {case.way} --only {stage.name}"
            )
    return None


def _same_code(case: Case) -> str | None:
    accepted = [(s, case.last("deployed", stage=s)) for s in case.config.accepted_by(case.stage)]
    if not accepted:
        return None
    now = code(case.ledger.git)
    if now is None:
        return (
            f"delivery/ has changes that are not committed, and {case.stage.name} is deployed by"
            " the code and the inventories that were accepted: git status delivery"
        )
    for stage, there in accepted:
        if there and there.code != now:
            other = f"delivery/ was {there.code[:9]}, here it is {now[:9]}" if there.code else ""
            return (
                f"{case.name} was deployed to {stage.name} by other code or inventories"
                f" ({other or 'not committed ones'}): git checkout {case.commit[:9]} and python -m"
                f" delivery run {stage.name}{case.insist}"
            )
    return None


def _revoked(case: Case) -> str | None:
    gone = case.last("revoked")
    if gone is None or not case.stage.artifact:
        return None
    return f"{case.name} was revoked by {said_by(gone)}: commit a fix{case.insist}"


def _rolled_back(case: Case) -> str | None:
    last = case.last("deployed", "rolled-back", stage=case.stage)
    if last is None or last.event == "deployed" or not case.stage.environment:
        return None
    if case.stage.approval and _approval(case, last) is None:
        return None
    return (
        f"{case.name} was rolled back from {case.stage.environment} by {said_by(last)}:"
        f" commit a fix{case.insist}"
    )


def _older(case: Case) -> str | None:
    if not case.config.accepted_by(case.stage):
        return None
    there = case.ledger.events(event=("deployed",), stage=case.stage.name, newest=1)
    live = there[-1] if there else None
    if live is None or live.commit == case.commit or not _before(case, live):
        return None
    return (
        f"{case.name} is older than {live.version}, which is live in {case.stage.environment}:"
        f" python3 -m delivery rollback {case.stage.environment} --to {case.name}{case.insist}"
    )


def _before(case: Case, live: Event) -> bool:
    git = case.ledger.git
    if not git.shallow() and git.ok("cat-file", "-e", f"{live.commit}^{{commit}}"):
        return git.ok("merge-base", "--is-ancestor", case.commit, live.commit)
    # Without the history, the ledger tells which was built first.
    mine = [event.when for event in case.past if event.event == "built"]
    built = case.ledger.events(event=("built",), about=live.commit)
    return bool(mine and built and mine[0] < built[0].when)


def _approved(case: Case) -> str | None:
    built = case.last("built")
    if not case.stage.approval or built is None:
        return None
    lacks = _approval(case, built)
    if lacks is None:
        return None
    several = sum(stage.approval for stage in case.config.stages.values()) > 1
    where = f" --environment {case.stage.environment}" if several else ""
    return (
        f"{case.stage.name} waits for an approval of {case.name} ({lacks}):"
        f" python3 -m delivery approve {case.name}{where}"
    )


def _approval(case: Case, about: Event) -> str | None:
    return approval.missing(case.config, case.ledger.git, case.stage, about, case.past)


def said_by(event: Event) -> str:
    """Return by whom something was done, and why."""
    return f"{event.by}{f' ({event.reason})' if event.reason else ''}"


# In this order: what stands first is what a person has to see to first.
RULES: dict[str, Callable[[Case], str | None]] = {
    "needs": _needs,
    "revoked": _revoked,
    "rolled-back": _rolled_back,
    "accepted": _accepted,
    "same-code": _same_code,
    "older": _older,
    "approval": _approved,
}
