"""What stands in for Jenkins (``jenkins/``), on its own Groovy: compiled, and a build by it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ci.sample import Sample

SOURCES = Path(__file__).parent / "jenkins"
LIBRARIES = "/usr/share/groovy/lib/*"
JAVA = next(iter(sorted(Path("/usr/lib/jvm").glob("java-17-openjdk-*"))), Path())
LIMIT = 300  # seconds for anything, on a busy machine
Standin = list[str]


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Standin:
    """Return the command of the stand-in, compiled once."""
    return compiled(tmp_path_factory.mktemp("jenkins"))


def compiled(classes: Path) -> Standin:
    """Compile the stand-in into a folder; return its command."""
    env = {**os.environ, "JAVA_HOME": str(JAVA)}
    sources = sorted(map(str, SOURCES.glob("*.groovy")))
    subprocess.run(["groovyc", "-d", str(classes), *sources], env=env, check=True, timeout=LIMIT)
    return [str(JAVA / "bin" / "java"), "-cp", f"{classes}:{LIBRARIES}", "jenkins"]


def told(sample: Sample, commit: str, **more: Any) -> list[str]:
    """Return the arguments for a build of a commit."""
    about = {
        "repo": str(sample.origin),
        "commit": commit,
        "folder": str(sample.home / "jenkins"),
        "credentials": {"clone": "reader", "delivery-ledger": "grace:hunter2"},
        **more,
    }
    return ["run", str(sample.root / "Jenkinsfile"), json.dumps(about)]


def build(standin: Standin, sample: Sample, commit: str, **more: Any) -> str:
    """Let the stand-in build a commit; return what it says."""
    return sample.run([*standin, *told(sample, commit, **more)], sample.home)


@contextmanager
def begun(
    standin: Standin, sample: Sample, commit: str, name: str = "said", **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """Let the stand-in build a commit beside what is done here; at the end it has built it.

    Args:
        standin: its command.
        sample: the project.
        commit: the commit.
        name: of the file in the project's home that keeps what it says.
        more: what else it is told.
    """
    process = sample.start([*standin, *told(sample, commit, **more)], sample.home, name)
    try:
        yield process
        process.wait(timeout=LIMIT)
    finally:
        process.terminate()  # it ends its steps, too
        try:
            process.wait(timeout=LIMIT)
        finally:
            process.kill()


def wait(done: Callable[[], bool], process: subprocess.Popen[str], said: Path) -> None:
    """Wait until something holds while a build is running; else tell what it said."""
    end = time.monotonic() + LIMIT
    while not done():
        assert process.poll() is None and time.monotonic() < end, said.read_text()
        time.sleep(0.2)


def result(said: str) -> str:
    """Return how a build ended."""
    (line,) = re.findall(r"^REPORT (.*)$", said, re.MULTILINE)
    return str(json.loads(line)["result"])
