"""CI systems that ran the pipeline for real: job by job, each in a fresh clone, into production."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from delivery.ledger.event import Event

from tests.ci import test_github, test_gitlab
from tests.ci.sample import BIN, Sample, in_order
from tests.ci.test_gitlab import engine
from tests.render.conftest import Render, render, template

from .conftest import Person, Service, give

pytestmark = [pytest.mark.slow, pytest.mark.browser]
__all__ = ["engine", "render", "template"]


@pytest.fixture(scope="module")
def project(person: Person, render: Render) -> Iterator[Service]:
    """Return a service of the person's, committed, for two CI systems."""
    root = person.home / "engine-room"
    rendered = render(project_name="Engine Room", ci=["github", "gitlab"])
    shutil.copytree(rendered, root)
    for path in [root, *root.rglob("*")]:
        give(path)
    made = Service(person, root, root)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("Start")
    yield made
    made.delivery("stop", status=None)


def pushed(project: Service, system: str) -> Sample:
    """Return a clone of the project, and the bare repository of its own that it is pushed to."""
    person = project.person
    sample = Sample(person.home / system)
    person.run("mkdir", "-p", str(sample.home / "bin"), cwd=person.home)
    person.run(
        "git", "clone", "-q", "--bare", str(project.root), str(sample.origin), cwd=person.home
    )
    person.run("git", "clone", "-q", str(sample.origin), str(sample.root), cwd=person.home)
    # The person cannot read where the tests run from.
    for name in ("act", "uv"):
        subprocess.run(["install", "-m", "755", BIN / name, sample.home / "bin"], check=True)
    return sample


def run(project: Service, sample: Sample, command: list[str]) -> str:
    """Run a CI system as the person, with its own tools first; return what it says."""
    paths = ":".join([str(sample.home / "bin"), project.person.path])
    for path in sample.home.rglob("*"):
        give(path)
    return replace(project.person, path=paths).run(*command, cwd=sample.root, status=None)


def arrived(project: Service, sample: Sample, said: str) -> list[Event]:
    """Return what the ledger has, once it has been seen that the commit is in production."""
    commit = project.git("rev-parse", "HEAD")
    own = replace(sample, home=sample.home / "read")
    own.home.mkdir()
    subprocess.run(["cp", "-r", sample.origin, own.origin], check=True)  # now whoever tests owns it
    passed = [told.split()[0] for told in own.told(commit) if told.endswith(" passed")]
    assert in_order(passed), said
    assert project.version()["commit"] == commit
    return own.events(commit)


def test_github_and_gitlab_deliver_the_same_artifact_into_production(
    project: Service, engine: list[str]
) -> None:
    github = pushed(project, "github")
    actions = github.home / "actions"
    shutil.copytree(test_github.ACTIONS, actions)
    command = test_github.command(github, "push", act=github.home / "bin" / "act", actions=actions)
    said = run(project, github, command)
    events = {"github": arrived(project, github, said)}

    gitlab = pushed(project, "gitlab")
    node = gitlab.home / "node"
    shutil.copytree(Path(engine[1]).parents[3], node / "engine", symlinks=True)
    shutil.copy(engine[0], node / "node")
    script = str(node / "engine" / Path(engine[1]).relative_to(Path(engine[1]).parents[3]))
    gitlab = replace(gitlab, env={"UV_CACHE_DIR": str(project.person.home / ".cache" / "uv")})
    said = run(project, gitlab, test_gitlab.command(gitlab, [str(node / "node"), script]))
    events["gitlab"] = arrived(project, gitlab, said)

    digests = {event.sha256 for told in events.values() for event in told if event.sha256}
    assert len(digests) == 1
    assert {e.via for told in events.values() for e in told} == {"github", "gitlab"}
    assert project.version()["sha256"] in digests
