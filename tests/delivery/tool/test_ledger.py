"""The ledger keeps every event, whoever writes at the same time and however a writer ends."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from delivery.errors import DeliveryError, UsageError
from delivery.event import PAYLOAD, Event, now
from delivery.git import Git
from delivery.ledger import REF, Ledger

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
    other = replace(an_event(), event="failed", stage="lint", commit="d" * 40)
    first = an_event(sha256=SHA256, wheel="toy-1.whl")
    for event in (first, other):
        ledger.append(event)
    assert ledger.events(event=("failed",)) == [other]
    assert ledger.events(stage="unit") == [first]
    assert ledger.events(about=SHA256) == [first]
    assert ledger.events(about=COMMIT) == [first]
    assert ledger.events(about="a" * 12 + "b" * 52) == []


def test_what_is_no_event_of_this_form_is_passed_over_and_kept(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    newer = an_event().path()
    tip = ledger._tip(REF)
    body = an_event().statement().replace("event:v1", "event:v9").encode()
    assert ledger._commit(REF, tip, {newer: body, "README": b"hello\n"}, "by hand")
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
        for number in range(5):
            ledger.append(replace(an_event(), reason=f"{git.root.name}.{number}"))

    gits = clones(toy, 4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, gits))
    late = Ledger(gits[0], "origin")
    late.sync()
    assert len({e.reason for e in late.events()}) == 20


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
        "from delivery.ledger import Ledger\n"
        "from delivery.event import Event, now\n"
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
    Path(toy.root, ".git", "refs", "delivery", "ledger.lock").unlink(missing_ok=True)
    ledger = Ledger(Git(toy.root))
    before = len(ledger.events())
    toy.git("fsck", "--connectivity-only", "--strict")
    ledger.append(an_event())
    assert len(ledger.events()) == before + 1


def test_a_name_for_who_acts_is_found_without_a_git_identity(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    from delivery.event import author

    git = Git(toy.root)
    assert "@" in author(git)
    Ledger(git).append(an_event(by=author(git)))
    monkeypatch.setenv("DELIVERY_BY", "grace")
    assert author(git) == "grace"
