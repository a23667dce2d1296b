"""An instance goes live step by step; what a killed run has begun is finished or undone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import install, processes, traffic
from .errors import Refused, sentence
from .files import discard, read_json
from .install import Artifact
from .journal import Entry, Journal
from .keeper import Keeper
from .layout import Layout
from .lock import Lock
from .probe import Connect, WrongArtifact, fault, over_unix, wait_until_good

# A word of the environment that is shorter is no secret, and is starred out nowhere.
SECRET_LENGTH = 6


@dataclass
class Host:
    """A service on this host, while the lock is held."""

    layout: Layout
    lock: Lock
    journal: Journal
    keeper: Keeper
    front: Connect
    probe_seconds: float
    drain_seconds: float
    keep: int
    migrate: bool = True
    migrated: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add up how long a part of the work takes."""
        start = time.monotonic()
        try:
            yield
        finally:
            spent = self.seconds.get(what, 0.0) + time.monotonic() - start
            self.seconds[what] = round(spent, 3)

    def stop(self, instance: str) -> None:
        """Stop an instance that has no traffic; one that takes too long is left to the next run."""
        try:
            self.keeper.stop(instance)
        except Refused as error:
            self.warnings.append(f"An instance that has no traffic did not stop: {error.reason}")

    def log(self, instance: str) -> list[str]:
        """Return the last lines that an instance wrote, without the secrets it was given."""
        description = read_json(self.layout.instance(instance)) or {}
        words = description.get("environment", {}).values()
        hidden = [word for word in words if len(word) >= SECRET_LENGTH]
        return self.keeper.log(instance, hidden)


@dataclass
class Rollout:
    """An instance on its way to the traffic."""

    host: Host
    action: str
    target: Entry
    artifact: Artifact
    before: str | None
    run: str = ""
    pid: int = 0
    serves: bool = False

    def begin(self) -> None:
        """Write down what is about to happen."""
        self.run = self.host.journal.begin(self.action, self.target, self.before)

    def install(self) -> None:
        """Make the release, unless it is there."""
        if not install.installed(self.host.layout, self.artifact):
            install.install(self.host.layout, self.artifact, self.host.lock)

    def migrate(self) -> None:
        """Let the release prepare its database, if it has a script for that. Nothing goes back."""
        host, name = self.host, self.target.instance
        script = host.layout.migration(self.artifact.name, self.target.version)
        if self.action != "deploy" or not host.migrate or not script.is_file():
            return
        status = host.keeper.once(name, str(script), host.lock)
        if status:
            raise self.failed(f"its migration failed ({script.name} ended with {status})")
        host.journal.migrated(self.run, script.name)
        host.migrated = True

    def start(self) -> None:
        """Start the instance on a socket of its own."""
        self.host.keeper.start(self.target.instance)

    def probe(self) -> None:
        """Wait until it is healthy there, and is what it should be."""
        host, name = self.host, self.target.instance
        try:
            wait_until_good(
                over_unix(host.layout.socket(name)), self.target, host.probe_seconds, self.gone
            )
        except Refused as error:
            raise self.failed(error.reason) from None
        self.pid = host.keeper.status(name).pid

    def cutover(self) -> None:
        """Give it the traffic, and let a reboot start it alone."""
        keeper, name = self.host.keeper, self.target.instance
        keeper.enable(name)
        traffic.point(self.host.layout, name)
        if self.before not in (None, name):
            keeper.disable(str(self.before))

    def verify(self) -> None:
        """See that the world gets its answers, from the process that was probed."""
        if problem := through_front(self.host, self.target):
            raise self.failed(f"failed after cutover, through the front: {problem}")
        if self.pid and self.host.keeper.status(self.target.instance).pid != self.pid:
            raise self.failed("failed after cutover: its process died")

    def drain(self) -> None:
        """Wait until the instance before has nothing left to do."""
        if self.before not in (None, self.target.instance):
            traffic.drain(self.host.layout, str(self.before), self.host.drain_seconds)

    def stop(self) -> None:
        """Stop every other instance: this one serves, so that nothing goes back from here on."""
        self.serves = True
        stop_others(self.host, self.target.instance, drained=self.before)

    def end(self) -> None:
        """Write down that it went well."""
        self.host.journal.end(self.run)

    def gone(self) -> str | None:
        """Say how the process of the instance ended, if it did."""
        # While its first process is there, nobody has to be asked.
        if self.pid and processes.process(self.pid):
            return None
        status = self.host.keeper.status(self.target.instance)
        self.pid = self.pid or status.pid
        if status.up and status.pid == self.pid:
            return None
        return f"its process ended ({status.state}: {status.detail})"

    def failed(self, problem: str) -> Refused:
        """Say what is wrong with the instance, and show its log."""
        host, target = self.host, self.target
        return Refused(
            f"{self.artifact.name} {target.version} did not go live in {host.layout.root}:"
            f" {problem}; see {host.keeper.where(target.instance)}.",
            host.log(target.instance),
        )


