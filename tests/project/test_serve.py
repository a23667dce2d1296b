"""Who edits sees what they edit, with each framework, by one command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..smoke.options import WALKED
from .conftest import Person, Service
from .test_frameworks import made, package

pytestmark = pytest.mark.slow

FRAMEWORKS = [name for name, told in WALKED.items() if "kind" not in told]
TOX = "from pathlib import Path; from delivery import tools; print(*tools.tox(Path.cwd()))"


@contextlib.contextmanager
def served(service: Service) -> Iterator[str]:
    """Run ``tox run -e serve`` meanwhile; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    said = service.person.run("python3", "-c", TOX, cwd=service.root)
    tox = said.splitlines()[-1].split()  # it may tell first that it makes it
    told = ("run", "-e", "serve", "--", f"--bind={address}")
    process = service.person.start(*tox, *told, cwd=service.root)
    try:
        yield f"http://{address}"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        print(process.communicate(timeout=60)[0])


def wait_for(text: str, url: str, edited: Path | None = None) -> None:
    """Wait until a page has a text; what was edited is saved once more now and then."""
    said = ""
    for _ in range(60):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            said = answer.read().decode()
        if text in said:
            return
        time.sleep(2)
        if edited:  # the first time may have been before it was watched
            edited.touch()
    pytest.fail(f"{url} has no {text!r}: {said!r}")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_edited_is_served(person: Person, framework: str) -> None:
    service = made(person, framework, "edited")
    sources = f"src/{package(service)}"
    code, page = f"{sources}/ops.py", f"{sources}/templates/index.html"
    with served(service) as url:
        wait_for('"ok"', f"{url}/healthz")
        service.edit(code, '"ok"', '"very well"')
        wait_for('"very well"', f"{url}/healthz", service.root / code)
        service.edit(page, "</h1>", " once more</h1>")
        wait_for(" once more</h1>", f"{url}/", service.root / page)
    # A database, say, is nowhere in the work tree.
    changed = service.git("status", "--porcelain").split()
    assert changed == ["M", code, "M", page]
