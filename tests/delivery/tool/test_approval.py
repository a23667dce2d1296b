"""Approvals: signed by real SSH keys, and good for one artifact, one place and some days."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from delivery.ledger import signature
from delivery.ledger.event import Event, now

from .conftest import Toy
from .people import ASKS, AUTHOR, GRACE, MALLORY, People, approved, put, waits
from .story import PLACES, Story

SETTINGS = ASKS  # of the story


DEPLOY = """\
import sys
from pathlib import Path
from delivery.pipeline import gate
from delivery.project import Project
project, where = Project.find(Path.cwd()), sys.argv[1]
code = gate.code(project.git)
project.record("deployed", where, project.artifact(), environment=where, code=code)
"""
TOX = """
[env.acceptance]
commands = [["python", "deploy.py", "acceptance"]]

[env.load]
commands = [["python", "-c", "pass"]]

[env.production]
commands = [["python", "deploy.py", "production"]]
"""


def test_a_stage_that_asks_waits_and_says_for_what(story: Story) -> None:
    done = story.toy.delivery("run", "production")
    assert done.returncode == 3
    assert f"python3 -m delivery approve {story.version}" in done.stderr
    assert "waits for an approval" in done.stderr and done.stderr.count("\n") == 1


def test_a_walk_stops_for_an_approval_and_goes_on_with_it(ready: Toy) -> None:
    ready.write("delivery.toml", (ready.root / "delivery.toml").read_text() + PLACES + ASKS)
    ready.write("tox.toml", (ready.root / "tox.toml").read_text() + TOX)
    ready.commit(deploy_py=DEPLOY)
    done = ready.delivery("walk")
    assert done.returncode == 3, done.stdout + done.stderr
    assert ready.log()[-1] == "load passed"
    command = done.stderr.strip().partition("python3 -m delivery ")[2].split()
    ready.git("config", "user.email", GRACE)
    ready.git("config", "user.name", "Grace")
    assert ready.delivery(*command).returncode == 0
    done = ready.delivery("walk")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ready.log()[-3:] == [
        "production approved", "production deployed", "production passed"
    ]  # fmt: skip


def test_an_approval_by_an_allowed_key_opens_the_gate(people: People) -> None:
    story = people.story
    given = approved(story)
    assert given.envelope and given.environment == "production"
    assert given.sha256 == story.about["sha256"] and given.commit == story.about["commit"]
    assert story.held() == {}


def test_a_signed_approval_is_a_dsse_envelope_that_ssh_keygen_verifies(people: People) -> None:
    document = json.loads(str(approved(people.story).envelope))
    payload = base64.b64decode(document["payload"])
    assert json.loads(payload)["_type"] == "https://in-toto.io/Statement/v1"
    kind = document["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    armor = "-----{} SSH SIGNATURE-----"
    sig = people.folder / "sig"
    body = document["signatures"][0]["sig"]
    sig.write_text(f"{armor.format('BEGIN')}\n{body}\n{armor.format('END')}\n")
    allowed = str(people.story.toy.root / "delivery" / "allowed_signers")
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", GRACE, "-s", str(sig)]
    subprocess.run([*command, "-n", signature.NAMESPACE], input=signed, check=True)


def test_a_forged_approval_is_refused(people: People) -> None:
    people.become(GRACE, key=people.key(MALLORY))  # says to be Grace
    forged = Event("approved", "production", at=now(), by=f"Grace <{GRACE}>", via="x",
                   environment="production", expires="2999-01-01T00:00:00+00:00",
                   **people.story.about)  # fmt: skip
    signed = signature.sign(people.story.project.git, forged.statement())
    put(people.story, replace(forged, envelope=signed))
    assert "is not signed by anybody in" in waits(people.story)


def test_an_approval_without_a_signature_is_refused_where_there_are_signers(people: People) -> None:
    put(people.story, replace(approved(people.story), envelope=None, at=now()))
    people.story.toy.git("config", "--unset", "gpg.format")
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "is not signed, and" in done.stderr and "git config gpg.format ssh" in done.stderr


@pytest.mark.parametrize("field", ["expires", "reason", "environment"])
def test_an_altered_approval_is_refused(people: People, field: str) -> None:
    story = people.story
    given = approved(story)
    document = json.loads(str(given.envelope))
    statement = json.loads(base64.b64decode(document["payload"]))
    statement["predicate"]["at"] = now()
    statement["predicate"][field] = {
        "expires": "2999-01-01T00:00:00+00:00",
        "reason": "another",
        "environment": "production",
    }[field]
    document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    story.commit()
    story.accept()
    altered = Event.parse(json.dumps(document).encode())
    assert altered
    altered = replace(altered, **story.about)
    statement["subject"] = json.loads(altered.statement())["subject"]
    statement["predicate"] |= {"commit": altered.commit, "version": altered.version}
    document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    put(story, altered, document)
    assert "is not signed by anybody in" in waits(story)


def test_the_author_does_not_approve_with_four_eyes(people: People) -> None:
    people.become(AUTHOR)
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "is by the author of the commit" in done.stderr
    people.story.toy.git("config", "user.email", GRACE)  # the key tells who it is
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "is by the author of the commit" in done.stderr


def test_who_commits_in_the_name_of_somebody_else_does_not_approve_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Eve")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "eve@example.org")
    people.become(GRACE)
    people.story.commit()
    people.story.accept()
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "is by the committer of the commit, Grace, and four_eyes asks" in done.stderr


def test_an_approval_does_not_hold_for_ever(people: People) -> None:
    story = people.story
    given = approved(story)
    then = datetime.now(UTC) - timedelta(days=8)
    old = replace(given, at=then.isoformat(), expires="2999-01-01T00:00:00+00:00", envelope=None)
    story.toy.git("update-ref", "refs/delivery/ledger", "refs/delivery/ledger~1")
    put(story, replace(old, envelope=signature.sign(story.project.git, old.statement())))
    assert "held until" in waits(story)


def test_an_approval_from_the_future_is_refused(people: People) -> None:
    story = people.story
    then = datetime.now(UTC) + timedelta(days=30)
    early = replace(approved(story), at=then.isoformat(), envelope=None)
    story.toy.git("update-ref", "refs/delivery/ledger", "refs/delivery/ledger~1")
    put(story, replace(early, envelope=signature.sign(story.project.git, early.statement())))
    assert "is from the future" in waits(story)


def test_an_approval_is_not_replayed_for_another_artifact(people: People) -> None:
    story = people.story
    given = approved(story)
    story.commit()
    story.accept()
    copied = replace(given, **story.about).path()
    story.project.ledger.chain.add(lambda _: {copied: given.body().encode()}, "copy", GRACE)
    assert "nobody has approved it" in waits(story)


def test_an_approval_is_not_replayed_in_another_environment(people: People) -> None:
    story = people.story
    given = replace(approved(story), environment="acceptance", envelope=None)
    story.toy.git("update-ref", "refs/delivery/ledger", "refs/delivery/ledger~1")
    put(story, replace(given, envelope=signature.sign(story.project.git, given.statement())))
    assert "nobody has approved it" in waits(story)


def test_an_approval_is_not_replayed_after_a_rollback(people: People) -> None:
    story = people.story
    given = approved(story)
    story.deploy("production")
    story.tell("rolled-back", "production", environment="production")
    later = replace(given, at=now(), envelope=None).path()
    story.project.ledger.chain.add(lambda _: {later: given.body().encode()}, "copy", GRACE)
    assert "was given before the rollback" in story.held()["approval"]
    approved(story)
    assert story.held() == {}


def test_a_signature_made_for_something_else_is_refused(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "NAMESPACE", "git")
    given = replace(approved(people.story), envelope=None)
    other = signature.sign(people.story.project.git, given.statement())
    monkeypatch.undo()
    people.story.toy.git("update-ref", "refs/delivery/ledger", "refs/delivery/ledger~1")
    put(people.story, replace(given, envelope=other))
    assert "is not signed by anybody in" in waits(people.story)


def test_what_has_not_passed_is_not_approved(people: People) -> None:
    people.story.tell("failed", "load")
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 3
    assert "production takes only what passed load" in done.stderr


def test_a_key_that_is_gone_is_named(people: People) -> None:
    people.become(GRACE, key=people.folder / "nothing")
    done = people.story.toy.delivery("approve", people.story.version)
    assert done.returncode == 1
    assert "nothing.pub does not sign" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "args", "said"),
    [
        ("", ("approve", "V"), "nothing asks for an approval: set approval = true"),
        (ASKS, ("approve", "V", "--environment", "acceptance"), "an approval in acceptance: set"),
        (ASKS, ("approve", "V", "--environment", "moon"), "no stage deploys to 'moon'"),
        (ASKS, ("approve", "9.9"), "is called '9.9'"),
        (ASKS, ("revoke", "9.9"), "is called '9.9'"),
    ],
)
def test_a_wrong_approval_is_explained(
    toy: Toy, settings: str, args: tuple[str, ...], said: str
) -> None:
    story = Story(toy, settings)
    done = toy.delivery(*(story.version if word == "V" else word for word in args))
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
