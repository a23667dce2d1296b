"""The CI files of every shape of pipeline: valid, linted, pinned, with the least rights."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.ci.plan import KEPT, plan
from delivery.config import load

from tests.ci.emit import SHAPES
from tests.ci.sample import BIN
from tests.render.conftest import Render

FOLDER = Path(".github", "workflows")


@pytest.fixture(scope="module", params=SHAPES)
def project(request: pytest.FixtureRequest, slim: Render) -> Path:
    """Return the CI files of a shape."""
    return slim(**SHAPES[request.param], ci=["github", "gitlab"])


def clean(*command: str | Path) -> None:
    """Run a checker that has to have nothing to say."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def loaded(path: Path) -> dict[str, Any]:
    """Read a YAML file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_workflows_are_clean(project: Path) -> None:
    # With a repository around them actionlint looks into the actions that they use.
    subprocess.run(["git", "init", "--quiet", project], check=True)
    found = sorted((project / FOLDER).iterdir())
    clean("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *found)
    clean("actionlint", *found)
    clean("zizmor", "--offline", "--no-config", "--quiet", "--pedantic", *found)


def test_actions_are_clean(project: Path) -> None:
    found = sorted((project / ".github").glob("actions/*/action.yml"))
    assert len(found) == 2
    clean("check-jsonschema", "--builtin-schema", "vendor.github-actions", *found)
    clean("zizmor", "--offline", "--no-config", "--quiet", "--pedantic", *found)


def test_the_pipeline_of_gitlab_is_clean(project: Path) -> None:
    schema = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    clean("check-jsonschema", *schema, project / ".gitlab-ci.yml")


def test_every_action_is_pinned_by_digest_with_its_version_beside_it(project: Path) -> None:
    uses = [
        use
        for path in (project / ".github").glob("*/**/*.yml")
        for use in re.findall(r"uses: ([^$].*)", path.read_text(encoding="utf-8"))
    ]
    assert uses
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses)


def test_nothing_is_permitted_unless_a_job_asks(project: Path) -> None:
    for path in (project / FOLDER).iterdir():
        assert loaded(path)["permissions"] == {}


def test_what_runs_for_every_commit_may_write_nothing(project: Path) -> None:
    jobs = loaded(project / FOLDER / "delivery.yml")["jobs"]
    tested = [job for job in jobs.values() if "DELIVERY_LEDGER_PUSH" in str(job)]
    assert len(tested) == 6
    for job in tested:
        assert job["permissions"] == {"contents": "read"}
        assert job["env"] == {"DELIVERY_LEDGER_PUSH": "no"}
        assert "secrets." not in str(job)


def test_production_is_one_job_after_acceptance(project: Path) -> None:
    jobs = loaded(project / FOLDER / "delivery.yml")["jobs"]
    found = [
        name
        for name, job in jobs.items()
        if isinstance(job.get("environment"), dict) and job["environment"]["name"] == "production"
    ]
    if "[stages.production]" not in (project / "delivery.toml").read_text(encoding="utf-8"):
        assert found == []
        return
    assert found == ["production"]
    before = {name: set(job.get("needs", [])) for name, job in jobs.items()}
    ahead = before["production"] | {far for near in before["production"] for far in before[near]}
    assert "acceptance" in ahead
    assert jobs["production"]["concurrency"] == {"group": "production", "cancel-in-progress": False}


def test_gitlab_lets_nothing_push_that_runs_for_every_commit(
    project: Path,
) -> None:
    jobs = loaded(project / ".gitlab-ci.yml")
    tested = [job for job in jobs.values() if "'extends': '.tested'" in str(job)]
    assert len(tested) == 6
    assert not [job for job in tested if "LEDGER" in str(job)]
    told = jobs[".tested"]["variables"]
    assert told.pop("DELIVERY_LEDGER_PUSH") == "no"
    # Their tools and packages are in the tree, which is theirs alone, and in no cache of others.
    assert told == {"XDG_CACHE_HOME": "$CI_PROJECT_DIR/.delivery/cache"}
    assert [name for name, job in jobs.items() if "cache" in job] == [".tested"]


def test_gitlab_cuts_nothing_off_but_what_a_merge_request_has_replaced(project: Path) -> None:
    merge, replaced, other = loaded(project / ".gitlab-ci.yml")["workflow"]["rules"]
    assert merge == {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}
    assert other["auto_cancel"] == {"on_new_commit": "none"}
    # "Run pipeline" is for a branch with a merge request, too.
    assert replaced["when"] == "never"
    assert replaced["if"].endswith(' && $CI_PIPELINE_SOURCE == "push"')


def test_gitlab_is_told_what_no_stand_in_knows(project: Path) -> None:
    jobs = loaded(project / ".gitlab-ci.yml")
    made = plan(load(project))
    assert jobs["variables"]["GIT_DEPTH"] == "0"
    assert jobs[".tested"]["cache"]["key"] == {
        "files": ["requirements/dev.txt", "requirements/prod.txt"]
    }
    for job in made.jobs:
        told = jobs[job.name]
        assert told["timeout"] == f"{job.minutes} minutes"
        assert told.get("resource_group") == job.environment
        assert told.get("environment") == ({"name": job.environment} if job.environment else None)
        kept = told["artifacts"]
        assert (kept["when"], {*KEPT} <= {*kept["paths"]}) == ("always", True)
        assert kept["reports"]["junit"] == [f".delivery/reports/{name}/*.xml" for name in job.names]
    coverage = {"coverage_format": "cobertura", "path": ".delivery/reports/coverage.xml"}
    assert jobs["unit"]["artifacts"]["reports"]["coverage_report"] == coverage
    if not made.environments:
        return
    deploys = jobs[".deploys"]
    assert deploys["environment"] == {"url": "$SERVICE_URL"}
    (live,) = deploys["after_script"]
    assert live.endswith(f">{deploys['artifacts']['reports']['dotenv']}")
    for environment in made.environments:
        for name in (environment, f"rollback {environment}", f"deploy {environment}"):
            assert jobs[name]["resource_group"] == environment
            assert jobs[name]["extends"] == (".deploys" if name == environment else ".button")
    assert jobs[".button"]["extends"] == ".deploys"
