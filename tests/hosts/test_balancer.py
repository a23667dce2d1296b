"""Three hosts behind a balancer: what happens to one of them is nobody's business outside."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.role.conftest import wait

from .conftest import ROOT, Service
from .host import CONTROLLER

pytestmark = pytest.mark.hosts

HAPROXY = """\
global
    stats socket {admin} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend world
    bind {address}:8081
    default_backend web
backend web
    option httpchk GET /healthz
{servers}
"""


@dataclass
class Balanced:
    """A service on three hosts, and HAProxy before them."""

    service: Service
    admin: Path

    def states(self) -> dict[str, str]:
        """Return how HAProxy sees each host."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self.admin))
            asked.sendall(b"show stat\n")
            rows = asked.makefile().read().splitlines()
        cells = [row.split(",") for row in rows if row.startswith("web,h")]
        return {row[1]: row[17] for row in cells}

    @contextlib.contextmanager
    def drained(self) -> Iterator[set[str]]:
        """Look which hosts are drained while the block runs."""
        found: set[str] = set()
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.05):
                found.update(name for name, state in self.states().items() if state == "DRAIN")

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield found
        finally:
            ended.set()
            watcher.join()

    @contextlib.contextmanager
    def load(self, *options: str) -> Iterator[dict[str, Any]]:
        """Put load on the balancer."""
        url = f"http://{CONTROLLER}:8081"
        with self.service.load(self.service.hosts[0], *options, url=url) as count:
            yield count


@pytest.fixture(scope="module")
def balanced(three: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    """A service on three hosts behind HAProxy, which the hooks of the documentation speak to."""
    folder = tmp_path_factory.mktemp("haproxy")
    admin, config = folder / "admin.sock", folder / "haproxy.cfg"
    servers = [f"    server {host.name} {host.address}:80 check inter 1s" for host in three.hosts]
    config.write_text(HAPROXY.format(admin=admin, address=CONTROLLER, servers="\n".join(servers)))
    hooks = {
        f"service_{when}_host": str(ROOT / f"docs/haproxy/{when}.yml")
        for when in ("before", "after")
    }
    here = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    service = dataclasses.replace(
        three,
        variables={**hooks, "haproxy_socket": str(admin)},
        groups={"balancer": {"hosts": {"localhost": here}}},
    )
    haproxy = three.lab.start(["haproxy", "-db", "-f", config])
    made = Balanced(service, admin)
    wait(admin.exists)
    wait(lambda: set(made.states().values()) == {"UP"})
    yield made
    haproxy.terminate()
    haproxy.wait()


def test_a_balancer_is_told_before_and_after_each_host(balanced: Balanced) -> None:
    service = balanced.service
    with balanced.drained() as drained, balanced.load("--clients=4") as count:
        runs = service.deploy(service.wheel("40.0"))
        bad = service.deploy(service.wheel("40.1", "500 only"), service_probe_seconds=2)
    assert runs["h2"].code == 0, runs["h2"].output
    assert bad["h2"].code != 0
    assert drained == {"h2", "h3", "h4"}
    assert set(balanced.states().values()) == {"UP"}
    assert service.live() == ["40.0"] * 3
    assert count["failed"] == 0, count


def test_a_canary_that_is_taken_back_costs_no_request(balanced: Balanced) -> None:
    service, before = balanced.service, balanced.service.live()
    with balanced.load("--clients=12") as count:
        runs = service.deploy(
            service.wheel("41.0", "slow"), service_bake_seconds=5, service_bake_requests=10
        )
    assert runs["h2"].code != 0
    assert "requests were answered within 1 s, h3 and h4" in runs["h2"].host["reason"]
    assert service.live() == before
    assert count["failed"] == 0, count
    assert count["sent"] >= 200, count


def test_a_rollback_takes_all_hosts_at_once_and_drains_none(balanced: Balanced) -> None:
    service = balanced.service
    assert service.deploy(service.wheel("42.0"))["h2"].code == 0
    assert service.deploy(service.wheel("42.1"))["h2"].code == 0
    with balanced.drained() as drained, balanced.load() as count:
        runs = service.rollback()
    assert runs["h2"].code == 0, runs["h2"].output
    assert service.live() == ["42.0"] * 3
    assert drained == set()
    assert count["failed"] == 0, count


def test_a_host_that_boots_anew_is_missed_by_nobody(balanced: Balanced) -> None:
    service, before = balanced.service, balanced.service.live()
    host = service.hosts[1]
    service.command("deploy.yml")
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [ansible, "-i", str(service.work / "hosts.json"), f"--limit={host.name},localhost"]
    with balanced.load("--slow=2") as count:
        machine = host.process
        process = service.lab.start([*words, ROOT / "docs/haproxy/reboot.yml"])
        assert machine is not None
        wait(lambda: machine.poll() is not None or process.poll() is not None, 90)
        # What the firmware of a machine does.
        host.boot()
        assert process.wait(180) == 0
    wait(lambda: set(balanced.states().values()) == {"UP"})
    assert service.live() == before
    assert count["failed"] == 0, count
    assert count["sent"] >= 200, count
