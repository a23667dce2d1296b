"""The ledger is shared through a remote: what many write, and what goes wrong on the way."""

from __future__ import annotations

import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from delivery.board import serve
from delivery.errors import DeliveryError, UsageError
from delivery.git import Git
from delivery.ledger.chain import REF
from delivery.ledger.store import Ledger
from delivery.project import Project

from .conftest import TEMPLATE, Toy
from .events import an_event, clones


def test_writers_in_many_clones_lose_nothing(toy: Toy) -> None:
    def write(git: Git) -> None:
        ledger = Ledger(git, "origin")
        for number in range(3):
            ledger.append(replace(an_event(), reason=f"{git.root.name}.{number}"))

    gits = clones(toy, 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, gits))
    late = Ledger(gits[0], "origin")
    late.sync()
    assert len({e.reason for e in late.events()}) == 24


def test_a_fresh_clone_gets_the_ledger(toy: Toy) -> None:
    first, second = clones(toy, 2)
    Ledger(first, "origin").append(an_event())
    ledger = Ledger(second, "origin")
    ledger.sync()
    assert len(ledger.events()) == 1


def test_a_remote_that_refuses_is_an_error_and_the_event_stays_here(toy: Toy) -> None:
    (git,) = clones(toy, 1)
    hook = toy.root.parent / "bare.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no ledger here >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(DeliveryError, match="no ledger here"):
        Ledger(git, "origin").append(an_event())
    hook.unlink()
    later = Ledger(git, "origin")
    later.sync()
    assert len(later.events()) == 1
    assert git.text("ls-remote", "origin", REF)


def test_a_remote_ref_of_other_files_is_no_ledger(toy: Toy) -> None:
    (git,) = clones(toy, 1)
    toy.git("push", "--quiet", str(toy.root.parent / "bare.git"), f"HEAD:{REF}")
    with pytest.raises(UsageError, match="refs/delivery/ledger of origin is not a ledger"):
        Ledger(git, "origin").sync()


def test_a_shallow_clone_gets_the_whole_ledger_and_stays_shallow(toy: Toy) -> None:
    (git,) = clones(toy, 1)
    ledger = Ledger(git, "origin")
    for _ in range(3):
        ledger.append(an_event())
    toy.commit()
    bare, place = toy.root.parent / "bare.git", toy.root.parent / "shallow"
    toy.git("push", "--quiet", str(bare), "HEAD")
    toy.git("clone", "--quiet", "--depth=1", f"file://{bare}", str(place))
    shallow = Git(place)
    shallow.text("checkout", "--quiet", "--detach")
    Ledger(shallow, "origin").append(an_event())
    assert len(Ledger(shallow, "origin").events()) == 4
    assert shallow.text("rev-list", "--count", REF) == "4"
    assert shallow.text("rev-list", "--count", "HEAD") == "1"


def test_events_written_without_the_remote_are_shared_later(toy: Toy) -> None:
    first, second = clones(toy, 2)
    Ledger(first, "origin").append(an_event(reason="there"))
    for reason in ("here", "and here"):
        Ledger(second).append(an_event(reason=reason))
    Ledger(second, "origin").sync()
    ledger = Ledger(first, "origin")
    ledger.sync()
    assert {event.reason for event in ledger.events()} == {"there", "here", "and here"}
    assert not second.text("for-each-ref", "refs/delivery/scratch")


def test_a_remote_out_of_reach_is_one_sentence_and_the_event_stays_here(toy: Toy) -> None:
    (git,) = clones(toy, 1)
    bare = toy.root.parent / "bare.git"
    bare.rename(bare.with_name("elsewhere.git"))
    with pytest.raises(DeliveryError, match="python3 -m delivery sync") as caught:
        Ledger(git, "origin").append(an_event())
    assert "\n" not in str(caught.value) and "does not appear to be a git" in str(caught.value)
    assert len(Ledger(git).events()) == 1


def test_a_wall_screen_brings_a_shared_ledger_up_to_date(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_LEDGER_REMOTE", "origin")
    monkeypatch.setattr(serve, "FRESH", 0.0)
    first, second = clones(toy, 2)
    commit = toy.git("rev-parse", "HEAD")
    with serve.Screen(Project.find(first.root), 5, ("127.0.0.1", 0)) as screen:
        for turn, wait in enumerate((serve.SYNC, 0.0, 0.0)):
            monkeypatch.setattr(serve, "SYNC", wait)
            Ledger(second, "origin").append(an_event(commit=commit, by=f"Turn {turn} <t@x>"))
            assert f"by Turn {turn}" in screen.page().decode()
        monkeypatch.setattr(serve, "SYNC", 60.0)
        Ledger(second, "origin").append(an_event(commit=commit, by="Too Soon <s@x>"))
        assert "by Too Soon" not in screen.page().decode()
        monkeypatch.setattr(serve, "SYNC", 0.0)
        bare = toy.root.parent / "bare.git"
        bare.rename(bare.with_name("elsewhere.git"))
        page = screen.page().decode()
        assert "by Turn 2" in page
        assert "; the shared ledger is out of reach: the ledger cannot be shared" in page
        bare.with_name("elsewhere.git").rename(bare)
        page = screen.page().decode()
        assert "by Too Soon" in page and "out of reach" not in page


@pytest.mark.parametrize("how", ["reset", "deleted", "other"])
def test_a_rewritten_remote_is_not_taken_over(toy: Toy, how: str) -> None:
    (git,) = clones(toy, 1)
    bare = Git(toy.root.parent / "bare.git")
    ledger = Ledger(git, "origin")
    for reason in ("one", "two"):
        ledger.append(an_event(reason=reason))
    if how == "reset":
        bare.text("update-ref", REF, f"{REF}~1")
    else:
        bare.text("update-ref", "-d", REF)
    if how == "other":
        Ledger(Git(toy.root)).append(an_event(reason="another"))
        toy.git("push", "--quiet", str(bare.root), REF)
    with pytest.raises(DeliveryError, match="the ledger at origin was rewritten"):
        ledger.sync()
    assert [event.reason for event in ledger.events()] == ["one", "two"]


def test_the_hook_in_the_docs_lets_the_ledger_only_grow(toy: Toy) -> None:
    page = (TEMPLATE.parent / "docs" / "ledger.rst").read_text()
    block = page.partition(".. code-block:: sh\n\n")[2].partition("\n\n")[0]
    (git,) = clones(toy, 1)
    hook = toy.root.parent / "bare.git" / "hooks" / "update"
    hook.write_text(textwrap.dedent(block) + "\n")
    hook.chmod(0o755)
    for _ in range(2):
        Ledger(git, "origin").append(an_event())
    for what in (f"+{REF}~1:{REF}", f":{REF}"):
        with pytest.raises(DeliveryError, match="the ledger is only ever added to"):
            git.text("push", "origin", what)
    git.text("push", "--quiet", "origin", "HEAD:refs/heads/a", "+HEAD~0:refs/heads/b")
    git.text("push", "--quiet", "origin", ":refs/heads/a")
