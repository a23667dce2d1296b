"""One wheel per commit: its version, its bytes, and what refuses to become one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from delivery.artifact.wheel import Artifact, build, describe, digest, lock, same_version, verified
from delivery.errors import DeliveryError, Refused
from delivery.git import Git

from .conftest import Toy


def built(toy: Toy) -> Artifact:
    """Build the commit, as the stage does."""
    return build(Git(toy.root), toy.root / "dist")


def test_without_a_tag_the_version_counts_from_zero_and_names_the_commit(toy: Toy) -> None:
    assert built(toy).version == f"0.0.0.post1.dev1+g{toy.git('rev-parse', '--short=9', 'HEAD')}"


def test_on_a_tag_the_version_is_the_tag(toy: Toy) -> None:
    toy.git("tag", "1.2.0")
    assert built(toy).version == "1.2.0"


def test_after_a_tag_the_version_names_the_commit(toy: Toy) -> None:
    toy.git("tag", "1.2.0")
    commit = toy.commit()
    assert built(toy).version == f"1.2.0.post1.dev1+g{commit[:9]}"


def test_the_same_commit_gives_the_same_bytes_elsewhere(toy: Toy, tmp_path: Path) -> None:
    first = built(toy)
    other = tmp_path / "another place"
    toy.git("clone", "--quiet", str(toy.root), str(other))
    (other / "build").mkdir()  # a stale build folder must not get in
    subprocess.run(
        ["git", "-C", other, "config", "core.excludesFile", tmp_path / "ignored"], check=True
    )
    (tmp_path / "ignored").write_text("build/\n")
    old = (other / "toy" / "__init__.py").stat().st_mode
    (other / "toy" / "__init__.py").chmod(old | 0o020)
    assert built(Toy(other)).sha256 == first.sha256


def test_ignored_files_stay_out_of_the_wheel(toy: Toy) -> None:
    clean = built(toy)
    (toy.root / "toy" / "__pycache__").mkdir()
    toy.write("toy/__pycache__/secret.txt", "x")
    assert built(toy).sha256 == clean.sha256


def test_dist_holds_the_one_wheel_and_its_sdist(toy: Toy) -> None:
    built(toy)
    toy.commit()
    artifact = built(toy)
    sdist = f"toy-{artifact.version}.tar.gz"
    assert {path.name for path in (toy.root / "dist").iterdir()} == {artifact.wheel, sdist}
    assert describe(toy.root / "dist" / artifact.wheel, artifact.commit) == artifact


@pytest.mark.parametrize("how", ["changed", "staged", "untracked"])
def test_a_dirty_tree_is_refused_and_the_file_is_named(toy: Toy, how: str) -> None:
    toy.write("new.py" if how == "untracked" else "lint.py", "x = 1\n")
    if how == "staged":
        toy.git("add", "lint.py")
    with pytest.raises(Refused, match=r"dirty \((new|lint)\.py\).*commit the changes"):
        built(toy)
    assert not (toy.root / "dist").exists()


def test_a_shallow_clone_is_refused(toy: Toy, tmp_path: Path) -> None:
    toy.commit()
    toy.git("clone", "--quiet", "--depth", "1", f"file://{toy.root}", str(tmp_path / "shallow"))
    with pytest.raises(Refused, match="shallow.*git fetch --unshallow"):
        built(Toy(tmp_path / "shallow"))


def test_a_version_that_says_nothing_of_the_commit_stops_the_build(toy: Toy) -> None:
    text = (toy.root / "pyproject.toml").read_text()
    toy.write("pyproject.toml", text.replace('dynamic = ["version"]', 'version = "0.0.0"'))
    toy.commit()
    with pytest.raises(DeliveryError, match="no version could be read"):
        built(toy)


def test_a_package_that_does_not_build_leaves_the_last_wheel_alone(toy: Toy) -> None:
    before = built(toy)
    toy.write("pyproject.toml", "[project]\nname = 3\n")
    toy.commit()
    with pytest.raises(DeliveryError, match="the build failed"):
        built(toy)
    assert digest(toy.root / "dist" / before.wheel) == before.sha256


def test_a_tampered_wheel_is_refused(toy: Toy) -> None:
    artifact = built(toy)
    place = toy.root / "dist" / artifact.wheel
    place.write_bytes(place.read_bytes() + b"x")
    with pytest.raises(Refused, match="is not the artifact that was built"):
        verified(place, artifact)


def test_a_file_that_is_no_wheel_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_text("no zip")
    with pytest.raises(DeliveryError, match="is no wheel"):
        describe(tmp_path / "x.whl", "c" * 40)


def test_a_release_installs_the_lock_of_its_own_commit(toy: Toy) -> None:
    artifact = built(toy)
    before = (toy.root / "requirements" / "prod.txt").read_bytes()
    toy.write("requirements/prod.txt", "newer\n")
    toy.commit()
    assert lock(Git(toy.root), artifact) == before


def test_a_lock_that_this_clone_does_not_have_is_explained(toy: Toy) -> None:
    with pytest.raises(DeliveryError, match="git fetch"):
        lock(Git(toy.root), Artifact("x.whl", "1", "a" * 64, "b" * 40))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2", "1.2.0", True),
        ("1.2rc1", "1.2.0rc1", True),
        ("1", "1.0.0", True),
        ("1.0.post1", "1.post1", True),
        ("1.2", "1.20", False),
        ("1.0.1", "1.1", False),
        ("1.0", "1!1.0", False),
        ("1.0+gabc", "1.0+gabd", False),
    ],
)
def test_zeros_at_the_end_do_not_make_another_version(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same
