"""The units of one service: systemd keeps its instances, and whatever else is run by it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import Refused
from .files import read, without
from .keeper import Status
from .layout import Layout
from .lock import Lock

UNITS = Path("/etc/systemd/system")
# What a unit says of a server, and not of a script that ends.
OF_A_SERVER = ("Exec", "NotifyAccess", "Restart", "TimeoutStart", "Type")
UP = ("active", "activating", "deactivating", "reloading")
CALL_SECONDS = 90.0
# The links of a boot are read at a boot; to read all units again now takes a quarter of a second.
UNREAD = "--no-reload"


def call(*command: str, check: bool = True, cwd: Path | None = None) -> str:
    """Run a command of systemd, return what it says, or refuse with its words."""
    try:
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
    except subprocess.TimeoutExpired:
        slow = f"{' '.join(command)} did not end within {CALL_SECONDS:g} s"
        raise Refused(f"{slow}: look at systemctl list-jobs on the host.") from None
    if check and done.returncode:
        raise Refused(
            f"{' '.join(command)} ended with {done.returncode}: see the lines below.",
            done.stdout.splitlines()[-20:],
        )
    return done.stdout


def end(*units: str) -> None:
    """Stop units, now and after a reboot; one that is not there has nothing to stop."""
    # What disable does, which refuses a unit whose file is gone, or was never written.
    # A name in a pattern would not find a link to nothing.
    for link in (folder / unit for folder in UNITS.glob("*.wants") for unit in units):
        if not link.is_symlink():
            continue
        link.unlink()
        with contextlib.suppress(OSError):
            # Somebody else's may be in it.
            link.parent.rmdir()
    listed = call("systemctl", "list-units", "--plain", "--no-legend", *units)
    if up := [line.split()[0] for line in listed.splitlines()]:
        call("systemctl", "stop", *up)
        call("systemctl", "reset-failed", "--quiet", *up, check=False)


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
            "--property=ActiveState,SubState,MainPID,Result,ExecMainStatus,Job",
            self.unit(name),
        )
        facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        sub, pid = facts["SubState"], int(facts["MainPID"])
        detail = f"{facts['Result']}, exit status {facts['ExecMainStatus']}"
        # A busy systemd may have taken the order to start it, and not begun yet.
        up = (facts["ActiveState"] in UP or "Job" in facts) and sub != "auto-restart"
        return Status(sub, pid, detail, up)

    def start(self, instance: str) -> None:
        """Start an instance, now and after a reboot."""
        unit = self.unit(instance)
        call("systemctl", "enable", "--quiet", "--now", "--no-block", UNREAD, unit)

    def stop(self, instance: str) -> None:
        """Stop an instance, and forget it."""
        end(self.unit(instance))
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
