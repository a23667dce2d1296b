"""What of the index may go: old, without a tag, and not what an environment runs or ran lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery.artifact import papers, retention
from delivery.artifact.folder import Folder
from delivery.artifact.wheel import Artifact, describe
from delivery.ledger.event import Event
from delivery.project import Project
from delivery.tables import Retention

from .conftest import Toy
from .events import clones
from .test_index import wheel

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def event(kind: str, number: int, day: float, version: str = "", place: str = "") -> Event:
    """Return an event about an artifact, so many days before now."""
    return Event(
        kind,
        place or "build",
        f"{number:040x}",
        (NOW - timedelta(days=day)).isoformat(),
        "Ada",
        "test",
        version=version or f"1.0.post1.dev{number}+g{number:07x}",
        sha256=str(number),
        environment=place or None,
    )


OLD = [event("built", number, 100 - number) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("built", "deployed", "stay"),
    [
        (OLD, [], {"4", "5"}),
        # It is live, and the other is what a rollback goes to, however long ago that was.
        (OLD, [event("deployed", n, 99 - n, place="production") for n in (1, 2)], set("1245")),
        # Another artifact came ten days ago; until then it ran.
        (OLD, [event("deployed", n, d, place="qa") for n, d in ((1, 90), (2, 10), (3, 9), (2, 8))],
         set("12345")),
        (OLD, [event("deployed", n, d, place="qa") for n, d in ((1, 90), (2, 50), (3, 40), (2, 8))],
         set("2345")),
        ([event("built", 7, 900, "1.2.0"), event("built", 8, 899, "1.2.0rc1"), *OLD], [],
         set("4578")),
        ([event("built", 7, 900, "1.2.0.post1.dev3"), *OLD], [], set("45")),
        ([event("built", 9, 900), *OLD], [], set("459")),
    ],
    ids=["newest", "live", "lately", "long ago", "released", "counted", "tagged"],
)  # fmt: skip
def test_the_rule(built: list[Event], deployed: list[Event], stay: set[str]) -> None:
    tags = {f"{9:040x}"}
    assert retention.kept(Retention(2, 30), built, deployed, tags, NOW) == stay


def published(toy: Toy, version: str) -> Artifact:
    """Publish a wheel of the commit, with a paper, as its stages would."""
    project = Project.find(toy.root)
    made = wheel(toy.root / "dist", version)
    artifact = describe(made, project.git.head())
    sha256 = papers.write(toy.root / "dist", artifact, "sbom", {})
    paper = toy.root / "dist" / papers.name(artifact, "sbom", sha256)
    project.record("built", "build", artifact, sbom=sha256)
    project.config.index.publish(project.config.name, made, [paper])
    return artifact


def test_without_being_told_to_nothing_is_removed(toy: Toy, tmp_path: Path) -> None:
    toy.write("delivery.toml", toy.root.joinpath("delivery.toml").read_text() + KEEPS_ONE)
    old, _ = (published(toy, f"1.dev{number}+g{number}") for number in range(2))
    done = toy.delivery("prune")
    assert done.returncode == 0, done.stderr
    assert old.version in done.stdout
    assert "1 of 2 wheels in " in done.stdout and "may go: python3 -m delivery" in done.stdout
    assert len(Folder(tmp_path / "data/index").wheels("toy")) == 2
    assert "everywhere pruned" not in toy.log()


KEEPS_ONE = "\n[retention]\nnewest = 1\n"


def test_what_went_is_in_the_ledger_and_nothing_of_it_in_the_index(
    toy: Toy, tmp_path: Path
) -> None:
    toy.write("delivery.toml", toy.root.joinpath("delivery.toml").read_text() + KEEPS_ONE)
    old, new = (published(toy, f"1.dev{number}+g{number}") for number in range(2))
    stranger = wheel(tmp_path, "0.1+other")
    Project.find(toy.root).config.index.publish("toy", stranger)
    done = toy.delivery("prune", "--remove")
    assert done.returncode == 0, done.stderr
    assert (
        "1 of 3 wheels in " in done.stdout and "1 are not in this ledger, and stay" in done.stdout
    )
    folder = tmp_path / "data/index/toy"
    assert sorted(path.name for path in folder.glob("*.whl")) == [stranger.name, new.wheel]
    assert not list(folder.glob(f"{old.wheel}*")) and len(list(folder.glob("*.json"))) == 1
    assert old.sha256 not in (folder / "index.html").read_text()
    (gone,) = Project.find(toy.root).ledger.events(event=("pruned",))
    assert (gone.sha256, gone.version) == (old.sha256, old.version)
    assert "0 of 2 wheels" in toy.delivery("prune", "--remove").stdout


def test_what_another_clone_deployed_stays(toy: Toy) -> None:
    table = toy.root.joinpath("delivery.toml").read_text()
    toy.commit(delivery_toml=f'{table}{KEEPS_ONE}\n[ledger]\nremote = "origin"\n')
    mine, theirs = (Toy(git.root) for git in clones(toy, 2))
    old, _ = (published(mine, f"1.dev{number}+g{number}") for number in range(2))
    other = Project.find(theirs.root)
    other.ledger.sync()
    other.record("deployed", "production", old, environment="production")
    done = mine.delivery("prune", "--remove")
    assert done.returncode == 0, done.stderr
    assert "0 of 2 wheels" in done.stdout


def test_a_tag_of_either_kind_keeps_what_was_built_of_its_commit(toy: Toy) -> None:
    toy.write("delivery.toml", toy.root.joinpath("delivery.toml").read_text() + KEEPS_ONE)
    tags = (["tag", "light"], ["tag", "--annotate", "--message=Heavy", "heavy"], None, None)
    made = []
    for number, tag in enumerate(tags):
        toy.commit()
        made.append(published(toy, f"1.dev{number}+g{number}"))
        if tag:
            toy.git(*tag)
    done = toy.delivery("prune")
    assert [artifact.version in done.stdout for artifact in made] == [False, False, True, False]


def test_what_was_removed_can_be_published_again(toy: Toy, tmp_path: Path) -> None:
    index, made = Folder(tmp_path / "index"), wheel(tmp_path)
    index.publish("toy", made)
    artifact = describe(made, "c" * 40)
    index.remove("toy", artifact)
    index.remove("toy", artifact)
    index.remove("nobody", artifact)
    assert index.wheels("toy") == set() and index.publish("toy", made)
    assert index.wheels("toy") == {made.name}


@pytest.mark.parametrize("line", ["newest = 0", "days = -1", "days = nan", "months = 3"])
def test_a_rule_that_means_nothing_is_refused(toy: Toy, line: str) -> None:
    toy.write(
        "delivery.toml", toy.root.joinpath("delivery.toml").read_text() + f"[retention]\n{line}"
    )
    done = toy.delivery("prune")
    assert done.returncode == 2 and "delivery.toml [retention]: " in done.stderr
