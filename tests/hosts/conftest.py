"""Five hosts for all tests of this folder, and a service on them.

h1 has the service `one`, h2 to h4 have `three`; h5 is for what has to begin or end bare.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.role.conftest import DELIVERY, ROLE, Run, vars_of
from tests.delivery.role.wheels import NAME, REQUIREMENTS, Wheel, wheel

from .base import base
from .host import CONTROLLER, Host
from .index import fill
from .lab import Lab

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "walking-skeleton")
INDEX = f"http://{CONTROLLER}:8080/simple"
# How many requests it takes to say that none is lost, and their kinds: GET and POST, of the quick
# page and of the slow one, on kept and on new connections.
MANY, KINDS = 20_000, 8
TOOLS = (ROLE / "files/caddy.txt", ROLE / "files/uv.txt")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Five hosts that are up, and reach a package index; a test leaves them up."""
    folder = tmp_path_factory.mktemp("index")
    fill(folder, [REQUIREMENTS, *TOOLS])
    with Lab(base(CACHE), 5) as made:
        serve = ["-m", "http.server", "--bind", CONTROLLER, "8080", "--directory", str(folder)]
        null = subprocess.DEVNULL
        server = made.start([sys.executable, *serve], stdout=null, stderr=null)
        yield made
    server.wait()


