"""What goes wrong around a deploy to a host, and what is left of it: nothing, or a way on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.role.conftest import wait
from tests.delivery.role.wheels import NAME, REQUIREMENTS

from .conftest import Service
from .host import CONTROLLER
from .lab import ALIVE, SSH, Lab

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"


@pytest.fixture(scope="module")
def forged(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index that has another wheel under every name."""
    folder = tmp_path_factory.mktemp("forged")
    names = {line.split("==")[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line}
    for name in names:
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True)
        version = re.search(rf"^{name}==([0-9.]+)", REQUIREMENTS.read_text(), re.M)
        assert version
        file = f"{name}-{version[1]}-py3-none-any.whl"
        with zipfile.ZipFile(page.parent / file, "w") as archive:
            archive.writestr(f"{name}.py", "")
        page.write_text(f'<!doctype html>\n<a href="{file}">{file}</a>')
    serve = ["-m", "http.server", "--bind", CONTROLLER, "8081", "--directory", str(folder)]
    null = subprocess.DEVNULL
    server = lab.start([sys.executable, *serve], stdout=null, stderr=null)
    yield f"http://{CONTROLLER}:8081/simple"
    server.terminate()
    server.wait()


def test_an_index_out_of_reach_is_told_and_leaves_the_live_release(one: Service) -> None:
    before = one.live()
    away = f"http://{CONTROLLER}:9/simple"
    one.variables = {"service_index": away}
    run = one.deploy(one.wheel("24.0"))["h1"]
    one.variables = {}
    assert not run.ok
    assert f"Installing {ROOT}/releases/24.0 failed" in run.host["reason"]
    assert "Connection refused" in run.output
    assert one.live() == before
    assert not Path(f"{one.hosts[0].disk}{ROOT}/releases/24.0").exists()


def test_another_file_under_the_name_is_not_installed(one: Service, forged: str) -> None:
    before = one.live()
    one.variables = {"service_index": forged}
    run = one.deploy(one.wheel("24.1"))["h1"]
    one.variables = {}
    assert not run.ok
    assert "Hash mismatch for `gunicorn" in run.output
    assert one.live() == before
    assert not Path(f"{one.hosts[0].disk}{ROOT}/releases/24.1").exists()


def test_a_full_disk_is_told_and_leaves_the_live_release(one: Service) -> None:
    before, host = one.live(), one.hosts[0]
    with host.full():
        run = one.deploy(one.wheel("24.2"))["h1"]
    assert not run.ok
    assert "No space left on device" in run.output
    assert one.live() == before
    assert not Path(f"{host.disk}{ROOT}/releases/24.2").exists()


def test_a_rollback_goes_by_the_journal_until_nothing_is_left(bare: Service) -> None:
    for version in ("1.0", "1.1", "1.2"):
        assert bare.deploy(bare.wheel(version))["h5"].ok
    # What was touched last is not what was live last.
    releases = Path(f"{bare.hosts[0].disk}{ROOT}/releases")
    for age, version in enumerate(("1.1", "1.2", "1.0")):
        os.utime(releases / version, (10**9 + age, 10**9 + age))
    for version in ("1.1", "1.0"):
        assert bare.rollback()["h5"].ok
        assert bare.live() == [version]
    run = bare.rollback()["h5"]
    assert not run.ok
    assert f"{NAME} has nothing to go back to in {ROOT}: 1.0 is the first" in run.host["reason"]
    assert bare.live() == ["1.0"]


def test_a_release_that_somebody_deleted_is_not_gone_back_to(one: Service) -> None:
    host, before = one.hosts[0], one.live()
    assert one.deploy(one.wheel("24.5"))["h1"].ok
    host.sh(f"rm -rf {ROOT}/releases/{before[0]}")
    run = one.rollback()["h1"]
    assert not run.ok
    assert f"{before[0]}, which was live before, is no longer installed" in run.host["reason"]
    assert one.live() == ["24.5"]


def test_an_old_instance_that_somebody_started_is_stopped(one: Service) -> None:
    host, units = one.hosts[0], f"systemctl list-units --plain --no-legend '{NAME}@*'"
    old = host.sh(units).split()[0]
    what = one.wheel("24.6")
    assert one.deploy(what)["h1"].ok
    host.sh(f"systemctl enable --now {old}")
    run = one.deploy(what)["h1"]
    assert run.ok and run.host["changed"], run.output
    assert len(host.sh(units).splitlines()) == 1
    assert old not in host.sh(units)
    assert old not in host.sh("ls /etc/systemd/system/multi-user.target.wants")


