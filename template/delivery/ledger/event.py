"""Events: what happened to a commit or its artifact, and how that is written down.

An event is an in-toto Statement v1 (https://in-toto.io/Statement/v1) about the artifact's sha256,
or about the commit as long as there is no artifact. Its path tells when, which stage, what and
about what, so that most questions are answered without opening a file. A signed event is the same
Statement in a DSSE envelope (https://github.com/secure-systems-lab/dsse).
"""

from __future__ import annotations

import base64
import getpass
import json
import os
import random
import re
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from ..git import Git

PREDICATE = "urn:walking-skeleton:event:v1"
STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD = "application/vnd.in-toto+json"
EVENTS = (
    "built",
    "published",
    "deployed",
    "passed",
    "failed",
    "approved",
    "revoked",
    "rolled-back",
    "drift",
    "pruned",
)
EVERYWHERE = "everywhere"  # the stage of what concerns an artifact wherever it is: revoked
PATH = re.compile(
    r"(?P<day>\d{4}/\d\d/\d\d)/(?P<time>\d\d/?\d{10})\.(?P<stage>[a-z0-9-]+)\.(?P<event>[a-z-]+)"
    r"\.(?P<commit>[0-9a-f]{12})\.(?P<sha256>[0-9a-f]{12}|none)\.[0-9a-f]{8}\.json"
)


@dataclass(frozen=True)
class Event:
    """Something that happened to a commit or its artifact.

    Attributes:
        event: what happened, one of ``EVENTS``.
        stage: the stage it happened in, or is about; ``EVERYWHERE`` for a revocation.
        commit: the full hash of the commit.
        at: when, ISO 8601 in UTC with microseconds.
        by: who, as ``name <email>`` or ``login@host``.
        via: through what: a CI system, or the name of the machine.
        wheel: the artifact's file name, once there is an artifact.
        version: its version.
        sha256: its digest, in hexadecimal.
        sbom: the sha256 of the document that tells what a release of it is made of.
        provenance: the sha256 of the document that tells where it comes from.
        attempt: which try of the stage for this commit, from 1.
        seconds: how long it took.
        index: the index it was put into, where that has a name for others.
        environment: the environment that was changed, or that an approval is for.
        hosts: the hosts that were changed.
        url: where the environment answers.
        system: the system's packages that the release needs there, with their versions.
        migrated: whether the release's migration was run, before it went live.
        reason: why, for what went wrong or was done on purpose; one sentence.
        forced: whether a gate was overruled.
        code: the tree of ``delivery/`` a deployment was made with, as git names it: role,
            playbooks, inventories; None when it was not committed.
        expires: until when an approval holds, ISO 8601.
        envelope: the DSSE envelope the event came in; None when it is not signed. Whether the
            signature is good is another question: see `signature`.
    """

    event: str
    stage: str
    commit: str
    at: str
    by: str
    via: str
    wheel: str | None = None
    version: str | None = None
    sha256: str | None = None
    sbom: str | None = None
    provenance: str | None = None
    attempt: int | None = None
    seconds: float | None = None
    index: str | None = None
    environment: str | None = None
    hosts: tuple[str, ...] = ()
    url: str | None = None
    system: tuple[str, ...] = ()
    migrated: bool = False
    reason: str | None = None
    forced: bool = False
    code: str | None = None
    expires: str | None = None
    envelope: str | None = None

    @property
    def when(self) -> datetime:
        """The moment it happened."""
        return datetime.fromisoformat(self.at)

    def path(self) -> str:
        """Return the path of the event's file on the ref, unique to this call.

        One folder an hour: every append makes new trees on its path, and small ones are what keeps
        the first fetch of a long history fast.
        """
        when = self.when.astimezone(UTC)
        about = f"{self.commit[:12]}.{self.sha256[:12] if self.sha256 else 'none'}"
        name = f"{self.stage}.{self.event}.{about}.{random.getrandbits(32):08x}"
        return f"{when:%Y/%m/%d/%H/%M%S%f}.{name}.json"

    def statement(self) -> str:
        """Return the event as an in-toto Statement, one JSON document."""
        wheel = {"name": self.wheel, "digest": {"sha256": self.sha256}}
        source = {"name": "commit", "digest": {"gitCommit": self.commit}}
        kept = {k: v for k, v in asdict(self).items() if v not in (None, (), False)}
        for said_elsewhere in ("wheel", "sha256", "envelope"):
            kept.pop(said_elsewhere, None)
        document = {
            "_type": STATEMENT,
            "subject": [wheel if self.sha256 else source],
            "predicateType": PREDICATE,
            "predicate": kept,
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def body(self) -> str:
        """Return what the ledger keeps: the envelope of a signed event, else the Statement."""
        return self.envelope or self.statement()

    @classmethod
    def parse(cls, text: bytes) -> Event | None:
        """Return the event that ``text`` states; None when it is of another or a newer form."""
        try:
            document, envelope = json.loads(text), None
            if document.get("payloadType") == PAYLOAD:
                envelope = text.decode()
                document = json.loads(base64.b64decode(document["payload"], validate=True))
            if document["_type"] != STATEMENT or document["predicateType"] != PREDICATE:
                return None
            told = {f.name: document["predicate"].get(f.name, f.default) for f in fields(cls)}
            subject = document["subject"][0]
            if "sha256" in subject["digest"]:
                told |= {"wheel": subject["name"], "sha256": subject["digest"]["sha256"]}
            told |= {name: tuple(told[name]) for name in ("hosts", "system")}
            told |= {"envelope": envelope}
            found = cls(**told)
            moments = [found.at, found.expires] if found.expires else [found.at]
            aware = all(datetime.fromisoformat(moment).tzinfo for moment in moments)
            return found if aware and _typed(found) else None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return None


def _typed(event: Event) -> bool:
    """Return whether every field holds what its annotation says: others write ledgers, too."""
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "str | None": (str, type(None)),
        "int | None": (int, type(None)),
        "float | None": (float, int, type(None)),
        "bool": (bool,),
        "tuple[str, ...]": (tuple,),
    }
    return all(
        isinstance(getattr(event, field.name), kinds[str(field.type)]) for field in fields(event)
    ) and all(isinstance(host, str) for host in event.hosts + event.system)


def moment(path: str) -> datetime | None:
    """Return when an event happened, by its file's path; None when that is no event's.

    >>> moment("2026/01/05/10/3000000000.unit.passed.cccccccccccc.none.01234567.json").isoformat()
    '2026-01-05T10:30:00+00:00'
    >>> moment("2027/README")
    """
    found = PATH.fullmatch(path)
    try:
        digits = f"{found['day']}{found['time']}".replace("/", "") if found else ""
        return datetime.strptime(digits, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def now() -> str:
    """Return this moment as events tell it: ISO 8601, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def login() -> str:
    """Return ``login@host`` of whoever runs this."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, in a container say
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def author(git: Git) -> str:
    """Return who acts: ``$DELIVERY_BY``, git's identity, or login and host."""
    return os.environ.get("DELIVERY_BY") or git.identity() or login()


def email(by: str) -> str:
    """Return the address in ``name <email>``, or all of it where there is none.

    >>> email("Ada Lovelace <ada@example.org>"), email("ada@host")
    ('ada@example.org', 'ada@host')
    """
    return by.partition("<")[2].rstrip(">") or by


def via() -> str:
    """Return through what they act: ``$DELIVERY_VIA``, or this machine's name."""
    return os.environ.get("DELIVERY_VIA") or socket.gethostname()
