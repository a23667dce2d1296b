"""Environments: put an artifact into one by Ansible, take it back, ask what answers there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..artifact import wheel
from ..artifact.wheel import Artifact
from ..config import Config
from ..errors import DeliveryError, Refused
from ..git import Git
from ..tools import ansible_playbook


class Busy(Refused):
    """Somebody else changes the hosts; the claim is the name of their rollout, if they have one."""

    def __init__(self, text: str, claim: str | None) -> None:
        super().__init__(text)
        self.claim = claim


def deploy(
    config: Config,
    git: Git,
    environment: str,
    wanted: Artifact,
    by: str,
    bake: bool = True,
    unfinished: bool = False,
    insist: bool = False,
) -> dict[str, Any]:
    """Make ``wanted`` live in an environment, on every host of its inventory or on none.

    Args:
        config: the project's pipeline.
        git: its repository, from which the release's hashed requirements come.
        environment: the inventory's name.
        wanted: the artifact; it has to be in the index that the environment takes it from.
        by: who does it; the hosts' journals keep it.
        bake: whether the canary is watched before the others follow.
        unfinished: whether a host that has it already can only have it from a killed attempt.
        insist: whether to go on though another rollout has claimed the hosts.

    Returns:
        What each host said, by its name: ``changed``, ``url``, ``version``, ``seconds`` and more.

    Raises:
        Busy: somebody else changes the hosts, and nothing was done.
        DeliveryError: a host failed; the text is the host's reason. What was live still is.
    """
    file = config.source(environment).fetch(config.name, wanted)
    with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_bytes(wheel.lock(git, wanted))
        release = {
            "service_version": wanted.version,
            "service_sha256": wanted.sha256,
            "service_commit": wanted.commit,
            "service_wheel": str(file),
            "service_requirements": str(requirements),
            "service_by": by,
            "service_packages": list(config.system),
            "service_unfinished": unfinished,
        }
        unwatched = {} if bake else {"service_bake_seconds": 0}
        return _claiming(config, environment, "deploy.yml", release | unwatched, insist)


def rollback(
    config: Config,
    environment: str,
    version: str | None,
    left: str | None,
    by: str,
    insist: bool = False,
) -> dict[str, Any]:
    """Make the release before ``left`` live again, or ``version``; return what each host said.

    Raises:
        Busy: somebody else changes the hosts, and ``insist`` is not set.
        DeliveryError: there is no such release on a host, and none has moved; or it does not come
            up.
    """
    target = {"service_version": version} if version else {"service_left": left} if left else {}
    return _claiming(config, environment, "rollback.yml", {"service_by": by, **target}, insist)


def stop(config: Config, environment: str, remove: bool = False) -> dict[str, Any]:
    """Stop the service and its front in an environment; return what each host said.

    Args:
        config: the project's pipeline.
        environment: the inventory's name.
        remove: whether to take everything of it off the hosts, its data too.

    Raises:
        Busy: somebody else changes the hosts, and none was stopped.
        DeliveryError: a host failed; the others are stopped.
    """
    state = {"service_state": "absent" if remove else "stopped"}
    return _claiming(config, environment, "stop.yml", state, insist=False)


def look(config: Config, environment: str) -> dict[str, Any]:
    """Return what is live on each host of an environment, and change nothing there.

    Returns:
        By host ``version``, ``sha256`` and ``url`` of what its journal calls live, ``earlier``: the
        versions that were live before and are installed, newest first, and ``changed``: whether it
        runs. A host that cannot be asked is not ``ok``, and has a ``reason``.

    Raises:
        DeliveryError: no host said anything.
    """
    return _play(config, environment, "verify.yml", {}, whole=False)


def answers(url: str, seconds: float = 2) -> dict[str, Any] | None:
    """Return what ``/version`` says at ``url``; None when nothing answers in ``seconds``."""
    import http.client  # slow to load, and not every command asks
    import urllib.request

    # No proxy: a pipeline asks its environments directly.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/version", timeout=seconds) as answer:
            said = json.load(answer)
    # URLError is an OSError; what breaks off, or speaks something else, is neither.
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return said if isinstance(said, dict) else None


def _claiming(
    config: Config, environment: str, playbook: str, variables: dict[str, Any], insist: bool
) -> dict[str, Any]:
    """Run a playbook as a rollout with a name; one that was killed on this machine makes way."""
    with attempt() as name:
        told = variables | {"service_attempt": name}
        try:
            over = {"service_over": "*"} if insist else {}
            return _play(config, environment, playbook, told | over)
        except Busy as busy:
            if not busy.claim or not dead(busy.claim):
                raise
            return _play(config, environment, playbook, told | {"service_over": busy.claim})


@contextlib.contextmanager
def attempt() -> Iterator[str]:
    """Name a rollout by a file that this process and its playbook keep locked while they live.

    A record lock, which a process has for itself: Ansible's workers outlive it by their last task.
    """
    with tempfile.NamedTemporaryFile(prefix="delivery-attempt-") as file:
        fcntl.lockf(file, fcntl.LOCK_SH)
        yield f"{socket.gethostname()}:{file.name}"


def dead(name: str) -> bool:
    """Tell whether a rollout of another process ran on this machine, and runs no more."""
    host, _, path = name.partition(":")
    if host != socket.gethostname():
        return False
    try:
        with open(path, "rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it is locked, or somebody else's
    return True


def _play(
    config: Config,
    environment: str,
    playbook: str,
    variables: dict[str, Any],
    whole: bool = True,
) -> dict[str, Any]:
    """Run a playbook on an environment's inventory and return the hosts' results.

    Args:
        whole: whether a host that fails is an error.
    """
    ansible, folder = ansible_playbook(), config.root / "delivery"
    if ansible is None:
        raise DeliveryError(
            f"ansible-playbook is not here: run this as python3 -m delivery … {environment}"
        )
    inventory = folder / "inventories" / environment
    if not inventory.exists():
        raise DeliveryError(
            f"there is no {inventory.relative_to(config.root)}: make it, as its neighbours are"
        )
    with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
        extra, result = Path(scratch, "vars.json"), Path(scratch, "result.json")
        extra.write_text(json.dumps({"service_name": config.name, **variables}), encoding="utf-8")
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "DELIVERY_RESULT": str(result),
            "DELIVERY_ATTEMPT": variables.get("service_attempt", "").partition(":")[2],
        }
        command = [str(ansible), "-i", str(inventory), str(folder / playbook), "-e", f"@{extra}"]
        # A stage's log has all that Ansible says; a person is shown it when something went wrong.
        quiet = None if "DELIVERY_STAGE" in os.environ else subprocess.PIPE
        done = subprocess.run(
            command,
            cwd=config.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=quiet,
            stderr=quiet and subprocess.STDOUT,
            check=False,
        )
        found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    hosts: dict[str, Any] = found.get("hosts", {})
    told = {host: said["reason"] for host, said in hosts.items() if said.get("reason")}
    # What was seen on several hosts names them itself.
    reasons = dict.fromkeys(
        why if why.startswith("canar") else f"{host}: {why}" for host, why in told.items()
    )
    if not hosts or (whole and (done.returncode or reasons)):
        if done.stdout and not reasons:
            sys.stderr.buffer.write(done.stdout)
        what = f"{playbook} ended with status {done.returncode} in {environment}"
        busy = [said for said in hosts.values() if said.get("busy")]
        if busy and not any(said.get("advanced") for said in hosts.values()):
            raise Busy("; ".join(reasons), busy[0].get("claim"))
        if not hosts and not done.returncode:
            what = f"{inventory.relative_to(config.root)} has no host in its group service: add one"
        raise DeliveryError("; ".join(reasons) or what)
    return hosts
