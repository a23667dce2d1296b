"""Going back to what was revoked: refused, unless somebody insists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Site
from .test_drift import DEPLOYED, delivery, project
from .wheels import COMMIT


@pytest.fixture()
def root(live: Site, tmp_path: Path) -> Path:
    """Return a project on whose host 1.0, 1.1 and 1.2 were live in turn, as its ledger tells."""
    folder = tmp_path / "project"
    project(folder, {"a": live})
    for number, version in enumerate(("1.0", "1.1", "1.2")):
        wheel = live.wheel(version)
        assert live.told("live", wheel)["version"] == version
        told = (version, wheel.sha256, COMMIT[:-1] + str(number))
        recorded = delivery(folder, "-c", DEPLOYED, *told)
        assert recorded.returncode == 0, recorded.stderr
    return folder


def revoke(root: Path, *versions: str) -> None:
    """Revoke versions."""
    for version in versions:
        told = ("revoke", version, "--reason", f"{version} leaks")
        done = delivery(root, "-m", "delivery", *told)
        assert done.returncode == 0, done.stderr


def test_a_plain_rollback_names_the_release_before_the_revoked_one(root: Path, live: Site) -> None:
    revoke(root, "1.1")
    done = delivery(root, "-m", "delivery", "rollback", "production")
    assert done.returncode == 3, done.stderr
    assert "delivery: 1.1 was revoked by" in done.stderr and "(1.1 leaks): " in done.stderr
    assert "python3 -m delivery rollback production --to 1.0, or insist:" in done.stderr
    assert live.live() == "1.2"
    done = delivery(root, "-m", "delivery", "rollback", "production", "--to", "1.0")
    assert done.returncode == 0, done.stderr
    assert live.live() == "1.0"


def test_without_a_good_release_it_says_commit_a_fix(root: Path, live: Site) -> None:
    revoke(root, "1.0", "1.1")
    done = delivery(root, "-m", "delivery", "rollback", "production")
    assert done.returncode == 3, done.stderr
    assert "(1.1 leaks): commit a fix, or insist:" in done.stderr
    assert live.live() == "1.2"


def test_who_insists_says_why_and_the_ledger_keeps_it(root: Path, live: Site) -> None:
    revoke(root, "1.1")
    command = ("-m", "delivery", "rollback", "production", "--force")
    done = delivery(root, *command)
    assert done.returncode == 2 and "--force needs --reason" in done.stderr
    done = delivery(root, *command, "--reason", "1.2 is worse")
    assert done.returncode == 0, done.stderr
    assert live.live() == "1.1"
    (last,) = json.loads(delivery(root, "-m", "delivery", "log", "-n1", "--json").stdout)
    assert (last["event"], last["forced"], last["reason"]) == ("deployed", True, "1.2 is worse")


def test_what_was_revoked_and_left_already_is_in_nobodys_way(root: Path, live: Site) -> None:
    revoke(root, "1.0", "1.2")
    done = delivery(root, "-m", "delivery", "rollback", "production")
    assert done.returncode == 0, done.stderr
    assert live.live() == "1.1"
