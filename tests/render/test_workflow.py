"""Workflows, the project's and the template's own: valid, linted, pinned, least permission."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ..conftest import ROOT

BIN = Path(sys.executable).parent
CHECKS = {
    "schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    "actionlint": ["actionlint"],
    "zizmor": ["zizmor", "--pedantic", "--offline", "--no-config", "--quiet"],
}


@pytest.fixture(scope="module", params=["template", "ours"])
def workflow(request: pytest.FixtureRequest, default: Path) -> Path:
    """Return a workflow file."""
    if request.param == "ours":
        return ROOT / ".github" / "workflows" / "ci.yml"
    return default / ".github" / "workflows" / f"{request.param}.yml"


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_clean(workflow: Path, check: str) -> None:
    tool, *arguments = CHECKS[check]
    done = subprocess.run(
        [BIN / tool, *arguments, workflow], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_by_digest_with_its_version_beside_it(workflow: Path) -> None:
    uses = re.findall(r"uses: ([^$].*)", workflow.read_text())
    assert uses
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses)


def test_nothing_is_permitted_unless_a_job_asks(workflow: Path) -> None:
    assert "\npermissions: {}\n" in workflow.read_text()


def test_ours_runs_every_test() -> None:
    """The workflow calls .ci/run, that make test, and that every environment with tests."""
    assert "\n      - run: .ci/run\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "\nstage 'make test' make test\n" in (ROOT / ".ci" / "run").read_text()
    told = tomllib.loads((ROOT / "tox.toml").read_text(encoding="utf-8"))
    testing = {
        name: {path for part in command if isinstance(part, dict) for path in part["default"]}
        for name, env in told["env"].items()
        for command in env["commands"]
        if command[0] == "pytest"
    }
    assert testing.keys() <= set(told["env_list"])
    folders = [ROOT / folder for some in testing.values() for folder in some]
    tests = [*(ROOT / "tests").rglob("test_*.py")]
    assert not [path for path in tests if not any(map(path.is_relative_to, folders))]


def test_renovate_understands_its_configuration(default: Path) -> None:
    check = ["check-jsonschema", "--builtin-schema", "vendor.renovate"]
    done = subprocess.run(
        [BIN / check[0], *check[1:], default / "renovate.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
