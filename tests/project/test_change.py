"""A change goes through under load, and back again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..delivery.load import load
from .conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def deployed(service: Service, environment: str, commit: str) -> dict[str, Any]:
    """Return what the ledger says of the last time a commit was deployed somewhere."""
    ref = "refs/delivery/ledger"
    listed = sorted(service.git("ls-tree", "-r", "--name-only", ref).splitlines())
    path = [p for p in listed if f".{environment}.deployed.{commit[:12]}" in p][-1]
    told: dict[str, Any] = json.loads(service.git("show", f"{ref}:{path}"))["predicate"]
    return told


def test_a_change_reaches_production_under_load_and_goes_back(green: Service) -> None:
    first = green.version()
    page = next((green.root / "src" / "hello_delivery" / "templates").iterdir()).relative_to(
        green.root
    )
    green.edit(str(page), "</body>", "<!-- changed --></body>")
    table = (green.root / "delivery.toml").read_text()
    (green.root / "delivery.toml").write_text(f'{table}\n[system]\npackages = ["dpkg"]\n')
    commit = green.commit("Change a line")
    green.delivery("walk", "--to", "performance")
    with load(green.url("production"), pause=0.02) as running:
        green.delivery("walk")
        running.wait_for(5000 - running.sent)
    second = green.version()
    assert second["commit"] == commit
    for environment in ("acceptance", "production"):
        (package,) = deployed(green, environment, commit)["system"]
        assert package.split()[0] == "dpkg" and package.split()[1][0].isdigit()
    assert running.count.sent >= 5000
    assert running.count.failed == 0, running.count.reasons
    assert len(running.count.kinds) == 4  # GET and POST, kept connections and not

    with load(green.url("production"), pause=0.02) as running:
        said = green.delivery("rollback", "production", "--reason", "a test")
        running.wait_for(1000)
    assert f"{first['version']} is live in production again" in said
    assert green.version() == first
    assert running.count.failed == 0, running.count.reasons
    assert "production rolled-back" in green.log(commit)

    # What was rolled back stays away until somebody insists.
    said = green.delivery("walk", status=3)
    assert "was rolled back from production" in said and "(a test)" in said
    said = green.delivery("deploy", "production", second["version"], status=3)
    green.delivery(
        "deploy", "production", second["version"], "--force", "--reason", "it was not the cause"
    )
    assert green.version() == second
    assert "FORCED" in green.delivery("log")

    said = green.delivery("rollback", "production")
    assert green.version() == first
