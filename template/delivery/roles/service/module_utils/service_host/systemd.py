"""What a service stands on where systemd is: a unit for each instance, Caddy on a passed socket."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import processes
from .errors import Refused
from .files import discard, read, without, write
from .foundation import START_SECONDS, Foundation
from .keeper import Status
from .layout import Layout
from .lock import Lock
from .tls import forget

UNITS = Path("/etc/systemd/system")
# What a running front is started anew for.
FRONT = {"Caddyfile", "front", "leave.py"}
FOLDERS = {"releases": 0o755, "instances": 0o700}
# What a unit says of a server, and not of a script that ends.
OF_A_SERVER = ("Exec", "NotifyAccess", "Restart", "TimeoutStart", "Type")
UP = ("active", "activating", "deactivating", "reloading")
PLAIN = re.compile(r"/[A-Za-z0-9/_.-]+")
CALL_SECONDS = 90.0
# The links of a boot are read at a boot; to read all units again now takes a quarter of a second.
UNREAD = "--no-reload"


def call(*command: str, check: bool = True, cwd: Path | None = None) -> str:
    """Run a command of systemd, return what it says, or refuse with its words."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=CALL_SECONDS,
        text=True,
        errors="replace",
    )
    if check and done.returncode:
        raise Refused(
            f"{' '.join(command)} ended with {done.returncode}: see the lines below.",
            done.stdout.splitlines()[-20:],
        )
    return done.stdout


class Units:
    """The units of one service; systemd keeps them running."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout = layout
        self.name = name

    def unit(self, instance: str) -> str:
        """Return the unit of an instance."""
        return f"{self.name}@{instance}.service"

    def task(self, instance: str) -> str:
        """Return the unit of a script that is run once."""
        return f"{self.name}-once-{instance}.service"

    def names(self) -> set[str]:
        """Return the instances that systemd runs, or will after a reboot."""
        listed = call("systemctl", "list-units", "--plain", "--no-legend", self.unit("*"))
        units = [line.split()[0] for line in listed.splitlines()]
        units += [path.name for path in UNITS.glob(f"*.wants/{self.unit('*')}")]
        return {unit.partition("@")[2].removesuffix(".service") for unit in units}

    def status(self, name: str) -> Status:
        """Return how an instance is."""
        text = call(
            "systemctl",
            "show",
            "--property=ActiveState,SubState,MainPID,Result,ExecMainStatus",
            self.unit(name),
        )
        facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        sub, pid = facts["SubState"], int(facts["MainPID"])
        detail = f"{facts['Result']}, exit status {facts['ExecMainStatus']}"
        up = facts["ActiveState"] in UP and sub != "auto-restart"
        return Status(sub, pid, detail, up)

    def start(self, instance: str) -> None:
        """Start an instance, now and after a reboot."""
        unit = self.unit(instance)
        call("systemctl", "enable", "--quiet", "--now", "--no-block", UNREAD, unit)

    def stop(self, instance: str) -> None:
        """Stop an instance, and forget it."""
        call("systemctl", "disable", "--quiet", "--now", UNREAD, self.unit(instance))
        call("systemctl", "reset-failed", "--quiet", self.unit(instance), check=False)
        self.layout.socket(instance).unlink(missing_ok=True)

    def once(self, instance: str, script: str, lock: Lock) -> int:
        """Run a script of an instance's release as the instance runs; return its exit status."""
        unit = read(UNITS / f"{self.name}@.service").replace("%i", instance)
        lines = unit.partition("[Service]\n")[2].partition("\n[")[0].splitlines()
        (start,) = (line for line in lines if line.startswith("ExecStart="))
        alike = [line for line in lines if line[:1].isalpha() and not line.startswith(OF_A_SERVER)]
        command = ["systemd-run", "--quiet", "--wait", "--collect", f"--unit={self.task(instance)}"]
        command += [f"--property={line}" for line in alike]
        command += [*start.removeprefix("ExecStart=").split(), script]
        status, said = lock.run(command, stdout=subprocess.PIPE)
        if said:
            raise Refused(f"systemd-run ended with {status}: {said.strip()}.")
        return status

    def log(self, instance: str, hidden: Sequence[str]) -> list[str]:
        """Return the last lines that an instance wrote, with the hidden words starred out."""
        last = ("--lines=20", "--output=cat", "--no-pager", "--quiet")
        units = [f"--unit={name}" for name in (self.unit(instance), self.task(instance))]
        text = call("journalctl", *last, *units, check=False)
        return without(text, hidden).splitlines()

    def where(self, instance: str) -> str:
        """Say where a person finds all that an instance wrote."""
        return f"journalctl --unit={self.unit(instance)} --unit={self.task(instance)}"


