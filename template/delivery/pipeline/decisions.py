"""What people decide about an artifact: approve it, revoke it; and why it does not go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from .. import view
from ..artifact.wheel import Artifact
from ..errors import Refused, UsageError
from ..ledger import event, signature
from ..ledger.event import EVERYWHERE, Event
from ..project import Project
from ..tables import Stage
from . import approval, gate

# An approval is given on what was seen, not on what may follow from it.
LATER = ("approval", "rolled-back", "same-code")


def approve(
    project: Project, name: str | None, environment: str | None, reason: str | None
) -> None:
    """Approve an artifact for an environment, signed if git is set up to sign with an SSH key.

    Args:
        project: the project.
        name: the artifact, see `Project.named`; default: the commit's own.
        environment: where it may go; default: the one whose stage asks for an approval.
        reason: why; the ledger keeps it.

    Raises:
        UsageError: no stage, or more than one, asks for an approval.
        Refused: the artifact has not come that far, or this approval would not hold.
    """
    stage = _asking(project, environment)
    project.ledger.sync()
    artifact = project.named(name or project.git.head())
    for rule, said in _held(project, stage, artifact):
        if rule not in LATER:
            raise Refused(said)
    plain = _about(project, artifact, "approved", stage.name, reason)
    plain = replace(plain, environment=stage.environment, at=project.ledger.after(plain))
    end = plain.when + timedelta(days=stage.approval_days)
    plain = replace(plain, expires=end.isoformat(timespec="microseconds"))
    given = replace(plain, envelope=signature.sign(project.git, plain.statement()))
    flaw = approval.wrong(project.config, project.git, stage, given, artifact.commit)
    if flaw:
        raise Refused(f"an approval of {artifact.version} by {given.by} {flaw}")
    project.ledger.append(given)
    signed = "signed" if given.envelope else f"not signed; to sign: {signature.SETUP}"
    view.show(
        f"{artifact.version} is approved for {stage.environment}"
        f" until {end.astimezone():%Y-%m-%d %H:%M} by {given.by} ({signed})"
    )


def revoke(project: Project, name: str, reason: str | None) -> None:
    """Stop an artifact: no stage takes it any more, in no environment; what is live stays live.

    Raises:
        UsageError: nothing, or more than one artifact, has that name.
    """
    project.ledger.sync()
    artifact = project.named(name)
    project.ledger.append(_about(project, artifact, "revoked", EVERYWHERE, reason))
    view.show(f"{artifact.version} is revoked: it goes nowhere any more")
    for environment in project.config.environments:
        live = project.live(environment)
        if live and live.sha256 == artifact.sha256:
            view.show(f"it is live in {environment}: python3 -m delivery rollback {environment}")


def why(project: Project, name: str, environment: str | None, as_json: bool) -> int:
    """Print which rules hold an artifact back, for each environment; return the exit status.

    Args:
        project: the project.
        name: the artifact, see `Project.named`.
        environment: only this one.
        as_json: print JSON instead: a list of environments, each with ``live`` and ``held``.

    Returns:
        0 when nothing holds it back, 3 when a rule does.
    """
    project.ledger.sync()
    artifact = project.named(name)
    places = project.config.environments
    names = [project.config.environment(environment)] if environment else list(places)
    if not names:
        raise UsageError("no stage in delivery.toml has an environment: nothing is deployed")
    told = []
    for where in names:
        live, stage = project.live(where), project.config.stage_of(where)
        here = live is not None and live.sha256 == artifact.sha256
        held = [] if here else _held(project, stage, artifact)
        told.append(
            {
                "environment": where,
                "version": artifact.version,
                "sha256": artifact.sha256,
                "live": here,
                "held": [{"rule": rule, "says": said} for rule, said in held],
            }
        )
        if not as_json:
            since = f"live since {live.when.astimezone():%Y-%m-%d %H:%M}" if live else ""
            lines = [said for _, said in held] or [since if here else "nothing holds it back"]
            view.show(f"{artifact.version} in {where}: " + f"\n{' ' * 4}and ".join(lines))
    if as_json:
        view.show_json(told)
    return Refused.status if any(row["held"] for row in told) else 0


def _held(project: Project, stage: Stage, artifact: Artifact) -> list[tuple[str, str]]:
    return list(gate.held(project.config, project.ledger, stage, artifact.commit, artifact.sha256))


def _asking(project: Project, environment: str | None) -> Stage:
    asking = [stage for stage in project.config.stages.values() if stage.approval]
    if environment:
        environment = project.config.environment(environment)
        asking = [stage for stage in asking if stage.environment == environment]
    if len(asking) > 1:
        names = " or ".join(str(stage.environment) for stage in asking)
        raise UsageError(f"more than one environment asks for an approval: --environment {names}")
    if not asking:
        raise UsageError(
            f"nothing asks for an approval{f' in {environment}' if environment else ''}: set"
            " approval = true in delivery.toml, in the table of the stage that deploys there"
        )
    return asking[0]


def _about(
    project: Project, artifact: Artifact, kind: str, stage: str, reason: str | None
) -> Event:
    return Event(
        kind,
        stage,
        artifact.commit,
        event.now(),
        event.author(project.git),
        event.via(),
        wheel=artifact.wheel,
        version=artifact.version,
        sha256=artifact.sha256,
        reason=reason,
    )
