"""A project that deploys to hosts, as its team does it: python3 -m delivery."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from delivery.artifact.folder import Folder
from delivery.artifact.wheel import describe
from delivery.project import Project

from tests.delivery.role.conftest import DELIVERY
from tests.delivery.role.wheels import NAME, REQUIREMENTS

from .conftest import Service

PYPROJECT = f'[project]\nname = "{NAME}"\nrequires-python = ">=3.11"\n'
PIPELINE = """\
index = "{index}"

[ledger]
remote = "{remote}"

[stages.build]
budget = 5

[stages.production]
needs = ["build"]
environment = "production"
budget = 60
"""
AS = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]


@dataclass
class Fleet:
    """A project whose production is the hosts of a service."""

    service: Service
    root: Path
    index: Path

    def git(self, *words: str) -> None:
        """Run git."""
        subprocess.run(["git", *AS, *words], cwd=self.root, check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        """What python3 -m delivery is told."""
        return {"DELIVERY_BY": "ada", "ANSIBLE_LOCAL_TEMP": str(self.service.work / "tmp")}

    def delivery(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run python3 -m delivery where the hosts can be reached."""
        command = [sys.executable, "-m", "delivery", *words]
        return self.service.lab.run(
            command, self.environment, cwd=self.root, capture_output=True, timeout=400
        )

    @contextlib.contextmanager
    def begun(self, *words: str) -> Iterator[None]:
        """Run python3 -m delivery during a block, and kill it with all its children in the end."""
        command = [sys.executable, "-m", "delivery", *words]
        null = subprocess.DEVNULL
        running = self.service.lab.start(
            command, self.environment, cwd=self.root, stdout=null, stderr=null
        )
        try:
            yield
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def inventory(self, **variables: object) -> None:
        """Write the inventory of production; for once with some more variables."""
        path = self.root / "delivery/inventories/production/hosts.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        usual = self.service.variables
        self.service.variables = usual | variables
        self.service.command("deploy.yml")
        self.service.variables = usual
        shutil.copy(self.service.work / "hosts.json", path)

    def built(self, version: str, fault: str = "") -> None:
        """Put a release into the index and the ledger, as the stages before production do."""
        path = self.service.wheel(version, fault).path
        Folder(self.index).publish(NAME, path)
        self.git("commit", "--quiet", "--allow-empty", f"--message={version}")
        project = Project.find(self.root)
        made = describe(path, project.git.head())
        for kind in ("built", "passed"):
            project.record(kind, "build", made)


def founded(service: Service, *versions: str) -> Fleet:
    """Return a project whose production has run some versions, the last of them now."""
    work = service.work
    made = Fleet(service, work / "project", work / "index")
    shutil.copytree(DELIVERY, made.root / "delivery", ignore=shutil.ignore_patterns("inventories"))
    (made.root / "requirements").mkdir()
    shutil.copy(REQUIREMENTS, made.root / "requirements/prod.txt")
    (made.root / "pyproject.toml").write_text(PYPROJECT)
    (made.root / "delivery.toml").write_text(PIPELINE.format(index=made.index, remote=""))
    made.inventory()
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", "--all")
    for version in versions:
        made.built(version)
    for version in versions:
        done = made.delivery("deploy", "production", version)
        assert done.returncode == 0, done.stderr
    return made
