"""What the Ansible modules call: parameters in, a result out, and no word of Ansible between."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from . import release as releases
from .errors import Refused, sentence
from .install import Artifact
from .journal import Entry, Journal, ended
from .layout import checked_environment, checked_version, instance_id, layout
from .lock import held
from .probe import over_tcp
from .rollout import Host, recover, stop_others
from .stack import Stack
from .supervisor import Supervisor

Parameters = dict[str, Any]
Result = dict[str, Any]


class Module(Protocol):
    """What we need of AnsibleModule."""

    params: Parameters
    check_mode: bool

    def exit_json(self, **result: Any) -> None:
        """Give back a result."""

    def fail_json(self, msg: str, **result: Any) -> None:
        """Give back a failure."""


def answer(module: Module, work: Callable[[Parameters, bool], Result]) -> None:
    """Do the work of a module; say in one sentence why it failed, if it did."""
    try:
        result = work(module.params, module.check_mode)
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error), reason=sentence(error), log=getattr(error, "log", ()))
    else:
        module.exit_json(**result)


def supervise(parameters: Parameters, check: bool) -> Result:
    """Bring supervisor and its front up, or down."""
    place = layout(parameters["root"])
    address, port = parameters["address"], parameters["port"]
    stack = Stack(place, address, port, parameters["files"], parameters["tools"])
    if parameters["state"] == "stopped":
        runs = place.root.exists() and stack.runs()
        if runs and not check:
            with held(place.lock, parameters["by"], None):
                stack.down()
        return {"changed": runs, "diff": _diff("up\n" if runs else "stopped\n", "stopped\n")}
    stack.check_port()
    wrong = stack.missing()
    diff = [{"before_header": name, **part} for name, part in stack.diffs().items()]
    if not check:
        place.root.mkdir(parents=True, exist_ok=True)
        with held(place.lock, parameters["by"], None) as lock:
            stack.up(lock)
    return {"changed": bool(wrong), "changes": wrong, "diff": diff}


def release(parameters: Parameters, check: bool) -> Result:
    """Bring a release to the state that was asked for."""
    place = layout(parameters["root"])
    if parameters["version"]:
        checked_version(parameters["version"])
    journal = Journal(place.journal, parameters["by"])
    if check:
        return _foretold(parameters, journal)
    if not place.root.is_dir():
        raise Refused(f"There is no {parameters['name']} in {place.root}: deploy it first.")
    before = _picture(journal)
    with held(place.lock, parameters["by"], parameters["version"]) as lock:
        host = Host(
            place,
            lock,
            journal,
            Supervisor(place),
            over_tcp(parameters["address"], parameters["port"]),
            parameters["probe_seconds"],
            parameters["drain_seconds"],
            parameters["keep"],
        )
        recovered = recover(host)
        changed = _bring(host, parameters)
        pruned = releases.prune(host)
    return _result(parameters, journal, host.seconds) | {
        "changed": changed or bool(pruned) or recovered is not None,
        "recovered": recovered,
        "pruned": pruned,
        "diff": _diff(before, _picture(journal)),
    }


def _wanted(parameters: Parameters) -> tuple[Entry, Artifact, dict[str, str]]:
    """Return the instance that is asked for, what it is made of, and its environment."""
    environment = checked_environment(json.loads(parameters["environment"]))
    version, sha256 = parameters["version"], parameters["sha256"]
    target = Entry(instance_id(sha256, environment), version, sha256)
    files = [Path(p) if p else None for p in (parameters["wheel"], parameters["requirements"])]
    commit = parameters["commit"] or None
    return target, Artifact(parameters["name"], version, sha256, commit, *files), environment


def _bring(host: Host, parameters: Parameters) -> bool:
    """Do what was asked for; return whether that changed anything."""
    match parameters["state"]:
        case "previous":
            return releases.go_back(host, parameters["name"], parameters["version"])
        case "absent":
            return releases.remove(host, parameters["version"])
        case "staged":
            return releases.stage(host, *_wanted(parameters)[:2])
    return releases.go_live(host, *_wanted(parameters))


def _foretold(parameters: Parameters, journal: Journal) -> Result:
    """Say what would change, and change nothing."""
    place, state, before = layout(parameters["root"]), journal.state(), _picture(journal)
    installed = set(releases.complete(place))
    stack = state.stack
    match parameters["state"]:
        case "previous":
            target = releases.way_back(place, state, parameters["name"], parameters["version"])
            stack = ended(stack, "rollback", target)
        case "absent":
            installed.discard(parameters["version"])
        case _:
            target, artifact, _environment = _wanted(parameters)
            if not releases.installed(place, artifact):
                installed.add(target.version)
            if parameters["state"] == "live":
                stack = ended(stack, "deploy", target)
    after = _drawn(stack, installed)
    wrong = state.begun is not None or (
        parameters["state"] == "live" and place.live() != stack[-1].instance
    )
    return _result(parameters, journal, {}) | {
        "changed": before != after or wrong,
        "diff": _diff(before, after),
    }


def _result(parameters: Parameters, journal: Journal, seconds: dict[str, float]) -> Result:
    """Say what is live now, and how long it took."""
    state, address = journal.state(), parameters["address"]
    host = f"[{address}]" if ":" in address else address
    marker = releases.marker(layout(parameters["root"]), state.live) or {}
    return {
        "release": {
            "url": f"http://{host}:{parameters['port']}",
            "version": state.live.version if state.live else None,
            "sha256": state.live.sha256 if state.live else None,
            "commit": marker.get("commit"),
            "previous": state.previous.version if state.previous else None,
            "seconds": seconds,
        }
    }


def _picture(journal: Journal) -> str:
    """Draw what is live and what is installed."""
    place = layout(str(journal.path.parent))
    return _drawn(journal.state().stack, set(releases.complete(place)))


def _drawn(stack: tuple[Entry, ...], installed: set[str]) -> str:
    """Draw it for a diff."""
    live = f"{stack[-1].version} ({stack[-1].instance})" if stack else "nothing"
    previous = f"{stack[-2].version} ({stack[-2].instance})" if len(stack) > 1 else "nothing"
    lines = [f"live: {live}", f"previous: {previous}", "installed:"]
    return "\n".join([*lines, *(f"- {version}" for version in sorted(installed))]) + "\n"


def _diff(before: str, after: str) -> dict[str, str]:
    """Return a diff as Ansible prints it."""
    return {"before": before, "after": after}
