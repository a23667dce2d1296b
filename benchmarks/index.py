"""How long a private devpi takes to have an artifact, with few and with many versions there.

    python benchmarks/index.py [VERSIONS …]

publish  a wheel and two papers, by `Devpi.publish`
upload   ``uv publish`` of another wheel alone: the yardstick of publish
promote  the wheel and its papers from dev to acceptance, by `Devpi.push`
push     devpi's own push alone: the yardstick of promote
fetch    the wheel, by `Devpi.fetch`
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "template")]

from delivery.artifact.devpi import Devpi
from delivery.artifact.wheel import describe

from devpi.local import Server, create
from tests.delivery.tool.conftest import pin
from tests.delivery.tool.test_index import wheel

NAME, TIMES = "hello-delivery", 5


def seconds(what: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.monotonic()
    what()
    return time.monotonic() - start


def once(server: Server, index: Devpi, folder: Path, number: int) -> dict[str, float]:
    """Publish, promote and fetch a version; return the seconds of each."""
    goal = index.at("acceptance")
    made, bare = wheel(folder, f"2.{number}"), wheel(folder, f"3.{number}")
    papers = [folder / f"{number}.{kind}.json" for kind in ("sbom", "provenance")]
    for paper in papers:
        paper.write_text(f'{{"of": "{paper.name}"}}')
    artifact = describe(made, "c" * 40)
    push = {"name": NAME, "version": f"3.{number}", "targetindex": goal.name}
    return {
        "publish": seconds(lambda: index.publish(NAME, made, papers)),
        "upload": seconds(lambda: index.site.upload(f"{index}/", bare, index)),
        "promote": seconds(lambda: index.push(NAME, artifact, goal, b"{}")),
        "push": seconds(lambda: server.api("POST", f"/{index.name}", push)),
        "fetch": seconds(lambda: index.fetch(NAME, artifact)),
    }


def main() -> None:
    """Fill an index, measure, print."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        pin(root)
        server = create(root / "devpi")
        os.environ["DELIVERY_INDEX_PASSWORD"] = server.password
        try:
            index, there = Devpi.parse(server.index, root), 0
            for versions in [int(word) for word in sys.argv[1:]] or [0, 1000]:
                while there < versions:
                    index.site.upload(f"{index}/", wheel(root, f"1.{there}"), index)
                    there += 1
                print(f"{versions} versions, load {os.getloadavg()[0]:.1f}", flush=True)
                runs = [once(server, index, root, versions + n) for n in range(TIMES)]
                for name in runs[0]:
                    print(f"  {name:<8} {statistics.median(run[name] for run in runs):6.3f} s")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
