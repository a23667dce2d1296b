"""A PostgreSQL server of a test's own, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "buildbot"
Words = list[str]


def programs() -> Path | None:
    """Return the folder with its programs, the newest's; None where there is none."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def server(
    address: str = "", password: str = "", inside: Callable[[Words], Words] = list
) -> Iterator[Path]:
    """Run a server that is new and empty; yield the folder of its socket.

    Args:
        address: an address that it listens on as well.
        password: what its user has to say there.
        inside: makes a command one that runs where that address is.
    """
    found = programs()
    assert found, "PostgreSQL is not here"
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # It refuses to be root.
    other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    become = other if os.geteuid() == 0 else []
    if become:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    make = [str(found / "initdb"), "--auth=trust", "--no-sync", f"--username={USER}", "-D"]
    subprocess.run([*become, *make, str(data)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet scram-sha-256\n")
    options = ["-D", data, "-k", folder, "-c", f"listen_addresses={address}", "-c", "fsync=off"]
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        started = [*map(str, [*become, found / "postgres", *options])]
        process = subprocess.Popen(inside(started), cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(300):
            if not subprocess.run([found / "pg_isready", "--quiet", "-h", folder]).returncode:
                break
            assert process.poll() is None, Path(log.name).read_text()
            time.sleep(0.1)
        if password:
            ask(folder, f"ALTER USER {USER} PASSWORD '{password}'")
        yield folder
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(folder)
        Path(log.name).unlink()


def ask(folder: Path, query: str) -> str:
    """Return what the server answers to a query, bare."""
    found = programs()
    assert found
    words = [str(found / "psql"), "-h", str(folder), "-U", USER, "-d", "postgres", "-tAc", query]
    return subprocess.check_output(words, text=True).strip()
