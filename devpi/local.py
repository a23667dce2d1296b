"""A private devpi on this machine, to try and to test with: start, tell, stop.

    python devpi/local.py start FOLDER [--for PROJECT] [--mirror INDEX]
    python devpi/local.py stop FOLDER

It listens on the loopback interface alone. The team's password is in FOLDER/password, for nobody
else to read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "requirements" / "devpi.txt"
TEAM = "team"
LEVELS = ("production", "acceptance", "dev")  # each after the one that it inherits from
# Logins end with the server; deriving its key need not take half a minute.
QUICK = ("--argon2-memory-cost=8", "--argon2-time-cost=1", "--argon2-parallelism=1")
SECONDS = 120.0  # for a server to come up on a machine that has a lot else to do
STARTED: dict[int, subprocess.Popen[bytes]] = {}  # what this very process started


@dataclass(frozen=True)
class Server:
    """A server in a folder, up or not.

    Attributes:
        folder: what it keeps.
        port: where it listens on this machine.
    """

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def index(self) -> str:
        """What ``delivery.toml`` takes as the index."""
        return f"devpi+{self.url}/{TEAM}"

    @property
    def password(self) -> str:
        """The team's password, which is root's, too."""
        return (self.folder / "password").read_text().strip()

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers; it outlives us.

        Raises:
            RuntimeError: it did not come up; the text says where it wrote why.
        """
        log = self.folder / "log"
        command = [program("devpi-server"), "--serverdir", str(self.folder / "server"), *QUICK]
        command += ["--host=127.0.0.1", f"--port={self.port}", *options]
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        STARTED[process.pid] = process
        (self.folder / "pid").write_text(str(process.pid))
        until = time.monotonic() + SECONDS
        while not self.up():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"devpi-server did not come up: {log} says why")
            time.sleep(0.1)

    def up(self) -> bool:
        """Tell whether it answers."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{self.url}/+api", timeout=5
            ):
                return True
        except OSError:
            return False

    def stop(self) -> bool:
        """Stop it and wait until it has; return whether it ran."""
        try:
            pid = int((self.folder / "pid").read_text())
            # A number may have gone to another process since.
            if b"devpi-server" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return False
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            return False
        while Path(f"/proc/{pid}").exists():
            if pid in STARTED:
                STARTED.pop(pid).wait()
            time.sleep(0.05)
        (self.folder / "pid").unlink()
        return True

    def team(self, name: str, bases: list[str]) -> None:
        """Make a user of the server's own password, and an index for each level."""
        self.api("PUT", f"/{name}", {"password": self.password}, user="root")
        for level in LEVELS:
            mine = {"bases": bases, "acl_upload": [name], "acl_toxresult_upload": [name]}
            self.api("PUT", f"/{name}/{level}", {"type": "stage", "volatile": False, **mine}, name)
            bases = [f"{name}/{level}"]

    def api(self, method: str, path: str, document: Any = None, user: str = TEAM) -> Any:
        """Ask the server as somebody, by its JSON API; return its result.

        Raises:
            urllib.error.HTTPError: it refused.
        """
        body = None if document is None else json.dumps(document).encode()
        proof = base64.b64encode(f"{user}:{self.password}".encode()).decode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", body, headers, method=method)
        request.add_header("Authorization", f"Basic {proof}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer).get("result")


def create(folder: Path, mirror: str = "") -> Server:
    """Make a server with a team and its indices, and start it; one that is there is started.

    Args:
        folder: where it shall keep everything.
        mirror: a simple index that its own ones shall fall back to; empty: none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = Server(folder, _port(folder))
    if (folder / "complete").exists():
        if not there.up():
            there.start()
        return there
    shutil.rmtree(folder / "server", ignore_errors=True)  # of one that was not finished
    handle = os.open(folder / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("")
    init = [program("devpi-init"), "--serverdir", str(folder / "server"), "--no-root-pypi"]
    with (folder / "log").open("ab") as log:
        subprocess.run(init, check=True, stdout=log, stderr=log)
    there.start()
    # root has no password yet, and shall not have it on a command line.
    password = secrets.token_urlsafe(24)
    there.api("PATCH", "/root", {"password": password}, user="root")
    (folder / "password").write_text(password)
    bases = []
    if mirror:
        # Never the whole list of names: nobody needs it.
        more = {"type": "mirror", "mirror_url": mirror, "mirror_no_project_list": True}
        there.api("PUT", "/root/mirror", {**more, "volatile": False}, user="root")
        bases = ["root/mirror"]
    there.team(TEAM, bases)
    (folder / "complete").touch()
    return there


def use(project: Path, index: str) -> None:
    """Name an index in the ``delivery.toml`` of a project that still has the default one."""
    table = project / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    table.write_text(re.sub(r'(?m)^index = "\{data\}.*"$', f'index = "{index}"', text, count=1))


def _port(folder: Path) -> int:
    """Return the port of a server that was here before, or a free one."""
    if (folder / "port").exists():
        return int((folder / "port").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (folder / "port").write_text(str(port))
    return port


def program(name: str) -> str:
    """Return one of devpi-server's commands, from an environment that has the pinned one.

    It is made once, in the user's cache.

    Raises:
        subprocess.CalledProcessError: it cannot be installed; the output says why.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "walking-skeleton")
    key = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"devpi-{key}"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq"]
        pip += ["--disable-pip-version-check", "--require-hashes", f"--requirement={PINS}"]
        # pip leaves the compiled files out where somebody asked Python to write none.
        told = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        subprocess.run(pip, check=True, env=told)
        (folder / "complete").touch()
    return str(folder / "bin" / name)


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--for", dest="project", type=Path, help="whose index it shall be")
    mirror = "the simple index that a new one falls back to"
    parser.add_argument("--mirror", default="", metavar="INDEX", help=mirror)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.what == "start":
        made = create(folder, args.mirror)
        if args.project:
            use(args.project, made.index)
        print(f"devpi is at {made.url}, its team's password in {folder / 'password'}")
    elif folder.is_dir():
        Server(folder, _port(folder)).stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
