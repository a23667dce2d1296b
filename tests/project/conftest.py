"""A person at a fresh machine: no root, an empty home, a clean clone, and the README's commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..conftest import IN_CI, ROOT
from .advisories import served

# What this machine needs to reach its package index; nothing else of the caller's is handed on.
KEPT = ("PIP_", "UV_", "SSL_", "http_proxy", "https_proxy", "no_proxy", "CI")
WALKER = "walker"


@dataclass(frozen=True)
class Person:
    """Somebody without root, in a home of their own.

    Attributes:
        home: their home folder; everything they make is below it.
        path: their PATH.
        env: more of their environment.
    """

    home: Path
    path: str = "/usr/local/bin:/usr/bin:/bin"
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self, *command: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
        """Start a command as this person, in a process group of its own."""
        told = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        told |= {
            "HOME": str(self.home),
            "PATH": self.path,
            "LANG": "C.UTF-8",
            "USER": WALKER,
            **self.env,
            **env,
        }
        drop = (
            ["setpriv", f"--reuid={WALKER}", f"--regid={WALKER}", "--clear-groups"]
            if os.geteuid() == 0
            else []
        )
        return subprocess.Popen(
            [*drop, *command],
            cwd=cwd,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, cwd: Path, status: int | None = 0, **env: str) -> str:
        """Run a command as this person; return what it says, if its status is as expected."""
        process = self.start(*command, cwd=cwd, **env)
        try:
            said, _ = process.communicate(timeout=600)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert (
            status is None or process.returncode == status
        ), f"{command}: {process.returncode}\n{said}"
        return said


@dataclass(frozen=True)
class Service:
    """A service that ``make walk`` made."""

    person: Person
    template: Path
    root: Path

    def git(self, *args: str) -> str:
        """Run git in the service as the person."""
        name = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
        return self.person.run("git", *name, *args, cwd=self.root).strip()

    def delivery(self, *args: str, status: int | None = 0, **env: str) -> str:
        """Run ``python3 -m delivery`` as the person."""
        return self.person.run(
            "python3", "-m", "delivery", *args, cwd=self.root, status=status, **env
        )

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file; it has to be there."""
        text = (self.root / path).read_text()
        assert old in text, f"{path} does not have {old!r}"
        (self.root / path).write_text(text.replace(old, new))

    def commit(self, message: str = "Change") -> str:
        """Commit everything, return the hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def log(self, commit: str) -> list[str]:
        """Return what the ledger has about a commit, as ``stage event``, oldest first."""
        listed = self.git("ls-tree", "-r", "--name-only", "refs/delivery/ledger").splitlines()
        parts = [path.split(".") for path in sorted(listed)]
        return [f"{stage} {event}" for _, stage, event, about, *_ in parts if about == commit[:12]]

    def url(self, environment: str) -> str:
        """Return where an environment answers, as its inventory has it."""
        inventory = (self.root / "delivery" / "inventories" / environment / "hosts.yml").read_text()
        (port,) = re.findall(r"^ +service_port: (\d+)$", inventory, re.MULTILINE)
        return f"http://127.0.0.1:{port}"

    def version(self, environment: str = "production") -> dict[str, Any]:
        """Return what an environment says it runs."""
        with urllib.request.urlopen(f"{self.url(environment)}/version", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


def give(path: Path) -> None:
    """Make the person the owner of a path, where the tests run as root."""
    if os.geteuid() == 0:
        shutil.chown(path, WALKER, WALKER)


@pytest.fixture(scope="session")
def person() -> Iterator[Person]:
    """Return somebody without root and with an empty home."""
    # Not below pytest's own folder, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="walk-", dir="/tmp"))
    if os.geteuid() == 0:
        subprocess.run(["userdel", WALKER], check=False, capture_output=True)  # of a killed run
        subprocess.run(["useradd", "--user-group", "--home-dir", home, WALKER], check=True)
    give(home)
    with served() as advisories:
        yield Person(home, env=advisories)
    if os.geteuid() == 0:
        subprocess.run(["userdel", WALKER], check=True)
    # More than a minute for its many files; a machine of a CI run is thrown away with them.
    if not IN_CI:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def clone(person: Person) -> Path:
    """Return a clean clone of the template as the work tree has it, in the person's home."""
    place = person.home / "walking-skeleton"
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
    )
    for name in filter(None, os.fsdecode(listed).split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    for path in [place, *place.rglob("*")]:
        give(path)
    identity = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
    person.run("git", "init", "--quiet", "--initial-branch=main", cwd=place)
    person.run("git", "add", "--all", cwd=place)
    person.run("git", *identity, "commit", "--quiet", "--message=Template", cwd=place)
    return place


@pytest.fixture(scope="session")
def first_walk(person: Person, clone: Path) -> Iterator[tuple[Service, str]]:
    """Type ``make walk`` on the fresh machine; return the service and what was said."""
    service = Service(person, clone, clone / "build" / "hello-delivery")
    try:
        yield service, person.run("make", "walk", cwd=clone)
    finally:
        if service.root.exists():
            person.run("make", "stop", cwd=clone, status=None)


@pytest.fixture(scope="session")
def service(first_walk: tuple[Service, str]) -> Service:
    """Return the service that ``make walk`` made."""
    return first_walk[0]


@pytest.fixture()
def green(service: Service) -> Iterator[Service]:
    """Return the service on its first commit, live in production; put it back there afterwards."""
    start = service.git("rev-list", "--max-parents=0", "HEAD")
    yield service
    service.git("reset", "--quiet", "--hard", start)
    service.git("clean", "-dfq")
