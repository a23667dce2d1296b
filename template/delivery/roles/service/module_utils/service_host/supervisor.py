"""Supervisor keeps the instances of a service running; here is how it is told to."""

from __future__ import annotations

import http.client
import time
import xmlrpc.client
from collections.abc import Sequence
from typing import Any

from . import processes
from .errors import Refused
from .files import tail, write
from .keeper import Status
from .layout import Layout
from .lock import Lock
from .probe import ask, over_unix

BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90
UP = ("running", "starting", "stopping")
FRONT = "front"
# The paths are relative to the root, where supervisor starts: none needs quoting.
PROGRAM = """\
[program:{instance}]
command=tools/current/bin/python -I -S launch.py {instance}
autostart=true
autorestart=true
startsecs=1
startretries=1000
stopsignal=TERM
stopwaitsecs=40
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{instance}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""


class Supervisor:
    """The supervisor of one root."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.socket = layout.run / "init.sock"
        self.programs = layout.root / "supervisor"

    def call(self, method: str, *arguments: Any, ignore: tuple[int, ...] = ()) -> Any:
        """Call a method of supervisor; faults that may be ignored give None."""
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}")
        try:
            status, answer = ask(over_unix(self.socket), "POST", "/RPC2", 10.0, body)
            if status != 200:
                raise Refused(
                    f"Supervisor in {self.layout.root} failed at {method} with status {status}:"
                    f" see {self.layout.log / 'supervisord.log'}.",
                    tail(self.layout.log / "supervisord.log"),
                )
            return xmlrpc.client.loads(answer)[0][0]
        except xmlrpc.client.Fault as error:
            if error.faultCode in ignore:
                return None
            raise Refused(f"Supervisor in {self.layout.root} says: {error.faultString}.") from error
        except (OSError, http.client.HTTPException) as error:
            raise Refused(
                f"Supervisor in {self.layout.root} does not answer ({error}): deploy again,"
                " which starts it."
            ) from error

    def answers(self) -> bool:
        """Tell whether supervisor is there."""
        try:
            self.call("getPID")
        except Refused:
            return False
        return True

    def names(self) -> set[str]:
        """Return the instances that supervisor runs, or will when it starts."""
        known = {str(process["name"]) for process in self.call("getAllProcessInfo")}
        return (known | {path.stem for path in self.programs.glob("*.conf")}) - {FRONT}

    def status(self, name: str) -> Status:
        """Return how a process is."""
        info = self.call("getProcessInfo", name, ignore=(BAD_NAME,))
        if info is None:
            return Status("stopped", 0, "it is not known to supervisor", up=False)
        state, detail = info["statename"].lower(), info["spawnerr"] or info["description"]
        return Status(state, info["pid"], detail, up=state in UP)

    def start(self, instance: str) -> None:
        """Start an instance, now and whenever supervisor starts."""
        write(self.programs / f"{instance}.conf", PROGRAM.format(instance=instance))
        self.call("reloadConfig")
        self.call("addProcessGroup", instance, ignore=(ALREADY_ADDED,))
        # One that ends still is passed over; supervisor kills it in the end.
        while self.status(instance).state == "stopping":
            time.sleep(0.02)
        self.call("startProcess", instance, False, ignore=(ALREADY_STARTED,))

    def enable(self, instance: str) -> None:
        """Leave it at that: no boot starts supervisor."""

    def disable(self, instance: str) -> None:
        """Leave it at that: no boot starts supervisor."""

    def stop(self, instance: str) -> None:
        """Stop an instance, and forget it."""
        (self.programs / f"{instance}.conf").unlink(missing_ok=True)
        self._remove(instance)
        self.layout.socket(instance).unlink(missing_ok=True)

    def once(self, instance: str, script: str, lock: Lock) -> int:
        """Run a script of an instance's release as the instance runs; return its exit status."""
        command = ["tools/current/bin/python", "-I", "-S", "launch.py", instance, script]
        with self.layout.instance_log(instance).open("ab") as log:
            return lock.run(command, cwd=self.layout.root, env=processes.environment(), stdout=log)[
                0
            ]

    def log(self, instance: str, hidden: Sequence[str]) -> list[str]:
        """Return the last lines that an instance wrote, with the hidden words starred out."""
        return tail(self.layout.instance_log(instance), hidden=hidden)

    def where(self, instance: str) -> str:
        """Say where a person finds all that an instance wrote."""
        return str(self.layout.instance_log(instance))

    def restart(self, name: str) -> None:
        """Stop a program, and start it as its configuration now says."""
        self._remove(name)
        self.call("addProcessGroup", name)
        self.call("startProcess", name, False, ignore=(ALREADY_STARTED,))

    def _remove(self, name: str) -> None:
        """Stop a program, and forget it."""
        self.call("stopProcess", name, False, ignore=(BAD_NAME, NOT_RUNNING))
        # supervisor itself kills after stopwaitsecs, so this ends.
        while self.status(name).state in (*UP, "backoff"):
            time.sleep(0.02)
        self.call("removeProcessGroup", name, ignore=(BAD_NAME,))
