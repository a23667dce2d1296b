"""Where things are on a host."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import Refused
from .worlds import LEAKS

# sun_path is 104 bytes on macOS and 108 on Linux, the closing zero included.
SOCKET_LIMIT = 103
# Seven digits of a process id: supervisor binds to such a name first, then renames.
LONGEST_SOCKET = "/run/init.sock.4194304"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
COMPLETE = "release.json"


@dataclass(frozen=True)
class Layout:
    """The files under the root of one service."""

    root: Path

    @property
    def journal(self) -> Path:
        """What was begun and ended, a line each."""
        return self.root / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """The file whose lock only one run holds."""
        return self.root / "lock"

    @property
    def claim(self) -> Path:
        """The note of the rollout that has this host and others."""
        return self.root / "claim.json"

    @property
    def run(self) -> Path:
        """The sockets."""
        return self.root / "run"

    @property
    def current(self) -> Path:
        """The link to the socket of the live instance; the front knows no other."""
        return self.run / "current.sock"

    @property
    def data(self) -> Path:
        """What the service keeps; it outlives releases."""
        return self.root / "data"

    @property
    def log(self) -> Path:
        """The logs."""
        return self.root / "log"

    @property
    def uv(self) -> Path:
        """What installs releases, where the tools have it."""
        return self.root / "tools/current/bin/uv"

    @property
    def releases(self) -> Path:
        """The installed releases, a folder for each version."""
        return self.root / "releases"

    @property
    def instances(self) -> Path:
        """The descriptions of instances; they hold secrets."""
        return self.root / "instances"

    def release(self, version: str) -> Path:
        """Return the folder of one version."""
        return self.releases / version

    def complete(self, version: str) -> Path:
        """Return the file that, written last, says that a release is complete."""
        return self.release(version) / COMPLETE

    def migration(self, name: str, version: str) -> Path:
        """Return the script that prepares what a release needs, which not every one has."""
        return self.release(version) / "bin" / f"{name}-migrate"

    def socket(self, instance: str) -> Path:
        """Return the socket that one instance listens on."""
        return self.run / f"{instance}.sock"

    def instance(self, instance: str) -> Path:
        """Return the file that says how one instance is started."""
        return self.instances / f"{instance}.json"

    def instance_log(self, instance: str) -> Path:
        """Return the log of one instance."""
        return self.log / f"{instance}.log"

    def live(self) -> str | None:
        """Return the instance that gets the traffic."""
        try:
            return os.readlink(self.current).removesuffix(".sock")
        except OSError:
            return None


def layout(root: str) -> Layout:
    """Return the layout under a root, or refuse a root that cannot work."""
    path = Path(root).expanduser()
    if not path.is_absolute():
        raise Refused(f"service_root {root!r} is not an absolute path: give it one.")
    if bad := sorted(set(re.findall(r"[][*?\x00-\x1f]", str(path)))):
        raise Refused(
            f"service_root {str(path)!r} has {' '.join(map(repr, bad))} in it, which"
            " supervisor takes for a pattern: choose a path without."
        )
    size, spare = len(os.fsencode(path)), SOCKET_LIMIT - len(LONGEST_SOCKET)
    if size > spare:
        raise Refused(
            f"service_root {str(path)!r} is {size} bytes long, and the unix sockets under it leave"
            f" room for {spare}: choose a path that is {size - spare} bytes shorter."
        )
    return Layout(path)


def checked_version(version: str) -> str:
    """Return a version that can be the name of a folder, or refuse it."""
    if not VERSION.fullmatch(version):
        raise Refused(f"{version!r} is no version: give service_version one like 1.2.0.")
    return version


def checked_environment(environment: object) -> dict[str, str]:
    """Return the environment of an instance as text, or refuse what is not plain."""
    if not isinstance(environment, Mapping):
        raise Refused("service_environment is no mapping: give it names and their values.")
    for name, value in environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Refused(f"service_environment: {name!r} is no name of an environment variable.")
        if name in LEAKS:
            raise Refused(
                f"service_environment: {name} would let the release load what is not its own:"
                " leave it out, and put what it needs into the lock."
            )
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused(f"service_environment: the value of {name} is no text: put it in quotes.")
        if "\0" in str(value):
            raise Refused(f"service_environment: the value of {name} has a zero byte in it.")
    return {name: str(value) for name, value in sorted(environment.items())}


def instance_id(sha256: str, environment: Mapping[str, str], runtime: str = "") -> str:
    """Name the instance of an artifact in an environment: change either, and it is another one.

    ``runtime`` is how the init system runs it, where that can change too.
    """
    text = json.dumps([sha256, sorted(environment.items()), *([runtime] if runtime else [])])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
