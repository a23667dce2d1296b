"""Jobs that may not push the ledger hand their events on as files."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from delivery.git import Git
from delivery.ledger import event
from delivery.ledger.carried import FOLDER
from delivery.ledger.event import Event
from delivery.ledger.store import Ledger


def git(place: Path, *args: str) -> str:
    """Run git in a folder."""
    return subprocess.check_output(["git", *args], cwd=place, text=True).strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository with one commit."""
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", str(work))
    git(work, "commit", "--quiet", "--allow-empty", "--message=Start")
    git(tmp_path, "clone", "--quiet", "--bare", str(work), str(bare))
    return bare


def agent(origin: Path, name: str, push: bool) -> Ledger:
    """Return the ledger of a fresh clone."""
    place = origin.parent / name
    git(origin.parent, "clone", "--quiet", str(origin), str(place))
    return Ledger(Git(place), "origin", push, ("lint", "unit"))


def passed(ledger: Ledger, stage: str = "unit", kind: str = "passed") -> Event:
    """Return what a stage says about the commit that is checked out."""
    return Event(kind, stage, ledger.git.head(), event.now(), "ada@example.org", "test")


def hand_on(one: Ledger, other: Ledger) -> None:
    """Copy what a CI system hands from job to job."""
    (other.git.root / FOLDER).mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-r", f"{one.git.root / FOLDER}/.", other.git.root / FOLDER], check=True)


def test_what_may_not_be_pushed_is_not(origin: Path) -> None:
    tested = agent(origin, "tested", push=False)
    tested.append(passed(tested))
    assert git(origin, "for-each-ref", "refs/delivery") == ""
    assert [e.stage for e in tested.events()] == ["unit"]


def test_the_job_that_may_push_shares_what_others_did_beside_each_other(origin: Path) -> None:
    delivers = agent(origin, "delivers", push=True)
    for stage in ("lint", "unit"):
        tested = agent(origin, stage, push=False)
        tested.append(passed(tested, stage))
        hand_on(tested, delivers)
    delivers.sync()
    delivers.sync()
    other = agent(origin, "other", push=True)
    other.sync()
    assert [e.stage for e in other.events()] == ["lint", "unit"]
    assert git(origin, "rev-list", "--count", "refs/delivery/ledger") == "1"


def test_the_ledger_of_before_is_there_without_pushing(origin: Path) -> None:
    before = agent(origin, "before", push=True)
    before.append(passed(before, "lint"))
    tested = agent(origin, "tested", push=False)
    tested.sync()
    tested.append(passed(tested))
    assert [e.stage for e in tested.events()] == ["lint", "unit"]


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "approved", "environment": "production"},
        {"stage": "acceptance"},
        {"commit": "0" * 40},
    ],
    ids=str,
)
def test_nothing_else_is_believed_of_a_file(origin: Path, forged: dict[str, Any]) -> None:
    tested, delivers = agent(origin, "tested", push=False), agent(origin, "delivers", push=True)
    tested.append(replace(passed(tested), **forged))
    hand_on(tested, delivers)
    delivers.sync()
    assert delivers.events() == []
