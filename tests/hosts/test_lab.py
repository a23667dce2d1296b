"""The hosts are what the tests of the role take them for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.delivery.role.conftest import wait

from .host import Host
from .lab import Lab, sweep

pytestmark = pytest.mark.hosts


def reaches(host: Host, address: str, port: int = 22) -> bool:
    """Tell whether a host gets a connection to an address."""
    dial = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{port}' && echo yes"
    return host.sh(dial, check=False) == "yes"


def ping(lab: Lab, pattern: str) -> subprocess.CompletedProcess[str]:
    """Ask hosts through Ansible, over SSH."""
    hosts = {host.name: {"ansible_host": host.address} for host in lab}
    inventory = lab.folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": lab.variables}}))
    return lab.run(["ansible", "-i", inventory, pattern, "-m", "ping"], capture_output=True)


def test_systemd_is_up_on_all(lab: Lab) -> None:
    assert {host.sh("systemctl is-system-running") for host in lab} == {"running"}


def test_each_is_a_machine_of_its_own(lab: Lab) -> None:
    assert len({host.sh("cat /etc/machine-id") for host in lab}) == len(lab.hosts)
    assert [host.sh("hostname") for host in lab] == ["h1", "h2", "h3", "h4", "h5"]


def test_ansible_reaches_all_over_ssh(lab: Lab) -> None:
    done = ping(lab, "all")
    assert done.stdout.count("SUCCESS") == len(lab.hosts), done.stdout


def test_a_host_without_its_cable_is_out_of_reach_until_it_is_back(lab: Lab) -> None:
    host = lab["h3"]
    with host.unplugged():
        assert not reaches(lab["h1"], host.address)
        assert reaches(lab["h1"], lab["h2"].address)
    wait(lambda: reaches(lab["h1"], host.address), 30)  # a busy machine takes a moment


def test_a_full_disk_takes_nothing_more(lab: Lab) -> None:
    host = lab["h4"]
    with host.full(), pytest.raises(subprocess.CalledProcessError):
        host.sh("echo more >/srv/more && sync /srv/more && test -s /srv/more")
    host.sh("echo more >/srv/more")


@pytest.mark.parametrize("how", ["power off", "power cut"])
def test_a_disk_outlives_the_power(lab: Lab, how: str) -> None:
    host = lab["h1"]
    host.sh("echo kept >/srv/kept && sync")
    if how == "power cut":
        host.halt(signal.SIGKILL)
    else:
        host.halt()
    host.boot()
    assert host.sh("cat /srv/kept") == "kept"
    assert host.sh("systemctl is-system-running") == "running"


def test_an_address_that_systemd_denies_is_denied(lab: Lab) -> None:
    dial = (
        f"timeout 3 bash -c 'exec 3<>/dev/tcp/{lab['h2'].address}/22' && echo open || echo denied"
    )
    host = lab["h1"]
    assert host.sh(f"systemd-run -qP {dial}", check=False) == "open"
    assert host.sh(f"systemd-run -qP -p IPAddressDeny=any {dial}", check=False) == "denied"


def test_nothing_of_the_lab_is_in_the_machines_network(lab: Lab) -> None:
    addresses = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout
    assert lab["h1"].address.rsplit(".", 1)[0] not in addresses


def test_a_lab_leaves_nothing_behind(lab: Lab) -> None:
    with Lab(lab.base, 1, name=f"{lab.name}x") as other:
        folder = other.folder
        left_running = other.start(["sleep", "1000"])
    assert left_running.wait() == -signal.SIGKILL
    assert not folder.exists()
    for listing in (["ip", "netns"], ["mount"], ["ps", "ax"]):
        found = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
        assert f"{lab.name}x" not in found


def test_what_a_killed_lab_left_is_swept_away(lab: Lab) -> None:
    code = (
        "import os, signal, sys, pathlib; from tests.hosts.lab import Lab;"
        "lab = Lab(pathlib.Path(sys.argv[1]), 1).__enter__(); print(lab.name, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", code, str(lab.base)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    name = killed.stdout.strip()
    assert Path("/run/netns", name).exists()
    sweep()
    assert not Path("/run/netns", name).exists()
    assert not list(Path(tempfile.gettempdir()).glob(f"{name}-*"))
    assert name not in Path("/proc/mounts").read_text()
