"""What a release prepares before it goes live: once, on record, and never backwards."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.delivery.load import load

from .conftest import Site, new_site, wait

GOOD = "sys.exit(0)"
BAD = "sys.exit('no such table: parcels')"


def migrations(site: Site) -> list[dict[str, Any]]:
    """Return what the migrations of a site have seen."""
    path = site.root / "data/migrations"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def events(site: Site) -> list[str]:
    """Return what the journal tells of the last run."""
    last = site.journal()[-1]["run"]
    return [fact["event"] for fact in site.journal() if fact["run"] == last]


def test_migration_is_run_once_before_cutover_and_recorded(live: Site) -> None:
    before = os.readlink(live.root / "run/current.sock").removesuffix(".sock")
    wheel, words = live.wheel("1.1", migrate=GOOD), {"TINY_WORD": "open sesame"}
    run = live.deploy(wheel, service_environment=words)
    assert run.ok, run.output
    assert run.host["migrated"]
    assert run.host["seconds"]["migrate"] > 0
    assert migrations(live) == [{"version": "1.1", "word": "open sesame", "live": before}]
    assert events(live) == ["begin", "migrated", "end"]
    again = live.deploy(wheel, service_environment=words)
    assert not again.host["changed"]
    assert not again.host["migrated"]
    assert len(migrations(live)) == 1


def test_release_without_a_migration_says_so(live: Site) -> None:
    assert not live.deploy(live.wheel("1.1")).host["migrated"]
    assert events(live) == ["begin", "end"]


def test_failed_migration_leaves_live_untouched_and_says_why(live: Site) -> None:
    with load(live.url, clients=2, pause=0.02) as running:
        run = live.deploy(live.wheel("1.1", migrate=BAD))
        running.wait_for(50)
    assert not run.ok
    assert "its migration failed (tiny-service-migrate ended with 1)" in run.host["reason"]
    assert "| no such table: parcels" in run.output
    assert running.count.failed == 0, running.count.reasons
    assert live.live() == "1.0"
    assert live.instances() == {"1.0"}
    assert events(live) == ["begin", "end"]
    assert live.journal()[-1]["reason"] == run.host["reason"]
    assert live.told("live", live.wheel("1.2", migrate=GOOD))["version"] == "1.2"


def test_secrets_of_a_failed_migration_are_starred_out(live: Site) -> None:
    wheel = live.wheel("1.1", migrate="sys.exit(os.environ['TINY_SECRET'])")
    run = live.deploy(wheel, service_environment={"TINY_SECRET": "correct-horse-battery"})
    assert not run.ok
    assert "| ***" in run.output
    assert "correct-horse-battery" not in run.output


def test_rollback_does_not_migrate_and_data_stays(live: Site) -> None:
    for version in ("1.1", "1.2"):
        assert live.told("live", live.wheel(version, migrate=GOOD))["migrated"]
    told = live.told("previous")
    assert (told["version"], told["migrated"]) == ("1.1", False)
    assert [seen["version"] for seen in migrations(live)] == ["1.1", "1.2"]
    assert events(live) == ["begin", "end"]


def test_migration_of_a_killed_run_keeps_the_lock(live: Site) -> None:
    """Kill the module while its migration runs: nobody else migrates at the same time."""
    wheel = live.wheel("1.1", migrate="__import__('time').sleep(60)")
    child = live.begin(live.parameters("live", wheel))
    wait(lambda: migrations(live))
    child.kill()
    child.communicate()
    left = json.loads((live.root / "lock").read_text())["child"]
    other = live.wheel("1.2", migrate=GOOD)
    reason = live.told("live", other)["reason"]
    assert f"(process {left}, which a run that was killed has left)" in reason
    assert live.live() == "1.0"
    os.kill(left, signal.SIGKILL)
    wait(lambda: live.told("live", other).get("version") == "1.2")
    assert [seen["version"] for seen in migrations(live)] == ["1.1", "1.2"]


def test_first_host_migrates_for_all(live: Site) -> None:
    with new_site() as second:
        live.hosts["second"] = {
            "service_root": str(second.root),
            "service_port": second.port,
        }
        assert not live.deploy(live.wheel("1.1", migrate=BAD)).ok
        assert not second.root.exists()
        run = live.deploy(live.wheel("1.2", migrate=GOOD))
        assert run.ok, run.output
        assert [migrations(site)[-1:] != [] for site in (live, second)] == [True, False]
        assert (live.live(), second.live()) == ("1.2", "1.2")
