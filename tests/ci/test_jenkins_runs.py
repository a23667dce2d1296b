"""Jenkins: a stand-in on its own Groovy ran its file.

It has stages, agents, stashes, credentials, inputs, locks, milestones, and two builds at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ci.conftest import Begin, Moving, started
from tests.ci.sample import STAGES, TESTED, Sample, in_order
from tests.ci.standin import Standin, begun, build, result, wait

pytestmark = pytest.mark.groovy
PASSED = sorted(f"{stage} passed" for stage in STAGES)


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
