"""Buildbot on hosts: a master on one, workers on others, set up by its playbook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.ci import postgres
from tests.render.conftest import Render, render, template

from .base import base
from .conftest import CACHE
from .host import CONTROLLER, Host
from .index import fill
from .lab import PREFIX, Lab

__all__ = ["render", "template"]
pytestmark = [pytest.mark.hosts, pytest.mark.postgres]
INDEX, REPOSITORY = f"http://{CONTROLLER}:8080/simple", f"git://{CONTROLLER}/origin.git"
PASSWORD, TOKEN, NETRC = "what-the-worker-says", "what-a-stage-needs", "what-git-says"
PUSH = "what-git-says-to-push"
DATABASE = "what-the-master-says"
HOME = "/var/lib/buildbot-master/project/.delivery/buildbot"
# Every stage is as quick as it can be, and green.
TOX = 'import sys\n\nprint("tox was asked:", *sys.argv[1:])\n'
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())"


@dataclass
class Farm:
    """Three hosts for Buildbot, and the project they build.

    Attributes:
        lab: the hosts: h1 is for the master, h2 for a worker, h3 for one that deploys.
        project: a clone of what they build, from which it is set up.
        first: what the first run said, all of it.
        more: variables beyond those that are always there.
    """

    lab: Lab
    project: Path
    first: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def master(self) -> Host:
        """The master's host."""
        return self.lab["h1"]

    @property
    def worker(self) -> Host:
        """The worker's host."""
        return self.lab["h2"]

    def play(self, *options: str, status: int = 0) -> str:
        """Run the playbook, as a person does; return what it said."""
        variables = {
            **self.lab.variables,
            "buildbot_repository": REPOSITORY,
            "buildbot_index": INDEX,
            "buildbot_packages": [],
            "buildbot_secrets": {"TOKEN": TOKEN},
            "buildbot_netrc": f"machine git.example.org login reader password {NETRC}",
            **self.more,
        }
        pushes = {"buildbot_netrc": f"machine git.example.org login deployer password {PUSH}"}
        hosts = {host.name: {"ansible_host": host.address} for host in self.lab}
        inventory: dict[str, Any] = {
            "buildbot_master": {"hosts": {"h1": {}}},
            "buildbot_workers": {
                "hosts": {
                    "h2": {"buildbot_worker_password": PASSWORD},
                    "h3": {
                        "buildbot_worker_password": f"{PASSWORD}-3",
                        "buildbot_deploys": True,
                        **pushes,
                    },
                }
            },
            "all": {"hosts": hosts, "vars": variables},
        }
        place = self.project.parent / "hosts.json"
        place.write_text(json.dumps(inventory))
        words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(place)]
        done = self.lab.run(
            [*words, *options, str(self.project / "buildbot" / "hosts.yml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=600,
        )
        assert done.returncode == status, done.stdout[-6000:]
        return str(done.stdout)

    def get(self, path: str) -> Any:
        """Ask the master, on its host."""
        url = f"http://127.0.0.1:8010/api/v2/{path}"
        return json.loads(self.master.sh(f"python3 -c '{ASK}' '{url}'"))

    def wait(self, done: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not done():
            said = [host.sh("journalctl -n 40 -u 'buildbot-*'", check=False) for host in self.lab]
            assert time.monotonic() < end, "\n".join(said)
            time.sleep(0.5)

    def complete(self) -> bool:
        """Tell whether every worker has come in."""
        # Beside ours is one of Buildbot's own, in the master.
        workers = {one["name"]: one["connected_to"] for one in self.get("workers")["workers"]}
        return bool(workers["h2"] and workers["h3"])

    def builders(self, worker: str) -> set[str]:
        """Return what a worker may be asked for."""
        names = {one["builderid"]: one["name"] for one in self.get("builders")["builders"]}
        (told,) = (one for one in self.get("workers")["workers"] if one["name"] == worker)
        return {names[one["builderid"]] for one in told["configured_on"]}


def committed(project: Path, message: str) -> str:
    """Commit everything and push it; return the commit."""
    for words in (
        ["add", "--all"],
        ["commit", "--allow-empty", "-qm", message],
        ["push", "-q", "origin", "main"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=project, text=True).strip()


@pytest.fixture(scope="module")
def farm(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Return three bare hosts that reach an index and the repository, and nothing else."""
    folder = tmp_path_factory.mktemp("farm")
    project, index = folder / "project", folder / "index"
    shutil.copytree(render(ci=["buildbot"]), project)
    (project / "requirements" / "tools.txt").write_text("")
    (project / "tox.py").write_text(TOX)
    fill(index, [project / "buildbot" / "requirements.txt"])
    origin = str(folder / "origin.git")
    subprocess.run(["git", "init", "--quiet", "--bare", origin], check=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=project, check=True)
    subprocess.run(["git", "remote", "add", "origin", origin], cwd=project, check=True)
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        committed(project, "Start")
        serving: list[subprocess.Popen[str]] = []
        with Lab(base(CACHE), 3, name=f"{PREFIX}-{os.getpid()}-farm") as lab:
            serve = ["-m", "http.server", "--bind", CONTROLLER, "8080", "--directory", str(index)]
            daemon = ["git", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr"]
            daemon += [f"--listen={CONTROLLER}", f"--base-path={folder}", str(folder)]
            for command in ([sys.executable, *serve], daemon):
                null = subprocess.DEVNULL
                serving.append(lab.start(command, stdout=null, stderr=null))
            yield Farm(lab, project)
        for server in serving:
            server.wait()


@pytest.fixture(scope="module")
def up(farm: Farm) -> Farm:
    """Return the hosts when they are set up, by a run that says all it has to say."""
    farm.first = farm.play("-vvv")
    return farm


def test_a_check_of_bare_hosts_ends_well_and_does_nothing(farm: Farm) -> None:
    assert "failed=0" in farm.play("--check", "--diff")
    for host in farm.lab:
        assert host.sh("ls /opt /etc/systemd/system | grep buildbot", check=False) == ""


def test_a_password_in_the_address_of_an_index_is_refused(farm: Farm) -> None:
    said = farm.play("-e", f"buildbot_index={INDEX.replace('//', '//ada:sesame@')}", status=2)
    assert "buildbot_index has a user or a password in its address" in " ".join(said.split())
    for host in farm.lab:
        assert host.sh("ls /opt | grep buildbot", check=False) == ""


def test_a_second_run_changes_nothing(up: Farm) -> None:
    said = up.play()
    assert said.count("changed=0") == 3, said


def test_the_workers_come_in_and_a_commit_is_built_by_the_one_that_tests(up: Farm) -> None:
    up.wait(up.complete)
    commit = committed(up.project, "Change a line")
    up.wait(lambda: bool(up.get("builders/lint/builds?complete=true")["builds"]), 240)
    (build,) = up.get("builders/lint/builds?property=got_revision&property=workername")["builds"]
    told = {name: build["properties"][name][0] for name in ("got_revision", "workername")}
    assert (build["results"], told) == (0, {"got_revision": commit, "workername": "h2"})


def test_who_deploys_tests_nothing_and_who_tests_deploys_nothing(up: Farm) -> None:
    testing, deploying = up.builders("h2"), up.builders("h3")
    assert {"lint", "unit", "build"} <= testing
    assert {"publish", "acceptance", "production", "rollback-production"} <= deploying
    assert not testing & deploying


def test_only_who_deploys_has_what_pushes_the_ledger(up: Farm) -> None:
    for host, who, password in (("h2", "reader", NETRC), ("h3", "deployer", PUSH)):
        said = up.lab[host].sh("cat /var/lib/buildbot-worker/.netrc")
        assert said.strip() == f"machine git.example.org login {who} password {password}"
    assert PUSH not in up.master.sh("cat /var/lib/buildbot-master/.netrc")


def test_no_password_and_no_secret_is_in_what_it_says(up: Farm) -> None:
    assert "buildbot-master" in up.first
    for word in (PASSWORD, TOKEN, NETRC):
        assert word not in up.first


def test_what_is_secret_is_for_its_user_alone(up: Farm) -> None:
    master = f"{HOME}/settings.toml {HOME}/workers/h2 {HOME}/secrets/TOKEN"
    for host, part, paths in (
        (up.master, "master", f"{master} /var/lib/buildbot-master/.netrc"),
        (up.worker, "worker", "/var/lib/buildbot-worker/password /var/lib/buildbot-worker/.netrc"),
    ):
        told = host.sh(f"stat --format='%a %U' {paths}").splitlines()
        assert {*told} == {f"600 buildbot-{part}"}
        assert host.sh(f"systemctl show -p User --value buildbot-{part}") == f"buildbot-{part}"


def test_who_may_press_buttons_is_told_as_on_a_machine_of_ones_own(up: Farm) -> None:
    admit = (
        "cd /var/lib/buildbot-master/project && python3 -m delivery ci --admit grace@example.org"
    )
    said = up.master.sh(f"runuser -u buildbot-master -- sh -c '{admit}'")
    assert "grace@example.org" in said
    assert "grace@example.org " in up.master.sh(f"cat {HOME}/people")


def test_the_master_moves_to_postgresql(up: Farm) -> None:
    with postgres.server(CONTROLLER, DATABASE, up.lab.inside) as database:
        url = f"postgresql://{postgres.USER}:{DATABASE}@{CONTROLLER}/postgres"
        up.more = {"buildbot_database": url}
        said = up.play("-vvv")
        assert DATABASE not in said
        up.wait(up.complete)
        told = postgres.ask(database, "SELECT name FROM workers ORDER BY name")
        assert {"h2", "h3"} <= {*told.splitlines()}
