"""The ledger keeps every event, whoever writes at the same time and however a writer ends."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery.errors import DeliveryError, UsageError
from delivery.git import Git
from delivery.ledger.chain import REF
from delivery.ledger.event import PAYLOAD, Event, now
from delivery.ledger.store import Ledger

from .conftest import TEMPLATE, Toy

COMMIT = "c" * 40
SHA256 = "a" * 64


def an_event(**more: object) -> Event:
    told = {"commit": COMMIT, "at": now(), "by": "Ada", "via": "test", **more}
    return Event("passed", "unit", **told)  # type: ignore[arg-type]  # fields by name


def test_an_event_comes_back_as_it_was_written(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    written = an_event(
        wheel="toy-1.whl",
        version="1",
        sha256=SHA256,
        attempt=2,
        seconds=1.5,
        hosts=("a", "b"),
        migrated=True,
        reason="Ünïcode",
    )
    ledger.append(written)
    assert ledger.events() == [written]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"passed"', "7"),
        ('"Ada"', "null"),
        ("+00:00", ""),
        ('"seconds": 1.5', '"seconds": "long"'),
        ('"seconds": 1.5', '"hosts": [3]'),
        ('"seconds": 1.5', '"expires": "tomorrow"'),
        ("Statement/v1", "Statement/v2"),
    ],
)
def test_a_record_of_another_form_is_no_event(old: str, new: str) -> None:
    text = an_event(seconds=1.5).statement()
    assert Event.parse(text.encode()) and old in text
    assert Event.parse(text.replace(old, new).encode()) is None


def test_a_signed_event_comes_in_its_envelope() -> None:
    event = an_event(sha256=SHA256, wheel="toy-1.whl")
    payload = base64.b64encode(event.statement().encode()).decode()
    envelope = json.dumps({"payloadType": PAYLOAD, "payload": payload, "signatures": []})
    assert Event.parse(envelope.encode()) == replace(event, envelope=envelope)
    assert replace(event, envelope=envelope).body() == envelope


def test_an_event_is_an_in_toto_statement_about_the_wheel(toy: Toy) -> None:
    document = json.loads(an_event(wheel="toy-1.whl", sha256=SHA256).statement())
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["subject"] == [{"name": "toy-1.whl", "digest": {"sha256": SHA256}}]


def test_before_there_is_an_artifact_the_statement_is_about_the_commit(toy: Toy) -> None:
    document = json.loads(an_event().statement())
    assert document["subject"] == [{"name": "commit", "digest": {"gitCommit": COMMIT}}]


def test_events_are_asked_for_by_kind_stage_and_digest(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    first = an_event(sha256=SHA256, wheel="toy-1.whl")
    other = replace(an_event(), event="failed", stage="lint", commit="d" * 40)
    for event in (first, other):
        ledger.append(event)
    assert ledger.events(event=("failed",)) == [other]
    assert ledger.events(stage="unit") == [first]
    assert ledger.events(about=SHA256) == [first]
    assert ledger.events(about=COMMIT) == [first]
    assert ledger.events(about="a" * 12 + "b" * 52) == []


def test_a_ledger_from_before_there_were_hours_is_read_and_goes_on(toy: Toy) -> None:
    ledger, first = Ledger(Git(toy.root)), an_event()
    year, month, day, hour, name = first.path().split("/")
    before = {f"{year}/{month}/{day}/{hour}{name}": first.body().encode()}
    ledger.chain.add(lambda _: before, "unit passed", "Ada <ada@example.org>")
    assert ledger.events() == [first]
    second = ledger.append(an_event())
    assert ledger.events() == [first, second]
    assert ledger.events(newest=1) == [second]
    done = toy.delivery("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_no_event_of_this_form_is_passed_over_and_kept(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    newer = an_event().path()
    body = an_event().statement().replace("event:v1", "event:v9").encode()
    ledger.chain.add(lambda _: {newer: body, "README": b"hello\n"}, "by hand", "Ada <ada@x>")
    ledger.append(an_event())
    assert len(ledger.events()) == 1
    assert newer in toy.git("ls-tree", "-r", "--name-only", REF).splitlines()


def test_a_ref_that_is_no_ledger_is_left_alone(toy: Toy) -> None:
    blob = toy.git("hash-object", "-w", "lint.py")
    toy.git("update-ref", REF, blob)
    with pytest.raises(UsageError, match="is not a ledger"):
        Ledger(Git(toy.root)).append(an_event())
    assert toy.git("rev-parse", REF) == blob


def test_writers_in_one_clone_lose_nothing(toy: Toy) -> None:
    def write(writer: int) -> None:
        ledger = Ledger(Git(toy.root))
        for number in range(5):
            ledger.append(replace(an_event(), reason=f"{writer}.{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len({e.reason for e in Ledger(Git(toy.root)).events()}) == 20


def clones(toy: Toy, count: int) -> list[Git]:
    """Return clones of the project that share one bare remote."""
    bare = toy.root.parent / "bare.git"
    toy.git("clone", "--quiet", "--bare", str(toy.root), str(bare))
    subprocess.run(["git", "-C", bare, "config", "receive.denyNonFastForwards", "true"], check=True)
    made = [toy.root.parent / f"clone{number}" for number in range(count)]
    for path in made:
        toy.git("clone", "--quiet", str(bare), str(path))
    return [Git(path) for path in made]


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


def test_a_writer_killed_at_any_time_leaves_a_whole_ledger(toy: Toy) -> None:
    script = (
        "from pathlib import Path\nfrom delivery.git import Git\n"
        "from delivery.ledger.store import Ledger\n"
        "from delivery.ledger.event import Event, now\n"
        f"ledger = Ledger(Git(Path({str(toy.root)!r})))\n"
        f"while True: ledger.append(Event('passed', 'unit', '{COMMIT}', now(), 'Ada', 'test'))\n"
    )
    for wait in (0.25, 0.3, 0.37, 0.45):
        writer = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(TEMPLATE)},
            start_new_session=True,
        )
        time.sleep(wait)
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
    ledger = Ledger(Git(toy.root))
    before = len(ledger.events())
    toy.git("fsck", "--connectivity-only", "--strict")
    ledger.append(an_event())
    assert len(ledger.events()) == before + 1


def test_the_lock_of_a_dead_writer_does_not_stop_the_next_one(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    ledger.append(an_event())
    lock = Path(toy.root, ".git", REF + ".lock")
    lock.touch()
    os.utime(lock, (0, 0))
    ledger.append(an_event())
    assert len(ledger.events()) == 2


def test_an_event_comes_after_all_that_is_known(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    ahead = datetime.now(UTC) + timedelta(seconds=100)
    first = ledger.append(an_event(at=ahead.isoformat(timespec="microseconds")))
    second = ledger.append(replace(an_event(), event="failed"))
    assert second.when == first.when + timedelta(microseconds=1)
    assert ledger.events() == [first, second]


def test_a_clock_far_behind_the_ledger_is_named_and_nothing_is_written(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(Git(toy.root))
    ahead = datetime.now(UTC) + timedelta(days=400)
    first = ledger.append(an_event(at=ahead.isoformat(timespec="microseconds")))
    with pytest.raises(UsageError, match="this machine's clock says .* set the clock"):
        ledger.append(an_event())
    assert ledger.events() == [first]
    monkeypatch.setenv("DELIVERY_SKEW", "1e9")
    assert ledger.append(an_event()).when > first.when


def test_a_ref_of_other_files_is_no_ledger(toy: Toy) -> None:
    toy.git("update-ref", REF, "HEAD")
    with pytest.raises(UsageError, match="is not a ledger"):
        Ledger(Git(toy.root)).append(an_event())
    assert toy.git("rev-parse", REF) == toy.git("rev-parse", "HEAD")


def test_a_remote_ref_of_other_files_is_no_ledger(toy: Toy) -> None:
    (git,) = clones(toy, 1)
    toy.git("push", "--quiet", str(toy.root.parent / "bare.git"), f"HEAD:{REF}")
    with pytest.raises(UsageError, match="refs/delivery/ledger of origin is not a ledger"):
        Ledger(git, "origin").sync()


def test_branches_named_like_the_ledger_or_a_stage_mean_nothing(toy: Toy) -> None:
    for name in ("delivery/ledger", "ledger", "unit"):
        toy.git("branch", name)
    first, second = clones(toy, 2)
    Ledger(first, "origin").append(an_event())
    ledger = Ledger(second, "origin")
    ledger.sync()
    assert len(ledger.events(stage="unit")) == 1


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
    with pytest.raises(DeliveryError, match="python -m delivery sync") as caught:
        Ledger(git, "origin").append(an_event())
    assert "\n" not in str(caught.value) and "does not appear to be a git" in str(caught.value)
    assert len(Ledger(git).events()) == 1


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


def test_a_name_for_who_acts_is_found_without_a_git_identity(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    from delivery.ledger.event import author

    git = Git(toy.root)
    assert "@" in author(git)
    Ledger(git).append(an_event(by=author(git)))
    monkeypatch.setenv("DELIVERY_BY", "grace")
    assert author(git) == "grace"


def test_an_event_tells_the_systems_packages_again() -> None:
    told = Event("deployed", "qa", "c" * 40, now(), "Ada", "test", system=("libpq5 15.10-0",))
    assert Event.parse(told.body().encode()) == told
