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
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery.errors import DeliveryError, UsageError
from delivery.git import Git
from delivery.ledger import chain
from delivery.ledger.chain import REF
from delivery.ledger.event import PAYLOAD, Event, now
from delivery.ledger.store import Ledger

from .conftest import TEMPLATE, Toy
from .events import COMMIT, SHA256, an_event, clones


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


@pytest.mark.parametrize(
    "odd",
    [
        "README",
        "9027/README",
        "9027/01/01/00/hello",
        f"9027/01/01/99/{9 * '0'}1.unit.passed.{COMMIT[:12]}.none.01234567.json",
    ],
)
def test_what_is_no_event_of_this_form_is_passed_over_and_kept(toy: Toy, odd: str) -> None:
    ledger = Ledger(Git(toy.root))
    newer = an_event().path()
    body = an_event().statement().replace("event:v1", "event:v9").encode()
    ledger.chain.add(lambda _: {newer: body, odd: b"hello\n"}, "by hand", "Ada <ada@x>")
    written = [ledger.append(an_event()) for _ in range(2)]
    assert ledger.events() == written and written[0].when < written[1].when
    assert newer in toy.git("ls-tree", "-r", "--name-only", REF).splitlines()


def test_a_ref_that_is_no_ledger_is_left_alone(toy: Toy) -> None:
    blob = toy.git("hash-object", "-w", "lint.py")
    toy.git("update-ref", REF, blob)
    with pytest.raises(UsageError, match="is not a ledger"):
        Ledger(Git(toy.root)).append(an_event())
    assert toy.git("rev-parse", REF) == blob


def test_a_ledger_that_another_begins_meanwhile_is_taken_for_one(toy: Toy) -> None:
    class Late(Git):
        """The first answer is old when it comes: meanwhile somebody began the ledger."""

        begun = False

        def text(self, *args: str) -> str:
            try:
                return super().text(*args)
            finally:
                if args[0] == "rev-parse" and not self.begun:
                    self.begun = True
                    Ledger(Git(self.root)).append(an_event())

    Ledger(Late(toy.root)).append(replace(an_event(), reason="late"))
    assert [event.reason for event in Ledger(Git(toy.root)).events()] == [None, "late"]


def test_writers_in_one_clone_lose_nothing(toy: Toy) -> None:
    def write(writer: int) -> None:
        ledger = Ledger(Git(toy.root))
        for number in range(5):
            ledger.append(replace(an_event(), reason=f"{writer}.{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len({e.reason for e in Ledger(Git(toy.root)).events()}) == 20


WRITER = """\
import sys
from itertools import count
from pathlib import Path
from delivery.git import Git
from delivery.ledger.event import Event, now
from delivery.ledger.store import Ledger
ledger = Ledger(Git(Path(sys.argv[1])), "origin")
for number in count():
    reason = f"{sys.argv[2]}.{number}"
    ledger.append(Event("passed", "unit", sys.argv[3], now(), "Ada", "test", reason=reason))
    print(reason, flush=True)
"""


def test_a_writer_killed_at_any_time_leaves_a_whole_ledger(toy: Toy) -> None:
    first, second = clones(toy, 2)
    # What runs on the server's side is not killed with it.
    first.text("config", "remote.origin.receivepack", "setsid git-receive-pack")
    reported: list[str] = []
    for wait in (0.0, 0.03, 0.07, 0.11):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(first.root), str(wait), COMMIT],
            env={**os.environ, "PYTHONPATH": str(TEMPLATE)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert writer.stdout
        said = writer.stdout.readline()  # that much is written, whatever comes
        time.sleep(wait)
        os.killpg(writer.pid, signal.SIGKILL)
        reported += (said + writer.communicate()[0]).split()
    assert len(reported) >= 4
    for git in (second, first):  # what was reported is at the remote, not in the clone alone
        ledger = Ledger(git, "origin")
        ledger.sync()
        git.text("fsck", "--connectivity-only", "--strict")
        kept = [str(event.reason) for event in ledger.events()]
        assert len(kept) == len(set(kept)) and set(reported) <= set(kept)
        assert len(kept) <= len(reported) + 4  # one in each writer's hand
        reported.append(f"after {git.root.name}")
        ledger.append(an_event(reason=reported[-1]))
        assert len(ledger.events()) == len(kept) + 1


def test_the_lock_of_a_dead_writer_does_not_stop_the_next_one(toy: Toy) -> None:
    ledger = Ledger(Git(toy.root))
    ledger.append(an_event())
    lock = Path(toy.root, ".git", REF + ".lock")
    lock.touch()
    os.utime(lock, (0, 0))
    ledger.append(an_event())
    assert len(ledger.events()) == 2


def test_a_ref_that_keeps_changing_is_given_up_at_last(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "PATIENCE", 0.3)
    ledger = Ledger(Git(toy.root))
    ledger.append(an_event())
    lock = Path(toy.root, ".git", REF + ".lock")
    lock.touch()  # and its owner is alive
    with pytest.raises(DeliveryError, match="ledger kept changing for 0.3 s: run this again"):
        ledger.append(an_event())
    lock.unlink()
    assert len(ledger.events()) == 1


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
    bare = Git(clones(toy, 1)[0].root.parent / "bare.git")
    toy.git("remote", "add", "origin", str(bare.root))
    toy.git("update-ref", REF, "HEAD")
    for ask in (
        lambda: Ledger(Git(toy.root)).append(an_event()),
        Ledger(Git(toy.root)).events,
        Ledger(Git(toy.root), "origin").sync,
    ):
        with pytest.raises(UsageError, match="is not a ledger"):
            ask()
    for command in ("status", "board", "log", "verify", "export --all x"):
        done = toy.delivery(*command.split())
        assert done.returncode == 2, command
        assert "refs/delivery/ledger is not a ledger" in done.stderr, command
    assert toy.git("rev-parse", REF) == toy.git("rev-parse", "HEAD")
    assert not bare.text("for-each-ref", REF)


def test_branches_named_like_the_ledger_or_a_stage_mean_nothing(toy: Toy) -> None:
    for name in ("delivery/ledger", "ledger", "unit"):
        toy.git("branch", name)
    first, second = clones(toy, 2)
    Ledger(first, "origin").append(an_event())
    ledger = Ledger(second, "origin")
    ledger.sync()
    assert len(ledger.events(stage="unit")) == 1


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