class Systemd(Foundation):
    """A user, units and a front on a host with systemd."""

    @functools.cached_property
    def keeper(self) -> Units:
        """The units keep the instances."""
        return Units(self.layout, self.name)

    @property
    def quarters(self) -> Path:
        """What systemd gives to the front alone."""
        return Path("/run", f"{self.name}-front")

    @property
    def runtime(self) -> str:
        """The unit: a changed one is cut over to, like a changed environment."""
        return self.files["instance"]

    def path(self, name: str) -> Path:
        """Return where a file of ours is: units and users where systemd looks for them."""
        return {
            "user": Path("/etc/sysusers.d", f"{self.name}.conf"),
            "instance": UNITS / f"{self.name}@.service",
            "front": UNITS / self.server,
            "port": UNITS / self.sockets,
        }.get(name) or super().path(name)

    @property
    def stale(self) -> Path:
        """The note that the front does not yet run as its files say."""
        return self.layout.root / "front.stale"

    @property
    def sockets(self) -> str:
        """The unit that holds the ports of the front."""
        return f"{self.name}-front.socket"

    @property
    def server(self) -> str:
        """The unit that is the front."""
        return f"{self.name}-front.service"

    def check(self) -> None:
        """Refuse a host without systemd or root, a path to quote, a port that somebody has."""
        if not Path("/run/systemd/system").is_dir():
            raise Refused("service_init is systemd, and this host does not run it.")
        if os.geteuid():
            raise Refused("service_init is systemd, which needs root: let Ansible become root.")
        if not PLAIN.fullmatch(str(self.layout.root)):
            raise Refused(
                f"service_root {str(self.layout.root)!r} would need quotes in a unit: choose a path"
                " of letters, digits, slashes, dots, hyphens and underscores."
            )
        if self.tls:
            self.tls.check()
        ports = {"service_port": self.port}
        ports |= {"service_tls_port": self.tls.port} if self.tls else {}
        for variable, port in ports.items():
            if not processes.port_is_free(self.address, port) and not self.holds(port):
                raise Refused(processes.taken(self.address, port, variable))

    def holds(self, port: int) -> bool:
        """Tell whether the front already has a port."""
        listens = call("systemctl", "show", "--property=ActiveState,Listen", self.sockets)
        return "ActiveState=active" in listens and f":{port} " in listens.replace("\n", " ")

    def missing(self) -> list[str]:
        """Return what is not as it should be."""
        found = super().missing()
        as_told = self.is_active(self.server) and not self.stale.exists()
        return found if as_told else [*found, "front"]

    @staticmethod
    def is_active(unit: str) -> bool:
        """Tell whether a unit is up."""
        return call("systemctl", "is-active", unit, check=False).strip() == "active"

    def up(self, lock: Lock) -> None:
        """Make everything as it should be, and leave alone what is."""
        root = self.layout.root
        for name, mode in FOLDERS.items():
            (root / name).mkdir(mode=mode, exist_ok=True)
        self.install_tools(lock)
        self.changes += self.tls.keep(root) if self.tls else []
        runs = self.is_active(self.server)
        wrong = [diff["before_header"] for diff in self.diffs()]
        if runs and "Caddyfile" in wrong and "front" not in wrong:
            self.validate(self.files["Caddyfile"])
        if FRONT & {*wrong}:
            # Outlives a run that is killed before the front has changed, too.
            write(self.stale, "")
        for name in wrong:
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            write(self.path(name), self.files[name])
            self.changes.append(name)
        if "user" in wrong:
            call("systemd-sysusers")
        self.own()
        if {"instance", "front", "port"} & {*wrong}:
            call("systemctl", "daemon-reload")
        self.raise_front(wrong)

    def own(self) -> None:
        """Give the service the one folder it may write its sockets into."""
        run = self.layout.run
        run.mkdir(mode=0o755, exist_ok=True)
        if run.owner() != self.user:
            shutil.chown(run, self.user, self.user)

    def raise_front(self, wrong: Sequence[str]) -> None:
        """Let the front run as its units and its tools now say; the sockets stay open meanwhile."""
        if not self.is_active(self.sockets) or "port" in wrong:
            call("systemctl", "enable", "--quiet", self.sockets, self.server)
            call("systemctl", "stop", self.sockets, self.server)
            call("systemctl", "start", self.sockets)
        pid = int(call("systemctl", "show", "--property=MainPID", "--value", self.server))
        if not pid:
            call("systemctl", "start", self.server)
            self.changes.append("front")
        elif self.stale.exists() or not self.is_current(pid):
            call("systemctl", "restart", self.server)
            self.changes.append("front")
        if not self.wait(self.front_answers, START_SECONDS):
            said = call("journalctl", "--lines=20", "--output=cat", f"--unit={self.server}")
            where = f"see journalctl --unit={self.server}"
            raise Refused(f"Caddy does not start: {where}.", said.splitlines())
        self.stale.unlink(missing_ok=True)

    def validate(self, text: str) -> None:
        """Refuse a Caddyfile that Caddy refuses, before the one it runs by is touched."""
        draft = self.layout.root / "Caddyfile.draft"
        write(draft, text)
        try:
            caddy = str(self.layout.root / "tools/current/bin/caddy")
            call(caddy, "validate", "--adapter=caddyfile", f"--config={draft}", cwd=draft.parent)
        finally:
            draft.unlink()

    def is_current(self, pid: int) -> bool:
        """Tell whether a process runs a program of the current tools."""
        found = processes.process(pid)
        return bool(found and found.under(self.layout.root / "tools" / self.wanted_tools))

    def runs(self) -> bool:
        """Tell whether anything of ours runs."""
        units = [self.server, self.sockets, *map(self.keeper.unit, self.keeper.names())]
        return any(self.is_active(unit) for unit in units)

    def down(self) -> None:
        """Stop all that runs, now and after a reboot."""
        call("systemctl", "disable", "--quiet", "--now", self.sockets, self.server)
        for name in self.keeper.names():
            self.keeper.stop(name)

    def vanish(self) -> None:
        """Stop all that runs, and leave nothing of it on the host."""
        super().vanish()
        for name in self.files:
            self.path(name).unlink(missing_ok=True)
        call("systemctl", "daemon-reload")
        discard(Path("/var/lib", self.name))
        forget(f"{self.name}-front")
        if _is_user(self.user):
            call("userdel", self.user)


def _is_user(name: str) -> bool:
    """Tell whether the host knows a user."""
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False
