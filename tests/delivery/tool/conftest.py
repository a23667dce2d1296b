"""Projects small enough to test the pipeline's memory on: real git, real tox, trivial stages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .people import AUTHOR, GRACE, People
from .story import Story

TEMPLATE = Path(__file__).parents[3] / "template"
PINS = TEMPLATE / "requirements"
# Where a library's pins come from: the fewest.
PINNED = {
    "prod.txt": "{% if flavour == 'library' %}prod.txt{% endif %}",
    "dev.txt": "{% if (flavour, linter) == ('library', 'ruff') %}dev.txt{% endif %}",
    "tools.txt": "tools.txt",
}

PYPROJECT = """\
[build-system]
requires = ["setuptools", "setuptools-scm"]
build-backend = "setuptools.build_meta"

[project]
name = "toy"
dynamic = ["version"]
requires-python = ">=3.11"

[tool.setuptools_scm]
version_scheme = "no-guess-dev"
fallback_version = "0.0.0"
tag.strict = true
scm.git.pre_parse = "fail_on_shallow"
"""

DELIVERY = """\
index = "{data}/index"

[stages.lint]
budget = 5

[stages.unit]
budget = 5
tests = true

[stages.build]
needs = ["lint", "unit"]
budget = 20

[stages.publish]
needs = ["build"]
budget = 5
"""

TOX = """\
[env_run_base]
skip_install = true
pass_env = ["*"]

[env.lint]
commands = [["python", "lint.py"]]

[env.unit]
commands = [["python", "unit.py"]]

[env.build]
deps = ["build", "setuptools", "setuptools-scm"]
constraints = ["requirements/dev.txt"]
commands = [["python", "-m", "delivery", "build"]]

[env.publish]
commands = [["python", "-m", "delivery", "publish"]]
"""

UNIT = """\
from pathlib import Path
Path(".delivery/reports/unit/junit.xml").write_text('<testsuite tests="{tests}" skipped="0"/>')
"""


@dataclass(frozen=True)
class Toy:
    """A project in a scratch folder."""

    root: Path

    def git(self, *args: str) -> str:
        """Run git, return what it prints."""
        done = subprocess.run(
            ["git", *args], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).write_text(text)

    def commit(self, message: str = "Change", **files: str) -> str:
        """Write files (``unit_py`` is unit.py), commit all there is, return the commit's hash."""
        for name, text in files.items():
            self.write(name.replace("_", "."), text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def delivery(
        self, *args: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python3 -m delivery``."""
        command = [sys.executable, "-m", "delivery", *args]
        return subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, check=False
        )

    def log(self) -> list[str]:
        """Return what the ledger has, as ``stage event`` lines, oldest first."""
        listed = self.git("ls-tree", "-r", "--name-only", "refs/delivery/ledger").splitlines()
        return [" ".join(path.split(".")[1:3]) for path in sorted(listed)]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a user's cache with the pinned tox, made once."""
    root = tmp_path_factory.mktemp("tools")
    pin(root)
    sys.path.insert(0, str(TEMPLATE))
    from delivery.tools import tox

    with pytest.MonkeyPatch.context() as patch:
        cached(patch, root / "cache")
        tox(root)
    return root / "cache"


def cached(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Let a cache be the user's, but for the packages that uv has already."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    patch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR") or str(usual / "uv"))
    patch.setenv("XDG_CACHE_HOME", str(cache))


def pin(root: Path) -> None:
    """Give a project its ``requirements``."""
    (root / "requirements").mkdir(parents=True)
    for name, source in PINNED.items():
        shutil.copy(PINS / source, root / "requirements" / name)


@pytest.fixture()
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Return a project with one commit; its stages pass."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    cached(monkeypatch, tmp_path / "cache")
    project = Toy(tmp_path / "toy")
    shutil.copytree(
        TEMPLATE / "delivery",
        project.root / "delivery",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    pin(project.root)
    (project.root / "toy").mkdir()
    project.write("toy/__init__.py", '"""A package."""\n')
    project.write("pyproject.toml", PYPROJECT + '\n[tool.setuptools]\npackages = ["toy"]\n')
    project.write("delivery.toml", DELIVERY)
    project.write("tox.toml", TOX)
    project.write("lint.py", "")
    project.write("unit.py", UNIT.format(tests=3))
    project.write(".gitignore", ".delivery/\n.tox/\ndist/\n__pycache__/\n")
    project.git("init", "--quiet")
    project.commit("Start")
    return project


@pytest.fixture()
def ready(toy: Toy, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Return the project with its tools made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tools))
    return toy


@pytest.fixture()
def story(toy: Toy, request: pytest.FixtureRequest) -> Story:
    """Return a project with an accepted artifact; a module's SETTINGS are production's."""
    toy.git("config", "init.defaultBranch", toy.git("branch", "--show-current"))
    told = Story(toy, getattr(request.module, "SETTINGS", ""))
    told.accept()
    return told


@pytest.fixture()
def people(story: Story, tmp_path: Path) -> People:
    """Return persons of whom Grace may approve."""
    made = People(story, tmp_path / "keys")
    made.allow(GRACE, AUTHOR)
    made.become(GRACE)
    return made
