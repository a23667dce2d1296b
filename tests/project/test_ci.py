"""CI systems that ran the pipeline for real: job by job, each in a fresh clone, into production."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from delivery.ledger.event import Event

from tests.ci import test_github, test_gitlab
from tests.ci.bot import Bot
from tests.ci.sample import BIN, DEFAULT, Sample, in_order
from tests.ci.standin import Standin, build, standin
from tests.ci.test_gitlab import engine
from tests.render.conftest import Render, render, template

from .conftest import WALKER, Person, Service, give

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.groovy]
__all__ = ["engine", "render", "standin", "template"]
SYSTEMS = ("github", "gitlab", "jenkins", "buildbot")
GRACE = "grace@example.org"


@dataclass(frozen=True)
class Owned(Sample):
    """A clone of the project that is the person's, and a bare repository that it is pushed to.

    Attributes:
        person: whom it belongs to, with its own tools first.
    """

    person: Person = Person(Path())

    def run(self, command: Sequence[str | Path], cwd: Path, **env: str) -> str:
        """Run it as the person; return what it says."""
        if os.geteuid() == 0:
            # What runs already may make and remove files meanwhile.
            owner = ["chown", "-R", f"{WALKER}:", str(self.home)]
            subprocess.run(owner, check=False, capture_output=True)
        return self.person.run(*map(str, command), cwd=cwd, status=None, **env)

    def events(self, commit: str) -> list[Event]:
        """Return what the ledger has about a commit, oldest first."""
        own = Sample(self.home / "read")
        shutil.rmtree(own.home, ignore_errors=True)
        shutil.copytree(self.origin, own.origin)  # git reads what belongs to whoever asks
        return own.events(commit)


@pytest.fixture(scope="module")
def project(person: Person, render: Render) -> Iterator[Service]:
    """Return a service of the person's, committed, whose production waits for an approval."""
    root = person.home / "engine-room"
    rendered = render(project_name="Engine Room", ci=list(SYSTEMS))
    shutil.copytree(rendered, root)
    for path in [root, *root.rglob("*")]:
        give(path)
    made = Service(person, root, root)
    made.git("init", "--quiet", "--initial-branch=main")
    made.edit("delivery.toml", "approval = false", "approval = true")
    made.delivery("ci", "--write")
    made.commit("Start")
    yield made
    made.delivery("stop", status=None)


def pushed(project: Service, system: str) -> Owned:
    """Return a clone for a CI system."""
    person, home = project.person, project.person.home / system
    path = ":".join([str(home / "bin"), person.path])
    cache = os.environ.get("UV_CACHE_DIR") or str(person.home / ".cache" / "uv")
    sample = Owned(home, {"UV_CACHE_DIR": cache}, person=replace(person, path=path))
    person.run("mkdir", "-p", str(home / "bin"), cwd=person.home)
    person.run(
        "git", "clone", "-q", "--bare", str(project.root), str(sample.origin), cwd=person.home
    )
    person.run("git", "clone", "-q", str(sample.origin), str(sample.root), cwd=person.home)
    # The person cannot read where the tests run from.
    for name in ("act", "uv"):
        subprocess.run(["install", "-m", "755", BIN / name, home / "bin"], check=True)
    return sample


def by_github(sample: Owned) -> str:
    """Let act run the workflow."""
    actions = shutil.copytree(test_github.ACTIONS, sample.home / "actions")
    act = sample.home / "bin" / "act"
    return test_github.act(sample, act=act, actions=actions, APPROVED_BY=f"grace <{GRACE}>")


def by_gitlab(sample: Owned, engine: list[str]) -> str:
    """Let gitlab-ci-local run the pipeline, then press its button."""
    node, top = sample.home / "node", Path(engine[1]).parents[3]
    shutil.copytree(top, node / "engine", symlinks=True)
    shutil.copy(engine[0], node / "node")
    own = [str(node / "node"), str(node / "engine" / Path(engine[1]).relative_to(top))]
    who = {"GITLAB_USER_NAME": "grace", "GITLAB_USER_EMAIL": GRACE}
    said = test_gitlab.through(sample, own)
    return said + test_gitlab.through(sample, own, "production", **who)


def by_jenkins(sample: Owned, standin: Standin, commit: str) -> str:
    """Let Jenkins' stand-in run the Jenkinsfile."""
    java, option, path, *rest = standin
    classes, libraries = path.split(":")
    own = shutil.copytree(classes, sample.home / "classes")
    command = [java, option, f"{own}:{libraries}", *rest]
    groups = {"approvers": [GRACE]}
    return build(command, sample, commit, press=GRACE, groups=groups)


def by_buildbot(sample: Owned, commit: str) -> str:
    """Let a Buildbot of its own deliver a commit that was there before it, by its buttons."""
    bot = Bot(sample)
    grace = bot.admit(GRACE)
    told = {"branch": "main", "revision": commit, "reason": "seen it"}
    with bot.running():
        for button in ("deliver", "approve-production"):
            assert bot.press(button, grace, **told) == 200
            bot.idle()
        return bot.log()


@pytest.fixture(scope="module")
def delivered(
    project: Service, engine: list[str], standin: Standin
) -> dict[str, tuple[list[Event], str]]:
    """Let each system deliver the commit; return what its ledger has, and what it said."""
    commit, found = project.git("rev-parse", "HEAD"), {}
    ways: dict[str, Callable[[Owned], str]] = {
        "github": by_github,
        "gitlab": lambda sample: by_gitlab(sample, engine),
        "jenkins": lambda sample: by_jenkins(sample, standin, commit),
        "buildbot": lambda sample: by_buildbot(sample, commit),
    }
    for system, way in ways.items():
        sample = pushed(project, system)
        said = way(sample)
        found[system] = sample.events(commit), said
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_delivers_in_order_once_somebody_approved(
    delivered: dict[str, tuple[list[Event], str]], system: str
) -> None:
    events, said = delivered[system]
    passed = [event.stage for event in events if event.event == "passed"]
    assert in_order(passed, DEFAULT), said
    assert {event.via for event in events} == {system}
    (approved,) = (event for event in events if event.event == "approved")
    assert GRACE in approved.by
    ends = [f"{event.stage} {event.event}" for event in events]
    assert ends.index("performance passed") < events.index(approved), said
    assert events.index(approved) < ends.index("production deployed"), said


def test_all_of_them_deliver_the_same_artifact_which_is_in_production(
    project: Service, delivered: dict[str, tuple[list[Event], str]]
) -> None:
    digests = {e.sha256 for events, _ in delivered.values() for e in events if e.sha256}
    live = project.version()
    assert (live["commit"], {live["sha256"]}) == (project.git("rev-parse", "HEAD"), digests)
