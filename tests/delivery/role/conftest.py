"""Sites: a real service of its own under a short root, with real supervisor and real Caddy."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pytest

from .wheels import COMMIT, NAME, REQUIREMENTS, Wheel, wheel

DELIVERY = Path(__file__).parents[3] / "template/delivery"
ROLE = DELIVERY / "roles/service"
sys.path.insert(0, str(ROLE / "module_utils"))

from service_host import processes

CHILD = Path(__file__).with_name("child.py")
FILES = {
    "supervisord.conf": "templates/supervisord.conf.j2",
    "supervisor/front.conf": "templates/front.conf.j2",
    "Caddyfile": "templates/Caddyfile.j2",
    "launch.py": "files/launch.py",
}


TOOLS = "\n".join(
    (ROLE / f"files/{name}.txt").read_text().rstrip() for name in ("caddy", "supervisor")
)
# As Ansible renders templates.
ANSIBLES = jinja2.Environment(keep_trailing_newline=True, trim_blocks=True)
# What the tasks of supervisor tell the templates.
HERE = {"service_front_folder": "run", "service_front_handle": 0, "service_tls": "none"}
HERE |= {"service_drain_seconds": 30}


@dataclass(frozen=True)
class Run:
    """A playbook that has ended."""

    code: int
    output: str
    host: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it went well, by its exit and by its result."""
        assert (self.code == 0) == self.host["ok"], self.output
        return self.code == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """A host to deploy to: a folder and a port of this machine."""

    root: Path
    work: Path
    port: int = field(default_factory=free_port)
    delivery: Path = DELIVERY
    hosts: dict[str, dict[str, object]] = field(default_factory=lambda: {"localhost": {}})

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.port}"

    def wheel(self, version: str, fault: str = "", extra: str = "", migrate: str = "") -> Wheel:
        """Return a wheel."""
        return wheel(self.work / "wheels", version, fault, extra, migrate)

    def start(self, playbook: str, *options: str, **variables: object) -> subprocess.Popen[str]:
        """Start a playbook in a session of its own, as a terminal would."""
        inventory = self.work / "hosts.json"
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        }
        own: dict[str, object] = {"service_root": str(self.root), "service_port": self.port}
        # In the inventory, for Ansible itself prints what its command line says.
        own |= {"service_environment": variables.pop("service_environment", {})}
        hosts = {name: local | host for name, host in self.hosts.items()}
        inventory.write_text(json.dumps({"service": {"hosts": hosts, "vars": own}}))
        result = self.work / "result.json"
        result.unlink(missing_ok=True)
        wanted = {"service_name": NAME, "service_by": "ada", **variables}
        return subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i",
                str(inventory),
                str(self.delivery / playbook),
                "-e",
                json.dumps(wanted),
                *options,
            ],
            cwd=self.work,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.delivery / "ansible.cfg"),
                "ANSIBLE_LOCAL_TEMP": str(self.work / "ansible"),
                "DELIVERY_RESULT": str(result),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        """Wait for a playbook, and return what came of it."""
        output = process.communicate(timeout=120)[0]
        result = self.work / "result.json"
        told = json.loads(result.read_text()) if result.exists() else {"hosts": {}}
        return Run(process.returncode, output, told["hosts"].get("localhost", {}))

    def play(self, playbook: str, *options: str, **variables: object) -> Run:
        """Run a playbook."""
        return self.finish(self.start(playbook, *options, **variables))

    def deploy(self, what: Wheel, *options: str, **variables: object) -> Run:
        """Deploy a wheel, as the pipeline does."""
        return self.play("deploy.yml", *options, **{**vars_of(what), **variables})

    def rollback(self, *options: str, **variables: object) -> Run:
        """Go back, as the pipeline does."""
        return self.play("rollback.yml", *options, **variables)

    def parameters(self, state: str, what: Wheel | None = None, **more: object) -> dict[str, Any]:
        """Return what the module would be given."""
        variables = {"service_name": NAME, "service_port": self.port}
        variables |= {"service_address": "127.0.0.1", **HERE}
        files = {
            name: ANSIBLES.from_string((ROLE / source).read_text()).render(variables)
            for name, source in FILES.items()
        }
        return {
            "state": state,
            "root": str(self.root),
            "init": "supervisor",
            "user": None,
            "url": self.url,
            "name": NAME,
            "version": what and what.version,
            "sha256": what and what.sha256,
            "commit": COMMIT,
            "wheel": what and str(what.path),
            "requirements": what and str(REQUIREMENTS),
            "python": None,
            "packages": [],
            "environment": "{}",
            "by": "ada",
            "attempt": None,
            "over": None,
            "left": None,
            "address": "127.0.0.1",
            "port": self.port,
            "tls": "none",
            "tls_port": 443,
            "tls_host": None,
            "keep": 5,
            "migrate": True,
            "probe_seconds": 10.0,
            "drain_seconds": 5.0,
            "tools": "\n".join(
                (ROLE / f"files/{n}.txt").read_text().rstrip() for n in ("caddy", "supervisor")
            ),
            "files": files,
            **more,
        }

    def begin(
        self, parameters: dict[str, Any], kill: str = "", uv: Path | str = ""
    ) -> subprocess.Popen[str]:
        """Start what the module runs, without Ansible; it may be told before which step to die."""
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(ROLE / "module_utils"), kill, str(uv)],
            cwd=self.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdin
        child.stdin.write(json.dumps(parameters))
        child.stdin.close()
        child.stdin = None
        return child

    def module(
        self, state: str, what: Wheel | None = None, kill: str = "", **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run what the module runs, without Ansible."""
        child = self.begin(self.parameters(state, what, **more), kill)
        output, errors = child.communicate(timeout=120)
        return subprocess.CompletedProcess(child.args, child.returncode, output, errors)

    def told(self, state: str, what: Wheel | None = None, **more: object) -> dict[str, Any]:
        """Run what the module runs, and return what it says."""
        process = self.module(state, what, "", **more)
        answer = json.loads(process.stdout.splitlines()[-1]) if process.stdout else {}
        assert isinstance(answer, dict) and answer, process.stderr
        return answer

    def get(self, path: str = "/version") -> dict[str, Any]:
        """Ask the service, through its front."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            told = json.load(answer)
        assert isinstance(told, dict)
        return told

    def live(self) -> str:
        """Return the version that the world gets."""
        return str(self.get()["version"])

    def journal(self) -> list[dict[str, Any]]:
        """Return the lines of the journal."""
        text = (self.root / "journal.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def installed(self) -> set[str]:
        """Return the versions that are complete."""
        return {path.parent.name for path in self.root.glob("releases/*/release.json")}

    def instances(self) -> set[str]:
        """Return the versions that have a process."""
        home = f"{self.root}/releases/"
        programs = [p.arguments[0] for p in self.processes()]
        return {p.removeprefix(home).split("/")[0] for p in programs if p.startswith(home)}

    def processes(self) -> list[processes.Process]:
        """Return every process that runs a program of the site."""
        return [p for p in processes.everyone() if p.under(self.root)]

    def supervisor(self) -> int:
        """Return the process id of supervisor."""
        return int((self.root / "run/supervisord.pid").read_text())

    def stop(self) -> None:
        """End all that runs, at once."""
        while left := self.processes():
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)


def vars_of(what: Wheel) -> dict[str, str]:
    """Return the variables that the pipeline gives to a deploy."""
    return {
        "service_version": what.version,
        "service_sha256": what.sha256,
        "service_commit": COMMIT,
        "service_wheel": str(what.path),
        "service_requirements": str(REQUIREMENTS),
    }


def wait(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)


@contextlib.contextmanager
def new_site(name: str = "") -> Iterator[Site]:
    """Make a site; what it needs is short, for sockets have short names."""
    folder = Path(tempfile.mkdtemp(prefix="s"))
    (folder / "work").mkdir()
    site = Site(folder / (name or "root"), folder / "work")
    try:
        yield site
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a bare host."""
    with new_site() as made:
        yield made


@pytest.fixture
def live(site: Site) -> Site:
    """Return a host where 1.0 is live."""
    assert site.told("live", site.wheel("1.0"))["version"] == "1.0"
    return site


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """Return a host where 1.0 is live, for all tests of a module that leave it so."""
    with new_site() as made:
        assert made.told("live", made.wheel("1.0"))["version"] == "1.0"
        yield made


@pytest.fixture(scope="module")
def standing() -> Iterator[Site]:
    """Return a host where 1.0, 1.1 and 1.2 were live in turn, for the tests of a module."""
    with new_site() as site:
        for version in ("1.0", "1.1", "1.2"):
            assert site.told("live", site.wheel(version))["version"] == version
        yield site
