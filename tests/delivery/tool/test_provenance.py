"""The provenance is signed by whoever builds, if they have a key; verify says what is wrong."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from delivery.artifact import provenance
from delivery.artifact.wheel import digest
from delivery.ledger import signature

from .conftest import Toy

ADA = "ada@example.org"  # whom the tests' git commits as


@pytest.fixture()
def signing(toy: Toy, tmp_path: Path) -> Toy:
    """Return a project whose git is set up to sign with Ada's key."""
    toy.git("config", "init.defaultBranch", toy.git("branch", "--show-current"))
    sign_with(toy, key(tmp_path, "ada"))
    return toy


def key(folder: Path, name: str, phrase: str = "") -> Path:
    """Make an SSH key; return its public half."""
    place = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-C", name, "-f", str(place)]
    subprocess.run(command, check=True)
    return place.with_suffix(".pub")


def sign_with(toy: Toy, public: Path) -> None:
    """Let git sign with a key."""
    toy.git("config", "gpg.format", "ssh")
    toy.git("config", "user.signingkey", str(public))


def build(toy: Toy) -> str:
    """Build the commit, as its stage does; return what was said."""
    done = toy.delivery("build")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def paper(toy: Toy) -> Path:
    """Return the provenance in dist."""
    (place,) = (toy.root / "dist").glob("*.intoto.json")
    return place


def verified(toy: Toy) -> tuple[int, list[str], list[str]]:
    """Return what verify finds: its exit status, the problems and the notes."""
    done = toy.delivery("verify", "--json")
    told = json.loads(done.stdout)
    return done.returncode, told["problems"], told["notes"]


def allow(toy: Toy, public: Path) -> None:
    """Commit that a key is Ada's, and build that commit."""
    toy.write("delivery/allowed_signers", f"{ADA} {public.read_text()}")
    toy.commit()
    build(toy)


def test_whoever_has_a_key_signs_what_they_build(signing: Toy, tmp_path: Path) -> None:
    allow(signing, tmp_path / "ada.pub")
    text = paper(signing).read_text()
    (wheel,) = (signing.root / "dist").glob("*.whl")
    assert json.loads(text)["payloadType"] == "application/vnd.in-toto+json"
    assert signature.intact(text)
    assert provenance.subjects(text) == {digest(wheel)}
    assert verified(signing) == (0, [], [])


def test_building_again_signs_the_same(signing: Toy) -> None:
    build(signing)
    before = paper(signing)
    build(signing)
    assert paper(signing) == before
    assert signing.log().count("build built") == 1


def test_without_a_key_the_build_says_how_to_sign(toy: Toy) -> None:
    assert "provenance not signed; to sign: git config gpg.format ssh" in build(toy)
    assert "payload" not in json.loads(paper(toy).read_text())


def test_a_key_that_is_locked_asks_nobody_and_stops_nothing(toy: Toy, tmp_path: Path) -> None:
    sign_with(toy, key(tmp_path, "locked", "a passphrase"))
    said = build(toy)
    assert "provenance not signed: " in said and "look at git config user.signingkey" in said
    assert "payload" not in json.loads(paper(toy).read_text())


def test_what_nobody_signed_is_a_note_where_signers_are_named(signing: Toy, tmp_path: Path) -> None:
    signing.git("config", "--unset", "gpg.format")
    allow(signing, tmp_path / "ada.pub")
    status, problems, notes = verified(signing)
    assert (status, problems) == (0, [])
    assert notes == [f"{paper(signing).name} is not signed, and main has delivery/allowed_signers"]


def test_what_a_stranger_signed_is_a_note(signing: Toy, tmp_path: Path) -> None:
    allow(signing, key(tmp_path, "grace"))
    (note,) = verified(signing)[2]
    assert note == f"{paper(signing).name} is signed by nobody in delivery/allowed_signers of main"


def test_a_provenance_that_was_changed_is_found(signing: Toy) -> None:
    build(signing)
    paper(signing).write_text(paper(signing).read_text().replace('"sig": "', '"sig": "A'))
    status, problems, _ = verified(signing)
    assert status == 1 and "is not what was written with the artifact" in problems[0]


def forged(toy: Toy, text: str) -> list[str]:
    """Let the ledger name another provenance, as who may push could; return verify's problems."""
    from delivery.project import Project

    build(toy)
    project = Project.find(toy.root)
    artifact = project.artifact()
    assert artifact
    from delivery.artifact import papers

    sha256 = papers.write(toy.root / "dist", artifact, "provenance", json.loads(text))
    project.record("built", "build", artifact, provenance=sha256)
    return verified(toy)[1]


def test_a_signature_of_something_else_is_found(signing: Toy) -> None:
    build(signing)
    told = json.loads(paper(signing).read_text())
    sig = told["signatures"][0]["sig"]
    told["signatures"][0]["sig"] = sig[:-12] + ("AAAAAAAA" + sig[-4:])
    (problem,) = forged(signing, json.dumps(told))
    assert "has a bad signature: it is not what was signed" in problem


def test_the_provenance_of_another_wheel_is_found(signing: Toy) -> None:
    build(signing)
    other = paper(signing).read_text()
    signing.commit("Another")
    (problem,) = forged(signing, other)
    assert "is no provenance of toy-" in problem
