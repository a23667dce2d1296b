"""Fetch: all that a release is made of, or nothing; what other forms of it are made from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from delivery.artifact.wheel import digest

from .conftest import Toy


@pytest.fixture()
def published(toy: Toy) -> Toy:
    """A project with a published wheel, `1.0`, that needs a package; and a commit after it."""
    table = (toy.root / "delivery.toml").read_text()
    toy.commit(delivery_toml=f'{table}\n[system]\npackages = ["libpq5"]\n')
    toy.git("tag", "1.0")
    for command in ("build", "publish"):
        assert toy.delivery(command).returncode == 0
    (next((toy.root / "dist").glob("*.whl"))).unlink()
    (toy.root / "requirements/prod.txt").write_text("# Nothing any more.\n")
    toy.commit()
    return toy


def refused(toy: Toy, status: int, *args: str) -> str:
    """Fetch in vain into `release`; return what was said."""
    done = toy.delivery("fetch", "release", *args)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert not (toy.root / "release").exists() and not [*toy.root.glob(".release*")]
    return done.stderr


def test_it_is_the_wheel_its_own_lock_and_who_it_is(published: Toy, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "release"
    done = published.delivery("fetch", str(folder), "1.0")
    assert done.returncode == 0, done.stderr
    about = json.loads((folder / "release.json").read_text())
    files = {"release.json", "requirements.txt", "toy-1.0-py3-none-any.whl", "wheel.txt"}
    assert {path.name for path in folder.iterdir()} == files
    assert about == {
        "name": "toy",
        "wheel": "toy-1.0-py3-none-any.whl",
        "version": "1.0",
        "sha256": digest(folder / "toy-1.0-py3-none-any.whl"),
        "commit": published.git("rev-parse", "1.0"),
        "system": ["libpq5"],
    }
    lock = published.git("show", "1.0:requirements/prod.txt")
    assert (folder / "requirements.txt").read_text().strip() == lock
    assert (folder / "wheel.txt").read_text() == f"toy==1.0 --hash=sha256:{about['sha256']}\n"


def test_the_sbom_of_a_build_names_what_delivery_toml_wants_of_the_system(published: Toy) -> None:
    (paper,) = (published.root / "dist").glob("*.cdx.json")
    (package,) = json.loads(paper.read_text())["components"]
    assert (package["name"], package["bom-ref"]) == ("libpq5", "deb:libpq5")


def test_what_it_gives_installs_that_wheel_and_no_other(published: Toy, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    assert published.delivery("fetch", str(folder), "1.0").returncode == 0
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--no-deps", "--no-index"]
    command += ["--require-hashes", "--requirement=wheel.txt", "--find-links=.", "--target=here"]
    subprocess.run(command, cwd=folder, check=True)
    assert (folder / "here/toy/__init__.py").exists()
    with (folder / "toy-1.0-py3-none-any.whl").open("ab") as wheel:
        wheel.write(b"\0")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode and "DO NOT MATCH THE HASHES" in done.stderr


def test_a_commit_without_an_artifact_is_told_what_to_run(published: Toy) -> None:
    said = refused(published, 1)
    assert said == "delivery: this commit has no artifact: python3 -m delivery run build\n"


def test_an_unknown_version_is_refused(published: Toy) -> None:
    assert "no artifact that was built is called '7.0'" in refused(published, 2, "7.0")


def test_what_git_calls_a_commit_is_its_artifact(published: Toy) -> None:
    assert "no artifact that was built is called" in refused(published, 2, "HEAD")
    done = published.delivery("fetch", "release", "HEAD~1")
    assert done.returncode == 0 and "1.0 is in release" in done.stdout, done.stderr


def test_a_revoked_one_is_refused(published: Toy) -> None:
    assert published.delivery("revoke", "1.0", "--reason", "it loses parcels").returncode == 0
    said = refused(published, 3, "1.0")
    assert "1.0 was revoked by Ada Lovelace" in said and "(it loses parcels)" in said
    published.git("checkout", "--quiet", "1.0")
    done = published.delivery("install", str(published.root.parent / "environment"))
    assert done.returncode == 3 and "1.0 was revoked by Ada Lovelace" in done.stderr
    assert "\n  1.0 was revoked by Ada Lovelace, " in published.delivery("status").stdout


def test_other_bytes_in_the_index_are_refused(published: Toy) -> None:
    (wheel,) = published.root.parent.glob("data/index/toy/*.whl")
    wheel.write_bytes(b"another")
    assert "is not the artifact that was built" in refused(published, 3, "1.0")


def test_an_index_that_is_away_is_a_sentence(published: Toy) -> None:
    path = published.root / "delivery.toml"
    text = path.read_text().replace("{data}/index", "http://127.0.0.1:9/simple/")
    path.write_text(text)
    said = refused(published, 1, "1.0")
    assert said.startswith("delivery: ") and "127.0.0.1:9" in said and said.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_stays(published: Toy, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "taken"
    mine = folder / "mine" if kind == "folder" else folder
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    done = published.delivery("fetch", str(folder), "1.0")
    assert done.returncode == 2 and "is not empty: name a folder that is" in done.stderr
    assert mine.read_text() == "mine"
