"""Jenkins: its file is of good form, and a stand-in on Jenkins' own Groovy ran it.

No Jenkins can be had from a package index. What stands in (``jenkins/``) checks the form of the
declarative pipeline and runs it: stages, agents, stashes, credentials, inputs, locks, milestones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from delivery.ci import jenkins
from delivery.ci.plan import Plan, plan
from delivery.config import load

from tests.ci.conftest import Begin, Moving, started
from tests.ci.emit import SHAPES
from tests.ci.faults import FAULTS
from tests.ci.sample import BIN, STAGES, TESTED, Sample, in_order
from tests.render.conftest import Render

pytestmark = pytest.mark.groovy
SOURCES = Path(__file__).parent / "jenkins"
LIBRARIES = "/usr/share/groovy/lib/*"
JAVA = next(iter(sorted(Path("/usr/lib/jvm").glob("java-17-openjdk-*"))), Path())
LIMIT = 300  # seconds for anything, on a busy machine
PASSED = sorted(f"{stage} passed" for stage in STAGES)
Standin = list[str]


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Standin:
    """Return the command of the stand-in, compiled once."""
    return compiled(tmp_path_factory.mktemp("jenkins"))


def compiled(classes: Path) -> Standin:
    """Compile the stand-in into a folder; return its command."""
    env = {**os.environ, "JAVA_HOME": str(JAVA)}
    sources = sorted(map(str, SOURCES.glob("*.groovy")))
    subprocess.run(["groovyc", "-d", str(classes), *sources], env=env, check=True, timeout=LIMIT)
    return [str(JAVA / "bin" / "java"), "-cp", f"{classes}:{LIBRARIES}", "jenkins"]


def wrong(standin: Standin, *paths: Path) -> str:
    """Return what the stand-in finds wrong with the form of files."""
    command = [*standin, "check", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert not done.stderr  # that it found nothing has to mean that it looked
    return done.stdout


@pytest.fixture
def sample(begin: Begin) -> Sample:
    """Return a project that is delivered by Jenkins."""
    return begin(ci=["jenkins"])


@pytest.fixture
def asking(begin: Begin) -> Sample:
    """Return a project whose production waits for a person."""

    def change(sample: Sample) -> None:
        sample.edit("delivery.toml", "approval = false", "approval = true")
        sample.write()

    return begin(change, ci=["jenkins"])


def told(sample: Sample, commit: str, **more: Any) -> list[str]:
    """Return the arguments for a build of a commit."""
    about = {
        "repo": str(sample.origin),
        "commit": commit,
        "folder": str(sample.home / "jenkins"),
        "credentials": {"clone": "reader", "delivery-ledger": "grace:hunter2"},
        **more,
    }
    return ["run", str(sample.root / "Jenkinsfile"), json.dumps(about)]


def build(standin: Standin, sample: Sample, commit: str, **more: Any) -> str:
    """Let the stand-in build a commit; return what it says."""
    return sample.run([*standin, *told(sample, commit, **more)], sample.home)


@contextmanager
def begun(
    standin: Standin, sample: Sample, commit: str, name: str = "said", **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """Let the stand-in build a commit beside what is done here; at the end it has built it.

    Args:
        standin: its command.
        sample: the project.
        commit: the commit.
        name: of the file in the project's home that keeps what it says.
        more: what else it is told.
    """
    process = sample.start([*standin, *told(sample, commit, **more)], sample.home, name)
    try:
        yield process
        process.wait(timeout=LIMIT)
    finally:
        process.terminate()  # it ends its steps, too
        try:
            process.wait(timeout=LIMIT)
        finally:
            process.kill()


def wait(done: Callable[[], bool], process: subprocess.Popen[str], said: Path) -> None:
    """Wait until something holds while a build is running; else tell what it said."""
    end = time.monotonic() + LIMIT
    while not done():
        assert process.poll() is None and time.monotonic() < end, said.read_text()
        time.sleep(0.2)


def result(said: str) -> str:
    """Return how a build ended."""
    (line,) = re.findall(r"^REPORT (.*)$", said, re.MULTILINE)
    return str(json.loads(line)["result"])


@pytest.fixture(scope="module")
def tables(slim: Render) -> dict[str, tuple[Plan, str]]:
    """Return the jobs and the Jenkinsfile of each stage table, without an approval and with one."""
    made = {}
    for name, answers in SHAPES.items():
        for approval in (False, True):
            project = slim(**answers, ci=["jenkins"])
            table = project / "delivery.toml"
            text = table.read_text().replace(
                "approval = false", f"approval = {str(approval).lower()}"
            )
            table.write_text(
                text.replace("[stages.publish]", '[stages.publish]\nsecrets = ["TOKEN"]')
            )
            jobs = plan(load(project))
            made[f"{name}-{approval}"] = jobs, jenkins.files(jobs)["Jenkinsfile"]
    return made


def test_every_stage_table_gives_a_file_of_good_form(
    tables: dict[str, tuple[Plan, str]], standin: Standin, tmp_path: Path
) -> None:
    for name, (_, text) in tables.items():
        (tmp_path / name).write_text(text)
    assert wrong(standin, *tmp_path.iterdir()) == ""


def test_every_stage_table_says_what_the_stand_in_does_not_do(
    tables: dict[str, tuple[Plan, str]],
) -> None:
    for name, (jobs, text) in tables.items():
        asked = any(job.approval for job in jobs.jobs)
        assert ("disableConcurrentBuilds()" in text) is not asked, name
        (options,) = re.findall(r"options \{(.*?)\n    \}", text, re.DOTALL)  # of no stage: of all
        assert "buildDiscarder(logRotator(" in options and "timeout(time: " in options, name
        for job in jobs.jobs:
            (stage,) = re.findall(rf"\n( *)stage\('{job.name}'\) \{{(.*?)\n\1\}}", text, re.DOTALL)
            assert ("credentials('TOKEN')" in stage[1]) is ("TOKEN" in job.secrets), name
            limit = rf"timeout\(time: {job.minutes}, unit: 'MINUTES'\) \{{\n"
            # Whoever waits for the others' lock has all of its time yet.
            lock = rf"milestone \d+\n +alone\('{job.environment}'\) \{{\n +"
            assert re.search(lock + limit if job.environment else limit, stage[1]), name
        buttons = re.findall(r"alone\(params.ENVIRONMENT\) \{\n +timeout\(time: \d+", text)
        assert len(buttons) == (2 if jobs.environments else 0), name
        assert "cron(env.BRANCH_NAME == 'main' ? 'H 4 * * 1' : '')" in text, name


@pytest.fixture(scope="session")
def refused(
    render: Render, standin: Standin, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return what is found in a file with each of the faults, all looked at in one go."""
    text = (render(ci=["jenkins"]) / "Jenkinsfile").read_text()
    folder, paths = tmp_path_factory.mktemp("bad"), {}
    for name, (old, new) in FAULTS.items():
        assert old in text, name
        paths[name] = folder / re.sub(r"\W+", "-", name)
        paths[name].write_text(text.replace(old, new, 1))
    said = wrong(standin, *paths.values()).splitlines()
    return {
        name: "\n".join(line for line in said if line.startswith(f"{p}:"))
        for name, p in paths.items()
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_the_stand_in_finds_what_jenkins_would_refuse(refused: dict[str, str], fault: str) -> None:
    assert refused[fault]


def test_a_commit_goes_into_production(sample: Sample, standin: Standin) -> None:
    # An agent's tree stays as a build before has left it: what that kept is not this one's.
    left = sample.home / "jenkins" / "workspace" / "unit" / ".delivery"
    for folder in ("logs", "reports"):
        (left / folder).mkdir(parents=True)
        (left / folder / "left.xml").touch()
    commit = sample.git("rev-parse", "HEAD")
    said = build(standin, sample, commit)
    assert in_order(sample.journal(commit)), said
    assert result(said) == "SUCCESS"
    assert len(sample.digests(commit)) == 1
    assert sorted(sample.told(commit)) == PASSED
    assert {event.by for event in sample.events(commit)} == {"Ada Lovelace <ada@example.org>"}
    assert {event.via for event in sample.events(commit)} == {"jenkins"}
    assert "hunter2" not in said
    assert (left / "reports" / "unit" / "tests.xml").exists()
    assert not list(left.rglob("left.xml"))


def test_a_tag_is_delivered_and_a_secret_is_for_the_stage_that_names_it(
    begin: Begin, standin: Standin
) -> None:
    def change(sample: Sample) -> None:
        sample.edit("delivery.toml", "[stages.publish]", '[stages.publish]\nsecrets = ["TOKEN"]')
        sample.write()

    sample = begin(change, ci=["jenkins"])
    stages = ("security", "publish", "production")
    commit = sample.commit("Tell", "".join(f"{stage} tells\n" for stage in stages))
    known = {"clone": "reader", "delivery-ledger": "grace:hunter2", "TOKEN": "s3same"}
    said = build(standin, sample, commit, branch="v1.0.0", tag="v1.0.0", credentials=known)
    assert sorted(sample.told(commit)) == PASSED, said
    told = (sample.home / "told").read_text().splitlines()
    assert told == [f"{s} has TOKEN={'s3same' if s == 'publish' else None}" for s in stages]
    assert "s3same" not in said


def test_after_a_red_unit_nothing_is_begun_and_the_ledger_says_so(
    sample: Sample, standin: Standin
) -> None:
    commit = sample.commit("Break", "unit red")
    said = build(standin, sample, commit)
    assert result(said) == "FAILURE"
    assert set(sample.journal(commit)) <= {"unit", "build", "security"}
    assert {"unit failed", "security passed"} <= set(sample.told(commit)), said


def test_after_a_red_acceptance_is_no_production(sample: Sample, standin: Standin) -> None:
    commit = sample.commit("Break", "acceptance red")
    said = build(standin, sample, commit)
    assert sample.journal(commit)[-1] == "acceptance", said
    assert "acceptance failed" in sample.told(commit)


@pytest.mark.parametrize("more", [{"branch": "topic"}, {"branch": "main", "change": "7"}], ids=str)
def test_another_branch_and_a_change_request_are_tested_and_not_published(
    sample: Sample, standin: Standin, more: dict[str, str]
) -> None:
    commit = sample.git("rev-parse", "HEAD")
    sample.git("push", "--quiet", "origin", "HEAD:topic")
    said = build(standin, sample, commit, credentials={}, **more)
    assert sorted(sample.journal(commit)) == sorted(TESTED), said
    assert result(said) == "SUCCESS"
    assert sample.events(commit) == []


def test_a_branch_is_delivered_on_demand_by_who_asked(sample: Sample, standin: Standin) -> None:
    commit = sample.git("rev-parse", "HEAD")
    sample.git("push", "--quiet", "origin", "HEAD:topic")
    said = build(standin, sample, commit, branch="topic", user="grace", params={"ON_DEMAND": True})
    assert sorted(sample.told(commit)) == PASSED, said
    assert {event.by for event in sample.events(commit)} == {"grace"}


def test_weekly_it_checks_security_and_proposes_what_the_template_brings(
    moving: Moving, tmp_path: Path, standin: Standin
) -> None:
    sample = started(moving.render, tmp_path, ci=["jenkins"])
    moving.release("v1.1.0", "It moved.\n")
    (sample.root / "NEWS").write_text("Our own.\n")
    commit = sample.commit()
    said = build(standin, sample, commit, timer=True)
    assert sample.journal(commit) == ["security"], said
    assert sample.told(commit) == ["security passed"]
    sample.git("fetch", "--quiet", "origin", "template-update")
    told = sample.git("log", "-1", "--format=%B", "FETCH_HEAD")
    assert told.startswith("Update the template: conflicts to solve\n"), said
    assert "  NEWS: look for <<<<<<< (1 place)" in told
    assert sample.git("rev-parse", "FETCH_HEAD~1") == commit
    assert result(said) == "FAILURE"


@pytest.mark.parametrize("press", ["", "linus"])
def test_without_an_approval_by_who_may_is_no_production(
    asking: Sample, standin: Standin, press: str
) -> None:
    commit = asking.git("rev-parse", "HEAD")
    said = build(standin, asking, commit, press=press, groups={"approvers": ["grace"]})
    assert result(said) == "ABORTED"
    assert asking.journal(commit)[-1] == "acceptance", said
    assert "approved" not in {event.event for event in asking.events(commit)}


def test_of_two_builds_at_once_the_older_never_follows_the_newer(
    asking: Sample, standin: Standin
) -> None:
    groups, said = {"approvers": ["grace"]}, (asking.home / "older", asking.home / "newer")
    older, newer = asking.commit("One", "acceptance waits"), asking.commit("Two")
    with begun(standin, asking, older, "older", press=None, groups=groups) as first:
        wait(lambda: "acceptance" in asking.journal(older), first, said[0])
        more = {"number": "2", "press": "grace", "groups": groups}
        with begun(standin, asking, newer, "newer", **more) as second:
            mark = "waits for team/service acceptance"
            wait(lambda: mark in said[1].read_text(), second, said[1])
            (asking.home / "go").touch()
    one, two = (path.read_text() for path in said)
    assert (result(one), result(two)) == ("ABORTED", "SUCCESS"), one
    told = {(e.stage, e.event): e for e in asking.events(older)}
    after = {(e.stage, e.event): e for e in asking.events(newer)}
    assert told["acceptance", "passed"].when < after["acceptance", "deployed"].when
    # Nobody approves the older one, which was accepted first; there the newer one overtakes it.
    assert asking.journal(older)[-1] == "acceptance", one
    assert "build 2 has passed the milestone" in one
    assert in_order(asking.journal(newer)), two
    assert after["production", "approved"].by == "grace"
    asking.git("fetch", "--quiet", "origin", "refs/delivery/ledger:refs/delivery/ledger")
    verdict = asking.run(["python3", "-m", "delivery", "verify"], asking.root)
    assert verdict == f"{len(told) + len(after)} events: no problems\n"


@pytest.mark.parametrize("fault", ["build alters", "build loses"])
def test_an_artifact_that_was_altered_or_lost_is_not_published(
    sample: Sample, standin: Standin, fault: str
) -> None:
    commit = sample.commit("Fault", fault)
    said = build(standin, sample, commit)
    assert result(said) == "FAILURE"
    assert sorted(sample.journal(commit)) == sorted({*TESTED} - {"integration"}), said
    assert "build passed" in sample.told(commit)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("alters", "is not the artifact that was built"),
        ("loses", "is neither in dist nor in the"),
    ],
)
def test_publish_refuses_what_is_not_what_was_built(
    sample: Sample, standin: Standin, how: str, says: str
) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = build(standin, sample, commit, spoilt={"stage": "publish", "how": how})
    assert says in said
    assert sorted(sample.journal(commit)) == sorted(TESTED), said


