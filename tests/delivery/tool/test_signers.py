"""Whose signature counts: the signers of the default branch, as they are now."""

from __future__ import annotations

from pathlib import Path

import pytest

from .people import ASKS, AUTHOR, GRACE, MALLORY, People, approved
from .story import Story

SETTINGS = ASKS  # of the story


def test_a_key_that_is_not_allowed_does_not_approve(people: People) -> None:
    people.become(MALLORY)
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "is not signed by anybody in delivery/allowed_signers" in done.stderr
    assert people.story.project.ledger.events(event=("approved",)) == []


def test_a_branch_cannot_allow_its_own_signers(people: People) -> None:
    story = people.story
    story.toy.git("checkout", "--quiet", "-b", "mine")
    people.allow(GRACE, MALLORY)
    people.become(MALLORY)
    done = story.toy.delivery("approve", story.version)
    assert done.returncode == 3
    assert "is not signed by anybody in" in done.stderr


def test_who_is_no_longer_allowed_has_not_approved(people: People) -> None:
    story, about = people.story, dict(people.story.about)
    approved(story)
    people.allow(MALLORY)
    story.about = about
    assert "is not signed by anybody in" in story.held()["approval"]


def test_the_signers_are_those_of_the_remotes_default_branch(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = people.story
    bare = story.toy.root.parent / "bare.git"
    story.toy.git("clone", "--quiet", "--bare", str(story.toy.root), str(bare))
    story.toy.git("remote", "add", "origin", str(bare))
    monkeypatch.setenv("DELIVERY_LEDGER_REMOTE", "origin")
    people.become(MALLORY)
    line = f"{MALLORY} {Path(f'{people.key(MALLORY)}.pub').read_text()}"
    story.toy.write("delivery/allowed_signers", line)
    story.commit()  # on the default branch, but only here
    story.accept()
    done = story.toy.delivery("approve", story.version)
    assert done.returncode == 3
    assert "is not signed by anybody in" in done.stderr


def test_a_pattern_may_allow_everybody_of_a_place(people: People) -> None:
    key = Path(f"{people.key(GRACE)}.pub").read_text()
    people.story.toy.write("delivery/allowed_signers", f"*@example.org {key}")
    people.story.toy.git("config", "user.email", AUTHOR)
    people.story.commit()
    people.story.accept()
    people.become(GRACE)
    approved(people.story)
    assert people.story.held() == {}


def test_without_signers_an_approval_counts_and_says_that_it_is_not_signed(story: Story) -> None:
    story.toy.git("config", "user.email", GRACE)
    story.toy.git("config", "user.name", "Grace")
    done = story.toy.delivery("approve", story.version)
    assert done.returncode == 0, done.stderr
    assert "(not signed; to sign: git config gpg.format ssh" in done.stdout
    assert story.project.ledger.events(event=("approved",))[-1].envelope is None
    assert story.held() == {}


def test_without_a_default_branch_it_says_what_to_do(story: Story) -> None:
    story.toy.git("branch", "--move", "odd")
    story.toy.git("config", "init.defaultBranch", "nothing")
    done = story.toy.delivery("approve", story.version)
    assert done.returncode == 2
    assert "git config init.defaultBranch NAME" in done.stderr