# Every step, in order, and the account its seconds go to. A run killed between any two of them
# is finished or undone by the next one: see recover().
STEPS: tuple[tuple[str, Callable[[Rollout], None]], ...] = (
    ("install", Rollout.begin),
    ("install", Rollout.install),
    ("migrate", Rollout.migrate),
    ("probe", Rollout.start),
    ("probe", Rollout.probe),
    ("cutover", Rollout.cutover),
    ("cutover", Rollout.verify),
    ("drain", Rollout.drain),
    ("cutover", Rollout.verify),
    ("drain", Rollout.stop),
    ("install", Rollout.end),
)


def roll(rollout: Rollout) -> None:
    """Take every step; when one fails before the end, put everything back and say why."""
    try:
        for account, step in STEPS:
            with rollout.host.timed(account):
                step(rollout)
    except (Refused, OSError) as error:
        reason, host, target = sentence(error), rollout.host, rollout.target
        if rollout.serves:
            # What is left to do the next run does, as for one that was killed here.
            reason += f" {target.version} is live all the same: deploy it again to end that."
        else:
            undo(host, rollout.run, target, rollout.before, reason)
        raise Refused(reason, (*getattr(error, "log", ()), *host.warnings)) from error


def undo(host: Host, run: str, target: Entry, before: str | None, reason: str) -> None:
    """Put the traffic back where it was, and take away what was begun."""
    layout, name = host.layout, target.instance
    if before != name:
        if layout.live() == name:
            if before is not None:
                revive(host, before)
            traffic.point(layout, before)
            traffic.drain(layout, name, host.drain_seconds)
        host.stop(name)
    if target not in host.journal.state().stack:
        layout.instance(name).unlink(missing_ok=True)
    if not layout.complete(target.version).exists():
        discard(layout.release(target.version))
    if run:
        host.journal.end(run, reason)


def revive(host: Host, instance: str) -> None:
    """Let an instance be up, and wait until it is well; who is not in time gets the traffic ill."""
    host.keeper.start(instance)
    host.keeper.enable(instance)
    told = read_json(host.layout.instance(instance)) or {}
    known = Entry(instance, str(told.get("version")), str(told.get("sha256")))
    with contextlib.suppress(Refused):
        connect = over_unix(host.layout.socket(instance))
        wait_until_good(connect, known, host.probe_seconds, lambda: None)


def recover(host: Host) -> str | None:
    """Finish what was begun and already cut over, undo what was not; say which."""
    state = host.journal.state()
    if state.begun is None:
        return None
    run, target, before = state.begun.run, state.begun.target, state.begun.before
    reason = "it was interrupted"
    if state.begun.action in ("deploy", "rollback") and host.layout.live() == target.instance:
        host.keeper.start(target.instance)
        problem = settled(host, target)
        if problem is None:
            if before not in (None, target.instance):
                traffic.drain(host.layout, str(before), host.drain_seconds)
            stop_others(host, target.instance)
            host.journal.end(run)
            return f"finished the {state.begun.action} of {target.version}"
        reason = f"it was interrupted after cutover, and is not healthy: {problem}"
    undo(host, run, target, before, reason)
    return f"undid the {state.begun.action} of {target.version}"


def settled(host: Host, target: Entry) -> str | None:
    """Wait for an instance that has the traffic; return what is wrong with it in the end."""
    try:
        connect = over_unix(host.layout.socket(target.instance))
        wait_until_good(connect, target, host.probe_seconds, lambda: None)
    except Refused as error:
        return error.reason
    return through_front(host, target)


def through_front(host: Host, target: Entry) -> str | None:
    """Ask through the front, as the world does; return what is wrong."""
    try:
        # On a busy host it may take as long as the probes may.
        return fault(host.front, target, host.probe_seconds)
    except WrongArtifact as error:
        return str(error)


def stop_others(host: Host, live: str, drained: str | None = None) -> list[str]:
    """Stop every instance but the live one, each after it is drained."""
    others = sorted(host.keeper.names() - {live})
    for name in others:
        if name != drained:
            traffic.drain(host.layout, name, host.drain_seconds)
        host.stop(name)
    return others
