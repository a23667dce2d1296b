"""A fleet as its team sees it: python -m delivery, and what is left when that is not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from delivery.artifact.folder import Folder
from delivery.artifact.wheel import describe
from delivery.project import Project

from tests.delivery.role.conftest import DELIVERY
from tests.delivery.role.wheels import NAME, REQUIREMENTS

from .conftest import Service
from .lab import Lab

pytestmark = pytest.mark.hosts

PYPROJECT = f'[project]\nname = "{NAME}"\nrequires-python = ">=3.11"\n'
PIPELINE = """\
index = "{index}"

[ledger]
remote = "{remote}"

[stages.build]
budget = 5

[stages.production]
needs = ["build"]
environment = "production"
budget = 60
"""
AS = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]


@dataclass
class Fleet:
    """A project whose production is three hosts."""

    service: Service
    root: Path
    index: Path

    def git(self, *words: str) -> None:
        """Run git."""
        subprocess.run(["git", *AS, *words], cwd=self.root, check=True, capture_output=True)

    def delivery(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run python -m delivery where the hosts can be reached."""
        command = [sys.executable, "-m", "delivery", *words]
        environment = {"DELIVERY_BY": "ada", "ANSIBLE_LOCAL_TEMP": str(self.service.work / "tmp")}
        return self.service.lab.run(
            command, environment, cwd=self.root, capture_output=True, timeout=400
        )

    def built(self, version: str) -> None:
        """Put a release into the index and the ledger, as the stages before production do."""
        path = self.service.wheel(version).path
        Folder(self.index).publish(NAME, path)
        self.git("commit", "--quiet", "--allow-empty", f"--message={version}")
        project = Project.find(self.root)
        made = describe(path, project.git.head())
        for kind in ("built", "passed"):
            project.record(kind, "build", made)


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A project whose production runs 10.1, and ran 10.0 before."""
    work = tmp_path_factory.mktemp("fleet")
    service = Service(lab, work, ("h2", "h3", "h4"))
    made = Fleet(service, work / "project", work / "index")
    shutil.copytree(DELIVERY, made.root / "delivery", ignore=shutil.ignore_patterns("inventories"))
    (made.root / "requirements").mkdir()
    shutil.copy(REQUIREMENTS, made.root / "requirements/prod.txt")
    (made.root / "pyproject.toml").write_text(PYPROJECT)
    (made.root / "delivery.toml").write_text(PIPELINE.format(index=made.index, remote=""))
    inventory = made.root / "delivery/inventories/production/hosts.json"
    inventory.parent.mkdir(parents=True)
    service.command("deploy.yml")
    shutil.copy(work / "hosts.json", inventory)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", "--all")
    made.built("10.0")
    made.built("10.1")
    for version in ("10.0", "10.1"):
        done = made.delivery("deploy", "production", version)
        assert done.returncode == 0, done.stderr
    return made


def test_a_rollback_goes_back_everywhere(fleet: Fleet) -> None:
    start = time.monotonic()
    done = fleet.delivery("rollback", "production", "--reason", "prices are wrong")
    print(f"rollback on three hosts: {time.monotonic() - start:.1f} s")
    assert done.returncode == 0, done.stderr
    assert "10.0 is live in production again" in done.stdout
    assert fleet.service.live() == ["10.0"] * 3
    again = fleet.delivery("deploy", "production", "10.1", "--force", "--reason", "they are right")
    assert again.returncode == 0, again.stderr


@pytest.fixture
def elsewhere(fleet: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """The project on another machine, which knows git and the index; its HEAD went on."""
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(fleet.root), str(root)], check=True)
    clone = Fleet(fleet.service, root, fleet.index)
    (root / "delivery.toml").write_text(PIPELINE.format(index=fleet.index, remote="origin"))
    (root / "requirements/prod.txt").write_text("")
    clone.git("commit", "--quiet", "--all", "--message=Go on")
    yield clone


def test_a_lost_host_is_replaced_by_one_command(
    fleet: Fleet, elsewhere: Fleet, lab: Lab, tmp_path: Path
) -> None:
    lost = Service(lab, tmp_path, ("h4",))
    assert lost.play("deploy.yml", service_state="absent")["h4"].ok
    root = f"opt/{NAME}"
    assert not (lab["h4"].disk / root).exists()
    journals = [(lab[name].disk / root / "journal.jsonl").read_text() for name in ("h2", "h3")]
    start = time.monotonic()
    done = elsewhere.delivery("restore", "production")
    print(f"an empty host joined in {time.monotonic() - start:.1f} s")
    assert done.returncode == 0, done.stderr
    assert fleet.service.live() == ["10.1"] * 3
    told = [
        json.loads((lab[name].disk / root / "releases/10.1/release.json").read_text())
        for name in ("h2", "h3", "h4")
    ]
    assert told[0] == told[1] == told[2]
    after = [(lab[name].disk / root / "journal.jsonl").read_text() for name in ("h2", "h3")]
    assert after == journals


def test_what_was_never_deployed_cannot_be_restored(elsewhere: Fleet) -> None:
    elsewhere.git("update-ref", "-d", "refs/delivery/ledger")
    (elsewhere.root / "delivery.toml").write_text(PIPELINE.format(index=elsewhere.index, remote=""))
    done = elsewhere.delivery("restore", "production")
    assert done.returncode == 2
    assert "nothing was deployed to production yet" in done.stderr


def test_without_a_controller_a_host_is_rolled_back_over_plain_ssh(fleet: Fleet, lab: Lab) -> None:
    host = lab["h2"]
    options = str(lab.variables["ansible_ssh_common_args"]).split()
    ssh = ["ssh", "-i", str(lab.key), *options, f"root@{host.address}"]
    start = time.monotonic()
    done = lab.run([*ssh, f"/opt/{NAME}/rollback", "10.0"], capture_output=True, timeout=120)
    print(f"rollback by hand: {time.monotonic() - start:.1f} s")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{NAME} 10.0 is live again: http://{host.address}:80\n"
    assert fleet.service.live() == ["10.0", "10.1", "10.1"]
    lines = (host.disk / f"opt/{NAME}/journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["by"] == "root"
