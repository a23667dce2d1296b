"""GitHub Actions: its workflows are clean, and act ran them."""

from __future__ import annotations

import json
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.ci.conftest import Begin
from tests.ci.sample import BIN, STAGES, TESTED, Sample, in_order

ACTIONS = Path(__file__).parent / "actions"
WORKFLOW = ".github/workflows/delivery.yml"
# Stands in for the hosting site: who approved, as its answer to jq's question; and releases.
GH = """#!/bin/sh
case "$1" in
  api) echo "$APPROVED_BY" ;;
  release) echo "$@" >>"$HOME/gh" ;;
  *) exit 1 ;; # act asks for a token
esac
"""


def command(
    sample: Sample,
    event: str,
    name: str = "delivery",
    act: Path = BIN / "act",
    actions: Path = ACTIONS,
    **told: Any,
) -> list[str]:
    """Return the command that lets act run a workflow for an event, on this machine."""
    texts = [path.read_text() for path in (sample.root / ".github").glob("*/**/*.yml")]
    uses = dict(re.findall(r"uses: ((?:actions|pypa)/(\S+)@\w+)", "".join(texts)))
    # "$/", this repository at this commit, is new to GitHub; act knows "./", the work tree.
    workflow = sample.home / f"{name}.yml"
    text = (sample.root / ".github" / "workflows" / workflow.name).read_text()
    workflow.write_text(text.replace("uses: $/", "uses: ./"))
    told.setdefault("ref", "refs/heads/main")
    variables = told.pop("variables", {})
    path = sample.home / "event.json"
    path.write_text(json.dumps(told))
    gh = sample.home / "bin" / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    artifacts = sample.home / f"artifacts-{time.monotonic_ns()}"
    artifacts.mkdir()
    return [
        *(str(act), event, f"--workflows={workflow}"),
        *("--platform=ubuntu-latest=-self-hosted", "--no-skip-checkout", "--no-cache-server"),
        *(f"--eventpath={path}", "--actor=grace", f"--env=ARTIFACTS={artifacts}"),
        *(f"--action-cache-path={sample.home / 'act'}", "--artifact-server-addr=127.0.0.1"),
        *(f"--env=SOURCE_REPOSITORY={sample.origin}",),
        *(f"--local-repository={action}={actions / place}" for action, place in uses.items()),
        *(f"--input={key}={value}" for key, value in told.get("inputs", {}).items()),
        *(f"--var={key}={value}" for key, value in variables.items()),
    ]


def act(sample: Sample, event: str = "push", name: str = "delivery", **told: Any) -> str:
    """Let act run a workflow; return what it says."""
    env = {key: told.pop(key) for key in [*told] if key.isupper()}
    return sample.run(command(sample, event, name, **told), sample.root, **env)


@pytest.fixture
def sample(begin: Begin) -> Sample:
    """Return a project that is delivered by GitHub."""
    return begin(ci=["github"])


def test_a_push_to_main_goes_into_production(sample: Sample) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = act(sample)
    assert in_order(sample.journal(commit)), said
    assert len(sample.digests(commit)) == 1
    assert sorted(sample.told(commit)) == sorted(f"{stage} passed" for stage in STAGES)
    assert {event.by for event in sample.events(commit)} == {"grace"}
    assert {event.via for event in sample.events(commit)} == {"github"}
    (kept,) = sample.home.glob("artifacts-*")
    for stage in ("unit", "acceptance"):  # what a person may want to see of a job
        assert list(kept.glob(f"job-{stage}/logs/*/{stage}.1.log")), said
        assert list(kept.glob(f"job-{stage}/reports/{stage}/*.xml")), said


def test_a_red_stage_stops_what_comes_after_it_and_the_ledger_is_told(sample: Sample) -> None:
    commit = sample.commit(faults="unit red")
    said = act(sample)
    assert sorted(sample.journal(commit)) == sorted(TESTED), said
    assert "unit failed" in sample.told(commit)
    assert "integration passed" in sample.told(commit)


def test_what_is_not_accepted_does_not_reach_production(sample: Sample) -> None:
    commit = sample.commit(faults="acceptance red")
    said = act(sample)
    assert sample.journal(commit)[-2:] == ["publish", "acceptance"], said
    assert sample.told(commit)[-1] == "acceptance failed"


@pytest.mark.parametrize(
    ("event", "ref"), [("push", "refs/heads/feature"), ("pull_request", "refs/pull/7/merge")]
)
def test_another_branch_is_tested_and_changes_nothing(sample: Sample, event: str, ref: str) -> None:
    sample.git("switch", "--quiet", "--create", "feature")
    commit = sample.commit()
    said = act(sample, event, ref=ref)
    assert sorted(sample.journal(commit)) == sorted(TESTED), said
    assert sample.told(commit) == []


