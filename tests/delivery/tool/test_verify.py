"""verify finds what was changed in the ledger; export tells all that happened to an artifact."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from delivery.ledger import signature
from delivery.ledger.chain import REF
from delivery.ledger.event import Event

from .conftest import Toy
from .events import clones
from .people import ASKS, GRACE, People, approved
from .story import Story

SETTINGS = ASKS  # of the story


def verified(story: Story) -> tuple[int, list[str], list[str]]:
    """Return what verify finds: its exit status, the problems and the notes."""
    done = story.toy.delivery("verify", "--json")
    told = json.loads(done.stdout)
    return done.returncode, told["problems"], told["notes"]


def rewrite(story: Story, *lines: str) -> None:
    """Put a commit on the ledger that does something else than adding files."""
    head = f"commit {REF}\ncommitter Mallory <m@example.org> 1700000000 +0000\ndata 1\nx"
    story.project.git.output(
        "fast-import", "--quiet", data="\n".join([head, f"from {REF}^0", *lines, ""]).encode()
    )


def paths(story: Story) -> list[str]:
    """Return the ledger's files."""
    return story.toy.git("ls-tree", "-r", "--name-only", REF).splitlines()


def test_a_ledger_that_only_grew_is_good(story: Story) -> None:
    done = story.toy.delivery("verify")
    assert (done.returncode, done.stdout) == (0, "8 events: no problems\n")


def test_before_there_is_a_ledger_nothing_is_wrong(toy: Toy) -> None:
    assert toy.delivery("verify").stdout == "0 events: no problems\n"


def test_a_changed_file_is_found(story: Story) -> None:
    path = paths(story)[0]
    rewrite(story, f"M 100644 inline {path}", "data 3", "{}")
    status, problems, _ = verified(story)
    assert status == 1
    assert f"{path} was changed in commit" in problems[0] and "Mallory" in problems[0]


def test_a_removed_file_is_found(story: Story) -> None:
    path = paths(story)[0]
    rewrite(story, f"D {path}")
    status, problems, _ = verified(story)
    assert status == 1 and len(problems) == 1
    assert f"{path} was removed in commit" in problems[0]


def test_a_file_that_says_something_else_than_its_name_is_found(story: Story) -> None:
    path = paths(story)[0]
    body = story.toy.git("show", f"{REF}:{path}")
    other = path.replace(".built.", ".passed.")
    rewrite(story, f"M 100644 inline {other}", f"data {len(body)}", body)
    status, problems, _ = verified(story)
    assert status == 1
    assert f"{other} says something else than its name" in problems[0]


def test_records_of_other_forms_are_shown_and_kept(story: Story) -> None:
    newer = paths(story)[0].replace(".built.", ".blessed.")
    rewrite(story, f"M 100644 inline {newer}", "data 2", "{}")
    rewrite(story, "M 100644 inline README", "data 2", "hi")
    status, problems, notes = verified(story)
    assert (status, problems) == (0, [])
    assert [note.split()[0] for note in notes] == [newer, "README"]
    story.tell("failed", "load")
    assert {newer, "README"} <= set(paths(story))


def test_a_bad_signature_and_a_copy_are_found(story: Story, tmp_path: Path) -> None:
    people = People(story, tmp_path / "keys")
    people.become(GRACE)
    given = approved(story)
    document = json.loads(str(given.envelope))
    payload = base64.b64decode(document["payload"]).replace(b"2026", b"2027")
    document["payload"] = base64.b64encode(payload).decode()
    other = Event.parse(json.dumps(document).encode())
    assert other
    story.project.ledger.chain.add(
        lambda _: {other.path(): other.body().encode(), given.path(): given.body().encode()},
        "forge",
        GRACE,
    )
    status, problems, _ = verified(story)
    assert status == 1
    assert any("has a bad signature" in problem for problem in problems)
    assert any("is a copy of" in problem for problem in problems)


def test_who_signed_and_is_no_longer_allowed_is_a_note(story: Story, tmp_path: Path) -> None:
    people = People(story, tmp_path / "keys")
    people.become(GRACE)
    approved(story)
    people.allow("mallory@example.org")
    status, problems, notes = verified(story)
    assert (status, problems) == (0, [])
    assert "is signed by nobody in delivery/allowed_signers of main" in notes[0]


