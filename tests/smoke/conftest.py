"""Projects of every pair of answers, and the tools with which a project judges itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The work tree's template, rendered as it is.
from tests.render.conftest import Render, render, template
from tests.smoke.options import Row, answered

__all__ = ["render", "template"]
Tools = Callable[[Path, str], Path]


@pytest.fixture(scope="session")
def made(render: Render) -> Callable[[Row], Path]:
    """Renders the project of a row, once."""
    projects: dict[str, Path] = {}

    def make(row: Row) -> Path:
        key = str(row)
        if key not in projects:
            projects[key] = render(project_name="Acme Parcels", **answered(row))
        return projects[key]

    return make


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """Makes the environment `lint` of a project as its tox would, once for the same pins."""
    made: dict[bytes, Path] = {}

    def make(project: Path, flavour: str) -> Path:
        pins = project / "requirements"
        key = (pins / "dev.txt").read_bytes() + (pins / "prod.txt").read_bytes()
        if key not in made:
            venv = tmp_path_factory.mktemp(f"tools-{flavour}") / "venv"
            uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
            assert uv
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
            wanted = [
                "--group",
                "lint",
                "-r",
                "requirements/prod.txt",
                "-c",
                "requirements/dev.txt",
            ]
            subprocess.run(
                [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python", *wanted],
                cwd=project,
                check=True,
            )
            made[key] = venv / "bin"
        return made[key]

    return make
