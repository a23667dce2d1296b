"""Three hosts behind a balancer: what happens to one of them is nobody's business outside."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.delivery.role.conftest import wait

from .conftest import KINDS, MANY, ROOT, Count, Service
from .host import CONTROLLER
from .watch import watched

pytestmark = pytest.mark.hosts

MAY_BECOME_ROOT = """
useradd --create-home --shell /bin/bash deploy && mkdir ~deploy/.ssh
cp /root/.ssh/authorized_keys ~deploy/.ssh && chown -R deploy: ~deploy/.ssh
echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy
"""
IS_GONE = """
rm /etc/sudoers.d/deploy; pkill -KILL -u deploy
for _ in $(seq 100); do userdel --remove deploy && break; sleep 0.1; done; ! id deploy
"""
HARD = ("--clients=24", "--slow=2", "--pause=0")
# Debian's: the socket is for root and the group of HAProxy.
HAPROXY = """\
global
    stats socket {admin} level admin mode 660
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend world
    bind {address}:8081
    default_backend web
backend web
    balance leastconn
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

    def drained(self) -> contextlib.AbstractContextManager[set[str]]:
        """Look which hosts are drained while the block runs."""
        return watched(lambda: [n for n, state in self.states().items() if state == "DRAIN"], 0.05)

    @contextlib.contextmanager
    def load(self, *options: str) -> Iterator[Count]:
        """Put load on the balancer."""
        url = f"http://{CONTROLLER}:8081"
        with self.service.load(self.service.hosts[0], *options, url=url) as count:
            yield count


@pytest.fixture(scope="module")
def balanced(three: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    """A service on three hosts behind HAProxy, which the hooks of the documentation speak to.

    Who deploys is a user who may become root, on all hosts. HAProxy runs where the controller is,
    and has its socket, which is root's, on the disk of h5: for Ansible the balancer is that host.
    """
    config = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    hosts = [*three.hosts, three.lab["h5"]]
    for host in hosts:
        host.sh(MAY_BECOME_ROOT)
    admin = hosts[-1].disk / "srv/haproxy.sock"
    servers = [f"    server {host.name} {host.address}:80 check inter 1s" for host in three.hosts]
    config.write_text(HAPROXY.format(admin=admin, address=CONTROLLER, servers="\n".join(servers)))
    hooks = {
        f"service_{when}_host": str(ROOT / f"docs/haproxy/{when}.yml")
        for when in ("before", "after")
    }
    there = {**three.lab.variables, "ansible_user": "deploy", "ansible_host": hosts[-1].address}
    service = dataclasses.replace(
        three,
        variables={**hooks, "haproxy_socket": "/srv/haproxy.sock", "ansible_user": "deploy"},
        groups={"balancer": {"hosts": {"h5": there}}},
    )
    haproxy = three.lab.start(["haproxy", "-db", "-f", config])
    made = Balanced(service, admin)
    wait(admin.exists)
    wait(lambda: set(made.states().values()) == {"UP"})
    yield made
    haproxy.terminate()
    haproxy.wait()
    admin.unlink()
    for host in hosts:
        host.sh(IS_GONE)


def test_a_balancer_is_told_before_and_after_each_host(balanced: Balanced) -> None:
    service = balanced.service
    with balanced.drained() as drained, balanced.load("--clients=4") as count:
        runs = service.deploy(service.wheel("40.0"))
        again = service.deploy(service.wheel("40.0"))
        bad = service.deploy(service.wheel("40.1", "500 only"), service_probe_seconds=2)
    assert runs["h2"].code == 0, runs["h2"].output
    assert not any(run.host["changed"] for run in again.values()), again["h2"].output
    assert bad["h2"].code != 0
    assert drained == {"h2", "h3", "h4"}
    assert set(balanced.states().values()) == {"UP"}
    assert service.live() == ["40.0"] * 3
    assert count["failed"] == 0, count


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"haproxy_socket": "/srv/nowhere.sock"}, "FileNotFoundError: [Errno 2] No such file"),
        ({"haproxy_seconds": 0}, "are still there after 0 s"),
    ],
)
def test_why_a_balancer_was_not_told_is_said(
    balanced: Balanced, told: dict[str, object], reason: str
) -> None:
    service, before = balanced.service, balanced.service.live()
    with balanced.load("--slow=12") as count:
        time.sleep(1)
        run = service.deploy(service.wheel("40.2"), **told)["h2"]
    assert run.code != 0
    assert reason in run.host["reason"]
    assert service.live() == before
    assert set(balanced.states().values()) == {"UP"}
    assert count["failed"] == 0, count


def test_a_canary_that_is_taken_back_costs_no_request(balanced: Balanced) -> None:
    service, before = balanced.service, balanced.service.live()

    def event(turn: int) -> None:
        slow = service.wheel(f"41.{turn}", "slow")
        runs = service.deploy(slow, service_bake_seconds=5, service_bake_requests=10)
        assert runs["h2"].code != 0
        assert "requests were answered within 1 s, h3 and h4" in runs["h2"].host["reason"]
        assert service.live() == before

    with balanced.load(*HARD) as count:
        count.during(MANY, event)
    assert count["failed"] == 0, count
    assert len(count["kinds"]) == KINDS, count["kinds"]


def test_a_rollback_takes_all_hosts_at_once_and_drains_none(balanced: Balanced) -> None:
    """Each goes forward again, by a deploy that has nothing to install and leaves HAProxy alone."""
    service = dataclasses.replace(balanced.service, variables={"ansible_user": "deploy"})
    for version in ("42.0", "42.1"):
        assert service.deploy(service.wheel(version), service_batches=["100%"])["h2"].code == 0

    def event(_turn: int) -> None:
        runs = balanced.service.rollback()
        assert runs["h2"].code == 0, runs["h2"].output
        assert service.live() == ["42.0"] * 3
        runs = service.deploy(service.wheel("42.1"), service_batches=["100%"])
        assert runs["h2"].code == 0, runs["h2"].output

    with balanced.drained() as drained, balanced.load(*HARD) as count:
        count.during(MANY, event)
    assert drained == set()
    assert count["failed"] == 0, count
    assert len(count["kinds"]) == KINDS, count["kinds"]


def test_a_host_that_boots_anew_is_missed_by_nobody(balanced: Balanced) -> None:
    service, before = balanced.service, balanced.service.live()
    host = service.hosts[1]
    service.command("deploy.yml")
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [ansible, "-i", str(service.work / "hosts.json"), f"--limit={host.name}"]

    def event(_turn: int) -> None:
        machine = host.process
        process = service.lab.start([*words, ROOT / "docs/haproxy/reboot.yml"])
        assert machine is not None
        wait(lambda: machine.poll() is not None or process.poll() is not None, 90)
        # What the firmware of a machine does.
        host.boot()
        assert process.wait(180) == 0
        wait(lambda: set(balanced.states().values()) == {"UP"})
        assert service.live() == before

    with balanced.load(*HARD) as count:
        count.during(MANY, event)
    assert count["failed"] == 0, count
    assert len(count["kinds"]) == KINDS, count["kinds"]
