"""What goes wrong on the way to an index: one sentence, a true ledger; then a retry."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery import commands
from delivery.artifact import site
from delivery.artifact.devpi import Devpi
from delivery.errors import DeliveryError, Refused
from delivery.pipeline import promotion
from delivery.project import Project

from devpi.local import Server, create
from tests.delivery.tool.conftest import Toy
from tests.delivery.tool.test_index import wheel

from .conftest import Way, files, wheels
from .test_devpi import accepted, indices

IMPATIENT = 3.0  # seconds; a way that is slow takes longer
# The fault, the requests it is for, and what is said of it.
PUBLISH = [
    ("403", "POST", "did not take toy-.*403.*DELIVERY_INDEX_PASSWORD"),
    ("500", "POST", "did not take toy-.*500"),
    ("507", "POST", "did not take toy-.*507"),
    ("drops the upload", "POST", "did not take toy-"),
    ("is slow", "POST", "did not take toy-.*(timed out|timeout)"),
    ("403", "GET", "does not tell of toy.*403.*DELIVERY_INDEX_PASSWORD"),
    ("is slow", "GET", "nothing for 3 s"),
    ("drops the answer", "GET", "broke off after"),
]
FETCH = [
    ("serves other bytes", "Refused", "with other bytes: its sha256 is"),
    ("drops the answer", "DeliveryError", "broke off after .* bytes"),
    ("is slow", "DeliveryError", "nothing for 3 s"),
    ("403", "DeliveryError", "says 403 instead of toy-"),
]


@pytest.mark.parametrize(("fault", "on", "said"), PUBLISH)
def test_what_cannot_be_published_is_not_and_a_retry_is(
    built: Toy,
    server: Server,
    way: Way,
    team: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    on: str,
    said: str,
) -> None:
    project = Project.find(built.root)
    way.fault, way.on = fault, on
    if fault == "is slow":
        monkeypatch.setattr(site, "SECONDS", IMPATIENT)
    with pytest.raises(DeliveryError, match=said) as error:
        commands.publish(project)
    assert "\n" not in str(error.value) and server.password not in str(error.value)
    assert files(server, f"{team}/dev") == [] and indices(project) == []
    way.fault = ""
    monkeypatch.setattr(site, "SECONDS", 60.0)
    commands.publish(project)
    assert len(wheels(server, f"{team}/dev")) == 1 and indices(project) == [f"{team}/dev"]


def test_a_paper_that_got_lost_on_the_way_is_sent_again(
    built: Toy, server: Server, way: Way, team: str
) -> None:
    project = Project.find(built.root)
    way.fault, way.on = "500", "/+f/"
    with pytest.raises(DeliveryError, match="did not take a paper of toy-"):
        commands.publish(project)
    # The wheel is there, and nobody is told so: what is not published goes no further.
    assert indices(project) == []
    way.fault = ""
    commands.publish(project)
    assert len(files(server, f"{team}/dev")) == 3 and indices(project) == [f"{team}/dev"]


def test_an_index_that_is_down_is_told_and_asked_again(
    built: Toy, server: Server, way: Way, team: str
) -> None:
    table = built.root / "delivery.toml"
    up = table.read_text()
    table.write_text(up.replace(f":{way.port}/", ":9/"))
    project = Project.find(built.root)
    with pytest.raises(DeliveryError, match=r"127.0.0.1:9 cannot be reached: .*refused"):
        commands.publish(project)
    assert indices(project) == []
    table.write_text(up)
    commands.publish(Project.find(built.root))
    assert indices(project) == [f"{team}/dev"]


def test_a_version_with_another_digest_is_refused(
    built: Toy, server: Server, team: str, tmp_path: Path
) -> None:
    project = Project.find(built.root)
    commands.publish(project)
    (made,) = (built.root / "dist").glob("*.whl")
    other = tmp_path / made.name
    other.write_bytes(made.read_bytes() + b"\0")
    with pytest.raises(Refused, match="with other bytes"):
        project.config.index.publish("toy", other)
    assert wheels(server, f"{team}/dev") == [made.name]


@pytest.mark.parametrize(("fault", "kind", "said"), FETCH)
def test_what_is_fetched_is_the_artifact_or_an_error(
    built: Toy, way: Way, monkeypatch: pytest.MonkeyPatch, fault: str, kind: str, said: str
) -> None:
    project = Project.find(built.root)
    commands.publish(project)
    artifact = project.artifact()
    assert artifact
    way.fault, way.on = fault, f"{artifact.wheel} "
    if fault == "is slow":
        monkeypatch.setattr(site, "SECONDS", IMPATIENT)
    with pytest.raises(DeliveryError, match=said) as error:
        project.config.index.fetch("toy", artifact)
    assert type(error.value).__name__ == kind
    kept = built.root / ".delivery" / "index"
    assert not kept.is_dir() or not list(kept.iterdir())
    way.fault = ""
    monkeypatch.setattr(site, "SECONDS", 60.0)
    assert project.config.index.fetch("toy", artifact).is_file()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("403", "did not push toy-.* 403"),
        ("500", "did not push toy-.* 500"),
        ("drops the upload", "cannot be reached"),
        ("drops the answer", "broke off after"),
        ("is slow", "has said nothing for 3 s"),
        ("is down", "127.0.0.1:9 cannot be reached: .*refused"),
    ],
)
def test_what_cannot_be_promoted_is_not_and_a_retry_is(
    built: Toy,
    server: Server,
    way: Way,
    team: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    project = accepted(built)
    artifact, stage = project.artifact(), project.config.stage("production")
    assert artifact
    way.fault, way.on = fault, f"POST /{team}/acceptance HTTP"
    table, asked = built.root / "delivery.toml", project
    up = table.read_text()
    if fault == "is down":
        table.write_text(up.replace(f":{way.port}/", ":9/"))
        asked = Project.find(built.root)
    if fault == "is slow":
        monkeypatch.setattr(site, "SECONDS", IMPATIENT)
    with pytest.raises(DeliveryError, match=said) as error:
        promotion.admit(asked, stage, artifact, forced=False)
    assert "\n" not in str(error.value)
    assert f"{team}/production" not in indices(project)
    way.fault = ""
    table.write_text(up)
    monkeypatch.setattr(site, "SECONDS", 60.0)
    promotion.admit(project, stage, artifact, forced=False)
    assert wheels(server, f"{team}/production") == [artifact.wheel]
    assert indices(project)[-1] == f"{team}/production"


def test_an_index_that_was_away_when_a_stage_passed_gets_it_later(
    built: Toy, server: Server, way: Way, team: str
) -> None:
    way.fault, way.on = "500", f"POST /{team}/dev HTTP"
    done = built.delivery("walk")
    assert done.returncode == 1
    assert "did not push toy-" in done.stderr
    assert built.log()[-1] == "acceptance passed"  # it did, and the ledger says so
    way.fault = ""
    assert built.delivery("walk").returncode == 0
    assert len(wheels(server, f"{team}/acceptance")) == 1
    assert built.log()[-1] == "acceptance published"


@pytest.mark.parametrize(
    ("fault", "on", "said"),
    [
        ("trickles", "GET", "127.0.0.1:.* is too slow: one answer took more than 2 s"),
        ("is slow", "POST", "dev took more than 2 s over toy-"),
    ],
)
def test_what_goes_on_but_never_ends_is_given_up(
    built: Toy, way: Way, monkeypatch: pytest.MonkeyPatch, fault: str, on: str, said: str
) -> None:
    project = Project.find(built.root)
    way.fault, way.on = fault, on
    monkeypatch.setattr(site, "WHOLE", 2.0)
    start = time.monotonic()
    with pytest.raises(DeliveryError, match=said):
        commands.publish(project)
    assert time.monotonic() - start < site.SECONDS
    assert indices(project) == []


@pytest.mark.parametrize("level", ["dev", "acceptance"])
def test_an_artifact_that_was_changed_at_any_level_goes_no_further(
    built: Toy, server: Server, team: str, level: str, tmp_path: Path
) -> None:
    project = accepted(built)
    artifact, dev = project.artifact(), project.config.index
    assert artifact and isinstance(dev, Devpi)
    before, place = indices(project), dev.at(level)
    for each in {"acceptance", level}:
        server.api("DELETE", f"/{team}/{each}/toy?force", user=team)
    other = wheel(tmp_path, artifact.version, name="toy")
    assert other.name == artifact.wheel
    place.site.upload(f"{place}/", other, place)
    refused = f"{team}/{level} has toy-.* with other bytes"
    with pytest.raises(Refused, match=refused):
        promotion.admit(project, project.config.stage("production"), artifact, forced=False)
    # A push itself looks, too: at what it takes, and at what is where it goes.
    with pytest.raises(Refused, match=refused):
        place.push("toy", artifact, dev.at("production"))
    if place != dev:
        with pytest.raises(Refused, match=refused):
            dev.push("toy", artifact, place)
    assert wheels(server, f"{team}/production") == [] and indices(project) == before


@pytest.fixture()
def small(tmp_path: Path) -> Iterator[Server]:
    """A server on a disk of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    made = None
    try:
        made = create(disk / "devpi")
        yield made
    finally:
        if made:
            made.stop()
        subprocess.run(["umount", disk], check=True)


@pytest.mark.root
def test_an_index_whose_disk_is_full_takes_nothing_until_there_is_room(
    built: Toy, small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from delivery.artifact import credentials

    monkeypatch.setenv("DELIVERY_INDEX_PASSWORD", small.password)
    credentials.find.cache_clear()
    table = built.root / "delivery.toml"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([f'index = "{small.index}"', *lines[1:]]))
    project, ballast = Project.find(built.root), small.folder / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(DeliveryError, match="did not take toy-.* 50"):
        commands.publish(project)
    assert indices(project) == []
    ballast.unlink()
    commands.publish(project)
    assert len(wheels(small, "team/dev")) == 1 and indices(project) == ["team/dev"]
