"""The CI files of every shape of pipeline: valid, linted, pinned, with the least rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.ci import files
from delivery.ci.plan import CARRIED, KEPT, plan
from delivery.config import load

from tests.ci.emit import SHAPES
from tests.ci.sample import BIN
from tests.render.conftest import Render

FOLDER = Path(".github", "workflows")
MORE = (
    ("approval = false", "approval = true"),
    ('branch = "main"', 'branch = "trunk"'),
    ('runner = ""', 'runner = "self-hosted"'),
    ("[stages.publish]", '[stages.publish]\nsecrets = ["TOKEN"]'),
    ("[stages.production]", '[stages.production]\nsecrets = ["VAULT", "TOKEN"]'),
)
MakePath = pytest.TempPathFactory


@pytest.fixture(scope="module", params=SHAPES)
def plain(request: pytest.FixtureRequest, slim: Render) -> Path:
    """Return the CI files of a shape."""
    return slim(**SHAPES[request.param], ci=["github", "gitlab"])


@pytest.fixture(scope="module", params=["plain", "all"])
def project(request: pytest.FixtureRequest, plain: Path, tmp_path_factory: MakePath) -> Path:
    """Return them as they come, and with all that ``delivery.toml`` may say besides the stages."""
    if request.param == "plain":
        return plain
    place = tmp_path_factory.mktemp("all") / "project"
    shutil.copytree(plain, place)
    table = place / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    for old, new in MORE:
        text = text.replace(old, new)
    table.write_text(text, encoding="utf-8")
    files.write(load(place))
    return place


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
    for job in plan(load(project)).jobs:
        handed = re.findall(r"\{\{ secrets\.(\w+) \}\}", str(jobs[job.name]))
        assert {*handed} == {*job.secrets}, job.name


def test_a_label_and_a_branch_are_everywhere(project: Path) -> None:
    made = plan(load(project))
    text = (project / FOLDER / "delivery.yml").read_text(encoding="utf-8")
    jobs = loaded(project / FOLDER / "delivery.yml")["jobs"]
    assert {job["runs-on"] for name, job in jobs.items() if name != "pypi"} == {
        made.runner or "ubuntu-latest"
    }
    assert {*re.findall(r"refs/heads/(\w+)", text)} == {made.branch}
    if made.environments:
        (job,) = loaded(project / FOLDER / "operate.yml")["jobs"].values()
        assert job["runs-on"] == (made.runner or "ubuntu-latest")
        assert job["if"] == f"github.ref == 'refs/heads/{made.branch}'"
    gitlab = loaded(project / ".gitlab-ci.yml")
    assert gitlab["default"].get("tags", []) == ([made.runner] if made.runner else [])
    named = re.findall(r'CI_COMMIT_BRANCH [!=]= "(\w+)"', str(gitlab))
    assert {*named} == {made.branch}


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


def test_a_tag_is_attested_and_sent_to_pypi_by_the_identity_of_its_job_alone(
    project: Path,
) -> None:
    jobs = loaded(project / FOLDER / "delivery.yml")["jobs"]
    asking = {name for name, job in jobs.items() if "id-token" in job.get("permissions", {})}
    assert asking == {"release", "pypi"} & jobs.keys() and "release" in asking
    release = jobs["release"]
    assert release["if"] == "github.ref_type == 'tag'"
    wanted = {"attestations": "write", "contents": "write", "id-token": "write"}
    assert release["permissions"] == wanted
    steps = [step for step in release["steps"] if "attest" in step.get("uses", "")]
    assert [step["with"] for step in steps] == [{"subject-path": "dist/*"}]
    assert release["steps"].index(steps[0]) < len(release["steps"]) - 1  # before it is released
    deployed = "environment = " in (project / "delivery.toml").read_text(encoding="utf-8")
    assert ("pypi" in jobs) == (not deployed)
    if pypi := jobs.get("pypi"):
        assert pypi["if"] == "github.ref_type == 'tag' && vars.PYPI == 'yes'"
        assert pypi["permissions"] == {"id-token": "write"} and pypi["environment"] == "pypi"
        assert "secrets." not in str(pypi) and "password" not in str(pypi)


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


def test_github_is_told_what_no_stand_in_knows(project: Path) -> None:
    jobs = loaded(project / FOLDER / "delivery.yml")["jobs"]
    made = plan(load(project))
    for job in made.jobs:
        told = jobs[job.name]
        assert told["timeout-minutes"] == job.minutes
        lock = {"group": job.environment, "cancel-in-progress": False}
        assert told.get("concurrency") == (lock if job.environment else None)
        shown = {"name": job.environment, "url": "${{ steps.live.outputs.url }}"}
        assert told.get("environment") == (shown if job.environment else None)
        live = [step["run"] for step in told["steps"] if step.get("id") == "live"]
        assert ["url=$SERVICE_URL" in run for run in live] == ([True] if job.environment else [])
        begin = told["steps"][1]
        assert ("cache" in begin.get("with", {})) is not job.delivers
        board = {"with": {"board": "true"}} if job.delivers else {}
        assert told["steps"][-1] == {"uses": "$/.github/actions/end", "if": "always()"} | board
    steps = loaded(project / ".github" / "actions" / "begin" / "action.yml")["runs"]["steps"]
    (key,) = (step["with"]["key"] for step in steps if "key" in step.get("with", {}))
    assert key.endswith("-${{ hashFiles('requirements/*') }}")
    steps = loaded(project / ".github" / "actions" / "end" / "action.yml")["runs"]["steps"]
    summary, keep = steps
    assert summary["if"] == "always() && inputs.board == 'true'"
    assert "python3 -m delivery board" in summary["run"]
    assert summary["run"].rstrip().endswith('>>"$GITHUB_STEP_SUMMARY"')
    assert keep["if"] == "always()"
    assert keep["with"]["name"] == "job-${{ github.job }}"
    assert keep["with"]["path"].split() == [CARRIED, *KEPT]
    if made.environments:
        lock = {"group": "${{ inputs.environment }}", "cancel-in-progress": False}
        assert loaded(project / FOLDER / "operate.yml")["concurrency"] == lock
