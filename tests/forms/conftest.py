"""Projects that take other forms, two versions of them published; a host, and a base for images."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# The work tree's template, rendered as it is.
from tests.render.conftest import Render, render, template

__all__ = ["render", "template"]
# What `/version` has to say.
Told = dict[str, str]
IDENTITY = {
    f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
NEEDED = "libtiny0"  # of the system
# Without a ledger of stages that passed: they are not what is tested here.
PUBLISH = ("build", "publish")


@dataclass(frozen=True)
class Published:
    """A project whose wheels are in its index.

    Attributes:
        root: its folder.
        env: the environment for what runs in it.
    """

    root: Path
    env: dict[str, str]

    @property
    def name(self) -> str:
        """What it is called as a distribution, a package and an image."""
        return self.root.name

    def run(self, *command: str | Path, status: int = 0, **env: str) -> str:
        """Run a command in it; return what it said."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, *words: str, status: int = 0, **env: str) -> str:
        """Run one of its modules."""
        return self.run(sys.executable, "-m", *words, status=status, **env)

    def publish(self, *, tag: str = "") -> Told:
        """Commit what there is, build and publish it; return what ``/version`` has to say."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "Change")
        if tag:
            self.run("git", "tag", tag)
        for command in PUBLISH:
            self.python("delivery", command)
        folder = self.root.parent / "fetched"
        shutil.rmtree(folder, ignore_errors=True)
        self.python("delivery", "fetch", str(folder))
        told = json.loads((folder / "release.json").read_text())
        return {key: told[key] for key in ("version", "commit", "sha256")}


def archive(folder: Path) -> None:
    """Make a Debian archive of one package, which a project may name under ``[system]``."""
    control = folder / "package/DEBIAN/control"
    control.parent.mkdir(parents=True)
    about = f"Package: {NEEDED}\nVersion: 1.5-1\nArchitecture: all\nDescription: a library\n"
    control.write_text(about := f"{about}Maintainer: Ada <ada@example.org>\n")
    deb = folder / f"{NEEDED}.deb"
    build = ["dpkg-deb", "--build", "--root-owner-group", str(control.parents[1]), str(deb)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    where = f"Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sha256}\n"
    (folder / "Packages.gz").write_bytes(gzip.compress((about + where).encode()))


Boxed = tuple[Published, list[Told]]


@pytest.fixture(scope="session")
def project(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Published]:
    """Makes a project."""

    def make(name: str, **answers: object) -> Published:
        folder = tmp_path_factory.mktemp(name)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        env = {**kept, **IDENTITY, "PATH": path, "XDG_DATA_HOME": str(folder / "data")}
        made = Published(folder / name, env)
        render(made.root, project_name=name, **answers)
        made.run("git", "init", "--quiet", "--initial-branch=main")
        return made

    return make


@pytest.fixture(scope="session")
def boxed(project: Callable[..., Published]) -> Boxed:
    """A project with every form, and what its two versions are: a tag, and the commit after it.

    It needs a package of the system.
    """
    made = project("boxed-parcel", forms=["oci", "deb"])
    with (made.root / "delivery.toml").open("a") as table:
        table.write(f'\n[system]\npackages = ["{NEEDED}"]\n')
    return made, [made.publish(tag="1.2.0"), made.publish()]
