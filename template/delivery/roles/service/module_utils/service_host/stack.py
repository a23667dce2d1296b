"""What a service stands on where there is no root: its tools, supervisor and Caddy."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import signal
import subprocess
from pathlib import Path

from . import processes
from .errors import Refused
from .files import read, tail, write
from .foundation import START_SECONDS, Foundation
from .lock import Lock
from .probe import ask, over_unix
from .supervisor import FRONT, Supervisor

FOLDERS = {"run": 0o755, "log": 0o755, "releases": 0o755, "supervisor": 0o755}
FOLDERS |= {"data": 0o700, "instances": 0o700}


class Stack(Foundation):
    """Supervisor and Caddy for one root, as they should be."""

    @functools.cached_property
    def supervisor(self) -> Supervisor:
        """The supervisor of this root."""
        return Supervisor(self.layout)

    @property
    def keeper(self) -> Supervisor:
        """Supervisor keeps the instances, as it keeps the front."""
        return self.supervisor

    @property
    def quarters(self) -> Path:
        """Beside the sockets of the instances."""
        return self.layout.run

    def missing(self) -> list[str]:
        """Return what is not as it should be."""
        found = super().missing()
        return found if self.supervisor.answers() else [*found, "supervisor"]

    def check(self) -> None:
        """Refuse a port that somebody else has, or that supervisor cannot open."""
        if self.tls:
            raise Refused("service_tls needs service_init systemd: supervisor has no port for it.")
        if ":" in self.address:
            raise Refused(
                f"service_address {self.address} is IPv6, which supervisor cannot open a port on:"
                " give it an IPv4 address."
            )
        if processes.port_is_free(self.address, self.port):
            return
        found = processes.holders(self.port)
        if any(p.under(self.layout.root / "tools") for p in found):
            return
        raise Refused(processes.taken(self.address, self.port, "service_port"))

    def up(self, lock: Lock) -> None:
        """Make everything as it should be, and leave alone what is."""
        root = self.layout.root
        for name, mode in FOLDERS.items():
            (root / name).mkdir(mode=mode, exist_ok=True)
        self.install_tools(lock)
        runs = self.awake()
        left = processes.orphans(root)
        for name in [diff["before_header"] for diff in self.diffs()]:
            # Written last: a run that is killed before it has reloaded leaves a difference.
            if name == "Caddyfile" and runs:
                self.reload(self.files[name])
            write(root / name, self.files[name])
            self.changes.append(name)
        if not runs:
            self.start(with_front=not left)
            self.changes.append("supervisor")
        added, changed, _removed = self.supervisor.call("reloadConfig")[0]
        if FRONT in added + changed:
            self.replace_front([p for p in left if p.under(root / "tools")])
        self.wait_for_front()
        if instances := [p for p in left if p.under(root / "releases")]:
            live = self.layout.live()
            processes.end(instances, [self.layout.socket(live)] if live else [], START_SECONDS)
            self.changes.append("orphans")

    def replace_front(self, left: list[processes.Process]) -> None:
        """Put a new front in the place of the old, or of one that a killed supervisor left.

        Who holds the port has to go before the next can have it: connections made in that part of
        a second are turned away. Nobody whose request was taken loses it.
        """
        live = self.layout.live()
        self.wait(lambda: live is None or _accepts(self.layout.socket(live)), START_SECONDS)
        with self.parting():
            processes.end(left, [], START_SECONDS)
            if left:
                # The kernel takes a program from a process before it takes its sockets.
                free = functools.partial(processes.port_is_free, self.address, self.port)
                self.wait(free, START_SECONDS)
            self.supervisor.restart(FRONT)
            self.wait_for_front()

    def awake(self) -> bool:
        """Tell whether supervisor answers; one that stays deaf makes way, its children live on."""
        if self.supervisor.answers():
            return True
        if deaf := processes.supervisors(self.layout.root):
            # It may be starting only now.
            if self.wait(self.supervisor.answers, START_SECONDS / 2):
                return True
            for process in deaf:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            self.wait(lambda: not processes.supervisors(self.layout.root), START_SECONDS)
        return False

    def start(self, with_front: bool) -> None:
        """Start supervisor; without the front, when that would find its port taken by an orphan."""
        root = self.layout.root
        front = root / "supervisor" / f"{FRONT}.conf"
        text = read(front)
        if not with_front:
            front.unlink(missing_ok=True)
        command = ["tools/current/bin/python", "-X", "utf8", "-m", "supervisor.supervisord"]
        result = subprocess.run(
            [str(root / command[0]), *command[1:], "-c", "supervisord.conf"],
            cwd=root,
            env=processes.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        if result.returncode or not self.wait(self.supervisor.answers, START_SECONDS):
            log = root / "log/supervisord.log"
            raise Refused(
                f"Supervisor does not start in {root}: see {log}.",
                [*result.stdout.splitlines(), *tail(log)][-20:],
            )
        if not with_front:
            write(front, text)

    def wait_for_front(self) -> None:
        """Wait until the front has taken its configuration."""
        if self.wait(self.front_answers, START_SECONDS):
            return
        log = self.layout.log / "front.log"
        state = self.supervisor.status(FRONT).state
        raise Refused(
            f"Caddy does not start in {self.layout.root} ({state}): see {log}.", tail(log)
        )

    def runs(self) -> bool:
        """Tell whether anything of ours runs, kept by supervisor or left by a killed one."""
        root = self.layout.root
        return bool(processes.supervisors(root) or processes.orphans(root))

    def down(self) -> None:
        """Stop supervisor and all that it runs, and what a killed one left."""
        root = self.layout.root
        if self.supervisor.answers():
            self.supervisor.call("shutdown")
            self.wait(lambda: not processes.supervisors(root), 60.0)
            self.wait(lambda: not self.supervisor.answers(), 60.0)
        left = processes.supervisors(root) + processes.orphans(root)
        processes.end(left, [], START_SECONDS)


def _accepts(path: Path) -> bool:
    """Tell whether somebody healthy listens on a socket."""
    try:
        return ask(over_unix(path), "GET", "/healthz", 5.0)[0] == 200
    except (OSError, http.client.HTTPException):
        return False
