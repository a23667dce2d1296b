"""What stands under a release is changed by a run that is killed; the next one ends it."""

from __future__ import annotations

import itertools
import json
import signal
import zipfile

import pytest

from tests.delivery.role.wheels import NAME

from .conftest import Service
from .host import Host

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
COPY = "root/killed"
CODE = "service_host/systemd.py"
# Every way in which the set-up changes anything goes through one of these.
DYING = """

import os, signal
_left = int(os.environ.get("KILL_BEFORE", 0))


def _dying(function):
    def wrapped(*words, **more):
        global _left
        # To ask systemd something changes nothing.
        if not {"show", "is-active"} & {*map(str, words)}:
            _left -= 1
            if not _left:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*words, **more)
    return wrapped


write, call, discard = map(_dying, (write, call, discard))
"""
CHANGES = [
    ("front", "TimeoutStopSec=40", "TimeoutStopSec={}"),
    ("instance", "TimeoutStopSec=40", "TimeoutStopSec={}"),
    ("Caddyfile", "grace_period 30s", "grace_period {}s"),
    ("port", "Backlog=4096", "Backlog={}000"),
]


def copy(host: Host, files: dict[str, str]) -> None:
    """Put its rollback beside it, with other files, and as one that dies where it is told."""
    with zipfile.ZipFile(host.disk / ROOT[1:] / "rollback") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    told = json.loads(texts["parameters.json"])
    texts["parameters.json"] = json.dumps({**told, "files": files})
    texts[CODE] = texts[CODE].partition(DYING)[0] + DYING
    with zipfile.ZipFile(host.disk / COPY, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)


def files_of(host: Host) -> dict[str, str]:
    """Return what the last deploy has left there as files."""
    with zipfile.ZipFile(host.disk / ROOT[1:] / "rollback") as archive:
        files = json.loads(archive.read("parameters.json"))["files"]
    assert isinstance(files, dict)
    return files


def run(host: Host, place: int) -> tuple[int, str]:
    """Run the copy, to die in some place; nothing of a release changes, only what it stands on."""
    python = f"{ROOT}/tools/current/bin/python"
    said = host.sh(f"cd /; KILL_BEFORE={place} {python} -I /{COPY} 34.0 2>&1; echo $?")
    *lines, status = said.splitlines()
    return int(status), "\n".join(lines)


def test_killed_before_each_change_of_the_set_up_the_next_run_ends_it(one: Service) -> None:
    host = one.hosts[0]
    assert one.deploy(one.wheel("34.0"))["h1"].ok
    before = files_of(host)
    assert all(before[name].count(old) == 1 for name, old, _ in CHANGES)
    with one.load(host) as count:
        for place in itertools.count(1):
            changed = {n: before[n].replace(old, new.format(20 + place)) for n, old, new in CHANGES}
            copy(host, before | changed)
            status, said = run(host, place)
            assert status in (0, 128 + signal.SIGKILL), said
            if status == 0:
                break
            status, said = run(host, 0)
            assert status == 0 and "34.0 is live again" in said, said
            # All is as told, and nothing is left to do.
            assert "was live already" in run(host, 0)[1]
            show = f"systemctl show --property=TimeoutStopUSec --value {NAME}-front"
            assert host.sh(show) == f"{20 + place}s"
    print(f"killed in {place - 1} places")
    assert place > 6
    assert count["failed"] == 0, count
    assert one.deploy(one.wheel("34.0"))["h1"].ok
    assert not one.deploy(one.wheel("34.0"))["h1"].host["changed"]
