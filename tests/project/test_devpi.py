"""``make walk INDEX=devpi``: the same walk, through a devpi of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from .conftest import Person, Service

pytestmark = [pytest.mark.slow, pytest.mark.browser]

JSON = {"Accept": "application/json"}


def test_a_walk_leaves_the_artifact_in_the_index_of_every_level(
    person: Person, clone: Path
) -> None:
    service = Service(person, clone, clone / "build" / "paper-office")
    command = ["make", "walk", "INDEX=devpi", "NAME=Paper Office"]
    try:
        said = person.run(*command, cwd=clone)
        assert f"is in production: {service.url('production')}/" in said
        told = service.version()
        address = re.search(
            r'^index = "devpi\+(http://127\.0\.0\.1:\d+/team)"',
            (service.root / "delivery.toml").read_text(),
            re.MULTILINE,
        )
        assert address
        for level in ("dev", "acceptance", "production"):
            ask = Request(f"{address[1]}/{level}/paper-office", headers=JSON)
            with urlopen(ask, timeout=5) as answer:
                links = json.load(answer)["result"][told["version"]]["+links"]
            (file,) = [link for link in links if link["rel"] == "releasefile"]
            assert file["hash_spec"] == f"sha256={told['sha256']}"
    finally:
        person.run("make", "stop", "NAME=Paper Office", cwd=clone, status=None)
    assert not (clone / "build" / "devpi" / "pid").exists()
