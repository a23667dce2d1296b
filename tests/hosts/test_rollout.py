"""A deploy to several hosts: one batch after the other, and all of them or none."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.role.conftest import wait
from tests.delivery.role.wheels import NAME

from .conftest import ROOT, Service
from .host import CONTROLLER, Host
from .lab import Lab

pytestmark = pytest.mark.hosts

SICK: dict[str, object] = {"service_environment": {"TINY_SICK": "yes"}}


def journal(host: Host) -> list[dict[str, Any]]:
    """Return the lines of the journal of a host."""
    text = (host.disk / f"opt/{NAME}/journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def three(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on three hosts, where 1.0 is live."""
    service = Service(lab, tmp_path_factory.mktemp("three"), ("h2", "h3", "h4"))
    runs = service.deploy(service.wheel("1.0"))
    assert runs["h2"].code == 0, runs["h2"].output
    yield service


def test_all_hosts_get_the_release_the_canary_first(three: Service) -> None:
    runs = three.deploy(three.wheel("1.1"), service_batches=[1, "100%"])
    assert runs["h2"].code == 0, runs["h2"].output
    assert three.live() == ["1.1"] * 3
    ended = [journal(host)[-1]["at"] for host in three.hosts]
    begun = [journal(host)[-2]["at"] for host in three.hosts]
    assert ended[0] <= min(begun[1:])


def test_a_host_that_fails_takes_the_whole_attempt_back(three: Service) -> None:
    before, untouched = three.live(), journal(three.hosts[2])
    three.differences = {"h3": SICK}
    with three.load(three.hosts[0]) as count:
        runs = three.deploy(
            three.wheel("2.0", "sick where told"),
            service_batches=[1, 1, 1],
            service_probe_seconds=3,
        )
    three.differences = {}
    assert runs["h3"].code != 0
    assert "2.0 did not go live" in runs["h3"].host["reason"]
    assert "/healthz answers 500" in runs["h3"].host["reason"]
    assert three.live() == before
    assert [line["action"] for line in journal(three.hosts[0])[-4:] if "action" in line] == [
        "deploy",
        "rollback",
    ]
    assert journal(three.hosts[2]) == untouched
    assert count["failed"] == 0, count


def test_a_canary_that_fails_its_requests_takes_the_attempt_back(three: Service) -> None:
    before, untouched = three.live(), [journal(host) for host in three.hosts[1:]]
    with contextlib.ExitStack() as loads:
        counts = [loads.enter_context(three.load(host, 2)) for host in three.hosts]
        runs = three.deploy(three.wheel("2.5", "fails every third"), service_bake_seconds=4)
    assert runs["h2"].code != 0
    said = r"canary h2: (3\d[.\d]*) % of \d+ requests failed, h3 and h4 on the old release: 0 %"
    assert re.fullmatch(said, runs["h2"].host["reason"]), runs["h2"].output
    assert three.live() == before
    assert [journal(host) for host in three.hosts[1:]] == untouched
    assert [count["failed"] for count in counts[1:]] == [0, 0]
    assert all("status 500" in reason for reason in counts[0]["reasons"])


def test_a_canary_as_good_as_the_others_goes_on(three: Service) -> None:
    with contextlib.ExitStack() as loads:
        counts = [loads.enter_context(three.load(host, 2)) for host in three.hosts]
        runs = three.deploy(three.wheel("2.6"), service_bake_seconds=3)
    assert runs["h2"].code == 0, runs["h2"].output
    said = r"canary h2: 0 % of \d+ requests failed, h3 and h4 on the old release: 0 %"
    assert re.fullmatch(said, runs["h2"].host["canary"])
    assert three.live() == ["2.6"] * 3
    assert [count["failed"] for count in counts] == [0, 0, 0]


def test_without_traffic_nobody_is_judged_and_that_is_said(three: Service) -> None:
    runs = three.deploy(three.wheel("2.7"), service_bake_seconds=1)
    assert runs["h2"].code == 0, runs["h2"].output
    assert runs["h2"].host["canary"] == ("canary h2: 0 requests are too few to judge, it takes 50")
    assert three.live() == ["2.7"] * 3


def test_a_host_out_of_reach_takes_the_whole_attempt_back(three: Service) -> None:
    before = three.live()
    with three.hosts[2].unplugged():
        runs = three.deploy(three.wheel("3.0"), service_batches=[2, 1])
    assert runs["h4"].code != 0
    assert "h4" in runs["h4"].output and runs["h4"].host["reason"]
    assert three.live() == before
    again = three.deploy(three.wheel("3.0"), service_batches=[2, 1])
    assert again["h2"].code == 0, again["h2"].output
    assert three.live() == ["3.0"] * 3


def test_a_batch_is_as_large_as_the_inventory_says(three: Service) -> None:
    three.variables = {"service_batches": [2, 1]}
    runs = three.deploy(three.wheel("3.1"))
    three.variables = {}
    assert runs["h2"].code == 0, runs["h2"].output
    assert runs["h2"].output.count("Systemd keeps the service live") == 2
    assert three.live() == ["3.1"] * 3


def test_a_rollback_takes_every_host_back(three: Service) -> None:
    three.deploy(three.wheel("4.0"))
    three.deploy(three.wheel("4.1"))
    runs = three.rollback()
    assert runs["h2"].code == 0, runs["h2"].output
    assert three.live() == ["4.0"] * 3


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


def states(admin: Path) -> dict[str, str]:
    """Return how HAProxy sees each host."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(admin))
        asked.sendall(b"show stat\n")
        rows = asked.makefile().read().splitlines()
    cells = [row.split(",") for row in rows if row.startswith("web,h")]
    return {row[1]: row[17] for row in cells}


def test_a_balancer_is_told_before_and_after_each_host(three: Service, tmp_path: Path) -> None:
    admin, config = tmp_path / "admin.sock", tmp_path / "haproxy.cfg"
    servers = [f"    server {host.name} {host.address}:80 check inter 1s" for host in three.hosts]
    config.write_text(HAPROXY.format(admin=admin, address=CONTROLLER, servers="\n".join(servers)))
    haproxy = three.lab.start(["haproxy", "-db", "-f", config])
    seen: set[tuple[str, str]] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            seen.update(states(admin).items())

    watcher = threading.Thread(target=look)
    hooks = {
        f"service_{when}_host": str(ROOT / f"docs/haproxy/{when}.yml")
        for when in ("before", "after")
    }
    three.variables = {**hooks, "haproxy_socket": str(admin)}
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    three.groups = {"balancer": {"hosts": {"localhost": here}}}
    try:
        wait(admin.exists)
        watcher.start()
        with three.load(three.hosts[0], 4, f"http://{CONTROLLER}:8081") as count:
            runs = three.deploy(three.wheel("3.2"))
            bad = three.deploy(three.wheel("3.3", "500 only"), service_probe_seconds=2)
        last = states(admin)
    finally:
        ended.set()
        haproxy.terminate()
        haproxy.wait()
        watcher.join()
        three.variables, three.groups = {}, {}
    assert runs["h2"].code == 0, runs["h2"].output
    assert bad["h2"].code != 0
    assert {name for name, state in seen if state == "DRAIN"} == {"h2", "h3", "h4"}
    assert set(last.values()) == {"UP"}
    assert three.live() == ["3.2"] * 3
    assert count["failed"] == 0, count
