"""A fleet as its team sees it: python3 -m delivery, and what is left when that is not there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.role.conftest import wait
from tests.delivery.role.wheels import NAME

from .conftest import Service
from .fleet import PIPELINE, Fleet, founded
from .lab import Lab

pytestmark = pytest.mark.hosts


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A project whose production runs 10.1, and ran 10.0 before."""
    service = Service(lab, tmp_path_factory.mktemp("fleet"), ("h2", "h3", "h4"))
    # The canary has tests of its own.
    service.variables = {"service_batches": ["100%"]}
    return founded(service, "10.0", "10.1")


def test_a_rollback_goes_back_everywhere(fleet: Fleet) -> None:
    done = fleet.delivery("rollback", "production", "--reason", "prices are wrong")
    assert done.returncode == 0, done.stderr
    assert "10.0 is live in production again" in done.stdout
    assert fleet.service.live() == ["10.0"] * 3
    again = fleet.delivery("deploy", "production", "10.1", "--force", "--reason", "they are right")
    assert again.returncode == 0, again.stderr


def test_a_rollback_of_settings_goes_back_everywhere(fleet: Fleet) -> None:
    service = fleet.service
    fleet.inventory(service_environment={"TINY_WORD": "bad"})
    done = fleet.delivery("deploy", "production", "10.1", "--force", "--reason", "settings")
    assert done.returncode == 0, done.stderr
    assert [service.get(host, "/")["word"] for host in service.hosts] == ["bad"] * 3
    done = fleet.delivery("rollback", "production", "--reason", "settings are wrong")
    fleet.inventory()
    assert done.returncode == 0, done.stderr
    assert [service.get(host, "/")["word"] for host in service.hosts] == [""] * 3
    assert service.live() == ["10.1"] * 3


def test_an_attempt_killed_in_its_bake_goes_back_when_the_next_one_fails(fleet: Fleet) -> None:
    service, before = fleet.service, fleet.service.live()
    told = {"service_batches": [1, "100%"], "service_bake_seconds": 60}
    fleet.inventory(**told)
    fleet.built("10.2", "sick where told")
    with fleet.begun("deploy", "production", "10.2", "--force", "--reason", "try"):
        wait(lambda: service.live() == ["10.2", *before[1:]], 120)
        refused = fleet.delivery("rollback", "production")
        assert refused.returncode == 3, refused.stderr
        said = (
            "h2: The hosts of this service are being rolled out to by ada with version 10.2, since "
        )
        assert said in refused.stderr
        assert " Or insist: python3 -m delivery rollback production --force --" in refused.stderr
        assert service.live() == ["10.2", *before[1:]]
    service.differences = {"h3": {"service_environment": {"TINY_SICK": "yes"}}}
    fleet.inventory(**told | {"service_bake_seconds": 1})
    # The one that was killed makes way by itself.
    done = fleet.delivery("deploy", "production", "10.2")
    service.differences = {}
    fleet.inventory()
    assert done.returncode == 1 and "h3: " in done.stderr, done.stderr
    assert service.live() == before, done.stderr


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
    done = elsewhere.delivery("restore", "production")
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
    done = lab.run([*ssh, f"/opt/{NAME}/rollback", "10.0"], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{NAME} 10.0 is live again: http://{host.address}:80\n"
    assert fleet.service.live() == ["10.0", "10.1", "10.1"]
    lines = (host.disk / f"opt/{NAME}/journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["by"] == "root"


def test_a_host_that_joined_later_keeps_all_where_they_are(fleet: Fleet) -> None:
    done = fleet.delivery("rollback", "production", "--reason", "prices are wrong")
    assert done.returncode == 1
    assert f"h4: {NAME} has nothing to go back to in /opt/{NAME}: 10.1 is the" in done.stderr
    assert fleet.service.live() == ["10.0", "10.1", "10.1"]
