"""What a service stands on where systemd is: a unit for each instance, Caddy on a passed socket."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from . import processes
from .errors import Refused
from .files import discard, write
from .foundation import Foundation
from .lock import Lock
from .tls import forget
from .units import UNITS, Units, call

# What a running front is started anew for.
FRONT = {"Caddyfile", "front", "leave.py"}
# It takes a tenth of a second, where nobody else wants the processor.
FRONT_SECONDS = 30.0
FOLDERS = {"releases": 0o755, "instances": 0o700}
PLAIN = re.compile(r"/[A-Za-z0-9/_.-]+")


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
        wrong = [diff["before_header"] for diff in self.diffs()]
        if "Caddyfile" in wrong:
            # What a changed unit brings along for it, a certificate say, is not there yet.
            whole = self.is_active(self.server) and "front" not in wrong
            self.validate(self.files["Caddyfile"], "validate" if whole else "adapt")
        self.changes += self.tls.keep(root) if self.tls else []
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
        if not self.wait(self.front_answers, FRONT_SECONDS):
            said = call("journalctl", "--lines=20", "--output=cat", f"--unit={self.server}")
            where = f"see journalctl --unit={self.server}"
            raise Refused(f"Caddy does not start: {where}.", said.splitlines())
        self.stale.unlink(missing_ok=True)

    def validate(self, text: str, how: str) -> None:
        """Refuse a Caddyfile that Caddy refuses, before anything of the front is touched."""
        draft = self.layout.root / "Caddyfile.draft"
        write(draft, text)
        caddy = str(self.layout.root / "tools/current/bin/caddy")
        try:
            call(caddy, how, "--adapter=caddyfile", f"--config={draft}", cwd=draft.parent)
        except Refused as refused:
            why = refused.log[-1].removeprefix("Error: ").strip() if refused.log else "not told why"
            raise Refused(
                f"Caddy refuses the Caddyfile that is made for {self.layout.root}: {why}:"
                " look at service_domains; the front is as it was.",
                refused.log,
            ) from None
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
