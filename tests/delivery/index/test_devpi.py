"""devpi: published once, promoted by push, every step known to the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from delivery.artifact import credentials
from delivery.artifact.devpi import Devpi
from delivery.artifact.wheel import describe
from delivery.environments import deployments
from delivery.errors import DeliveryError, Missing
from delivery.pipeline import promotion
from delivery.project import Project

from devpi.local import Server, create
from tests.delivery.tool.conftest import Toy
from tests.delivery.tool.test_index import wheel

from .conftest import Way, files, wheels

LEVELS = ("dev", "acceptance", "production")
ENVIRONMENTS = """
[stages.production]
needs = ["acceptance"]
environment = "production"
budget = 5
"""


def indices(project: Project) -> list[str | None]:
    """Return the indices that the ledger knows the artifacts to be in, oldest first."""
    return [event.index for event in project.ledger.events(event=("published",))]


def test_a_commit_is_published_then_promoted_when_it_passed(
    built: Toy, server: Server, way: Way, team: str
) -> None:
    done = built.delivery("walk")
    assert done.returncode == 0, done.stdout + done.stderr
    assert wheels(server, f"{team}/dev") == wheels(server, f"{team}/acceptance") != []
    assert wheels(server, f"{team}/production") == []
    assert indices(Project.find(built.root)) == [f"{team}/dev", f"{team}/acceptance"]
    assert f"is in http://127.0.0.1:{way.port}/{team}/acceptance" in done.stdout
    # Sent once: what is promoted is not uploaded again.
    assert sum(line.startswith(f"POST /{team}/dev/ ") for line in way.seen) == 1
    assert not [line for line in way.seen if line.startswith(f"POST /{team}/acceptance")]


def test_its_papers_and_what_the_stages_said_travel_with_it(
    built: Toy, server: Server, team: str
) -> None:
    assert built.delivery("walk").returncode == 0
    (version,) = server.api("GET", f"/{team}/acceptance/toy").values()
    hanging = [link for link in version["+links"] if link["rel"] == "toxresult"]
    told = {link["hash_spec"].removeprefix("sha256=") for link in hanging}
    (event,) = Project.find(built.root).ledger.events(event=("built",))
    assert {event.sbom, event.provenance} < told and len(told) == 3
    texts = []
    for link in hanging:
        with urllib.request.urlopen(link["href"], timeout=10) as answer:
            texts.append(json.load(answer))
    (results,) = [text for text in texts if "testenvs" in text]
    assert set(results["testenvs"]) == {"lint", "unit", "build", "publish", "acceptance"}
    assert results["testenvs"]["unit"]["test"][0]["retcode"] == "0"


def test_what_failed_is_not_promoted(built: Toy, server: Server, team: str) -> None:
    built.commit("Not good enough", accept_py="raise SystemExit('no')")
    assert built.delivery("walk").returncode == 1
    assert wheels(server, f"{team}/dev") and not wheels(server, f"{team}/acceptance")


def test_publishing_again_changes_nothing(built: Toy, server: Server, team: str) -> None:
    assert built.delivery("walk").returncode == 0
    before = files(server, f"{team}/dev")
    done = built.delivery("run", "publish")
    assert done.returncode == 0 and built.delivery("run", "acceptance").returncode == 0
    assert files(server, f"{team}/dev") == before
    assert len(indices(Project.find(built.root))) == 2


def test_a_lost_dist_is_fetched_from_the_index(built: Toy) -> None:
    assert built.delivery("walk", "--to", "publish").returncode == 0
    (wheel,) = (built.root / "dist").glob("*.whl")
    body = wheel.read_bytes()
    for file in (built.root / "dist").iterdir():
        file.unlink()
    assert built.delivery("run", "acceptance").returncode == 0
    assert wheel.read_bytes() == body
    project = Project.find(built.root)
    artifact = project.artifact()
    assert artifact and set(project.papers(artifact)) == {"sbom", "provenance"}


def accepted(built: Toy) -> Project:
    """Return a project with acceptance and production, and a commit that was accepted."""
    table = (built.root / "delivery.toml").read_text()
    table = table.replace("[stages.acceptance]", '[stages.acceptance]\nenvironment = "acceptance"')
    built.commit("Deploy", delivery_toml=table + ENVIRONMENTS)
    done = built.delivery("build")
    done = done if done.returncode else built.delivery("publish")
    assert done.returncode == 0, done.stdout + done.stderr
    project = Project.find(built.root)
    artifact, stage = project.artifact(), project.config.stage("acceptance")
    code = built.git("rev-parse", "HEAD:delivery")
    project.record("deployed", "acceptance", artifact, environment="acceptance", code=code)
    project.record("passed", "acceptance", artifact, environment="acceptance", attempt=1)
    promotion.passed(project, stage)
    return project


def test_production_installs_from_its_own_index_alone(
    built: Toy, server: Server, team: str
) -> None:
    project = accepted(built)
    artifact, stage = project.artifact(), project.config.stage("production")
    assert artifact
    assert str(project.config.source("acceptance")).endswith(f"{team}/dev")
    with pytest.raises(Missing, match=f"{team}/production does not have"):
        project.config.source("production").fetch(project.config.name, artifact)
    promotion.admit(project, stage, artifact, forced=False)
    found = project.config.source("production").fetch(project.config.name, artifact)
    assert found.read_bytes() == (built.root / "dist" / artifact.wheel).read_bytes()
    assert wheels(server, f"{team}/production") == [artifact.wheel]
    assert indices(project) == [f"{team}/{level}" for level in ("dev", "acceptance", "production")]


def test_each_index_serves_what_those_behind_it_have(built: Toy, server: Server, team: str) -> None:
    project = accepted(built)
    artifact = project.artifact()
    assert artifact
    promotion.admit(project, project.config.stage("production"), artifact, forced=False)
    # devpi may forget what is in dev; it is still to be had from there.
    server.api("PATCH", f"/{team}/dev", ["volatile=True"], user=team)
    server.api("DELETE", f"/{team}/dev/toy", user=team)
    assert project.config.index.fetch(project.config.name, artifact).is_file()
    for level in ("dev", "acceptance", "production"):
        page = server.api("GET", f"/{team}/{level}/toy")
        assert list(page) == [artifact.version]


def test_a_deploy_that_fails_leaves_what_may_be_installed_and_says_it_is_not(
    built: Toy, server: Server, team: str
) -> None:
    inventory = built.root / "delivery/inventories/production/hosts.json"
    inventory.parent.mkdir(parents=True)
    # It lacks what the playbook asks for.
    here = {"ansible_connection": "local"}
    inventory.write_text(json.dumps({"service": {"hosts": {"here": here}}}))
    project = accepted(built)
    with pytest.raises(DeliveryError, match="here: .*service_port"):
        deployments.deploy(project, "production", None, False, None)
    assert len(wheels(server, f"{team}/production")) == 1
    assert project.live("production") is None
    last = [event.event for event in project.ledger.events()][-2:]
    assert last == ["published", "failed"]
    # The next try finds it there, and tells it once.
    with pytest.raises(DeliveryError, match="here: .*service_port"):
        deployments.deploy(project, "production", None, False, None)
    assert indices(project).count(f"{team}/production") == 1


def test_what_the_gate_refuses_is_not_let_in(built: Toy, server: Server, team: str) -> None:
    project = accepted(built)
    project.record("revoked", "everywhere", project.artifact(), reason="bad")
    with pytest.raises(DeliveryError, match="was revoked"):
        deployments.deploy(project, "production", None, False, None)
    assert wheels(server, f"{team}/production") == []


@pytest.mark.parametrize("level", LEVELS)
def test_no_level_lets_go_of_what_it_has(
    ready: Toy, server: Server, team: str, level: str, tmp_path: Path
) -> None:
    assert server.api("GET", f"/{team}/{level}")["volatile"] is False
    index = Devpi.parse(f"devpi+{server.url}/{team}", ready.root).at(level)
    made = wheel(tmp_path / "a", "1.0")
    index.site.upload(f"{index}/", made, index)
    other = wheel(tmp_path / "b", "1.0", "x = 2\n")
    with pytest.raises(DeliveryError, match="did not take hello_delivery-1.0.* 409 "):
        index.site.upload(f"{index}/", other, index)
    artifact = describe(made, "c" * 40)
    assert index.fetch("hello-delivery", artifact).read_bytes() == made.read_bytes()


def test_one_index_serves_a_release_and_from_behind_it_what_that_needs(
    ready: Toy, server: Server, team: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = Devpi.parse(f"devpi+{server.url}/{team}", ready.root)
    behind.publish("tiny-part", wheel(tmp_path, "1.0", name="tiny_part"))
    made = wheel(tmp_path, "1.0", needs="tiny-part==1.0")
    artifact = describe(made, "c" * 40)
    front = create(tmp_path / "devpi", f"{behind}/+simple/")
    try:
        monkeypatch.setenv("DELIVERY_INDEX_PASSWORD", front.password)
        credentials.find.cache_clear()
        dev, acceptance, production = (
            Devpi.parse(front.index, ready.root).at(level) for level in LEVELS
        )
        dev.publish("hello-delivery", made)
        dev.push("hello-delivery", artifact, acceptance)
        acceptance.push("hello-delivery", artifact, production)
        for name, install in installers(production.url).items():
            place = tmp_path / name
            command = [*install, "--target", str(place), "hello-delivery==1.0"]
            subprocess.run(command, check=True, env={"PATH": f"{Path(sys.executable).parent}"})
            assert {path.name for path in place.glob("*.py")} == {
                "hello_delivery.py",
                "tiny_part.py",
            }
    finally:
        front.stop()


def installers(url: str) -> dict[str, list[str]]:
    """Return how each installer is told to install from one index alone."""
    return {
        "pip": [sys.executable, "-m", "pip", "--isolated", "install", "--index-url", url],
        "uv": ["uv", "pip", "install", "--no-config", "--no-cache", "--default-index", url],
    }


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_both_installers_install_from_it(
    built: Toy, server: Server, team: str, tmp_path: Path, installer: str
) -> None:
    assert built.delivery("publish").returncode == 0
    artifact = Project.find(built.root).artifact()
    assert artifact
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"toy=={artifact.version} --hash=sha256:{artifact.sha256}\n")
    url = f"{server.url}/{team}/dev/+simple/"
    install = installers(url)[installer]
    more = ["--no-deps", "--target", str(tmp_path / "to"), "--require-hashes", "-r", str(wanted)]
    subprocess.run([*install, *more], check=True, env={"PATH": f"{Path(sys.executable).parent}"})
    assert (tmp_path / "to" / "toy" / "__init__.py").is_file()