def test_a_shallow_clone_is_not_built(sample: Sample, standin: Standin) -> None:
    sample.edit("Jenkinsfile", "shallow: false, depth: 0", "shallow: true, depth: 1")
    commit = sample.commit("Forget the history")
    said = build(standin, sample, commit)
    assert "this clone is shallow" in said
    assert "build" not in sample.journal(commit)


def test_an_older_build_is_not_let_past_a_later_one(sample: Sample, standin: Standin) -> None:
    older, later = sample.commit("One"), sample.commit("Two")
    with begun(standin, sample, later, "later", number="2") as process:
        wait(lambda: bool(sample.journal(later)), process, sample.home / "later")
        said = build(standin, sample, older, number="1")  # nobody approves: it waits its turn
    assert "waits for builds of team/service/main" in said
    assert result(said) == "ABORTED"
    assert result((sample.home / "later").read_text()) == "SUCCESS"
    assert "acceptance" not in sample.journal(older), said
    assert in_order(sample.journal(later))


def test_a_build_that_is_aborted_says_so_and_the_next_goes_on(
    sample: Sample, standin: Standin
) -> None:
    commit = sample.commit("Slow", "acceptance slow")
    with begun(standin, sample, commit) as process:
        wait(lambda: "acceptance" in sample.journal(commit), process, sample.home / "said")
        process.terminate()
    reasons = [e.reason for e in sample.events(commit) if e.event == "failed"]
    assert reasons == ["interrupted"], sample.said
    assert result(sample.said) == "ABORTED"
    following = sample.commit("Quick")
    build(standin, sample, following, number="2")
    assert sorted(sample.told(following)) == PASSED


