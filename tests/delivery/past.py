"""A plausible past: commits, and what a pipeline did with them, made by two fast-imports."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from delivery.ledger.chain import REF
from delivery.ledger.event import EVERYWHERE, Event

PEOPLE = (
    "Ada Lovelace <ada@example.org>",
    "Grace Hopper <grace@example.org>",
    "Edsger Dijkstra <edsger@example.org>",
    "Katherine Johnson <katherine@example.org>",
)
CI = "GitHub Actions <actions@example.org>"
WORK = ("Greet by name", "Round the totals", "Say why a parcel is late", "Take away the old form")
MORE = ("in the morning", "on small screens", "for guests", "without a cookie", "twice as fast")
# A stage, the seconds it takes, and how often it is red.
STAGES = (
    ("lint", 2.6, 0.02),
    ("unit", 3.1, 0.05),
    ("build", 2.7, 0.0),
    ("integration", 2.9, 0.02),
    ("docs", 3.6, 0.01),
    ("security", 4.2, 0.0),
    ("publish", 1.2, 0.0),
    ("acceptance", 11.0, 0.06),
)
PIPELINE = """\
index = "{data}/index"

[stages.lint]
budget = 3

[stages.unit]
budget = 5
tests = true

[stages.build]
budget = 5

[stages.integration]
needs = ["build"]
budget = 15
tests = true

[stages.docs]
budget = 15

[stages.security]
budget = 10

[stages.publish]
needs = ["lint", "unit", "build", "integration", "docs", "security"]
budget = 3

[stages.acceptance]
needs = ["publish"]
environment = "acceptance"
budget = 30
tests = true

