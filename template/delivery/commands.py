"""What each command does, beyond running stages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from . import artifact, environment, event, gate, index, performance
from . import template as origin
from . import tools
from .config import BUILD
from .errors import DeliveryError, Refused, UsageError
from .project import Project


def build(project: Project) -> None:
    """Build the commit's artifact into ``dist`` and record it.

    Raises:
        Refused: the tree is dirty, the clone is shallow, or this commit once gave other bytes.
        DeliveryError: the build failed.
    """
    before = project.artifact()
    made = artifact.build(project.git, project.config.root / "dist")
    if before and before.sha256 != made.sha256 and before.version == made.version:
        raise Refused(
            f"{made.version} was built before as {before.sha256[:12]}…, and now came out as"
            f" {made.sha256[:12]}…: the build is not reproducible (another setuptools?);"
            " commit something, so that it gets a new version"
        )
    if before != made:
        project.record("built", BUILD, made)
    print(f"{made.wheel}\nsha256 {made.sha256}")


def publish(project: Project) -> None:
    """Put the commit's artifact into the index and record it.

    Raises:
        Refused: the artifact is not the one that was built, or the index has another of that name.
        DeliveryError: there is no artifact, or the index cannot be written.
    """
    made = project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python -m delivery run {BUILD}")
    new = index.publish(project.config.index, project.config.name, project.wheel(made))
    if new:
        project.record("published", "publish", made)
    print(f"{made.wheel} {'is in' if new else 'was already in'} {project.config.index}")


def install(project: Project, folder: Path) -> None:
    """Install the commit's artifact from the index, as others get it, into a fresh environment.

    Args:
        project: the project.
        folder: the environment; one that was there is made anew. ``release.json`` in it says what
            was installed.

    Raises:
        UsageError: the folder holds something else.
        Refused: the index has other bytes than were built.
        DeliveryError: there is no artifact, or it cannot be installed.
    """
    made = project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python -m delivery run {BUILD}")
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise UsageError(f"{folder} is no virtual environment: name a folder that is not there yet")
    wheel = index.fetch(project.config.index, project.config.name, made)
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.NamedTemporaryFile(suffix=".txt") as lock:
        lock.write(artifact.lock(project.git, made))
        lock.flush()
        try:
            tools.fill(
                folder, ["--require-hashes", "-r", lock.name], ["--no-deps", str(wheel.resolve())]
            )
        except (subprocess.CalledProcessError, OSError) as error:
            raise DeliveryError(f"{made.wheel} cannot be installed: {error}") from None
    about = {"name": project.config.name, **vars(made)}
    (folder / "release.json").write_text(json.dumps(about, indent=2) + "\n")
    print(f"{made.version} is installed in {folder}")


def deploy(
    project: Project, name: str, wanted: str | None, force: bool, reason: str | None
) -> None:
    """Make an artifact live in an environment, if the gate lets it, and record it.

    Raises:
        Refused: the gate is shut and was not forced.
        DeliveryError: a host failed; what was live there still is.
    """
    stage = project.config.stage_of(name)
    project.ledger.sync()
    chosen = project.named(wanted) if wanted else project.artifact()
    if chosen is None:
        raise Refused(f"this commit has no artifact to deploy: python -m delivery run {BUILD}")
    forced = False
    try:
        gate.check(project.config, project.ledger, stage, chosen.commit, chosen.sha256)
    except Refused:
        if not force:
            raise
        forced = True
    by, nested = event.author(project.git), os.environ.get("DELIVERY_STAGE") == stage.name
    try:
        hosts = environment.deploy(project.config, project.git, name, chosen, by)
    except DeliveryError as error:
        if not nested:  # the stage's own run records its failure
            project.record(
                "failed", stage.name, chosen, environment=name, reason=str(error), forced=forced
            )
        raise
    last = project.live(name)
    if (
        forced
        or last is None
        or last.sha256 != chosen.sha256
        or any(h.get("changed") for h in hosts.values())
    ):
        project.record(
            "deployed", stage.name, chosen, **_where(name, hosts), reason=reason, forced=forced
        )
    print(f"{chosen.version} is live in {name}: {_url(hosts)}")


def rollback(project: Project, name: str, wanted: str | None, reason: str | None) -> None:
    """Make the release before the live one live again, and record both sides of it.

    Raises:
        DeliveryError: there is nothing to go back to, or a host failed.
    """
    stage = project.config.stage_of(name)
    project.ledger.sync()
    version = project.named(wanted).version if wanted else None
    left = project.live(name)
    hosts = environment.rollback(project.config, name, version, event.author(project.git))
    told = next(iter(hosts.values()))
    # The hosts know what they had before this ledger began.
    unknown = artifact.Artifact(
        project.config.name, told["version"], told["sha256"], told["commit"]
    )
    now = project.artifact(told["sha256"]) or unknown
    gone = project.artifact(left.sha256) if left and left.sha256 != told["sha256"] else None
    if gone:
        project.record("rolled-back", stage.name, gone, **_where(name, hosts), reason=reason)
    project.record("deployed", stage.name, now, **_where(name, hosts), reason=reason or "rollback")
    print(f"{told['version']} is live in {name} again: {_url(hosts)}")


def stop(project: Project, names: list[str]) -> None:
    """Stop the service in environments; the ledger, the releases and the index stay.

    Raises:
        DeliveryError: a host failed.
    """
    for name in names:
        project.config.stage_of(name)
        environment.stop(project.config, name)
        print(f"{name} is stopped; python -m delivery deploy {name} starts it again")


def execute(project: Project, name: str, command: list[str]) -> int:
    """Run a command that is told what is under test in an environment; return its exit status.

    Its environment has ``SERVICE_URL``, ``SERVICE_VERSION`` and ``SERVICE_SHA256``:
    in a stage those of the stage's artifact, else of what was deployed last.

    Raises:
        UsageError: nothing was deployed there yet.
    """
    live = project.live(name)
    if live is None:
        raise UsageError(f"nothing was deployed to {name} yet: python -m delivery deploy {name}")
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
            "SERVICE_URL is not set: python -m delivery exec ENV -- python -m delivery performance"
        )
    said = environment.answers(url, seconds=10)
    if said is None:
        raise DeliveryError(f"nothing answers at {url}/version: python -m delivery status")
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
        "migrated": any(h.get("migrated") for h in hosts.values()),
        "seconds": round(max(spent), 3) if spent else None,
    }


def _url(hosts: dict[str, Any]) -> str:
    return str(next(iter(hosts.values())).get("url", ""))


def template(project: Project, update: bool) -> None:
    """Say which version of its template the project has, and update it when asked.

    Raises:
        Refused: the work tree is dirty.
        DeliveryError: the template cannot be reached, or the update left conflicts.
    """
    found = origin.look(project.git)
    if not update or not found.moved:
        print(f"{found}{': python -m delivery template --update' if found.moved else ''}")
        return
    changed = origin.update(project.git)
    lock = "tox run -e lock, " if "pyproject.toml" in changed else ""
    print(
        f"updated from {found.current} to {found.newest}, {len(changed)} files, no conflict; next:"
        f" git diff, {lock}git add --all, git commit, python -m delivery walk"
    )