def test_another_branch_is_delivered_on_demand(sample: Sample) -> None:
    sample.git("switch", "--quiet", "--create", "feature")
    commit = sample.commit()
    said = act(sample, "workflow_dispatch", ref="refs/heads/feature")
    assert in_order(sample.journal(commit)), said


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("ALTERED_FOR", "is not the artifact that was built"),
        ("LOST_FOR", "is neither in dist nor in the"),
    ],
)
def test_an_artifact_that_was_altered_or_lost_is_not_published(
    sample: Sample, fault: str, told: str
) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = act(sample, **{fault: "publish"})
    assert told in said, said
    assert sorted(sample.journal(commit)) == sorted(TESTED)


def test_a_shallow_clone_is_refused_before_anything_is_built(begin: Begin) -> None:
    sample = begin(
        lambda made: made.edit(WORKFLOW, "fetch-depth: 0", "fetch-depth: 1"), ci=["github"]
    )
    commit = sample.commit()
    said = act(sample)
    assert "this clone is shallow" in said, said
    assert "build" not in sample.journal(commit)


def test_production_waits_for_somebody_who_approves(begin: Begin) -> None:
    def approval(made: Sample) -> None:
        made.edit("delivery.toml", "approval = false", "approval = true\nfour_eyes = true")
        made.write()

    sample = begin(approval, ci=["github"])
    commit = sample.git("rev-parse", "HEAD")
    said = act(sample)
    assert "nobody has approved it" in said, said
    said = act(sample, APPROVED_BY="Ada Lovelace <ada@example.org>")
    assert "is by the author of the commit" in said, said
    assert "production" not in sample.journal(commit)
    grace = "grace <7+grace@users.noreply.github.com>"
    said = act(sample, APPROVED_BY=grace)
    assert sample.journal(commit)[-1] == "production", said
    (approved,) = (e for e in sample.events(commit) if e.event == "approved")
    assert (approved.by, approved.environment) == (grace, "production")


def test_a_run_that_comes_late_does_not_take_the_place_of_a_newer_commit(sample: Sample) -> None:
    older = sample.git("rev-parse", "HEAD")
    newer = sample.commit()
    act(sample)
    sample.git("checkout", "--quiet", older)
    said = act(sample)
    assert sample.journal(newer)[-1] == "production"
    assert "production" not in sample.journal(older)
    assert "is older than" in said, said


def test_what_is_cancelled_half_way_is_told_truly_and_the_next_run_is_fine(sample: Sample) -> None:
    commit = sample.interrupted(command(sample, "push"))
    assert sample.journal(commit)[-1] == "publish", sample.said
    assert "publish passed" not in sample.told(commit)
    assert [e.reason for e in sample.events(commit) if e.event == "failed"] == ["interrupted"]
    commit = sample.commit()
    said = act(sample)
    assert in_order(sample.journal(commit)), said


@pytest.mark.parametrize("kind", ["service", "library"])
def test_a_tag_makes_a_release_of_what_was_built(begin: Begin, kind: str) -> None:
    sample = begin(ci=["github"], kind=kind)
    commit = sample.commit("Release", "build releases")
    sample.git("tag", "v1.0.0")
    sample.git("push", "--quiet", "origin", "v1.0.0")
    said = act(sample, ref="refs/tags/v1.0.0", variables={"PYPI": "yes"})
    deployed = kind == "service"
    assert in_order(sample.journal(commit), STAGES if deployed else STAGES[:-1]), said
    (built,) = (event for event in sample.events(commit) if event.event == "built")
    name = "hello_delivery-1.0.0"
    wheel, sdist = f"{name}-py3-none-any.whl", f"{name}.tar.gz"
    release = f"release create v1.0.0 dist/{wheel} dist/{wheel}.cdx.json dist/{sdist} "
    (line,) = (sample.home / "gh").read_text().splitlines()
    assert line.startswith(release) and built.wheel == wheel
    # What is deployed nowhere goes to PyPI: these bytes, without their papers.
    public = sample.home / "pypi"
    given = [one.split() for one in public.read_text().splitlines()] if public.exists() else []
    packages = [[built.sha256, wheel], [sha256(sdist.encode()).hexdigest(), sdist]]
    assert given == ([] if deployed else packages), said


def test_the_security_stage_is_scheduled_alone(sample: Sample) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = act(sample, "schedule")
    assert sample.journal(commit) == ["security"], said
    assert sample.told(commit) == ["security passed"]


@pytest.mark.parametrize(
    ("what", "version", "asked"),
    [
        ("rollback", "", "rollback production --reason it smells"),
        ("rollback", "1.0", "rollback production --to 1.0 --reason it smells"),
        ("deploy", "1.1", "deploy production 1.1 --reason it smells"),
    ],
)
def test_a_button_asks_for_what_it_says(
    sample: Sample, what: str, version: str, asked: str
) -> None:
    inputs = {"what": what, "environment": "production", "version": version}
    said = act(sample, "workflow_dispatch", "operate", inputs=inputs | {"reason": "it smells"})
    assert (sample.home / "asked").read_text() == f"python -m delivery {asked}\n", said
