"""What devpi may lose: from every level that has it, with what hangs on it, and nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from delivery.artifact import credentials, retention, site
from delivery.artifact.devpi import Devpi
from delivery.artifact.wheel import Artifact
from delivery.errors import DeliveryError, Refused, UsageError
from delivery.pipeline import promotion
from delivery.project import Project

from devpi.local import Server
from tests.delivery.tool.conftest import DELIVERY, PYPROJECT, Toy
from tests.delivery.tool.test_index import wheel
from tests.delivery.tool.test_retention import KEEPS_ONE, published

from .conftest import Way, files, wheels

NAME, LEVELS = "hello-delivery", ("dev", "acceptance", "production")
ENVIRONMENTS = """
[stages.acceptance]
needs = ["publish"]
environment = "acceptance"
budget = 5

[stages.production]
needs = ["acceptance"]
environment = "production"
budget = 5
"""


@pytest.fixture()
def shelf(ready: Toy, way: Way, team: str) -> Toy:
    """A project whose artifacts are on devpi, of which the newest one stays."""
    table = DELIVERY.replace('"{data}/index"', f'"{way.index(team)}"') + ENVIRONMENTS + KEEPS_ONE
    ready.write("delivery.toml", table)
    ready.write("pyproject.toml", PYPROJECT.replace('"toy"', f'"{NAME}"', 1))
    return ready


def promoted(shelf: Toy, version: str, *levels: str) -> Artifact:
    """Publish a wheel, promote it to the levels, and tell the ledger, as its stages would."""
    artifact, project = published(shelf, version), Project.find(shelf.root)
    index = project.config.index
    assert isinstance(index, Devpi)
    project.record("published", "publish", artifact, index=index.name)
    for level in levels:
        index.push(NAME, artifact, index.at(level), b'{"testenvs": {}}')
        index = index.at(level)
        project.record("published", level, artifact, index=index.name)
    return artifact


def there(server: Server, team: str, level: str) -> list[str]:
    """Return the wheels that a level has."""
    return sorted(wheels(server, f"{team}/{level}", NAME))


def pruned(shelf: Toy) -> list[str | None]:
    """Return what the ledger says is pruned."""
    return [e.sha256 for e in Project.find(shelf.root).ledger.events(event=("pruned",))]


def test_what_may_go_is_told_from_one_look_at_each_level_and_stays(
    shelf: Toy, server: Server, way: Way, team: str
) -> None:
    old = [promoted(shelf, f"1.dev{n}+g{n}", "acceptance") for n in range(2)]
    new = promoted(shelf, "1.dev2+g2")
    way.seen.clear()
    done = shelf.delivery("prune")
    assert done.returncode == 0, done.stderr
    assert all(f"{artifact.version}, built " in done.stdout for artifact in old)
    assert f"2 of 3 wheels in http://127.0.0.1:{way.port}/{team}/dev, " in done.stdout
    assert "may go: python3 -m delivery prune --remove" in done.stdout
    asked = [line for line in way.seen if "/+login" not in line]
    assert sorted(asked) == [
        f"GET /{team}/{level}/{NAME}?ignore_bases HTTP/1.1" for level in sorted(LEVELS)
    ]
    assert there(server, team, "dev") == [*(one.wheel for one in old), new.wheel]
    assert len(there(server, team, "acceptance")) == 2 and pruned(shelf) == []


def test_it_goes_from_every_level_with_all_that_hangs_on_it(
    shelf: Toy, server: Server, team: str, tmp_path: Path
) -> None:
    old = promoted(shelf, "1.dev0+g0", *LEVELS[1:])
    live = promoted(shelf, "1.dev1+g1", *LEVELS[1:])
    new = promoted(shelf, "1.dev2+g2", "acceptance")
    project = Project.find(shelf.root)
    project.record("deployed", "production", live, environment="production")
    stranger = wheel(tmp_path, "0.1+other")
    project.config.index.publish(NAME, stranger)
    had = [server.api("GET", f"/{team}/{level}/{NAME}/{old.version}") for level in LEVELS]
    links = [link["href"].removeprefix(server.url) for told in had for link in told["+links"]]
    assert len(links) == 3 * 3  # the wheel, its paper, what the stages said
    done = shelf.delivery("prune", "--remove")
    assert done.returncode == 0, done.stderr
    assert "1 of 4 wheels in " in done.stdout and "1 are not in this ledger" in done.stdout
    assert there(server, team, "dev") == [stranger.name, live.wheel, new.wheel]
    assert there(server, team, "acceptance") == [live.wheel, new.wheel]
    assert there(server, team, "production") == [live.wheel]
    assert status(server, f"/{team}/dev/{NAME}/{old.version}") == 404
    assert {status(server, link) for link in links} == {410}
    assert len(files(server, f"{team}/production", NAME)) == 3
    assert pruned(shelf) == [old.sha256]
    again = shelf.delivery("prune", "--remove")
    assert "0 of 3 wheels" in again.stdout and pruned(shelf) == [old.sha256]


def test_a_server_may_think_for_long_about_all_it_has(
    shelf: Toy, way: Way, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(shelf, "1.dev0+g0")
    monkeypatch.setattr(site, "SECONDS", 3.0)
    way.fault, way.on = "is slow", f"GET /{team}/dev/{NAME}?ignore_bases"
    (dev,) = retention.shelves(Project.find(shelf.root).config)[-1:]
    assert len(dev.wheels(NAME)) == 1


def status(server: Server, path: str) -> int:
    """Return what the server answers with when asked for something."""
    try:
        with urllib.request.urlopen(f"{server.url}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_mirror_behind_production_keeps_what_it_has(
    shelf: Toy, server: Server, team: str
) -> None:
    old, _ = promoted(shelf, "1.dev0+g0"), promoted(shelf, "1.dev1+g1")
    other, mirror = f"{team}x", f"{team}x/mirror"
    server.team(other, [])
    upstream = Devpi.parse(f"devpi+{server.url}/{other}", shelf.root)
    upstream.publish(NAME, wheel(shelf.root / "dist", old.version))
    where = {"mirror_url": f"{upstream}/+simple/", "mirror_no_project_list": True}
    server.api("PUT", f"/{mirror}", {"type": "mirror", "volatile": False, **where}, other)
    server.api("PATCH", f"/{team}/production", [f"bases+={mirror}"], team)
    for level in LEVELS:
        server.api("PATCH", f"/{team}/{level}", [f"mirror_whitelist+={NAME}"], team)
    assert list(server.api("GET", f"/{mirror}/{NAME}")) == [old.version]
    done = shelf.delivery("prune", "--remove")
    assert done.returncode == 0, done.stderr
    assert pruned(shelf) == [old.sha256] and old.wheel not in there(server, team, "dev")
    # From behind, it is still to be had; a second run leaves it alone.
    assert list(server.api("GET", f"/{mirror}/{NAME}")) == [old.version]
    assert old.version in server.api("GET", f"/{team}/dev/{NAME}")
    assert "0 of 1 wheels" in shelf.delivery("prune", "--remove").stdout


@pytest.mark.parametrize("fault", ["500", "drops the upload"])
def test_what_fails_half_way_is_not_told_to_be_gone_and_the_next_run_completes_it(
    shelf: Toy, server: Server, way: Way, team: str, fault: str
) -> None:
    old, new = promoted(shelf, "1.dev0+g0", *LEVELS[1:]), promoted(shelf, "1.dev1+g1")
    project = Project.find(shelf.root)
    way.fault, way.on = fault, f"DELETE /{team}/acceptance/"
    with pytest.raises(DeliveryError) as error:
        retention.prune(project, remove=True)
    assert "\n" not in str(error.value) and pruned(shelf) == []
    # What may be installed there goes first.
    assert [len(there(server, team, level)) for level in LEVELS] == [2, 1, 0]
    way.fault = ""
    retention.prune(project, remove=True)
    assert [there(server, team, level) for level in LEVELS] == [[new.wheel], [], []]
    assert pruned(shelf) == [old.sha256]


def test_what_went_is_told_though_the_answer_got_lost(
    shelf: Toy, server: Server, way: Way, team: str
) -> None:
    old, new = promoted(shelf, "1.dev0+g0", "acceptance"), promoted(shelf, "1.dev1+g1")
    way.fault, way.on = "drops the answer", "DELETE "
    retention.prune(Project.find(shelf.root), remove=True)
    assert there(server, team, "dev") == [new.wheel] and pruned(shelf) == [old.sha256]


def test_who_may_not_upload_may_not_remove(
    shelf: Toy, server: Server, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = promoted(shelf, "1.dev0+g0", "acceptance"), promoted(shelf, "1.dev1+g1")
    server.api("PUT", f"/{team}ci", {"password": server.password}, user="root")
    server.api("PATCH", f"/{team}/acceptance", [f"acl_upload+={team}ci"], team)
    # May upload to one level alone; has another password; says no name.
    for user, password in ((f"{team}ci", server.password), (team, "wrong"), (team, "")):
        monkeypatch.setenv(credentials.USER, user)
        monkeypatch.setenv(credentials.PASSWORD, password)
        done = shelf.delivery("prune", "--remove")
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert f"/{team}/dev did not remove {old.wheel}, it says 40" in done.stderr
        assert done.stderr.endswith(f": {credentials.HINT}\n")
        assert server.password not in done.stderr
        assert there(server, team, "dev") == [old.wheel, new.wheel] and pruned(shelf) == []
    assert there(server, team, "acceptance") == []


def test_what_others_put_beside_it_under_its_version_stays(
    shelf: Toy, server: Server, team: str, tmp_path: Path
) -> None:
    old, new = promoted(shelf, "1.dev0+g0"), promoted(shelf, "1.dev1+g1")
    beside = wheel(tmp_path, old.version).rename(tmp_path / old.wheel.replace("none", "cp311"))
    index = Project.find(shelf.root).config.index
    assert isinstance(index, Devpi)
    index.site.upload(f"{index}/", beside, index)
    assert shelf.delivery("prune", "--remove").returncode == 0
    assert there(server, team, "dev") == sorted([beside.name, new.wheel])
    assert pruned(shelf) == [old.sha256]


def test_other_bytes_under_its_name_are_told_and_stay(
    shelf: Toy, server: Server, team: str, tmp_path: Path
) -> None:
    old, _ = promoted(shelf, "1.dev0+g0"), promoted(shelf, "1.dev1+g1")
    server.api("DELETE", f"/{team}/dev/{NAME}/{old.version}?force", user=team)
    project = Project.find(shelf.root)
    project.config.index.publish(NAME, wheel(tmp_path, old.version, "x = 2\n"))
    with pytest.raises(Refused, match="with other bytes"):
        retention.prune(project, remove=True)
    assert old.wheel in there(server, team, "dev") and pruned(shelf) == []


def test_what_went_can_be_published_and_promoted_again(
    shelf: Toy, server: Server, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = promoted(shelf, "1.dev0+g0", "acceptance"), promoted(shelf, "1.dev1+g1")
    assert shelf.delivery("prune", "--remove").returncode == 0
    project = Project.find(shelf.root)
    assert project.config.index.publish(NAME, shelf.root / "dist" / old.wheel)
    project.record("published", "publish", old, index=f"{team}/dev")
    monkeypatch.setenv("DELIVERY_SHA256", old.sha256)
    promotion.passed(project, project.config.stage("acceptance"))
    assert there(server, team, "acceptance") == [old.wheel]
    promotion.passed(project, project.config.stage("acceptance"))
    told = project.ledger.events(event=("published",), about=old.sha256)
    assert [e.index for e in told] == [f"{team}/{level}" for level in LEVELS[:2]] * 2


def test_any_other_index_has_ways_of_its_own(shelf: Toy) -> None:
    table = (shelf.root / "delivery.toml").read_text().splitlines()
    shelf.write("delivery.toml", "\n".join(['index = "https://host/simple/"', *table[1:]]))
    with pytest.raises(UsageError, match="prune is for a folder or devpi; https://host/simple/ "):
        retention.prune(Project.find(shelf.root), remove=False)
