"""What a service stands on where systemd is: a unit for each instance, Caddy on a passed socket."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import shutil
from pathlib import Path

from . import processes
from .errors import Refused
from .files import discard, read, write
from .foundation import Foundation
from .lock import Lock
from .tls import forget
from .units import UNITS, Units, call, end

# What a running front is started anew for.
FRONT = {"Caddyfile", "front", "leave.py"}
# It takes a tenth of a second, where nobody else wants the processor.
FRONT_SECONDS = 30.0
FOLDERS = {"releases": 0o755, "instances": 0o700}
PLAIN = re.compile(r"/[A-Za-z0-9/_.-]+")
# Where a unit with ProtectHome and PrivateTmp sees nothing of the host.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")


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

    @property
    def place(self) -> Path:
        """The root that its units name."""
        told = re.search(r"^WorkingDirectory=(.+)$", read(UNITS / self.server), re.M)
        return Path(told[1]) if told else self.layout.root

    def check(self) -> None:
        """Refuse a host without systemd or root, a path to quote, a port that somebody has."""
        root = self.layout.root
        if not PLAIN.fullmatch(str(root)):
            raise Refused(
                f"service_root {str(root)!r} would need quotes in a unit: choose a path"
                " of letters, digits, slashes, dots, hyphens and underscores."
            )
        if hidden := [folder for folder in HIDDEN if root.is_relative_to(folder)]:
            raise Refused(
                f"service_root {root} is in {hidden[0]}, which the units of the service cannot see:"
                f" choose one elsewhere, like /opt/{self.name}."
            )
        if not Path("/run/systemd/system").is_dir():
            raise Refused("service_init is systemd, and this host does not run it.")
        if os.geteuid():
            raise Refused("service_init is systemd, which needs root: let Ansible become root.")
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
        found += ["user"] if "user" not in found and not self.knows_user() else []
        found += ["units"] if self.unread() else []
        found += ["old tools"] if self.old_tools() else []
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
        moved = "port" in wrong and not self.listens()
        if moved or FRONT & {*wrong}:
            # Outlives a run that is killed before the front has changed, too.
            write(self.stale, "moved\n" if moved else read(self.stale))
        for name in wrong:
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            write(self.path(name), self.files[name])
            self.changes.append(name)
        if "user" in wrong or not self.knows_user():
            call("systemd-sysusers")
            self.changes += [] if "user" in wrong else ["user"]
        self.own()
        if {"instance", "front", "port"} & {*wrong}:
            call("systemctl", "daemon-reload")
        elif self.unread():
            call("systemctl", "daemon-reload")
            self.changes.append("units")
        self.raise_front()
        for folder in self.old_tools():
            # The front has left them, and everything else has ended by now.
            discard(folder, "complete")
            self.changes.append("old tools")

    def old_tools(self) -> list[Path]:
        """Return the folders of tools that are not the wanted ones."""
        there = sorted((self.layout.root / "tools").glob("*"))
        return [p for p in there if not p.is_symlink() and p.name != self.wanted_tools]

    def own(self) -> None:
        """Give the service the one folder it may write its sockets into."""
        run = self.layout.run
        run.mkdir(mode=0o755, exist_ok=True)
        # By number, for whom it belonged to may be gone.
        if run.stat().st_uid != pwd.getpwnam(self.user).pw_uid:
            shutil.chown(run, self.user, self.user)

    def unread(self) -> bool:
        """Tell whether systemd knows a unit of ours otherwise than its file now says."""
        units = (self.server, self.sockets, self.keeper.unit("*"))
        return "yes" in call("systemctl", "show", "--property=NeedDaemonReload", "--value", *units)

    def listens(self) -> bool:
        """Tell whether the ports that systemd knows are those that our file names."""
        wanted = re.findall(r"^ListenStream=(.*)$", self.files["port"], re.M)
        told = call("systemctl", "show", "--property=Listen", self.sockets)
        return re.findall(r"(\S+) \(Stream\)", told.replace("Listen=", " ")) == wanted

    def raise_front(self) -> None:
        """Let the front run as its units and its tools now say; the sockets stay open meanwhile."""
        if not self.is_active(self.sockets) or read(self.stale):
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
        end(self.sockets, self.server)
        for name in self.keeper.names():
            self.keeper.stop(name)

    def is_there(self) -> bool:
        """Tell whether anything of it is on the host; data alone may be somebody else's."""
        files = any(self.path(name).exists() for name in self.files)
        return super().is_there() or files or bool(self.made_users())

    def vanish(self) -> None:
        """Stop all that runs, and leave nothing of it on the host."""
        self.down()
        discard(Path("/var/lib", self.name))
        forget(f"{self.name}-front")
        for user in self.made_users():
            call("userdel", user)
        for name in self.files:
            self.path(name).unlink(missing_ok=True)
        call("systemctl", "daemon-reload")
        super().vanish()

    def knows_user(self) -> bool:
        """Tell whether the host knows the user of the service."""
        with contextlib.suppress(KeyError):
            return bool(pwd.getpwnam(self.user))
        return False

    def made_users(self) -> list[str]:
        """Return the users who are there as our file makes them, or made them; others stay."""
        made = (self.name, str(self.layout.root))
        return [known.pw_name for known in pwd.getpwall() if (known.pw_gecos, known.pw_dir) == made]
