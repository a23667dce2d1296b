"""Buildbot: a master's settings, its people, and how it starts and stops on this machine.

What it builds stands in ``buildbot/master.cfg``, which asks `plan` for the jobs at every start:
nothing has to be rendered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.error import URLError

from .. import tools
from ..errors import DeliveryError, UsageError
from ..ledger import event
from ..project import Project
from .plan import Plan

COMMENT = "#"
CONFIG = Path("buildbot", "master.cfg")
HOME = Path(".delivery", "buildbot")  # where a master on this machine lives
SETTINGS, PEOPLE, WORKERS = "settings.toml", "people", "workers"
LOCAL = "local"  # the worker inside the master
ASKED = "asked"  # the category of a change that a person asks to be delivered
PATIENCE = 120  # seconds a master may take to answer


@dataclass(frozen=True)
class Settings:
    """What a master is told by ``settings.toml`` in its folder.

    Attributes:
        port: where its pages are.
        bind: the address they are served on.
        url: how browsers reach them; empty: by address and port.
        repository: what it polls, clones and keeps the ledger in; empty: the clone it runs from.
        poll: seconds between two looks at the repository.
        db_url: its database, in SQLAlchemy's terms.
        workers: the names of its workers; none: one inside the master.
        deployers: those of them that publish and deploy, and do nothing else; none: all do all.
        worker_port: where workers come in.
        worker_bind: the address they come in on; empty: that of the pages.
        approvers: who may press a button; none: everyone who has a password.
    """

    port: int = 8010
    bind: str = "127.0.0.1"
    url: str = ""
    repository: str = ""
    poll: int = 5
    db_url: str = "sqlite:///state.sqlite"
    workers: tuple[str, ...] = ()
    deployers: tuple[str, ...] = ()
    worker_port: int = 9989
    worker_bind: str = ""
    approvers: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """How browsers reach it, with a slash at the end."""
        return f"{(self.url or f'http://{self.bind}:{self.port}').rstrip('/')}/"

    def agents(self, delivers: bool) -> list[str]:
        """Return the workers for what delivers, or for what tests a commit of whomever."""
        others = [name for name in self.workers if name not in self.deployers]
        return [*(self.deployers if delivers else others)] or [*self.workers] or [LOCAL]


def settings(home: Path) -> Settings:
    """Return the settings of the master in ``home``; without a file, the defaults.

    Raises:
        UsageError: the file is no TOML, or a key is unknown or holds something of another kind.
    """
    path = home / SETTINGS
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    known = {field.name: field.default for field in fields(Settings)}
    told: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{path}: unknown key {key!r} (known: {', '.join(known)})")
        names = isinstance(value, list) and all(isinstance(name, str) for name in value)
        told[key] = tuple(value) if names else value
        if type(told[key]) is not type(known[key]):
            raise UsageError(f"{path}: {key} cannot be {value!r}")
    found = Settings(**told)
    strangers = set(found.deployers) - set(found.workers)
    if strangers:
        raise UsageError(f"{path}: {', '.join(sorted(strangers))} deploys, but is none of workers")
    return found


def files(plan: Plan) -> dict[str, str]:
    """Return no file: what is written down nowhere is never out of date."""
    return {}


def secrets_folder(home: Path) -> str:
    """Return the folder whose files are the secrets, by their names, made where it is missing."""
    folder = home / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    return str(folder)


def people(home: Path) -> dict[str, str]:
    """Return who may log in, each with the hash of their password."""
    path = home / PEOPLE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.rsplit(" ", 1) for line in lines if line.strip())


def approvers(home: Path) -> tuple[str, ...]:
    """Return who may press buttons."""
    return settings(home).approvers or tuple(people(home))


def admit(home: Path, name: str) -> str:
    """Give somebody a new password and return it; the file has its hash alone.

    Args:
        home: the master's folder.
        name: as the ledger shall call them: an e-mail address, best that of their commits.

    Raises:
        UsageError: the name cannot be typed into a browser's log-in.
    """
    if not name or not name.isprintable() or set(name) & {":", " "}:
        raise UsageError(f"{name!r} cannot log in: use an address like ada@example.org")
    password = secrets.token_urlsafe(12)
    _write(home / PEOPLE, _lines({**people(home), name: hashed(password)}))
    return password


def _lines(known: dict[str, str]) -> str:
    return "".join(f"{name} {told}\n" for name, told in known.items())


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return a password's hash with its salt, by scrypt (RFC 7914)."""
    salt = salt or secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
    return base64.b64encode(salt + key).decode()


def fits(password: str, told: str) -> bool:
    """Return whether a password is the one that was hashed."""
    salt = base64.b64decode(told)[:16]
    return hmac.compare_digest(hashed(password, salt), told)


def worker_password(home: Path, name: str) -> str:
    """Return what a worker says to come in, from its file, which is made where it is missing.

    Each has its own: who reads that of one that tests cannot come in as one that deploys.
    """
    path = home / WORKERS / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _write(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def actor(owner: str | None, authors: Iterable[str]) -> str:
    """Return who acts, for the ledger: who pressed the button, else the author of the commit."""
    return owner or next(iter(authors), "") or "buildbot"


def start(project: Project) -> None:
    """Start a master on this machine, with a worker inside, and say where it is.

    Raises:
        UsageError: the project has no ``buildbot/master.cfg``, or the settings are wrong.
        DeliveryError: it cannot be installed, or does not come up.
    """
    root = project.config.root
    if not (root / CONFIG).exists():
        raise UsageError(f"{CONFIG} is missing: answer the template's question ci with buildbot")
    home, told = root / HOME, settings(root / HOME)
    program = str(tools.buildbot(root))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, now = home / "made-by", Path(program).parents[1].name
    if not (home / "buildbot.tac").exists():
        options = ("--log-count=10", f"--config={root / CONFIG}", f"--db={told.db_url}")
        _call(project, program, "create-master", "--quiet", *options, str(home))
    elif not made.exists() or made.read_text() != now:
        _call(project, program, "upgrade-master", "--quiet", str(home))
    made.write_text(now)
    if not people(home):
        name = event.email(event.author(project.git))
        print(f"{name} may press its buttons; password: {admit(home, name)}")
    if not _running(home):
        _call(project, program, "start", f"--start_timeout={PATIENCE}", str(home))
    _await(told, home)
    print(
        f"{project.config.name} is built at {told.address}; python3 -m delivery ci --stop ends it"
    )


def stop(project: Project) -> None:
    """Stop the master on this machine; what it runs is interrupted, and the ledger says so."""
    root = project.config.root
    if not _running(root / HOME):
        print("no Buildbot runs here")
        return
    _call(project, str(tools.buildbot(root)), "stop", "--quiet", str(root / HOME))
    print("Buildbot is stopped")


def _running(home: Path) -> bool:
    try:
        os.kill(int((home / "twistd.pid").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _call(project: Project, *command: str) -> None:
    done = subprocess.run(
        command, cwd=project.config.root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        log = project.config.root / HOME / "twistd.log"
        raise DeliveryError(f"buildbot {command[1]} failed, see {log}:\n{said}")


def _await(told: Settings, home: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and _running(home):
        try:
            with urllib.request.urlopen(f"http://{told.bind}:{told.port}/api/v2", timeout=5):
                return
        except URLError:
            time.sleep(0.2)
    raise DeliveryError(f"Buildbot does not answer at {told.address}: see {home / 'twistd.log'}")