def test_a_release_that_dies_late_is_started_again_and_can_be_taken_back(one: Service) -> None:
    host, before = one.hosts[0], one.live()
    run = one.deploy(one.wheel("25.0", "dies late"))["h1"]
    assert run.ok, run.output
    unit = host.sh(f"systemctl list-units --plain --no-legend '{NAME}@*'").split()[0]
    again = f"systemctl show --property=NRestarts --value {unit}"
    wait(lambda: int(host.sh(again)) > 0, 60)
    run = one.rollback()["h1"]
    assert run.ok, run.output
    assert one.live() == before


@pytest.fixture
def little(one: Service) -> Iterator[str]:
    """A limit of the memory that an instance may ask for, in a drop-in: in bytes."""
    host, folder = one.hosts[0], f"/etc/systemd/system/{NAME}@.service.d"
    host.sh(f"mkdir {folder} && printf '[Service]\\nLimitAS=1500M\\n' >{folder}/memory.conf")
    host.sh("systemctl daemon-reload")
    yield str(1500 * 2**20)
    host.sh(f"rm -r {folder} && systemctl daemon-reload")


def test_a_release_that_leaks_dies_at_its_limit_and_comes_back(one: Service, little: str) -> None:
    host, before = one.hosts[0], one.live()
    run = one.deploy(one.wheel("25.1", "leaks"))["h1"]
    assert run.ok, run.output
    unit = host.sh(f"systemctl list-units --plain --no-legend '{NAME}@*'").split()[0]
    limit = "systemctl show --property=LimitAS --value"
    assert host.sh(f"{limit} {unit}") == little
    worker = f"pgrep --parent $(systemctl show --property=MainPID --value {unit})"
    was = host.sh(worker)
    wait(lambda: host.sh(worker, check=False) not in ("", was), 60)
    wait(lambda: one.live() == ["25.1"], 30)
    # A rollback keeps the limit, too, which is no file of the role.
    assert one.rollback()["h1"].ok
    assert one.live() == before
    units = host.sh(f"systemctl list-units --plain --no-legend '{NAME}@*'")
    assert host.sh(f"{limit} {units.split()[0]}") == little


def test_a_refused_key_is_told_at_once(one: Service, tmp_path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")]
    subprocess.run(words, check=True)
    one.variables = {
        "ansible_ssh_private_key_file": str(tmp_path / "stranger"),
        # Not over the connection that is open already.
        "ansible_ssh_common_args": f"{SSH} {ALIVE} -o ControlPath=none",
    }
    run = one.deploy(one.wheel("26.0"))["h1"]
    one.variables = {}
    assert run.code != 0
    assert "Permission denied (publickey" in run.host["reason"]


@pytest.fixture
def person(one: Service) -> Iterator[str]:
    """A user of the host who is not root, and may log in."""
    host = one.hosts[0]
    host.sh(
        "useradd --create-home --shell /bin/bash grace && mkdir ~grace/.ssh"
        " && cp /root/.ssh/authorized_keys ~grace/.ssh && chown -R grace: ~grace/.ssh"
    )
    one.variables = {"ansible_user": "grace"}
    yield "grace"
    one.variables = {}
    host.sh(
        "rm -f /etc/sudoers.d/grace; pkill -KILL -u grace;"
        # A process that was just killed is still one of theirs for a moment.
        " for _ in $(seq 100); do userdel --remove grace && break; sleep 0.1; done; ! id grace"
    )


def test_sudo_that_asks_for_a_password_is_told_at_once(one: Service, person: str) -> None:
    before = one.live()
    host = one.hosts[0]
    host.sh(f"echo '{person} ALL=(ALL) ALL' >/etc/sudoers.d/{person}")
    for run in (one.deploy(one.wheel("26.1"))["h1"], one.rollback()["h1"]):
        assert run.code != 0
        assert "password" in run.host["reason"].lower(), run.host
    assert one.live() == before


def test_a_user_who_may_become_root_deploys_and_goes_back(one: Service, person: str) -> None:
    host, before = one.hosts[0], one.live()
    host.sh(f"echo '{person} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{person}")
    run = one.deploy(one.wheel("26.2"))["h1"]
    assert run.ok, run.output
    assert one.live() == ["26.2"]
    run = one.rollback()["h1"]
    assert run.ok and run.host["changed"], run.output
    assert one.live() == before
    assert host.sh(f"ls -A ~{person}/.ansible/tmp") == ""
