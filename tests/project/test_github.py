"""The project's workflow, run by act: a push goes to production, and the ledger comes back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Person, Service
from .test_walk import STAGES

pytestmark = [pytest.mark.slow, pytest.mark.browser]
ACTIONS = Path(__file__).parent / "actions"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def pushed(person: Person, service: Service) -> Iterator[Service]:
    """Return another service, committed, with a bare repository it is pushed to as origin."""
    root = person.home / "parcel-office"
    copier = service.template / ".venv" / "bin" / "copier"
    person.run(
        *(str(copier), "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD"),
        *("--data", "project_name=Parcel Office", str(service.template), str(root)),
        cwd=person.home,
    )
    made = Service(person, service.template, root)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("Start")
    made.git("clone", "--quiet", "--bare", str(root), str(person.home / "origin.git"))
    made.git("remote", "add", "origin", str(person.home / "origin.git"))
    yield made
    made.delivery("stop", status=None)


def act(service: Service, **env: str) -> str:
    """Push: let act run the workflow; return what it says. Its exit status alone proves nothing."""
    workflow = (service.root / ".github" / "workflows" / "delivery.yml").read_text()
    uses = re.findall(r"uses: (actions/(\S+)@\w+)", workflow)
    # The person cannot read where the tests run from.
    places = service.person.home / "actions"
    if not places.exists():
        subprocess.run(["cp", "-r", ACTIONS, places], check=True)
        subprocess.run(
            ["install", "-m", "755", BIN / "act", service.person.home / "act"], check=True
        )
    event = service.root.parent / "event.json"
    event.write_text(json.dumps({"ref": "refs/heads/main"}))
    return service.person.run(
        *(str(service.person.home / "act"), "push", "--platform=ubuntu-latest=-self-hosted"),
        *("--no-skip-checkout", "--no-cache-server", f"--eventpath={event}", "--actor=grace"),
        *(
            f"--action-cache-path={service.person.home / 'act-cache'}",
            "--artifact-server-addr=127.0.0.1",
        ),
        *(f"--local-repository={ref}={places / name}" for ref, name in uses),
        *(f"--env={name}={value}" for name, value in env.items()),
        cwd=service.root,
        status=None,
    )


def test_a_push_is_walked_into_production_and_the_ledger_is_shared(pushed: Service) -> None:
    commit = pushed.git("rev-parse", "HEAD")
    said = act(pushed, SOURCE_REPOSITORY=str(pushed.person.home / "origin.git"))
    pushed.git("fetch", "--quiet", "origin", "refs/delivery/ledger:refs/delivery/ledger")
    passed = [line.split()[0] for line in pushed.log(commit) if line.endswith(" passed")]
    assert passed == STAGES, said
    assert pushed.version()["commit"] == commit
    told = pushed.git("log", "-1", "--format=%B", "refs/delivery/ledger")
    assert "production" in told
    assert "by grace" in pushed.delivery("log")


def test_a_shallow_checkout_is_refused_before_anything_is_built(pushed: Service) -> None:
    pushed.edit(".github/workflows/delivery.yml", "fetch-depth: 0", "fetch-depth: 1")
    commit = pushed.commit("Forget the history")
    pushed.git("push", "--quiet", "origin", "main")
    said = act(pushed, SOURCE_REPOSITORY=str(pushed.person.home / "origin.git"))
    assert "this clone is shallow" in said, said
    pushed.git("fetch", "--quiet", "origin", "refs/delivery/ledger:refs/delivery/ledger")
    assert not [line for line in pushed.log(commit) if line.startswith("build ")]
