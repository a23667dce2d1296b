"""Make an artifact live in an environment, take it back, ask what is there; and record it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from ..artifact import wheel
from ..errors import DeliveryError, Refused, UsageError
from ..ledger import event
from ..pipeline import gate, performance, promotion
from ..project import Project
from ..tables import BUILD
from ..view import show
from . import playbooks


def deploy(
    project: Project, name: str, wanted: str | None, force: bool, reason: str | None
) -> None:
    """Make an artifact live in an environment, if the gate lets it, and record it.

    Raises:
        Refused: the gate is shut, or somebody else deploys there, and it was not forced.
        DeliveryError: a host failed; what was live there still is.
    """
    stage = project.config.stage_of(name)
    project.ledger.sync()
    chosen = project.named(wanted) if wanted else project.artifact()
    if chosen is None:
        raise Refused(f"this commit has no artifact to deploy: python3 -m delivery run {BUILD}")
    forced = False
    try:
        gate.check(project.config, project.ledger, stage, chosen.commit, chosen.sha256)
    except Refused:
        if not force:
            raise
        forced = True
    _put(project, name, chosen, reason, forced, insist=force)


def restore(project: Project, name: str) -> None:
    """Bring every host of an environment to what it runs: one that is new, empty or came back.

    What that is, the ledger tells; the index and git have it. It passed its gate once.

    Raises:
        UsageError: nothing was deployed there yet.
        DeliveryError: a host failed.
    """
    project.ledger.sync()
    live = project.live(name)
    if live is None:
        raise UsageError(
            f"nothing was deployed to {name} yet, as far as the ledger of this clone tells:"
            " deploy, or name the ledger's remote in delivery.toml"
        )
    _put(project, name, project.named(str(live.sha256)), "restore", bake=False)


def _put(
    project: Project,
    name: str,
    chosen: wheel.Artifact,
    reason: str | None,
    forced: bool = False,
    bake: bool = True,
    insist: bool = False,
) -> None:
    """Make an artifact live in an environment, and record it."""
    stage = project.config.stage_of(name)
    made_by = gate.code(project.git)
    by, nested = event.author(project.git), os.environ.get("DELIVERY_STAGE") == stage.name
    last = project.live(name)
    # Who has it, and the ledger does not know, has it from an attempt that came to no end.
    unfinished = last is not None and last.sha256 != chosen.sha256
    try:
        promotion.admit(project, stage, chosen, forced)
        hosts = playbooks.deploy(
            project.config, project.git, name, chosen, by, bake, unfinished, insist
        )
    except playbooks.Busy as busy:
        raise _insisting(busy, f"deploy {name} {chosen.version}") from None
    except DeliveryError as error:
        if not nested:  # the stage's own run records its failure
            project.record(
                "failed", stage.name, chosen, environment=name, reason=str(error), forced=forced
            )
        raise
    forced = _taken_over(hosts) and insist or forced
    if (
        forced
        or last is None
        or last.sha256 != chosen.sha256
        or last.code != made_by
        or any(h.get("changed") for h in hosts.values())
    ):
        project.record(
            "deployed",
            stage.name,
            chosen,
            **_where(name, hosts),
            reason=reason,
            forced=forced,
            code=made_by,
        )
    for said in dict.fromkeys(h["canary"] for h in hosts.values() if "canary" in h):
        show(said)
    show(f"{chosen.version} is live in {name}: {_url(hosts)}")


def rollback(
    project: Project, name: str, wanted: str | None, force: bool, reason: str | None
) -> None:
    """Make the release before the live one live again, and record both sides of it.

    Raises:
        Refused: that release was revoked, or somebody deploys there, and it was not forced.
        DeliveryError: there is nothing to go back to, or a host failed.
    """
    stage = project.config.stage_of(name)
    project.ledger.sync()
    left = project.live(name)
    version = project.named(wanted).version if wanted else None
    refusal = _revoked(project, name, wanted)
    if refusal and not force:
        raise Refused(refusal)
    was, by = left.version if left else None, event.author(project.git)
    try:
        hosts = playbooks.rollback(project.config, name, version, was, by, insist=force)
    except playbooks.Busy as busy:
        raise _insisting(busy, f"rollback {name}{f' --to {version}' if version else ''}") from None
    told = next(iter(hosts.values()))
    # The hosts know what they had before this ledger began.
    unknown = wheel.Artifact(project.config.name, told["version"], told["sha256"], told["commit"])
    now = project.artifact(told["sha256"]) or unknown
    gone = project.artifact(left.sha256) if left and left.sha256 != told["sha256"] else None
    if gone:
        project.record("rolled-back", stage.name, gone, **_where(name, hosts), reason=reason)
    project.record(
        "deployed",
        stage.name,
        now,
        **_where(name, hosts),
        reason=reason or "rollback",
        forced=_taken_over(hosts) and force or bool(refusal),
        code=gate.code(project.git),
    )
    show(f"{told['version']} is live in {name} again: {_url(hosts)}")


def _insisting(busy: playbooks.Busy, again: str) -> Refused:
    """Say how to go on though somebody else has claimed the hosts."""
    insist = f" Or insist: python3 -m delivery {again} --force --reason '…'"
    return Refused(f"{busy}{insist if busy.claim else ''}")


def _taken_over(hosts: dict[str, Any]) -> bool:
    """Tell whether another rollout had claimed the hosts, and say so."""
    told = [host["taken_over"] for host in hosts.values() if "taken_over" in host]
    for who in told:
        show(f"took the place of the rollout by {who}")
    return bool(told)


def _revoked(project: Project, name: str, wanted: str | None) -> str | None:
    """Return why a rollback would go to what was revoked, and the way out; None when it does not.

    Args:
        project: the project.
        name: the environment.
        wanted: the artifact to go back to; None: the release before the live one.
    """
    revoked = {str(e.version): e for e in project.ledger.events(event=("revoked",))}
    if wanted:
        target, earlier = project.named(wanted).version, list[str]()
    else:
        stage = project.config.stage_of(name).name
        past = project.ledger.events(event=("deployed",), stage=stage) if revoked else []
        if not any(str(event.version) in revoked for event in past):
            return None  # which saves the question, and a second
        hosts = playbooks.look(project.config, name).values()
        told = [host["earlier"] for host in hosts if host.get("earlier")]
        target = next((versions[0] for versions in told if versions[0] in revoked), "")
        earlier = [v for v in [*told, []][0] if all(v in versions for versions in told)]
    if target not in revoked:
        return None
    again = f"python3 -m delivery rollback {name}"
    good = next((v for v in earlier if v not in revoked), None)
    way_out = f"{again} --to {good}" if good else "commit a fix"
    insist = f"{again}{f' --to {target}' if wanted else ''} --force --reason '…'"
    why = gate.said_by(revoked[target])
    return f"{target} was revoked by {why}: {way_out}, or insist: {insist}"


def stop(project: Project, names: list[str], remove: bool) -> None:
    """Stop the service in environments, or take it off its hosts; ledger and index stay.

    Raises:
        Refused: somebody else changes the hosts.
        DeliveryError: a host failed; the others are stopped.
    """
    for name in names:
        project.config.stage_of(name)
        playbooks.stop(project.config, name, remove)
        gone = "gone, with its releases and its data" if remove else "stopped"
        show(f"{name} is {gone}; python3 -m delivery deploy {name} starts it again")


def execute(project: Project, name: str, command: list[str]) -> int:
    """Run a command that is told what is under test in an environment; return its exit status.

    Its environment has ``SERVICE_URL``, ``SERVICE_VERSION`` and ``SERVICE_SHA256``:
    in a stage those of the stage's artifact, else of what was deployed last.

    Raises:
        UsageError: nothing was deployed there yet.
    """
    live = project.live(name)
    if live is None:
        raise UsageError(f"nothing was deployed to {name} yet: python3 -m delivery deploy {name}")
    tested = project.artifact() if "DELIVERY_SHA256" in os.environ else None
    told = {
        "SERVICE_URL": live.url or "",
        "SERVICE_VERSION": tested.version if tested else live.version or "",
        "SERVICE_SHA256": tested.sha256 if tested else live.sha256 or "",
    }
    try:
        return subprocess.run(command, env={**os.environ, **told}, check=False).returncode
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error}") from None


def perform(project: Project) -> None:
    """Ask the service that `execute` tells of, for a few seconds, and compare with the limits.

    Raises:
        UsageError: nothing tells where it is, or there are no limits.
        Refused: another artifact than the one under test answers there.
        DeliveryError: nothing answers, or it is over a limit.
    """
    url, wanted = os.environ.get("SERVICE_URL"), os.environ.get("SERVICE_SHA256")
    if not url:
        raise UsageError(
            "SERVICE_URL is not set: python3 -m delivery exec ENV -- python -m delivery performance"
        )
    said = playbooks.answers(url, seconds=10)
    if said is None:
        raise DeliveryError(f"nothing answers at {url}/version: python3 -m delivery status")
    if wanted and said.get("sha256") != wanted:
        raise Refused(f"{url} runs {said.get('version')}, which is not what is under test")
    report = project.config.root / ".delivery" / "reports" / "performance" / "limits.xml"
    performance.perform(url, project.config.performance, report)


def _where(name: str, hosts: dict[str, Any]) -> dict[str, Any]:
    spent = [sum(h.get("seconds", {}).values()) for h in hosts.values()]
    return {
        "environment": name,
        "hosts": tuple(hosts),
        "url": _url(hosts),
        "system": tuple(sorted({one for h in hosts.values() for one in h.get("system", ())})),
        "migrated": any(h.get("migrated") for h in hosts.values()),
        "seconds": round(max(spent), 3) if spent else None,
    }


def _url(hosts: dict[str, Any]) -> str:
    return str(next(iter(hosts.values())).get("url", ""))
