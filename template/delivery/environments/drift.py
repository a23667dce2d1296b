"""Drift: a host runs something else than the ledger says was deployed to it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

from ..ledger.event import Event
from ..project import Project
from ..view import show, show_json
from . import playbooks


def verify(project: Project, as_json: bool) -> bool:
    """Ask every host of every environment what it runs; print it, and record what is drift.

    The same drift is recorded once, however often it is found.

    Args:
        project: the project.
        as_json: print JSON instead: a list of hosts, each with ``asked`` and ``drift``.

    Returns:
        Whether every host could be asked, and runs what the ledger says.

    Raises:
        DeliveryError: the hosts of an environment cannot be asked at all.
    """
    project.ledger.sync()
    rows: list[dict[str, Any]] = []
    for name in project.config.environments:
        wanted, told = project.live(name), playbooks.look(project.config, name)
        with ThreadPoolExecutor(max_workers=16) as pool:
            found = dict(zip(told, pool.map(compare, told.values(), repeat(wanted))))
        silent = {host: said["reason"] for host, said in told.items() if not said["ok"]}
        for host, difference in sorted(found.items()):
            what = f"cannot be asked: {silent[host]}" if host in silent else difference
            rows.append(
                {
                    "environment": name,
                    "host": host,
                    "version": wanted.version if wanted else None,
                    "asked": host not in silent,
                    "drift": bool(difference) and host not in silent,
                    "says": what or f"runs {_says(wanted)}",
                }
            )
            if not as_json:
                show(f"{name}: {host} {rows[-1]['says']}")
        drift = {host: said for host, said in sorted(found.items()) if said and host not in silent}
        if drift:
            record(project, name, wanted, drift)
    if as_json:
        show_json(rows)
    return all(row["asked"] and not row["drift"] for row in rows)


def compare(said: Mapping[str, Any], wanted: Event | None) -> str | None:
    """Return how a host differs from the ledger, as the rest of a sentence; None when it does not.

    Args:
        said: what `playbooks.look` has of the host.
        wanted: the last deployment to its environment; None when there was none.
    """
    ledger = f", the ledger says {_says(wanted)}"
    if said.get("sha256") != (wanted.sha256 if wanted else None):
        return f"runs {said.get('version') or 'nothing'}{ledger}"
    if wanted is None:
        return None
    if not said.get("changed"):
        return f"is stopped{ledger}"
    # Its own journal agrees with ours; what really answers is another question.
    answer = playbooks.answers(str(said["url"]), seconds=5)
    if answer is None:
        return f"does not answer at {said['url']}/version{ledger}"
    if answer.get("sha256") != wanted.sha256:
        return f"answers as {answer.get('version')} at {said['url']}{ledger}"
    return None


def record(project: Project, name: str, wanted: Event | None, drift: Mapping[str, str]) -> None:
    """Write drift into the ledger, unless the same is its last word on the environment."""
    stage = project.config.stage_of(name).name
    reason = "; ".join(f"{host} {text}" for host, text in drift.items())
    events = project.ledger.events(event=("deployed", "drift"), stage=stage)
    if events and events[-1].event == "drift" and events[-1].reason == reason:
        return
    artifact = project.artifact(wanted.sha256) if wanted else None
    project.record("drift", stage, artifact, environment=name, hosts=tuple(drift), reason=reason)


def _says(wanted: Event | None) -> str:
    return str(wanted.version) if wanted else "nothing"
