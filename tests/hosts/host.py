"""One host with real systemd and sshd: its disk, its cable, its power."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lab import Lab

NET = "10.77.0"
CONTROLLER = f"{NET}.1"
CGROUPS = Path("/sys/fs/cgroup")
# systemd's word for "power off".
POWER_OFF = signal.SIGRTMIN + 4
BOOT_SECONDS = 60.0


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed."""
    return subprocess.run([str(word) for word in command], check=True, text=True, **more)


def hierarchies() -> list[Path]:
    """Return where control groups are made: one folder, or two on a machine with old ones too."""
    both = [CGROUPS / "systemd", CGROUPS / "unified"]
    return [path for path in both if path.is_dir()] or [CGROUPS]


@dataclass
class Host:
    """One host, on or off; its disk stays until the lab ends."""

    lab: Lab
    number: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Its name, in its own eyes and in those of the others."""
        return f"h{self.number}"

    @property
    def address(self) -> str:
        """Its IPv4 address on the bridge."""
        return f"{NET}.{10 + self.number}"

    @property
    def namespace(self) -> str:
        """The network namespace it lives in."""
        return f"{self.lab.name}-{self.name}"

    @property
    def folder(self) -> Path:
        """What the lab keeps of it."""
        return self.lab.folder / self.name

    @property
    def disk(self) -> Path:
        """Its root folder, seen from here."""
        return self.folder / "disk"

    @property
    def leader(self) -> int:
        """The process that is number one inside."""
        assert self.process is not None
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def create(self) -> None:
        """Make its disk and its network."""
        above = self.folder / "above"
        self.disk.mkdir(parents=True)
        above.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={self.lab.size},mode=755", self.namespace, above)
        for name in ("upper", "work"):
            (above / name).mkdir()
        layers = f"lowerdir={self.lab.base},upperdir={above}/upper,workdir={above}/work"
        run("mount", "-t", "overlay", "-o", layers, self.namespace, self.disk)
        (self.disk / "etc/hostname").write_text(f"{self.name}\n")
        known = [f"{CONTROLLER} controller", *(f"{h.address} {h.name}" for h in self.lab)]
        (self.disk / "etc/hosts").write_text("\n".join(["127.0.0.1 localhost", *known, ""]))
        keys = self.disk / "root/.ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{self.lab.key}.pub", keys / "authorized_keys")
        port = f"v{self.name}"
        run("ip", "netns", "add", self.namespace)
        inside, bridge = ("ip", "-n", self.namespace), ("ip", "-n", self.lab.name)
        run(*bridge, "link", "add", port, "type", "veth", "peer", "eth0", "netns", self.namespace)
        run(*bridge, "link", "set", port, "master", "bridge", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", CONTROLLER)

    def power_on(self) -> None:
        """Begin to boot: see wait()."""
        groups = [path / self.lab.name / self.name for path in hierarchies()]
        for group in groups:
            group.mkdir(parents=True, exist_ok=True)
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(str(notify))
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in groups)
        # Not `ip netns exec`: that hides /sys/fs/cgroup, and nspawn finds "No medium".
        command = (
            f"nsenter --net=/run/netns/{self.namespace} setpriv --pdeathsig TERM"
            f" systemd-nspawn --quiet --boot --directory={self.disk} --machine={self.namespace}"
            f" --hostname={self.name} --network-namespace-path=/run/netns/{self.namespace}"
            " --register=no --keep-unit --resolv-conf=off --timezone=off --link-journal=no"
            " --console=pipe --notify-ready=yes"
            # For a firewall inside, and for IPAddressDeny= to be more than a word.
            " --capability=CAP_NET_ADMIN,CAP_BPF --system-call-filter=bpf"
        )
        environment = {
            "PATH": os.environ["PATH"],
            "NOTIFY_SOCKET": str(notify),
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        }
        with (self.folder / "console.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f"{enter} exec {command}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )

    def wait(self) -> None:
        """Wait until systemd says that it is up."""
        assert self.process is not None
        self.ready.settimeout(0.5)
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self.ready.recv(4096).split(b"\n"):
                    break
            if self.process.poll() is not None or time.monotonic() > deadline:
                console = (self.folder / "console.log").read_text(errors="replace")
                raise RuntimeError(f"{self.name} did not boot:\n{console[-2000:]}")
        self.ready.close()

    def boot(self) -> None:
        """Boot, and wait until it is up."""
        self.power_on()
        self.wait()

    def halt(self, how: int = POWER_OFF, seconds: float = 20.0) -> None:
        """Power it off, or with SIGKILL cut its power; the disk stays."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(OSError, IndexError):
            os.kill(self.leader, how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def sh(self, command: str, check: bool = True) -> str:
        """Run a shell command inside, as root and without SSH; return what it printed."""
        enter = ["nsenter", "--target", str(self.leader), "--all", "--", "bash", "-c", command]
        return subprocess.run(enter, check=check, capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Pull its network cable, for a while."""
        port = ("ip", "-n", self.lab.name, "link", "set", f"v{self.name}")
        run(*port, "down")
        try:
            yield
        finally:
            run(*port, "up")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Fill its disk to the last byte, for a while."""
        ballast = self.folder / "above/ballast"
        try:
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
                while True:
                    stream.write(bytes(1 << 20))
            yield
        finally:
            ballast.unlink(missing_ok=True)

    def destroy(self) -> None:
        """Power it off, and give back what it took."""
        self.halt()
        for mount in (self.disk, self.folder / "above"):
            for _ in range(100):
                if not os.path.ismount(mount):
                    break
                subprocess.run(["umount", mount], check=False, capture_output=True)
                time.sleep(0.02)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)
