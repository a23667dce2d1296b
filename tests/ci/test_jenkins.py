"""Jenkins: its file is of good form, for every stage table, and its job is what a tool takes.

No Jenkins can be had from a package index. What stands in (``jenkins/``) checks the form of the
declarative pipeline here, and runs it in ``test_jenkins_runs``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from delivery.ci import jenkins
from delivery.ci.plan import Plan, plan
from delivery.config import load

from tests.ci.emit import SHAPES
from tests.ci.faults import FAULTS
from tests.ci.sample import BIN
from tests.ci.standin import LIMIT, Standin
from tests.render.conftest import Render

pytestmark = pytest.mark.groovy


def wrong(standin: Standin, *paths: Path) -> str:
    """Return what the stand-in finds wrong with the form of files."""
    command = [*standin, "check", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert not done.stderr  # that it found nothing has to mean that it looked
    return done.stdout


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
