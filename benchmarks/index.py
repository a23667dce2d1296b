"""How long an index takes to have an artifact, with few and with many versions there.

    python benchmarks/index.py [VERSIONS …]

folder   a wheel and two papers, by `Folder.publish`; all others: a private devpi
publish  a wheel and two papers, by `Devpi.publish`
upload   ``uv publish`` of another wheel alone: the yardstick of publish
promote  the wheel and its papers from dev to acceptance, by `Devpi.push`
push     devpi's own push alone: the yardstick of promote
fetch    the wheel, by `Devpi.fetch`
wheels   the names of all wheels in dev, by `Devpi.wheels`: what prune asks for
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "template")]

from delivery.artifact import credentials, site
from delivery.artifact.devpi import Devpi
from delivery.artifact.folder import Folder
from delivery.artifact.wheel import describe

from devpi import local
from devpi.local import Server, create
from tests.delivery.tool.conftest import pin
from tests.delivery.tool.test_index import wheel

NAME, TIMES = "hello-delivery", 5
# Writes the page of all versions anew at no upload: the first one after it does so for all.
FILLER = """#!{python}
import sys
from devpi_server import main, model

model.PrivateStage._regen_simplelinks = lambda *_: None
sys.exit(main.main())
"""


def seconds(what: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.monotonic()
    what()
    return time.monotonic() - start


def once(index: Devpi, plain: Folder, folder: Path, number: int) -> dict[str, float]:
    """Publish, promote and fetch a version; return the seconds of each."""
    goal = index.at("acceptance")
    made, bare = wheel(folder, f"2.{number}"), wheel(folder, f"3.{number}")
    papers = [folder / f"{number}.{kind}.json" for kind in ("sbom", "provenance")]
    for paper in papers:
        paper.write_text(f'{{"of": "{paper.name}"}}')
    artifact = describe(made, "c" * 40)
    push = {"name": NAME, "version": f"3.{number}", "targetindex": goal.name}
    return {
        "folder": seconds(lambda: plain.publish(NAME, made, papers)),
        "publish": seconds(lambda: index.publish(NAME, made, papers)),
        "upload": seconds(lambda: index.site.upload(f"{index}/", bare, index)),
        "promote": seconds(lambda: index.push(NAME, artifact, goal, b"{}")),
        "push": seconds(lambda: index.site.ask(str(index), "application/json", push)),
        "fetch": seconds(lambda: index.fetch(NAME, artifact)),
        "wheels": seconds(lambda: index.wheels(NAME)),
    }


def fill(server: Server, index: Devpi, folder: Path, numbers: Iterable[int]) -> None:
    """Upload versions; a server that does less for each takes a tenth of the time."""
    script = folder / "devpi-server"
    python = Path(local.program("devpi-server")).with_name("python")
    script.write_text(FILLER.format(python=python))
    script.chmod(0o700)
    server.stop()
    with patch.object(local, "program", lambda _: str(script)):
        server.start()
    site._token.cache_clear()  # a login ends with the server
    for number in numbers:
        put(index, wheel(folder, f"1.{number}"))
    server.stop()
    server.start()
    site._token.cache_clear()
    put(index, wheel(folder, "0.1"))


def put(index: Devpi, made: Path) -> None:
    """Upload a wheel as uv does, but without starting it: that takes longer than all the rest."""
    head = '--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    form = {":action": "file_upload", "name": NAME, "version": made.name.split("-")[1]}
    body = "".join(head % (key, "") + value + "\r\n" for key, value in form.items()).encode()
    body += (head % ("content", f'; filename="{made.name}"')).encode() + made.read_bytes()
    found = index.site.credentials
    assert found
    request = urllib.request.Request(f"{index}/", body + b"\r\n--x--\r\n")
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    request.add_header("Authorization", credentials.header(found))
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def main() -> None:
    """Fill an index, measure, print."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        pin(root)
        server = create(root / "devpi")
        os.environ["DELIVERY_INDEX_PASSWORD"] = server.password
        try:
            index, plain, there = Devpi.parse(server.index, root), Folder(root / "folder"), 0
            for versions in [int(word) for word in sys.argv[1:]] or [0, 1000]:
                if there < versions:
                    fill(server, index, root, range(there, versions))
                    for number in range(there, versions):
                        plain.publish(NAME, wheel(root, f"1.{number}"))
                    there = versions
                print(f"{versions} versions, load {os.getloadavg()[0]:.1f}", flush=True)
                runs = [once(index, plain, root, versions + n) for n in range(TIMES)]
                for name in runs[0]:
                    middle = statistics.median(run[name] for run in runs)
                    print(f"  {name:<8} {middle:6.3f} s", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
