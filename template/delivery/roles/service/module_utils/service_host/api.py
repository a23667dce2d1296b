"""What the Ansible module calls: parameters in, a result out, and no word of Ansible between."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

from . import byhand, release, worlds
from .claim import Attempt, standing
from .errors import Busy, Refused, sentence
from .foundation import Foundation
from .install import Artifact, checked_digest, installed
from .journal import Entry, Journal, State
from .layout import Layout, checked_environment, checked_version, instance_id, layout
from .lock import Lock, held
from .rollout import Host, recover
from .stack import Stack
from .systemd import Systemd
from .tls import Tls

Parameters = dict[str, Any]
Result = dict[str, Any]
INITS: dict[str, type[Foundation]] = {"supervisor": Stack, "systemd": Systemd}
# How long a deploy that lost its controller may go on where it is to be undone, besides probes.
LOST_SECONDS = 60.0
STATES = ("live", "staged", "absent", "previous", "undone", "stopped")


class Module(Protocol):
    """What we need of AnsibleModule."""

    params: Parameters
    check_mode: bool

    def exit_json(self, **result: Any) -> None:
        """Give back a result."""

    def fail_json(self, msg: str, **result: Any) -> None:
        """Give back a failure."""


def answer(module: Module) -> None:
    """Do what the module was asked for; say in one sentence why it failed, if it did."""
    # The service and its front are others than who makes what they read.
    os.umask(0o022)
    request = None
    try:
        request = Request(module.params)
        result = request.answer(module.check_mode)
    except (Refused, OSError) as error:
        busy = {"busy": True, "claim": error.claim} if isinstance(error, Busy) else {}
        advanced = request is not None and request.advanced
        module.fail_json(msg=str(error), reason=sentence(error), advanced=advanced, **busy)
    else:
        module.exit_json(**result, **request.attempt.said)


class Request:
    """What is asked for, checked as far as words go."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.state: str = parameters["state"]
        self.name: str = parameters["name"]
        version = parameters["version"]
        self.version: str | None = checked_version(version) if version else None
        self.environment = checked_environment(json.loads(parameters["environment"]))
        self.layout: Layout = layout(parameters["root"])
        self.journal = Journal(self.layout.journal, parameters["by"])
        self.attempt = Attempt(parameters["attempt"], parameters["over"])
        # Whether another instance is live than before, however the work has ended.
        self.advanced = False
        self.artifact: Artifact | None = None
        if self.state in ("live", "staged"):
            if parameters["keep"] < 1:
                raise Refused(
                    f"service_keep is {parameters['keep']}: give it 1 or more; the live release"
                    " and the one before always stay."
                )
            wheel, requirements = (
                Path(path) if path else None
                for path in (parameters["wheel"], parameters["requirements"])
            )
            self.artifact = Artifact(
                self.name,
                parameters["version"],
                parameters["sha256"],
                parameters["commit"] or None,
                wheel,
                requirements,
                parameters["python"],
                tuple(parameters["packages"]),
            )
            if wheel:
                checked_digest(self.artifact)
        self.foundation = INITS[parameters["init"]](
            self.layout,
            self.name,
            parameters["user"] or self.name,
            parameters["address"],
            parameters["port"],
            parameters["files"],
            parameters["tools"],
            self.tls(),
        )

    def tls(self) -> Tls | None:
        """Return how the front is to speak TLS, if at all."""
        told = self.parameters
        if told["tls"] == "none":
            return None
        given = (told["certificate"], told["certificate_key"]) if told["tls"] == "given" else ()
        return Tls(told["tls_port"], told["tls_host"] or "", *given)

    def answer(self, check: bool) -> Result:
        """Bring the host to the state that was asked for, or only say what that would change."""
        self.foundation.stays()
        before, state = self.picture(), self.journal.state()
        if self.state == "stopped":
            work: Result = self.stop(check)
        elif self.state == "absent" and self.version is None:
            work = self.vanish(check)
        elif self.state == "undone" and not self.layout.root.is_dir():
            work = {"changed": False}
        elif check:
            work = self.foretell(state)
        else:
            work = self.work()
        diff = {"before": before, "after": work.pop("after", None) or self.picture()}
        return {"diff": [*work.pop("diffs", ()), diff], **self.told(), **work}

    def stop(self, check: bool) -> Result:
        """Stop the service and its front."""
        runs = self.foundation.runs()
        if runs and not check:
            # Whoever removed it by hand has stopped nothing.
            self.layout.root.mkdir(parents=True, exist_ok=True)
            with held(self.layout.lock, self.parameters["by"], None):
                self.foundation.down()
        return {"changed": runs, "diffs": [{"before": "up\n" * runs, "after": ""}] * runs}

    def vanish(self, check: bool) -> Result:
        """Take the service, its front and every release off the host."""
        there = self.foundation.is_there()
        if there and not check:
            self.layout.root.mkdir(parents=True, exist_ok=True)
            with held(self.layout.lock, self.parameters["by"], None):
                self.foundation.vanish()
        return {"changed": there, "after": release.drawn(State(), set())}

    def check(self) -> None:
        """Refuse what cannot work on this host, before anything is touched."""
        self.foundation.check()
        if self.artifact is None and not self.layout.root.is_dir():
            raise Refused(f"There is no {self.name} in {self.layout.root}: deploy it first.")
        # Who lost its place takes back what it brought, but not from somebody who wants it there.
        if self.state != "undone" or self.version == (standing(self.layout) or {}).get("version"):
            self.attempt.admit(self.layout)

    def work(self) -> Result:
        """Do it, in one critical section."""
        self.check()
        self.layout.root.mkdir(parents=True, exist_ok=True)
        patience = LOST_SECONDS + self.parameters["probe_seconds"] if self.state == "undone" else 0
        with held(self.layout.lock, self.parameters["by"], self.version, patience) as lock:
            diffs = self.foundation.diffs()
            self.foundation.up(lock)
            self.foundation.changes += byhand.leave(self.layout.root, self.parameters)
            host = self.host(lock)
            before = self.journal.state().stack
            try:
                recovered = recover(host)
                changed = self.bring(host)
            finally:
                self.advanced = self.journal.state().stack != before
            # What was asked for is done, and good: what cannot be removed is no failure.
            pruned, warnings = release.prune(host)
        done = {"stack": self.foundation.changes, "recovered": recovered, "pruned": pruned}
        changed = changed or any(done.values())
        told = {"advanced": self.advanced, "migrated": host.migrated, "seconds": host.seconds}
        warned = {"warnings": said} if (said := [*host.warnings, *warnings]) else {}
        return {"changed": changed, "diffs": diffs, **warned, **done, **told}

    def host(self, lock: Lock) -> Host:
        """Return the service on this host."""
        return Host(
            self.layout,
            lock,
            self.journal,
            self.foundation.keeper,
            self.foundation.front,
            self.parameters["probe_seconds"],
            self.parameters["drain_seconds"],
            self.parameters["keep"],
            self.parameters["migrate"],
        )

    def bring(self, host: Host) -> bool:
        """Do to releases what was asked for; return whether that changed anything."""
        if self.artifact is None:
            if self.state == "absent":
                return release.remove(host, str(self.version))
            if self.state == "undone":
                return release.take_back(host, self.name, str(self.version))
            return release.go_back(host, self.name, self.version, self.parameters["left"])
        worlds.packages(self.artifact.packages)
        if self.state == "staged":
            return release.stage(host, self.target(), self.artifact)
        return release.go_live(host, self.target(), self.artifact, self.environment)

    def target(self) -> Entry:
        """Return the instance that is asked for."""
        assert self.artifact is not None
        version, sha256 = self.artifact.version, self.artifact.sha256
        instance = instance_id(sha256, self.environment, self.foundation.runtime)
        return Entry(instance, version, sha256, instance_id(sha256, self.environment))

    def foretell(self, state: State) -> Result:
        """Say what would change."""
        self.check()
        # Nothing is locked, for nothing is touched.
        host, there, after = self.host(Lock(-1, {})), set(release.complete(self.layout)), state
        diffs, goal = self.foundation.diffs(), None
        if self.artifact:
            target, whole = self.target(), installed(self.layout, self.artifact)
            there.add(target.version)
            if self.state == "live":
                well = state.live == target and release.healthy(host, target)
                diffs += release.processes(host, target, well)
                after = state if whole and well else state.after("deploy", target)
                told = (self.layout, target, self.artifact, self.environment)
                lost = state.live == target and not release.described(*told)
                # What it says is secret.
                diffs += [{"before_header": "description", "before": "", "after": "new\n"}] * lost
            elif not whole:
                after = state.after("stage", target)
        elif self.state == "absent":
            there.discard(str(self.version))
        elif self.state == "previous" and not self.gone_back(state):
            left = self.parameters["left"]
            target = release.way_back(self.layout, state, self.name, self.version, left)
            goal = target.version
            if target != state.live or not release.healthy(host, target):
                diffs += release.processes(host, target, well=target != state.live)
                after = state.after("rollback", target)
        there -= {*release.prunable(host, after)}
        before, then = self.picture(), release.drawn(after, there)
        missing = self.foundation.missing()
        missing += byhand.missing(self.layout.root, self.parameters)
        live = after.live.instance if after.live else None
        open_end = state.begun is not None or self.layout.live() != live
        changed = bool(missing or diffs) or before != then or open_end
        return {
            "changed": changed,
            "after": then,
            "stack": missing,
            "diffs": diffs,
            "goal": goal,
        }

    def gone_back(self, state: State) -> bool:
        """Tell whether a plain rollback has nothing to do here: what it is to leave is not live."""
        left = self.parameters["left"]
        return bool(self.version is None and left and state.live and state.live.version != left)

    def told(self) -> Result:
        """Say what is live now."""
        state = self.journal.state()
        marker = release.marker(self.layout, state.live) or {}
        there = release.complete(self.layout)
        earlier = (e.version for e in state.earlier if e.version in there)
        return {
            "url": self.parameters["url"],
            "version": state.live.version if state.live else None,
            "sha256": state.live.sha256 if state.live else None,
            "goal": state.live.version if state.live else None,
            "commit": marker.get("commit"),
            "system": marker.get("system", []),
            "previous": state.previous.version if state.previous else None,
            "earlier": list(dict.fromkeys(earlier)),
            "migrated": False,
            "seconds": {},
        }

    def picture(self) -> str:
        """Draw what is live and what is installed now."""
        return release.drawn(self.journal.state(), set(release.complete(self.layout)))
