"""Which release of a service is live, which are there, and which may go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import install, traffic
from .errors import Refused, sentence
from .files import as_json, discard, holds, read_json, write
from .install import Artifact, installed
from .journal import Entry, State
from .layout import COMPLETE, Layout
from .rollout import Host, Rollout, roll, stop_others, through_front, undo


def healthy(host: Host, target: Entry) -> bool:
    """Tell whether an instance has the traffic and answers well."""
    if host.layout.live() != target.instance or not host.keeper.status(target.instance).up:
        return False
    return through_front(host, target) is None


def go_live(host: Host, target: Entry, artifact: Artifact, environment: Mapping[str, str]) -> bool:
    """Make an instance the live one; return whether that took anything."""
    layout, state = host.layout, host.journal.state()
    there = installed(layout, artifact)
    # A live release may have lost its files: it runs on without, until it has to start again.
    if there and state.live == target and healthy(host, target):
        # It was given its description when it started, and is again when it has to.
        again = not described(layout, target, artifact, environment)
        if again:
            describe(layout, target, artifact, environment)
        return bool(stop_others(host, target.instance)) or again
    if not there:
        install.checked_digest(artifact)
    describe(layout, target, artifact, environment)
    roll(Rollout(host, "deploy", target, artifact, layout.live()))
    return True


def describe(
    layout: Layout, target: Entry, artifact: Artifact, environment: Mapping[str, str]
) -> None:
    """Write down how an instance is started; the environment holds secrets."""
    text = description(layout, target, artifact, environment)
    write(layout.instance(target.instance), text, 0o600)


def described(
    layout: Layout, target: Entry, artifact: Artifact, environment: Mapping[str, str]
) -> bool:
    """Tell whether it is written down how an instance is started, and for nobody else to read."""
    text = description(layout, target, artifact, environment)
    return holds(layout.instance(target.instance), text, 0o600)


def description(
    layout: Layout, target: Entry, artifact: Artifact, environment: Mapping[str, str]
) -> str:
    """Return how an instance is started."""
    release = layout.release(target.version)
    bind = f"unix:{layout.socket(target.instance)}"
    command = [str(release / "bin/python"), str(release / "bin" / artifact.name), "--bind", bind]
    facts = {**vars(target), "commit": artifact.commit, "command": command}
    return as_json({**facts, "environment": environment})


def go_back(host: Host, name: str, version: str | None, left: str | None = None) -> bool:
    """Make the previous instance live again, or the last one of a version that was live before."""
    state = host.journal.state()
    target = way_back(host.layout, state, name, version, left)
    if target == state.live and healthy(host, target):
        return False
    revive(host, name, target)
    return True


def revive(host: Host, name: str, target: Entry) -> None:
    """Make an instance live again."""
    commit = (marker(host.layout, target) or {}).get("commit")
    artifact = Artifact(name, target.version, target.sha256, commit, None, None)
    roll(Rollout(host, "rollback", target, artifact, host.layout.live()))


def take_back(host: Host, name: str, version: str) -> bool:
    """Undo the deploy of a version, where that is what brought the live one there."""
    state = host.journal.state()
    if state.live is None or state.live.version != version or state.last != "deploy":
        return False
    if len(state.stack) == 1:
        withdraw(host, state.live)
    else:
        # One step, and not to the release before: other units may be all that it brought.
        revive(host, name, whole(host.layout, state.stack[-2], name))
    return True


def withdraw(host: Host, target: Entry) -> None:
    """Take the traffic from the first release there was, for nobody was before it."""
    run = host.journal.begin("withdraw", target, target.instance)
    traffic.point(host.layout, None)
    stop_others(host, "")
    host.journal.end(run)


def way_back(
    layout: Layout, state: State, name: str, version: str | None, left: str | None = None
) -> Entry:
    """Return the instance that a rollback goes to, or say why there is none.

    Where what it leaves is live, it goes to the one before, which may be of the same version.
    """
    if state.live is None:
        raise Refused(f"{layout.root} has no live release: there is nothing to go back from.")
    target = state.find(version) if version else state.previous
    if left == state.live.version and state.previous and state.previous.version == version:
        target = state.previous
    if target is None and version is None:
        raise Refused(
            f"{name} has nothing to go back to in {layout.root}: {state.live.version} is the first"
            " release there, or all before it were rolled back; deploy a version instead."
        )
    if target is None:
        known = sorted({entry.version for entry in state.stack})
        raise Refused(
            f"{name} {version} is none of the releases that were live in {layout.root}"
            f" ({', '.join(known)}): name one of these, or deploy {version}."
        )
    return whole(layout, target, name)


def whole(layout: Layout, target: Entry, name: str) -> Entry:
    """Return an instance that was live before, or say that it is gone."""
    if not marker(layout, target) or not layout.instance(target.instance).exists():
        raise Refused(
            f"{name} {target.version}, which was live before, is no longer installed in"
            f" {layout.root}: deploy that version again instead of rolling back."
        )
    return target


def marker(layout: Layout, target: Entry | None) -> dict[str, Any] | None:
    """Return what a complete release says of itself."""
    return read_json(layout.complete(target.version)) if target else None


def complete(layout: Layout) -> list[str]:
    """Return the versions that are installed."""
    return [path.parent.name for path in layout.releases.glob(f"*/{COMPLETE}")]


def stage(host: Host, target: Entry, artifact: Artifact) -> bool:
    """Install a release without starting it; return whether that took anything."""
    if installed(host.layout, artifact):
        return False
    install.checked_digest(artifact)
    run = host.journal.begin("stage", target, None)
    try:
        with host.timed("install"):
            install.install(host.layout, artifact, host.lock)
    except (Refused, OSError) as error:
        undo(host, run, target, target.instance, sentence(error))
        raise
    host.journal.end(run)
    return True


def remove(host: Host, version: str) -> bool:
    """Take one release away, unless it is live; return whether it was there."""
    layout, live = host.layout, host.journal.state().live
    if live and live.version == version:
        raise Refused(f"{version} is live in {layout.root}: deploy another version first.")
    if not layout.release(version).exists():
        return False
    discard(layout.release(version), COMPLETE)
    return True


def prunable(host: Host, state: State) -> list[str]:
    """Return the installed versions that may go: never the live or the previous one."""
    kept = {entry.version for entry in (state.live, state.previous) if entry}
    kept |= set(state.versions[-host.keep :])
    return [v for v in state.versions if v not in kept and host.layout.release(v).exists()]


def prune(host: Host) -> list[str]:
    """Take away the releases that are too many, their logs, and secrets that nothing needs."""
    layout, state = host.layout, host.journal.state()
    old = prunable(host, state)
    for version in old:
        discard(layout.release(version), COMPLETE)
    there = {*complete(layout), state.live and state.live.version}
    needed = {layout.live(), *(e.instance for e in state.stack if e.version in there)}
    # A draft of one, which a run that was killed has left, holds secrets as well.
    for path in layout.instances.iterdir():
        if path.stem not in needed:
            path.unlink()
    for path in layout.log.glob("*.log*"):
        if state.known.get(path.name.partition(".")[0]) not in (None, *there):
            path.unlink()
    return old
