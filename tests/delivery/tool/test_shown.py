"""What the board and status say of approvals' signatures, and of drift."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from delivery.ledger import signature
from delivery.ledger.event import now

from .people import ASKS, GRACE, MALLORY, People, approved, put
from .story import Story

SETTINGS = ASKS  # of the story


def cell(story: Story) -> dict[str, Any]:
    """Return what the board tells of production, for the artifact."""
    told = json.loads(story.toy.delivery("board", "--json").stdout)
    (row,) = (one for one in told["versions"] if one["version"] == story.version)
    return dict(row["stages"]["production"])


def shown(story: Story) -> tuple[str, str, str]:
    """Return the board as text and as a page, and status."""
    assert story.toy.delivery("board", "--html", "board.html").returncode == 0
    page = (story.toy.root / "board.html").read_text()
    (story.toy.root / "board.html").unlink()
    return story.toy.delivery("board").stdout, page, story.toy.delivery("status").stdout


def test_an_approval_says_who_signed_it(people: People) -> None:
    story = people.story
    approved(story)
    story.deploy("production")
    assert cell(story)["approval_signature"] == f"signed by {GRACE}"
    assert cell(story)["approval_signed"] is True
    board, page, status = shown(story)
    assert "≠" not in board and "?" not in board
    assert f"approved by Grace, signed by {GRACE}" in page
    assert f"approved by Grace, signed by {GRACE}" in status


def test_an_approval_without_a_signature_says_so(people: People) -> None:
    story = people.story
    given = approved(story)
    put(story, replace(given, envelope=None, at=now()))
    story.deploy("production")
    assert cell(story)["approval_signature"] == "not signed"
    assert cell(story)["approval_signed"] is False
    board, page, status = shown(story)
    assert "? approval not signed" in board
    assert "? not signed" in page and "approved by Grace, not signed" in status


@pytest.mark.parametrize("how", ["altered", "by somebody else", "no longer allowed"])
def test_a_signature_that_does_not_hold_is_no_signature(people: People, how: str) -> None:
    story = people.story
    given = approved(story)
    if how == "altered":
        document = json.loads(str(given.envelope))
        statement = json.loads(base64.b64decode(document["payload"]))
        statement["predicate"]["at"] = now()
        document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
        put(story, replace(given, at=statement["predicate"]["at"]), document)
    elif how == "by somebody else":
        story.toy.git("update-ref", "refs/delivery/ledger", "refs/delivery/ledger~1")
        people.become(GRACE, key=people.key(MALLORY))
        signed = signature.sign(story.project.git, replace(given, envelope=None).statement())
        put(story, replace(given, envelope=signed))
    else:
        about, version = dict(story.about), story.version
        people.allow(MALLORY)
        story.about, story.version = about, version
    story.deploy("production")
    assert cell(story)["approval_signature"] == "signature does not hold"
    assert cell(story)["approval_signed"] is False
    board, page, status = shown(story)
    assert "≠ approval whose signature does not hold" in board
    assert "≠ bad signature" in page
    assert "approved by Grace, signature does not hold" in status


def test_a_signature_in_a_project_without_signers_is_nobodys(story: Story, people: People) -> None:
    approved(story)
    story.toy.git("rm", "--quiet", "delivery/allowed_signers")
    story.toy.git("commit", "--quiet", "--message", "Nobody")
    story.deploy("production")
    assert cell(story)["approval_signature"] == "signed, and there is no delivery/allowed_signers"
    assert "? unproven" in shown(story)[1]


def test_drift_is_shown_until_the_next_deployment(story: Story) -> None:
    story.deploy("production")
    said = "b runs 0.9, the ledger says another"
    story.tell("drift", "production", environment="production", hosts=("b",), reason=said)
    done = story.toy.delivery("status")
    assert done.returncode == 1
    assert f": {said}: python3 -m delivery restore production" in done.stdout
    for command, key in (("status", "environments"), ("board", "environments")):
        told = json.loads(story.toy.delivery(command, "--json").stdout)
        drift = told[key][-1]["drift"]
        assert (drift["reason"], drift["hosts"]) == (said, ["b"])
    board, page, _ = shown(story)
    assert "  drift, found " in board and said in board
    assert "≠ drift, found " in page and said in page

    story.deploy("production")
    done = story.toy.delivery("status", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["environments"][-1]["drift"] is None
    assert "drift" not in "".join(shown(story)[::2])