class Count(dict[str, Any]):
    """What a load came to, when it has ended."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        super().__init__()
        self.running = running

    def by_now(self) -> int:
        """Return how many requests have come to an end until now."""
        assert self.running.stdin and self.running.stdout
        self.running.stdin.write("\n")
        self.running.stdin.flush()
        return int(self.running.stdout.readline())

    def during(self, requests: int, event: Callable[[int], None], turns: int = 20) -> None:
        """Let something happen again and again, until so many requests were sent meanwhile.

        Args:
            requests: how many, from the beginning to the end of what happens.
            event: it; it is told which turn it is, from 0.
            turns: how often it happens at most; too few requests by then are an error.
        """
        before = self.by_now()
        for turn in range(turns):
            event(turn)
            if (sent := self.by_now() - before) >= requests:
                return
        raise AssertionError(f"only {sent} requests in {turns} turns")


@dataclass
class Service:
    """A service on some hosts of a lab."""

    lab: Lab
    work: Path
    names: tuple[str, ...]
    variables: dict[str, object] = field(default_factory=dict)
    differences: dict[str, dict[str, object]] = field(default_factory=dict)
    groups: dict[str, object] = field(default_factory=dict)
    delivery: Path = DELIVERY

    @property
    def hosts(self) -> list[Host]:
        """The hosts it is on."""
        return [self.lab[name] for name in self.names]

    def wheel(self, version: str, fault: str = "", extra: str = "", migrate: str = "") -> Wheel:
        """Return a wheel."""
        return wheel(self.work / "wheels", version, fault, extra, migrate)

    def command(self, playbook: str, *options: str, **variables: object) -> list[str]:
        """Return the command that runs a playbook."""
        service = {
            **self.lab.variables,
            "service_init": "systemd",
            "service_root": f"/opt/{NAME}",
            "service_address": "0.0.0.0",
            "service_port": 80,
            "service_index": INDEX,
            # Most tests have no traffic to judge by.
            "service_bake_seconds": 0,
            **self.variables,
        }
        if "service_environment" in variables:
            service["service_environment"] = variables.pop("service_environment")
        hosts = {
            host.name: {"ansible_host": host.address, **self.differences.get(host.name, {})}
            for host in self.hosts
        }
        inventory = self.work / "hosts.json"
        inventory.write_text(
            json.dumps({"service": {"hosts": hosts, "vars": service}, **self.groups})
        )
        wanted = {"service_name": NAME, "service_by": "ada", **variables}
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [
            ansible,
            "-i",
            str(inventory),
            str(self.delivery / playbook),
            "-e",
            json.dumps(wanted),
        ]
        return [*words, *options]

    def start(self, playbook: str, *options: str, **variables: object) -> subprocess.Popen[str]:
        """Start a playbook, as a terminal would; what it does is for finish() to tell."""
        result = self.work / "result.json"
        result.unlink(missing_ok=True)
        environment = {
            "ANSIBLE_CONFIG": str(self.delivery / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.work / "ansible"),
            "DELIVERY_RESULT": str(result),
        }
        return self.lab.start(
            self.command(playbook, *options, **variables),
            environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def finish(self, process: subprocess.Popen[str]) -> dict[str, Run]:
        """Wait for a playbook, and return what it did on each host."""
        # For a machine that has a lot else to do.
        output = process.communicate(timeout=900)[0]
        result = self.work / "result.json"
        told = json.loads(result.read_text()) if result.exists() else {"hosts": {}}
        return {
            name: Run(process.returncode, output, told["hosts"].get(name, {}))
            for name in self.names
        }

    def play(self, playbook: str, *options: str, **variables: object) -> dict[str, Run]:
        """Run a playbook; return what it did on each host."""
        return self.finish(self.start(playbook, *options, **variables))

    def rollback(self, *options: str, **variables: object) -> dict[str, Run]:
        """Go back, as the pipeline does."""
        return self.play("rollback.yml", *options, **variables)

    def deploy(self, what: Wheel, *options: str, **variables: object) -> dict[str, Run]:
        """Deploy a wheel, as the pipeline does."""
        return self.play("deploy.yml", *options, **{**vars_of(what), **variables})

    def get(self, host: Host, path: str = "/version") -> dict[str, Any]:
        """Ask a host over the network, as the world does."""
        code = (
            "import sys, urllib.request as u; o = u.build_opener(u.ProxyHandler({}));"
            "print(o.open(sys.argv[1], timeout=10).read().decode())"
        )
        url = f"http://{host.address}{path}"
        done = self.lab.run([sys.executable, "-c", code, url], capture_output=True, check=True)
        told = json.loads(done.stdout)
        assert isinstance(told, dict)
        return told

    @contextlib.contextmanager
    def load(self, host: Host, *options: str, url: str = "") -> Iterator[Count]:
        """Put load on a host; what it came to is known when the block has ended."""
        words = [sys.executable, "-m", "tests.delivery.load", url or f"http://{host.address}"]
        # Without a pause clients would take the processors from the hosts, which are on the same.
        words += [f"--at={host.address}", "--pause=0.02", *options]
        running = self.lab.start(
            words,
            {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        count = Count(running)
        try:
            yield count
        finally:
            count |= json.loads(running.communicate(timeout=300)[0])

    def live(self) -> list[str]:
        """Return the version that each host serves."""
        return [str(self.get(host)["version"]) for host in self.hosts]

    def gone(self) -> dict[str, Run]:
        """Take everything of it off its hosts."""
        return self.play("stop.yml", service_state="absent", service_attempt="gone")


@pytest.fixture(scope="session")
def one(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on one host, where some release is live."""
    service = Service(lab, tmp_path_factory.mktemp("one"), ("h1",))
    run = service.deploy(service.wheel("1.0"))["h1"]
    assert run.ok, run.output
    yield service


@pytest.fixture(scope="session")
def three(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on three hosts, where some release is live."""
    service = Service(lab, tmp_path_factory.mktemp("three"), ("h2", "h3", "h4"))
    runs = service.deploy(service.wheel("1.0"), service_batches=["100%"])
    assert runs["h2"].code == 0, runs["h2"].output
    yield service


@pytest.fixture
def bare(lab: Lab, tmp_path: Path) -> Iterator[Service]:
    """A service for one host, which has nothing of it, and has nothing of it in the end."""
    service = Service(lab, tmp_path, ("h5",))
    yield service
    assert service.gone()["h5"].ok


def journal(host: Host) -> list[dict[str, Any]]:
    """Return the lines of the journal of a host."""
    text = (host.disk / f"opt/{NAME}/journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
