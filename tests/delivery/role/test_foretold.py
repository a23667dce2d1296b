"""What --check --diff foretells is what the run after it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from service_host.layout import Layout
from service_host.supervisor import Supervisor

from .conftest import Site


def nothing(_site: Site) -> None:
    """Leave it as it is."""


def old_one_runs(site: Site) -> None:
    """Start an instance that was live before."""
    Supervisor(Layout(site.root)).start(site.journal()[0]["instance"])


def live_one_is_down(site: Site) -> None:
    """Stop the live instance, and leave it to supervisor."""
    live = Layout(site.root).live()
    Supervisor(Layout(site.root)).call("stopProcess", live)


def front_is_edited(site: Site) -> None:
    """Change what the front reads."""
    path = site.root / "Caddyfile"
    path.write_text(path.read_text().replace("try_duration 5s", "try_duration 4s"))


def front_is_hidden(site: Site) -> None:
    """Let only its owner read what the front reads."""
    (site.root / "Caddyfile").chmod(0o600)


def description_is_lost(site: Site) -> None:
    """Remove what the live instance is started by."""
    Layout(site.root).instance(str(Layout(site.root).live())).unlink()


def description_is_edited(site: Site) -> None:
    """Change what the live instance is started by."""
    path = Layout(site.root).instance(str(Layout(site.root).live()))
    path.write_text(path.read_text().replace('"environment": {', '"environment": {"A": "B"'))


def description_is_open(site: Site) -> None:
    """Let everybody read what the live instance is started by."""
    Layout(site.root).instance(str(Layout(site.root).live())).chmod(0o644)


@pytest.mark.parametrize(
    ("prepare", "state", "version", "more", "changed", "processes"),
    [
        (nothing, "live", "1.2", {}, False, False),
        (old_one_runs, "live", "1.2", {}, True, True),
        (live_one_is_down, "live", "1.2", {}, True, True),
        (front_is_edited, "live", "1.2", {}, True, False),
        (front_is_hidden, "live", "1.2", {}, True, False),
        (description_is_lost, "live", "1.2", {}, True, False),
        (description_is_edited, "live", "1.2", {}, True, False),
        (description_is_open, "live", "1.2", {}, True, False),
        (nothing, "live", "1.2", {}, False, False),
        (nothing, "live", "1.3", {}, True, True),
        (nothing, "previous", None, {}, True, True),
        (nothing, "live", "1.4", {"keep": 2}, True, True),
        (nothing, "staged", "1.5", {"keep": 2}, True, False),
        (nothing, "live", "1.4", {"keep": 2}, False, False),
    ],
)
def test_what_is_foretold_is_what_is_done(
    standing: Site,
    prepare: Callable[[Site], None],
    state: str,
    version: str | None,
    more: dict[str, object],
    changed: bool,
    processes: bool,
) -> None:
    prepare(standing)
    what = standing.wheel(version) if version else None
    foretold = standing.told(state, what, check=True, **more)
    told = standing.told(state, what, **more)
    assert (foretold["changed"], told["changed"]) == (changed, changed)
    for path in (standing.root / "instances").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600 and '"A"' not in path.read_text()
    assert (standing.root / "Caddyfile").stat().st_mode & 0o777 == 0o644
    assert foretold["diff"][-1] == told["diff"][-1]
    assert foretold["stack"] == told["stack"]
    headers = [diff.get("before_header") for diff in foretold["diff"]]
    assert ("processes" in headers) == processes
