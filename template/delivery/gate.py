"""The rules that must hold before a stage may start."""

from __future__ import annotations

from .config import Config, Stage
from .errors import Refused
from .ledger import Ledger


def passed(config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None) -> bool:
    """Return whether the last verdict of ``stage`` is good, on the artifact if it handles one."""
    last = verdict(config, ledger, stage, commit, sha256)
    return last == "passed"


def verdict(
    config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None
) -> str | None:
    """Return the last verdict of ``stage``, ``passed`` or ``failed``; None when it has not run."""
    about = sha256 if stage.artifact else commit
    if about is None:
        return None
    events = ledger.events(event=("passed", "failed"), stage=stage.name, about=about)
    return events[-1].event if events else None


def check(config: Config, ledger: Ledger, stage: Stage, commit: str, sha256: str | None) -> None:
    """Let a stage start, or say why not.

    Args:
        config: the project's pipeline.
        ledger: what has happened so far.
        stage: the stage that wants to start.
        commit: the full hash of the commit it is for.
        sha256: the digest of the commit's artifact; None when it has not been built.

    Raises:
        Refused: a stage that it needs has not passed for this very artifact, or the artifact was
            rolled back from the environment that the stage deploys to.
    """
    for name in stage.needs:
        last = verdict(config, ledger, config.stages[name], commit, sha256)
        if last != "passed":
            what = (
                f"artifact {sha256[:12]} of commit {commit[:9]}"
                if sha256
                else f"commit {commit[:9]}"
            )
            raise Refused(
                f"{stage.name} takes only what passed {name}, and {what}"
                f" {'failed it' if last else 'has not been through it'}:"
                f" python -m delivery run {name}"
            )
    if stage.environment and sha256:
        there = ledger.events(event=("deployed", "rolled-back"), stage=stage.name, about=sha256)
        if there and there[-1].event == "rolled-back":
            undone = there[-1]
            raise Refused(
                f"{undone.version} was rolled back from {stage.environment} by {undone.by}"
                f"{f' ({undone.reason})' if undone.reason else ''}: commit a fix, or insist:"
                f" python -m delivery deploy {stage.environment} {undone.version}"
                " --force --reason '…'"
            )