def test_a_rewritten_remote_is_found_with_what_is_missing(story: Story) -> None:
    (git,) = clones(story.toy, 1)
    bare = story.toy.root.parent / "bare.git"
    here = replace(story.toy, root=git.root)
    settings = (git.root / "delivery.toml").read_text()
    (git.root / "delivery.toml").write_text(f'{settings}\n[ledger]\nremote = "origin"\n')
    there = Story.__new__(Story)
    there.toy, there.about = here, story.about
    for stage in ("lint", "unit"):
        there.tell("passed", stage)
    assert verified(there) == (0, [], [])
    story.toy.git("-C", str(bare), "update-ref", REF, f"{REF}~1")
    lost = paths(there)[-1]
    status, problems, notes = verified(there)
    assert status == 1
    assert "the ledger was rewritten" in problems[0]
    assert problems[1] == f"origin: {lost} was removed"
    assert "1 appends are not at origin yet" in notes[0]
    story.toy.git("-C", str(bare), "update-ref", "-d", REF)
    assert "has none any more" in verified(there)[1][0]


def test_a_lost_object_is_found(story: Story) -> None:
    blob = story.toy.git("rev-parse", f"{REF}:{paths(story)[0]}")
    (story.toy.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    done = story.toy.delivery("verify")
    assert done.returncode == 1
    assert f"object {blob} of the ledger is missing" in done.stdout


def test_a_bundle_has_all_that_happened_to_an_artifact_and_nothing_else(
    story: Story, tmp_path: Path
) -> None:
    people = People(story, tmp_path / "keys")
    people.become(GRACE)
    approved(story)
    about, version = dict(story.about), story.version
    story.project.record("passed", "docs", None, commit=about["commit"])
    story.commit()
    done = story.toy.delivery("export", version)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 10
    assert [line.get("_type") for line in lines].count("https://in-toto.io/Statement/v1") == 9
    (envelope,) = (line for line in lines if "payloadType" in line)
    assert signature.intact(json.dumps(envelope))
    digests = [line["subject"][0]["digest"] for line in lines if "subject" in line]
    assert {"gitCommit": about["commit"]} in digests
    assert {"sha256": story.about["sha256"]} not in digests


def test_a_bundle_says_the_same_on_a_plain_terminal_and_as_one_list(
    story: Story, tmp_path: Path
) -> None:
    story.tell("failed", "load", reason="Größe → ∞")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    plain.pop("PYTHONIOENCODING", None)  # tox sets it
    done = story.toy.delivery("export", story.version, env=plain)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["predicate"]["reason"] == "Größe → ∞"
    done = story.toy.delivery("export", story.version, "--json")
    assert json.loads(done.stdout) == lines
    done = story.toy.delivery("export", "--all", str(tmp_path), env=plain)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.intoto.jsonl")
    assert [json.loads(line) for line in path.read_text().splitlines()] == lines


def test_every_artifact_gets_its_bundle(story: Story, tmp_path: Path) -> None:
    story.commit()
    done = story.toy.delivery("export", "--all", str(tmp_path / "bundles"))
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "bundles").iterdir())
    assert len(names) == 2
    done = story.toy.delivery("export", "--all", str(tmp_path / "bundles"), "--json")
    assert sorted(json.loads(done.stdout)) == [f"{tmp_path}/bundles/{name}" for name in names]
    assert f"toy-{story.version}.whl.{story.about['sha256'][:12]}.intoto.jsonl" in names


@pytest.mark.parametrize("args", [(), ("1.0", "--all", "x")])
def test_export_asks_for_one_artifact_or_all(toy: Toy, args: tuple[str, ...]) -> None:
    done = toy.delivery("export", *args)
    assert done.returncode == 2
    assert "export needs a VERSION, or --all FOLDER" in done.stderr


def test_sync_brings_both_together(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = story.toy.root.parent / "bare.git"
    story.toy.git("init", "--quiet", "--bare", str(bare))
    story.toy.git("remote", "add", "origin", str(bare))
    monkeypatch.setenv("DELIVERY_LEDGER_REMOTE", "origin")
    done = story.toy.delivery("sync")
    assert done.returncode == 0, done.stderr
    assert story.toy.git("ls-remote", "origin", REF).startswith(story.toy.git("rev-parse", REF))
