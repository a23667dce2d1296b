"""A deploy that is cut off in the middle: killed, unplugged, without power, or by another one."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from service_host import rollout

from tests.delivery.role.conftest import CHILD, ROLE, vars_of, wait
from tests.delivery.role.wheels import COMMIT, NAME, REQUIREMENTS, Wheel

from .conftest import INDEX, TOOLS, Service, journal
from .host import CONTROLLER, Host

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
# A release whose migration waits until it may go on, so that something can happen meanwhile.
LONG = (
    "[__import__('time').sleep(0.1) for _ in range(1800)"
    " if not Path(os.environ['STATE_DIRECTORY'], 'go').exists()]"
)
FILES = {
    "Caddyfile": "templates/Caddyfile.j2",
    "launch.py": "files/launch.py",
    "leave.py": "files/leave.py",
    "ready.py": "files/ready.py",
    "user": "templates/sysusers.conf.j2",
    "instance": "templates/instance.service.j2",
    "front": "templates/front.service.j2",
    "port": "templates/front.socket.j2",
}


def holder(host: Host) -> dict[str, Any]:
    """Return what the note in the lock of a host says; nothing while nobody holds it."""
    path = host.disk / f"opt/{NAME}/lock"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    assert isinstance(told, dict)
    return told


def family(pid: int) -> Iterator[int]:
    """Return a process and all that it has started, in whatever session."""
    yield pid
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


@contextlib.contextmanager
def migrating(host: Host) -> Iterator[None]:
    """Wait for a migration; it goes on when the block has ended, and so does the next one."""
    go = host.disk / f"var/lib/{NAME}/go"
    go.unlink(missing_ok=True)
    active = f"systemctl is-active '{NAME}-once-*'"
    wait(lambda: "active" in host.sh(active, check=False).split(), 300)
    try:
        yield
    finally:
        go.touch()


def inside(host: Host) -> str:
    """Return the version that a host serves, asked on the host itself."""
    code = (
        "import json, urllib.request as u;"
        "print(json.load(u.urlopen('http://127.0.0.1/version', timeout=10))['version'])"
    )
    return host.sh(f'python3 -c "{code}"')


def parameters(what: Wheel, folder: Path) -> dict[str, Any]:
    """Return what Ansible would give to the module."""
    loader = jinja2.FileSystemLoader([ROLE, ROLE / "templates"])
    templates = jinja2.Environment(loader=loader, trim_blocks=True, keep_trailing_newline=True)
    variables = {
        "service_name": NAME,
        "service_user": NAME,
        "service_folder": ROOT,
        "service_address": "0.0.0.0",
        "service_port": 80,
        "service_probe_seconds": 60,
        "service_drain_seconds": 30,
        "service_front_folder": f"/run/{NAME}-front",
        "service_front_handle": 3,
        "service_tls": "none",
        "service_tls_port": 443,
        "service_domains": [],
    }
    return {
        "state": "live",
        "init": "systemd",
        "root": ROOT,
        "user": NAME,
        "url": "http://127.0.0.1",
        "name": NAME,
        "version": what.version,
        "sha256": what.sha256,
        "commit": COMMIT,
        "wheel": str(folder / what.path.name),
        "requirements": str(folder / "requirements.txt"),
        "python": None,
        "packages": [],
        "environment": "{}",
        "by": "ada",
        "attempt": None,
        "over": None,
        "address": "0.0.0.0",
        "port": 80,
        "tls": "none",
        "keep": 5,
        "migrate": True,
        "probe_seconds": 60.0,
        "drain_seconds": 30.0,
        "tools": "\n".join(path.read_text().rstrip() for path in TOOLS),
        "files": {
            name: templates.get_template(path).render(variables) for name, path in FILES.items()
        },
    }


@dataclasses.dataclass
class Module:
    """The module on a host, without Ansible, so that it can be told where to die."""

    host: Host
    folder: str = "/srv/module"

    def __post_init__(self) -> None:
        outside = Path(f"{self.host.disk}{self.folder}")
        shutil.copytree(ROLE / "module_utils", outside / "utils", dirs_exist_ok=True)
        shutil.copy(CHILD, outside)
        shutil.copy(REQUIREMENTS, outside)

    def run(
        self,
        what: Wheel,
        place: object = "",
        files: dict[str, str] | None = None,
        umask: str = "022",
        **more: object,
    ) -> dict[str, Any] | None:
        """Deploy, if need be with other files; return what it says, None when it was killed."""
        outside = Path(f"{self.host.disk}{self.folder}")
        shutil.copy(what.path, outside)
        wanted = parameters(what, Path(self.folder))
        wanted["files"] |= files or {}
        wanted |= more
        (outside / "wanted.json").write_text(json.dumps(wanted))
        child = f"python3 child.py utils '{place}' - <wanted.json"
        index = f"UV_DEFAULT_INDEX={INDEX} PIP_INDEX_URL={INDEX} PIP_TRUSTED_HOST={CONTROLLER}"
        said = self.host.sh(f"umask {umask}; cd {self.folder} && {index} {child}; echo $?")
        *answer, status = said.splitlines()
        assert int(status) in (128 + signal.SIGKILL if place else 0, 0), said
        told = json.loads(answer[-1]) if answer else None
        assert told is None or isinstance(told, dict)
        return told


def test_a_run_that_is_killed_anywhere_is_put_right_by_the_next(one: Service) -> None:
    host, module = one.hosts[0], Module(one.hosts[0])
    names = [step.__name__ for _, step in rollout.STEPS]
    moves = names.index("cutover") + 1
    old, new = one.wheel("20.0"), one.wheel("20.1")
    for what in (new, old):
        assert (module.run(what) or {}).get("version") == what.version
    with one.load(host) as count:
        for place in range(1, len(names) + 1):
            assert module.run(new, place) is None
            moved = place >= moves
            assert inside(host) == (new if moved else old).version, (place, names)
            told = module.run(new)
            assert told and told.get("version") == new.version, (place, told)
            verb = "finished" if moved else "undid"
            ended = place == len(names)
            wanted = None if ended else f"{verb} the deploy of {new.version}"
            assert told["recovered"] == wanted, (place, told)
            old, new = new, old
    assert count["failed"] == 0, count
    assert one.deploy(old)["h1"].ok
    units = host.sh(f"systemctl list-units --plain --no-legend '{NAME}@*'").splitlines()
    assert len(units) == 1


def test_a_run_that_is_killed_in_its_set_up_is_put_right_by_the_next(one: Service) -> None:
    host, module, what = one.hosts[0], Module(one.hosts[0]), one.wheel("20.2")
    assert module.run(what)
    made = parameters(what, Path(module.folder))["files"]
    unit = f"systemctl show --property=TimeoutStopUSec --value {NAME}-front"
    with one.load(host) as count:
        for place in itertools.count(1):
            files = dict(made)
            for name, old, new in (
                ("front", "TimeoutStopSec=40", f"TimeoutStopSec={20 + place}"),
                ("Caddyfile", "grace_period 30s", f"grace_period {20 + place}s"),
                ("port", "Backlog=4096", f"Backlog={place}000"),
            ):
                assert made[name].count(old) == 1
                files[name] = made[name].replace(old, new)
            told = module.run(what, f"set-up {place}", files)
            assert inside(host) == what.version
            if told:
                break
            told = module.run(what, files=files)
            assert told and told["changed"], (place, told)
            assert host.sh(unit) == f"{20 + place}s"
            told = module.run(what, files=files)
            assert told and not told["changed"], (place, told)
    assert place > 6
    assert count["failed"] == 0, count
    assert one.deploy(what)["h1"].ok


def test_a_controller_that_is_killed_leaves_all_up_and_the_next_run_goes_on(three: Service) -> None:
    before, host, what = three.live()[0], three.hosts[1], three.wheel("20.5")
    with three.load(host) as count:
        process = three.start("deploy.yml", **vars_of(what), service_batches=[1, 1, 1])
        wait(lambda: journal(host)[-1].get("version") == what.version, 300)
        for pid in list(family(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        assert {inside(each) for each in three.hosts} <= {before, what.version}
        assert inside(three.hosts[2]) == before
        # Nobody is there to tell it to stop: what the host has begun, it ends.
        wait(lambda: not holder(host), 120)
        run = three.deploy(what)["h2"]
    assert process.stdout is not None
    process.stdout.close()
    assert run.code == 0, run.output
    assert three.live() == [what.version] * 3
    assert count["failed"] == 0, count


def test_two_deploys_at_once_are_one_and_a_refusal_that_names_it(one: Service) -> None:
    first = one.start("deploy.yml", **vars_of(one.wheel("21.0", migrate=LONG)))
    other = Service(one.lab, one.work / "other", one.names)
    other.work.mkdir(exist_ok=True)
    with migrating(one.hosts[0]):
        run = other.deploy(other.wheel("21.1"), service_by="grace")["h1"]
    assert not run.ok
    assert re.search(
        rf"{ROOT} is being changed by ada with version 21\.0, since 20\S+ \(process \d+\)",
        run.host["reason"],
    )
    assert one.finish(first)["h1"].ok
    assert one.live() == ["21.0"]


def test_a_cable_pulled_in_the_middle_costs_only_another_run(one: Service) -> None:
    host, before = one.hosts[0], one.live()
    what = one.wheel("22.0", migrate=LONG)
    process = one.start("deploy.yml", **vars_of(what))
    with migrating(host), host.unplugged():
        assert inside(host) == before[0]
        run = one.finish(process)["h1"]
    assert run.code != 0
    assert run.host["reason"], run.output
    # Nobody is there to tell it to stop: what the host has begun, it ends.
    wait(lambda: not holder(host), 120)
    assert inside(host) in (*before, "22.0")
    run = one.deploy(what)["h1"]
    assert run.ok, run.output
    assert one.live() == ["22.0"]


def test_a_host_that_loses_power_in_the_middle_comes_back_as_it_was(one: Service) -> None:
    host, before = one.hosts[0], one.live()
    host.sh("sync")
    what = one.wheel("23.0", migrate=LONG)
    process = one.start("deploy.yml", **vars_of(what))
    with migrating(host):
        host.halt(signal.SIGKILL)
    run = one.finish(process)["h1"]
    assert run.code != 0 and run.host["reason"], run.output
    host.boot()
    assert one.live() == before
    run = one.deploy(what)["h1"]
    assert run.ok, run.output
    assert one.live() == ["23.0"]
