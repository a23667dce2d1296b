"""The OCI image: built without a daemon, run by Podman as nobody, on a root that is read-only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.delivery.role.conftest import free_port
from tests.forms.conftest import NEEDED, Boxed, Published
from tests.forms.conftest import archive as packages
from tests.hosts.base import base
from tests.hosts.conftest import CACHE
from tests.hosts.index import fill

pytestmark = pytest.mark.images
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
[storage.options.overlay]
skip_mount_home = "true"
"""
# Without systemd, on any kind of control groups; more handles than root may give are none.
ENGINE = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
ASK = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/version').read().decode())"
)
# The base's own sources are on a network that a build may not have.
SOURCES = """FROM localhost/plain
RUN rm --recursive --force /etc/apt/sources.list.d && \\
    echo 'deb [trusted=yes] http://127.0.0.1:{port}/apt ./' >/etc/apt/sources.list
"""
LISTED = (
    "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
)


@dataclass(frozen=True)
class Images:
    """Images, and what runs of them."""

    made: Published
    env: dict[str, str]
    name: str

    def run(self, *words: str | Path, status: int = 0) -> str:
        """Run a command among them; return what it said."""
        return self.made.run(*words, status=status, **self.env).strip()

    def start(self, name: str, *command: str) -> str:
        """Start a container that reaches nothing, and whose root is read-only."""
        # Podman would have systemd ask for its health: here a test does.
        options = ["--network=none", "--read-only", "--health-interval=disable"]
        self.run("podman", "run", "--detach", f"--name={name}", *options, self.name, *command)
        return name

    def wait(self, name: str) -> str:
        """Wait until a container is well."""
        check = ["podman", "healthcheck", "run", name]
        for _ in range(100):
            if not subprocess.run(check, env={**self.made.env, **self.env}, check=False).returncode:
                return name
        raise AssertionError(self.run("podman", "logs", name))


def at_work(folder: Path) -> list[str]:
    """The processes that were told of a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            if os.fsencode(folder) in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.fixture(scope="module")
def images(boxed: Boxed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The image of the newest version, as people make it, on a base made here."""
    made, (_, told) = boxed
    folder = tmp_path_factory.mktemp("images")
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    (folder / "containers.conf").write_text(ENGINE)
    env = {
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }
    found = Images(made, env, f"localhost/boxed-parcel:{told['version'].replace('+', '-')}")
    base(CACHE)
    (archive,) = CACHE.glob(f"{base(CACHE).parent.name}.tar.zst")
    found.run("podman", "import", "--quiet", archive, "localhost/plain")
    fill(folder / "index", [made.root / "requirements/prod.txt"])
    packages(folder / "index/apt")
    port = free_port()
    (folder / "Containerfile").write_text(SOURCES.format(port=port))
    found.run("buildah", "build", "--quiet", "--tag=localhost/base", folder)
    serve = ["-m", "http.server", "--bind=127.0.0.1", f"--directory={folder / 'index'}", str(port)]
    null = subprocess.DEVNULL
    server = subprocess.Popen([sys.executable, *serve], stdout=null, stderr=null)
    try:
        index = f"--build-arg=PIP_INDEX_URL=http://127.0.0.1:{port}/simple"
        options = ["--build-arg=BASE=localhost/base", index]
        made.python("tox", "run", "--quiet", "-e", "image", "--", *options, status=0, **env)
        yield found
    finally:
        server.terminate()
        server.wait()
        found.run("podman", "rm", "--all", "--force", "--time=0")
        while at_work(folder):  # what watched a container tidies up after it has gone
            time.sleep(0.1)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def running(images: Images) -> str:
    """A container in which the service is well."""
    return images.wait(images.start("running"))


def test_it_answers_with_its_version_and_commit(images: Images, running: str, boxed: Boxed) -> None:
    said = images.run("podman", "exec", running, "python", "-c", ASK)
    assert json.loads(said) == boxed[1][-1]


def test_it_is_nobody_and_can_write_to_memory_alone(images: Images, running: str) -> None:
    assert images.run("podman", "exec", running, "id", "--user") == "10001"
    for place in ("/opt/boxed-parcel/x", "/var/lib/boxed-parcel/x"):
        said = images.run("podman", "exec", running, "touch", place, status=1)
        assert "Read-only file system" in said
    images.run("podman", "exec", running, "touch", "/dev/shm/x")


def test_its_health_check_tells_when_nothing_answers(images: Images) -> None:
    name = images.start("ill", "sleep", "60")
    images.run("podman", "healthcheck", "run", name, status=1)
    images.run("podman", "rm", "--force", "--time=0", name)


def test_it_has_what_the_lock_names_and_its_own_wheel(images: Images, running: str) -> None:
    listed = images.run("podman", "exec", running, "python", "-I", "-c", LISTED)
    said = set(listed.lower().replace("_", "-").split())
    lock = (images.made.root / "requirements/prod.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+==\S+)", lock, re.MULTILINE))
    others = {one.partition("==")[0] for one in said - locked}
    assert others == {"boxed-parcel", "pip", "setuptools"}


def test_it_has_what_it_needs_of_the_system_and_names_it(images: Images, running: str) -> None:
    said = images.run("podman", "exec", running, "dpkg", "--status", NEEDED)
    assert "Status: install ok installed" in said
    named = json.loads(images.run("podman", "exec", running, "cat", "release.json"))["system"]
    assert named == [NEEDED]


def test_its_labels_say_what_it_is(images: Images, boxed: Boxed) -> None:
    said = json.loads(images.run("podman", "image", "inspect", images.name))[0]["Labels"]
    kind, told = "org.opencontainers.image", boxed[1][-1]
    assert said[f"{kind}.version"] == told["version"]
    assert said[f"{kind}.revision"] == told["commit"]
    assert said[f"{kind}.licenses"] == "MIT"


def test_it_ends_when_it_is_told_to(images: Images) -> None:
    name = images.wait(images.start("ending"))
    images.run("podman", "stop", "--time=20", name)
    assert images.run("podman", "wait", name) == "0"


def test_without_a_builder_it_says_what_to_install(images: Images, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to("/usr/bin/git")
    said = images.made.python("delivery.forms.image", status=1, PATH=str(tmp_path))
    assert said == ("delivery: none of buildah, podman, docker is here: apt-get install buildah\n")