def test_the_job_is_what_jenkins_job_builder_takes(render: Render, tmp_path: Path) -> None:
    project = render(ci=["jenkins"], repository_url="https://git.example.org/acme/parcels")
    # It wants a setuptools that nothing else here has: an environment of its own.
    tool = ("tool", "run", "--quiet", "--from=jenkins-job-builder==6.5.0", "--with=setuptools<81")
    job = str(project / "jenkins" / "job.yml")
    done = subprocess.run(
        [str(BIN / "uv"), *tool, "jenkins-jobs", "test", job],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    made = ElementTree.fromstring(done.stdout)
    assert made.tag.endswith("WorkflowMultiBranchProject")
    assert made.findtext(".//remote") == "https://git.example.org/acme/parcels"
    assert made.findtext(".//scriptPath") == "Jenkinsfile"


@pytest.mark.parametrize(("action", "option"), [("rollback", "--to "), ("deploy", "")])
def test_a_button_takes_what_was_typed_as_it_is(
    sample: Sample, standin: Standin, action: str, option: str
) -> None:
    commit = sample.git("rev-parse", "HEAD")
    params = {"ENVIRONMENT": "production", "VERSION": "1;x", "REASON": "$(x) smells"}
    said = build(standin, sample, commit, user="grace", params={"ACTION": action, **params})
    asked = f"python -m delivery {action} production {option}1;x --reason $(x) smells\n"
    assert (sample.home / "asked").read_text() == asked, said
    assert sample.journal(commit) == []
