"""How long a release takes to be installed, with the lock of a service on Flask.

    python benchmarks/install.py [TIMES]

release  by the role on this machine: environment, lock, wheel, bytecode, checks, sync; warm
uv       ``uv venv`` and ``uv pip install --require-hashes`` of the same lock: the yardstick; warm
host     as on a host: by a uv of the role's own, which keeps no cache, from an index of here
cold     the yardstick, without a cache, from the same index
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "template/delivery/roles/service/module_utils")]

from service_host import install, layout, lock

from tests.delivery.role.wheels import COMMIT, NAME, wheel
from tests.hosts.index import fill

LOCK = ROOT / "template/requirements/{% if flavour == 'flask' %}prod.txt{% endif %}"
TIMES = 7


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def seconds(what: Callable[[], object]) -> tuple[float, float]:
    """Return how long something takes, and how much of the processors, its children's too."""
    start, spent = time.monotonic(), sum(os.times()[:4])
    what()
    return time.monotonic() - start, sum(os.times()[:4]) - spent


def release(root: Path, number: int) -> None:
    """Install a release by the role."""
    place, made = layout.layout(str(root)), wheel(root, f"1.{number}")
    wanted = install.Artifact(NAME, made.version, made.sha256, COMMIT, made.path, root / "lock.txt")
    with lock.held(root / "lock", "bench", made.version) as held:
        install.install(place, wanted, held)


def by_uv(uv: str, root: Path, number: int, *options: str) -> None:
    """Install the same lock by uv alone."""
    folder = root / f"uv-{number}"
    subprocess.run([uv, "venv", "--quiet", "--no-project", f"--python={sys.executable}", folder])
    words = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--require-hashes", *options]
    words += [f"--python={folder / 'bin/python'}", f"--requirement={root / 'lock.txt'}"]
    subprocess.run(words, check=True)


def main() -> None:
    """Measure in turns, print the medians."""
    times = int(sys.argv[1]) if sys.argv[1:] else TIMES
    uv = install.find_uv()
    assert uv
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        local, host = Path(folder, "local"), Path(folder, "host")
        for root in (local, host):
            root.mkdir()
            shutil.copy(LOCK, root / "lock.txt")
        own = layout.layout(str(host)).uv
        own.parent.mkdir(parents=True)
        shutil.copy(uv, own)
        fill(Path(folder, "index"), [local / "lock.txt"])
        handler = functools.partial(Quiet, directory=str(Path(folder, "index")))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            os.environ["UV_DEFAULT_INDEX"] = f"http://127.0.0.1:{server.server_address[1]}/simple"
            parts: dict[str, Callable[[int], object]] = {
                "release": lambda number: release(local, number),
                "uv": lambda number: by_uv(uv, local, number),
                "host": lambda number: release(host, number),
                "cold": lambda number: by_uv(uv, host, number, "--no-cache"),
            }
            for what in parts.values():
                what(0)
            print(f"load {os.getloadavg()[0]:.1f}", flush=True)
            runs = [
                {name: seconds(functools.partial(what, turn + 1)) for name, what in parts.items()}
                for turn in range(times)
            ]
            server.shutdown()
            thread.join()
    for place, kind in enumerate(("s", "s of CPU")):
        middle = {name: statistics.median(run[name][place] for run in runs) for name in parts}
        for name, taken in middle.items():
            print(f"  {name:<8} {taken:6.3f} {kind}")
        for name, yardstick in (("release", "uv"), ("host", "cold")):
            print(f"  {name} is {middle[name] / middle[yardstick]:.2f} times {yardstick}")


if __name__ == "__main__":
    main()