[stages.production]
needs = ["acceptance"]
environment = "production"
budget = 15
"""


@dataclass(frozen=True)
class Work:
    """One commit to come."""

    number: int
    at: datetime
    author: str
    subject: str


def fill(root: Path, commits: int, until: datetime, seed: int = 1) -> None:
    """Give a repository commits on ``main``, and a ledger of about eight events for each.

    Args:
        root: the repository; its last commit is the first one's parent.
        commits: how many.
        until: when the last one has come as far as it gets.
        seed: another one gives another past.
    """
    dice = random.Random(seed)
    work = list(_work(commits, until, dice))
    hashes = _commit(root, work)
    random.seed(seed)  # the names of the files have random parts
    events = sorted(_events(work, hashes, dice), key=lambda event: event.at)
    write(root, [event for event in events if event.when <= until])


def write(root: Path, events: list[Event]) -> None:
    """Put events on the ledger as they are, with one commit for each day."""
    stream, day = bytearray(), ""
    parent = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", REF], cwd=root, capture_output=True, check=False
    ).stdout.strip()
    for event in events:
        if event.at[:10] != day:
            start = (
                f"commit {REF}\ncommitter CI <ci@example.org> {int(event.when.timestamp())} +0000"
            )
            stream += f"{start}\ndata 6\nevents\n".encode()
            stream += b"from %s\n" % parent if parent else b""
            day, parent = event.at[:10], b""
        body = event.body().encode()
        stream += f"M 100644 inline {event.path()}\ndata {len(body)}\n".encode() + body + b"\n"
    _import(root, bytes(stream))


def _work(commits: int, until: datetime, dice: random.Random) -> Iterator[Work]:
    at = until - timedelta(minutes=25)
    moments = []
    for _ in range(commits):
        moments.append(at)
        at -= timedelta(minutes=dice.expovariate(1 / 50))
        if at.hour < 8:
            at -= timedelta(hours=9, minutes=dice.randrange(240))
        while at.weekday() > 4:
            at -= timedelta(days=1)
    for number, moment in enumerate(reversed(moments), 1):
        subject = f"{dice.choice(WORK)} {dice.choice(MORE)}"
        yield Work(number, moment, dice.choice(PEOPLE), subject)


def _commit(root: Path, work: list[Work]) -> list[str]:
    """Make the commits; return their hashes."""
    stream = bytearray()
    for one in work:
        when = f"{int(one.at.timestamp())} +0000"
        stream += (
            f"commit refs/heads/main\nmark :{one.number}\nauthor {one.author} {when}\n".encode()
        )
        message = one.subject.encode()
        stream += f"committer {one.author} {when}\ndata {len(message)}\n".encode() + message + b"\n"
        stream += b"from refs/heads/main^0\n" if one.number == 1 else b""
    with tempfile.NamedTemporaryFile() as marks:
        _import(root, bytes(stream), f"--export-marks={marks.name}")
        told = dict(line.split() for line in Path(marks.name).read_text().splitlines())
    return [told[f":{one.number}"] for one in work]


def _import(root: Path, stream: bytes, *options: str) -> None:
    command = ["git", "fast-import", "--quiet", "--date-format=raw", *options]
    subprocess.run(command, cwd=root, input=stream, check=True)


def _events(work: list[Work], hashes: list[str], dice: random.Random) -> Iterator[Event]:
    free = datetime.min.replace(tzinfo=UTC)  # when nobody deploys to production
    before: Event | None = None
    for one, commit in zip(work, hashes):
        minor, rest = divmod(one.number, 25)
        version = f"1.{minor}.0" + (f".post1.dev{rest}+g{commit[:9]}" if rest else "")
        digest = sha256(commit.encode()).hexdigest()
        at = one.at + timedelta(seconds=dice.uniform(20, 90))
        made = False
        for stage, seconds, red in STAGES:
            took = round(seconds * dice.lognormvariate(0, 0.15), 2)
            at += timedelta(seconds=took + dice.uniform(0.2, 1.5))
            event = Event(
                "failed" if dice.random() < red else "passed",
                stage,
                commit,
                at.isoformat(timespec="microseconds"),
                CI,
                "github",
                wheel=f"toy-{version}-py3-none-any.whl" if made else None,
                version=version if made else None,
                sha256=digest if made else None,
                attempt=1,
                seconds=took,
            )
            if stage == "build":
                event = replace(
                    event, wheel=f"toy-{version}-py3-none-any.whl", version=version, sha256=digest
                )
                yield replace(event, event="built", attempt=None, seconds=None)
                made = True
            if stage == "acceptance":
                event = replace(event, environment="acceptance")
                deployed = at - timedelta(seconds=took * 0.6)
                yield _deployed(event, deployed, took * 0.3, CI)
            if event.event == "failed":
                event = replace(event, reason=f"{stage} found something")
            yield event
            if event.event == "failed":
                break
        else:
            wait = dice.lognormvariate(4.2, 1.1)  # minutes until somebody presses the button
            start = max(at + timedelta(minutes=wait), free)
            if (start - at).total_seconds() > 8 * 3600:
                continue  # a newer one is taken instead
            events = list(_production(event, before, start, dice))
            before = events[1] if len(events) == 3 else before
            free = start + timedelta(minutes=40)
            yield from events


def _production(
    accepted: Event, before: Event | None, at: datetime, dice: random.Random
) -> Iterator[Event]:
    """Yield an approval, a deployment, its verdict, and what else may happen to it."""
    person = dice.choice(PEOPLE)
    there = replace(accepted, stage="production", environment="production", by=person, via="laptop")
    approval = replace(there, event="approved", attempt=None, seconds=None, by=dice.choice(PEOPLE))
    yield replace(approval, at=_told(at - timedelta(minutes=2)))
    took = round(6 * dice.lognormvariate(0, 0.2), 2)
    forced = dice.random() < 0.03
    why = "the queue is full, and this empties it" if forced else None
    yield replace(_deployed(there, at, took, person), forced=forced, reason=why)
    yield replace(there, event="passed", at=_told(at + timedelta(seconds=2)), seconds=took + 2)
    if before and dice.random() < 0.07:
        at += timedelta(minutes=dice.lognormvariate(2.5, 0.7))
        why = "the totals are wrong"
        yield replace(_deployed(there, at, 0.4, person), event="rolled-back", reason=why)
        at += timedelta(seconds=1)
        yield replace(before, at=_told(at), by=person, reason=why, forced=False, seconds=0.4)
        if dice.random() < 0.3:
            revoked = replace(approval, event="revoked", stage=EVERYWHERE, environment=None)
            yield replace(revoked, at=_told(at + timedelta(minutes=5)), reason=why)


def _deployed(event: Event, at: datetime, took: float, by: str) -> Event:
    return replace(
        event,
        event="deployed",
        at=_told(at),
        by=by,
        attempt=None,
        seconds=round(took, 2),
        hosts=("localhost",),
        url="http://127.0.0.1:9",
    )


def _told(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
