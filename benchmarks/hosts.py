"""How long a deploy to many hosts takes, against a bare loop of ssh with the same steps.

    tox run -e scale

The hosts are containers with systemd and sshd on this machine, so what they do they do on the same
cores: a real fleet is faster. Needs root. For each number of hosts, one after the other:

loop      scp and ssh of benchmarks/host.sh, host after host
at once   the role, all hosts in one batch
batches   the role, one host, then a quarter, then the rest, as it is by default

rollback: how long python3 -m delivery rollback takes for one host and for four. restore: how long
python3 -m delivery restore takes when one host of four is empty. latency: how long requests take
while a host is cut over (by rollbacks, which install nothing), against the same load before: by
hand, so that the host is alone with its clients, and by a controller on the same cores.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from delivery.project import Project

from tests.delivery.role.wheels import NAME, REQUIREMENTS
from tests.hosts.base import base
from tests.hosts.conftest import CACHE, INDEX, TOOLS, Service
from tests.hosts.fleet import founded
from tests.hosts.host import CONTROLLER, Host
from tests.hosts.index import fill
from tests.hosts.lab import ALIVE, SSH, Lab

SCRIPT = Path(__file__).with_name("host.sh")
SIZES = (1, 2, 4, 8, 16)
PARTS = ("scale", "rollback", "restore", "latency")
# As many hosts as a rollback is promised to be quick for.
SOME = 4
# How many rollbacks the latency is taken of.
CUTOVERS = 4


class Fleet:
    """Hosts to deploy to, as many as are asked for; every deploy is of a version of its own."""

    def __init__(self, lab: Lab, work: Path) -> None:
        self.lab, self.work, self.number = lab, work, 0

    def service(self, size: int) -> Service:
        """Return the service on the first hosts."""
        folder = self.work / str(size)
        folder.mkdir(exist_ok=True)
        return Service(self.lab, folder, tuple(host.name for host in self.lab.hosts[:size]))

    def version(self) -> str:
        """Return the next version."""
        self.number += 1
        return f"1.{self.number}"

    def by_role(self, size: int, **variables: Any) -> dict[str, float]:
        """Deploy by the role; return how many seconds that took, in all and on a host."""
        service, version = self.service(size), self.version()
        what = service.wheel(version)
        start = time.monotonic()
        runs = service.deploy(what, **variables)
        took = time.monotonic() - start
        if any(run.code or not run.host["changed"] for run in runs.values()):
            sys.exit(next(iter(runs.values())).output)
        assert set(service.live()) == {version}
        there = [sum(run.host["seconds"].values()) for run in runs.values()]
        return {"all": took, "host": statistics.median(there)}

    def by_loop(self, size: int) -> dict[str, float]:
        """Deploy by ssh, host after host; return how many seconds that took."""
        service, version = self.service(size), self.version()
        what = service.wheel(version)
        options = shlex.split(f"-i {self.lab.key} -o BatchMode=yes {SSH} {ALIVE}")
        start = time.monotonic()
        for host in service.hosts:
            self.over_ssh(host, options, [SCRIPT, what.path, REQUIREMENTS], what.sha256, version)
        took = time.monotonic() - start
        assert set(service.live()) == {version}
        return {"all": took}

    def over_ssh(
        self, host: Host, options: list[str], files: list[Path], sha256: str, version: str
    ) -> None:
        """Put files on a host, and run the script there."""
        target = f"root@{host.address}"
        copy = ["scp", "-q", *options, *map(str, files), f"{target}:/tmp/"]
        there = [f"/tmp/{path.name}" for path in files]
        words = ["sh", there[0], NAME, version, there[1], sha256, there[2], INDEX]
        for command in (copy, ["ssh", *options, target, shlex.join(words)]):
            done = self.lab.run(command, capture_output=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def latency(fleet: Fleet, times: int) -> dict[str, float]:
    """Return how many times as long 99 of 100 requests take during cutovers as before them."""
    service, found = fleet.service(1), []
    host = service.hosts[0]
    releases = [service.wheel(fleet.version()) for _ in range(2)]

    def by_hand() -> None:
        for _ in range(CUTOVERS):
            host.sh(f"/opt/{NAME}/rollback")

    def by_controller() -> None:
        for _ in range(CUTOVERS):
            assert service.rollback()[host.name].ok

    for _ in range(times):
        told = {}
        for name, work in (("before", wait), ("by hand", by_hand), ("controller", by_controller)):
            # One after the other, for each rollback to have something to go back to.
            for number in range(CUTOVERS + 1):
                assert service.deploy(releases[number % 2])[host.name].ok
            with service.load(host, "--slow=2", "--pause=0.02") as count:
                work()
            assert count["failed"] == 0, count
            told[name] = count["p99_ms"]
        for name in ("by hand", "controller"):
            told[f"{name}, times"] = told[name] / told["before"]
        found.append(told)
        print(told, flush=True)
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def wait() -> None:
    """Let the clients have the host for themselves for a while."""
    time.sleep(10)


def rollback(fleet: Fleet, size: int, times: int) -> dict[str, float]:
    """Return how many seconds python3 -m delivery rollback takes for some hosts, and on a host."""
    service, found = fleet.service(size), []
    service.variables = {"service_batches": ["100%"]}
    before, after = fleet.version(), fleet.version()
    team = founded(service, before, after)
    for number in range(times):
        start = time.monotonic()
        done = team.delivery("rollback", "production")
        took = time.monotonic() - start
        if done.returncode:
            sys.exit(done.stderr)
        assert set(service.live()) == {before}
        event = Project.find(team.root).live("production")
        assert event is not None and event.seconds is not None
        found.append({"all": took, "host": event.seconds})
        if number + 1 < times:
            team.delivery("deploy", "production", after, "--force", "--reason", "again")
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def restore(fleet: Fleet, times: int) -> dict[str, float]:
    """Return how many seconds python3 -m delivery restore takes when one host is empty."""
    service, found, version = fleet.service(SOME), [], fleet.version()
    service.work /= "restored"
    service.work.mkdir()
    service.variables = {"service_batches": ["100%"]}
    team = founded(service, version)
    lost = Service(fleet.lab, fleet.work / "lost", service.names[-1:])
    lost.work.mkdir()
    for _ in range(times):
        assert lost.gone()[lost.names[0]].ok
        start = time.monotonic()
        done = team.delivery("restore", "production")
        found.append(time.monotonic() - start)
        if done.returncode:
            sys.exit(done.stderr)
        assert set(service.live()) == {version}
    return {"all": statistics.median(found)}


def median(measure: Callable[[], dict[str, float]], times: int) -> dict[str, float]:
    """Return the median of some measurements."""
    found = [measure() for _ in range(times)]
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def main() -> None:
    """Boot hosts, deploy to more and more of them, print a table."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--times", type=int, default=3, help="how often each figure is taken")
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of hosts")
    options.add_argument("parts", nargs="*", default=PARTS, help=f"of {', '.join(PARTS)}")
    options.add_argument("--json", type=Path, help="where to write the figures, too")
    told = options.parse_args()
    if unknown := set(told.parts) - set(PARTS):
        options.error(f"{', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        index, work = Path(scratch, "index"), Path(scratch, "work")
        fill(index, [REQUIREMENTS, *TOOLS])
        work.mkdir()
        count = max(SOME, *told.sizes) if "scale" in told.parts else SOME
        with Lab(base(CACHE), count) as lab:
            serve = ["-m", "http.server", "--bind", CONTROLLER, "8080", "--directory", index]
            null = subprocess.DEVNULL
            server = lab.start([sys.executable, *map(str, serve)], stdout=null, stderr=null)
            fleet = Fleet(lab, work)
            first = fleet.by_role(count, service_batches=["100%"])
            print(f"first deploy to {count} bare hosts: {first['all']:.1f} s", flush=True)
            if "rollback" in told.parts:
                for size in (1, SOME):
                    back = rollback(fleet, size, told.times)
                    print(
                        f"rollback of {size}: {back['all']:.1f} s, on a host {back['host']:.2f} s",
                        flush=True,
                    )
            if "restore" in told.parts:
                joined = restore(fleet, told.times)
                print(f"an empty host of {SOME} joins: {joined['all']:.1f} s", flush=True)
            if "latency" in told.parts:
                p99 = latency(fleet, told.times)
                print(f"p99 before a cutover {p99['before']:.1f} ms", flush=True)
                for name in ("by hand", "controller"):
                    during, ratio = p99[name], p99[f"{name}, times"]
                    print(f"during one, {name}: {during:.1f} ms, {ratio:.2f} times", flush=True)
            if "scale" in told.parts:
                scale(fleet, told.sizes, told.times, told.json)
        server.wait()


def scale(fleet: Fleet, sizes: Sequence[int], times: int, file: Path | None) -> None:
    """Deploy to more and more hosts, print a table."""
    rows = [row(fleet, size, times) for size in sizes]
    for line in rows:
        line["against one host"] = line["at once"] / rows[0]["at once"]
    if file:
        file.write_text(json.dumps(rows, indent=1) + "\n")
    print("".join(f"{name:>18}" for name in rows[0]))
    for line in rows:
        print("".join(f"{number:18.2f}" for number in line.values()))


def row(fleet: Fleet, size: int, times: int) -> dict[str, float]:
    """Measure a number of hosts."""
    loop = median(lambda: fleet.by_loop(size), times)
    once = median(lambda: fleet.by_role(size, service_batches=["100%"]), times)
    batches = median(lambda: fleet.by_role(size), times)
    found = {
        "hosts": float(size),
        "loop": loop["all"],
        "at once": once["all"],
        "against loop": once["all"] / loop["all"],
        "on a host": once["host"],
        "batches": batches["all"],
    }
    print(found, flush=True)
    return found


if __name__ == "__main__":
    main()
