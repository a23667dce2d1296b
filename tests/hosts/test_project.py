"""A project as the template makes it, from its commit to production on three hosts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from delivery.tools import environ, tox

from tests.render.conftest import Render, render, template

from .conftest import TOOLS
from .host import CONTROLLER
from .index import fill
from .lab import Lab

__all__ = ["render", "template"]
pytestmark = pytest.mark.hosts

NAME, PORT = "parcel-office", 8088
INDEX = f"http://{CONTROLLER}:8088/simple"
# Those before publish and after acceptance read the work tree, or put load on: tests/project.
LEFT_OUT = ("lint", "unit", "integration", "docs", "security", "performance")
PLACES = {"acceptance": ["h5"], "production": ["h2", "h3", "h4"]}


@dataclass
class Project:
    """A rendered project whose environments are hosts."""

    lab: Lab
    root: Path

    def git(self, *words: str) -> None:
        """Run git."""
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)

    def delivery(self, *words: str, inside: bool = True) -> str:
        """Run python3 -m delivery where the hosts can be reached, or where an index can be."""
        command, told = [sys.executable, "-m", "delivery", *words], {"DELIVERY_BY": "ada"}
        plain = self.lab.inside(command) if inside else command
        env = self.lab.env(told)
        done = subprocess.run(
            plain, env=env, cwd=self.root, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def said(self, host: str) -> dict[str, Any]:
        """Return what a host says that it runs."""
        url = f"http://{self.lab[host].address}:{PORT}/version"
        ask = f"import urllib.request as u; print(u.urlopen({url!r}, timeout=10).read().decode())"
        done = self.lab.run([sys.executable, "-c", ask], capture_output=True, check=True)
        told = json.loads(done.stdout)
        assert isinstance(told, dict)
        return told


@pytest.fixture
def project(lab: Lab, render: Render, tmp_path: Path) -> Iterator[Project]:
    """Return a project that is built, and whose hosts have nothing of it."""
    made = Project(lab, render(project_name="Parcel Office", ci=[]))
    table = made.root / "delivery.toml"
    text = table.read_text().replace("{data}", str(tmp_path))
    for name in LEFT_OUT:
        text = re.sub(rf"^\[stages\.{name}\]\n.*?(?=^\[)", "", text, flags=re.M | re.S)
        text = text.replace(f'"{name}", ', "").replace(f', "{name}"', "")
    text = re.sub(r'^\[performance\."/"\]\n.*?(?=^\[)', "", text, flags=re.M | re.S)
    table.write_text(text)
    for environment, names in PLACES.items():
        path = made.root / f"delivery/inventories/{environment}/hosts.yml"
        own = {"service_init": "systemd", "service_address": "0.0.0.0", "service_port": PORT}
        own |= {"service_index": INDEX, "service_bake_seconds": 1}
        hosts = {name: {"ansible_host": lab[name].address} for name in names}
        path.write_text(json.dumps({"service": {"hosts": hosts, "vars": {**lab.variables, **own}}}))
    made.git("init", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message=Start")
    # What is from the package index has to be there before: neither hosts nor controller reach it.
    made.delivery("run", "build", inside=False)
    ready = [*tox(made.root), "run", "-qq", "--notest", "-e", "publish,acceptance,production"]
    subprocess.run(ready, cwd=made.root, env=environ(), check=True)
    folder = tmp_path / "packages"
    fill(folder, [made.root / "requirements/prod.txt", *TOOLS])
    serve = ["-m", "http.server", "--bind", CONTROLLER, "8088", "--directory", str(folder)]
    null = subprocess.DEVNULL
    index = lab.start([sys.executable, *serve], stdout=null, stderr=null)
    try:
        yield made
    finally:
        for environment in PLACES:
            made.delivery("stop", "--remove", environment)
        index.terminate()
        index.wait()


def test_a_commit_is_accepted_on_one_host_and_goes_into_production_on_three(
    project: Project,
) -> None:
    said = project.delivery("walk")
    (built,) = (project.root / "dist").glob("*.whl")
    version = built.name.split("-")[1]
    assert f"{version} is in production: http://{project.lab['h2'].address}:{PORT}/" in said
    told = [project.said(name) for names in PLACES.values() for name in names]
    assert [one["version"] for one in told] == [version] * 4
    assert len({one["sha256"] for one in told}) == 1
    # What the ledger calls live is what the hosts run, by their own word.
    project.delivery("verify", "--hosts")
    unit = project.lab["h2"].sh(f"systemctl list-units --plain --no-legend '{NAME}@*'").split()[0]
    rated = project.lab["h2"].sh(f"systemd-analyze security --no-pager {unit} | tail -1")
    assert float(re.findall(r"level for \S+: ([\d.]+)", rated)[0]) <= 1.5, rated
