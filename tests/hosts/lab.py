"""Hosts with real systemd and sshd on this machine, each in a network namespace of its own.

A host is a systemd-nspawn payload on an overlay: below it the shared base, above it a tmpfs that
is its disk. All hosts hang on one bridge, which is in a namespace of its own together with the
controller; nothing is added to the network of the machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .host import CONTROLLER, POWER_OFF, Host, hierarchies, run

PREFIX = "skeleton"
SSH = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
ALIVE = "-o ServerAliveInterval=2 -o ServerAliveCountMax=2 -o ConnectTimeout=5"


@dataclass
class Lab:
    """Some hosts, and the controller they can be reached from."""

    base: Path
    count: int
    size: str = "512m"
    name: str = field(default_factory=lambda: f"{PREFIX}-{os.getpid()}")
    hosts: list[Host] = field(default_factory=list)

    def __iter__(self) -> Iterator[Host]:
        """Go through the hosts."""
        return iter(self.hosts)

    def __getitem__(self, name: str) -> Host:
        """Return the host of a name."""
        return next(host for host in self.hosts if host.name == name)

    def __enter__(self) -> Lab:
        """Boot every host."""
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.key = self.folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        run("ip", "netns", "add", self.name)
        inside = ("ip", "-n", self.name)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "add", "bridge", "type", "bridge")
        run(*inside, "addr", "add", f"{CONTROLLER}/24", "dev", "bridge")
        run(*inside, "link", "set", "bridge", "up")
        self.hosts = [Host(self, number) for number in range(1, self.count + 1)]
        try:
            for host in self:
                host.create()
                host.power_on()
            for host in self:
                host.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every process of the lab, and leave nothing behind."""
        for host in self:
            with contextlib.suppress(OSError, IndexError, AssertionError):
                os.kill(host.leader, POWER_OFF)
        for host in self:
            host.destroy()
        end_processes(self.name)
        run("ip", "netns", "del", self.name)
        shutil.rmtree(self.folder)

    def run(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where the controller is; what it leaves running ends with the lab."""
        words = [str(word) for word in command]
        return subprocess.run(self.inside(words), env=self.env(environment), text=True, **more)

    def start(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> subprocess.Popen[str]:
        """Start a command where the controller is, as the leader of a group of processes."""
        words = self.inside([str(word) for word in command])
        env = self.env(environment)
        return subprocess.Popen(words, env=env, text=True, start_new_session=True, **more)

    def inside(self, words: list[str]) -> list[str]:
        """Return a command that runs another one in the controller's namespace."""
        group = hierarchies()[-1] / self.name / "controller"
        group.mkdir(parents=True, exist_ok=True)
        enter = f'echo $$ >{shlex.quote(str(group))}/cgroup.procs; exec nsenter --net="$0" "$@"'
        return ["sh", "-c", enter, f"/run/netns/{self.name}", *words]

    def env(self, more: Mapping[str, str] | None) -> dict[str, str]:
        """Return the environment for Ansible; ssh names its control sockets by address alone."""
        return {
            **os.environ,
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "control"),
            **(more or {}),
        }

    @property
    def variables(self) -> dict[str, str]:
        """What an inventory has to say about how to reach a host."""
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": f"{SSH} {ALIVE}",
        }


def end_processes(name: str) -> None:
    """Kill what still runs in the control group of a lab, and nothing else."""
    group = hierarchies()[-1] / name
    if (group / "cgroup.kill").exists():
        (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + 5.0
        while "populated 1" in (group / "cgroup.events").read_text():
            assert time.monotonic() < deadline, f"processes in {group} do not end"
            time.sleep(0.02)
    for path in hierarchies():
        for folder, _, _ in os.walk(path / name, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def sweep() -> None:
    """Take away what labs left whose process was killed."""
    spaces = sorted(Path("/run/netns").glob(f"{PREFIX}-*")) if Path("/run/netns").is_dir() else []
    dead = {
        m[0]
        for path in spaces
        if (m := re.match(rf"{PREFIX}-([0-9]+)", path.name)) and not Path("/proc", m[1]).exists()
    }
    for name in dead:
        end_processes(name)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{tempfile.gettempdir()}/{name}-"):
                run("umount", "--lazy", mount)
        for path in spaces:
            if path.name == name or path.name.startswith(f"{name}-h"):
                run("ip", "netns", "del", path.name)
        for folder in Path(tempfile.gettempdir()).glob(f"{name}-*"):
            shutil.rmtree(folder)
