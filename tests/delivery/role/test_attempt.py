"""An attempt on two hosts: both have the release in the end, or what they had before."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from service_host import rollout

from .conftest import Site, new_site, wait

SICK = {"TINY_SICK": "yes"}


@pytest.fixture
def pair(site: Site) -> Iterator[tuple[Site, Site]]:
    """Return two bare hosts of one service, the canary first."""
    with new_site() as second:
        place: dict[str, object] = {"service_root": str(second.root), "service_port": second.port}
        site.hosts["second"] = place
        yield site, second


def ill(pair: tuple[Site, Site], version: str, **variables: object) -> str:
    """Deploy what is sick on the second host; return how the attempt ended on the first."""
    first = pair[0]
    first.hosts["second"]["service_environment"] = SICK
    run = first.deploy(
        first.wheel(version, "sick where told"), service_probe_seconds=2, **variables
    )
    assert run.code, run.output
    assert "/healthz answers 500" in run.output
    del first.hosts["second"]["service_environment"]
    return run.output


def test_a_first_release_that_fails_elsewhere_is_withdrawn(pair: tuple[Site, Site]) -> None:
    first, second = pair
    ill(pair, "1.0", service_bake_seconds=0)
    assert (first.instances(), second.instances()) == (set(), set())
    assert not (first.root / "run/current.sock").is_symlink()
    told = first.told("undone", version="1.0")
    assert (told["version"], told["advanced"]) == (None, False)
    assert first.deploy(first.wheel("1.1"), service_bake_seconds=0).code == 0
    assert (first.live(), second.live()) == ("1.1", "1.1")
    assert "nothing to go back to" in first.told("previous")["reason"]


def test_a_withdrawal_that_is_killed_is_made_again(live: Site) -> None:
    with (live.root / "journal.jsonl").open("a") as journal:
        begin = live.journal()[0] | {"run": "0", "action": "withdraw"}
        journal.write(json.dumps(begin | {"before": begin["instance"]}) + "\n")
    (live.root / "run/current.sock").unlink()
    told = live.told("undone", version="1.0")
    assert (told["version"], told["recovered"]) == (None, "undid the withdraw of 1.0")
    assert live.instances() == set()


def test_an_attempt_that_was_killed_is_taken_up_by_the_next(pair: tuple[Site, Site]) -> None:
    first, second = pair
    for site in pair:
        assert site.told("live", site.wheel("1.0"))["version"] == "1.0"
    # As a controller that was killed has left it: the canary has it, and nobody else.
    for version in ("1.1", "1.2", "1.3"):
        wheel = first.wheel(version, "sick where told" if version != "1.3" else "")
        assert first.told("live", wheel)["version"] == version
        if version == "1.1":
            ill(pair, version, service_bake_seconds=0, service_unfinished=True)
            assert (first.live(), second.live()) == ("1.0", "1.0")
        elif version == "1.2":
            # It was live before, as the ledger knows: it stays.
            ill(pair, version, service_bake_seconds=0)
            assert (first.live(), second.live()) == ("1.2", "1.0")
        else:
            run = first.deploy(wheel, service_bake_seconds=0.2, service_unfinished=True)
            assert run.code == 0, run.output
            assert run.host["canary"].startswith("canary localhost: ")
            assert (first.live(), second.live()) == ("1.3", "1.3")


def test_what_a_rollback_brought_is_not_undone(live: Site) -> None:
    for version in ("1.1", "1.2"):
        live.told("live", live.wheel(version))
    assert live.told("previous")["version"] == "1.1"
    assert not live.told("undone", version="1.1")["advanced"]
    assert live.live() == "1.1"


def test_what_is_to_be_undone_is_waited_for(live: Site) -> None:
    what = live.wheel("1.1", migrate="__import__('time').sleep(3)")
    (live.root / "data").mkdir(exist_ok=True)
    # As one that has lost its controller.
    going = live.begin(live.parameters("live", what))
    wait(lambda: (live.root / "data/migrations").exists(), 60)
    told = live.told("undone", version="1.1")
    going.communicate()
    assert (told["version"], told["advanced"]) == ("1.0", True)
    assert live.live() == "1.0"


def stand(pair: tuple[Site, Site], *versions: tuple[str, ...]) -> None:
    """Let versions be live on each of two hosts in turn."""
    for site, own in zip(pair, versions, strict=True):
        for version in own:
            assert site.told("live", site.wheel(version))["version"] == version


def test_a_host_that_cannot_go_back_keeps_all_where_they_are(pair: tuple[Site, Site]) -> None:
    stand(pair, ("1.0", "1.1"), ("1.1",))
    run = pair[0].rollback(service_left="1.1")
    assert run.code
    assert "1.1 is the first release there" in run.output
    assert [site.live() for site in pair] == ["1.1", "1.1"]
    run = pair[0].rollback(service_version="1.0")
    assert run.code
    assert "1.0 is none of the releases that were live in" in run.output
    assert [site.live() for site in pair] == ["1.1", "1.1"]


def test_a_host_that_went_back_by_hand_goes_where_the_others_go(pair: tuple[Site, Site]) -> None:
    stand(pair, ("1.0", "1.1", "1.2"), ("1.0", "1.1", "1.2"))
    assert pair[0].told("previous")["version"] == "1.1"
    run = pair[0].rollback()
    assert run.code
    assert "The hosts would go back to different releases (1.0, 1.1), so name one" in run.output
    assert [site.live() for site in pair] == ["1.1", "1.2"]
    run = pair[0].rollback(service_left="1.2")
    assert run.code == 0, run.output
    assert [site.live() for site in pair] == ["1.1", "1.1"]
    # The ledger may not know of it: each goes by its own journal.
    run = pair[0].rollback(service_left="1.2")
    assert run.code == 0, run.output
    assert [site.live() for site in pair] == ["1.0", "1.0"]


def test_a_host_that_has_to_be_sent_the_module_goes_where_the_others_go(
    pair: tuple[Site, Site],
) -> None:
    stand(pair, ("1.0", "1.1"), ("0.9", "1.0", "1.1"))
    (pair[1].root / "rollback").unlink()
    run = pair[0].rollback(service_version="0.9")
    assert run.code and "0.9 is none of the releases that were live in" in run.output
    assert [site.live() for site in pair] == ["1.1", "1.1"]
    run = pair[0].rollback()
    assert run.code == 0, run.output
    assert [site.live() for site in pair] == ["1.0", "1.0"]


def test_a_host_without_the_release_of_the_others_refuses_for_all(pair: tuple[Site, Site]) -> None:
    stand(pair, ("1.0", "1.2"), ("1.1", "1.3"))
    run = pair[0].rollback(service_left="1.2")
    assert run.code
    assert "1.0, which the others would go back to, was never live here" in run.output
    assert [site.live() for site in pair] == ["1.2", "1.3"]


def words(pair: tuple[Site, Site]) -> list[str]:
    """Return the setting that each host serves with."""
    return [site.get("/")["word"] for site in pair]


def test_other_settings_of_the_same_release_go_back_everywhere(pair: tuple[Site, Site]) -> None:
    def stand_with(*settings: str) -> None:
        for site in pair:
            for word in settings:
                told = {"environment": json.dumps({"TINY_WORD": word})}
                assert site.told("live", site.wheel("1.0"), **told)["version"] == "1.0"

    first, second = pair
    # By its ledger the tool knows what it leaves; who calls the playbook alone does not say it.
    for number, left in enumerate(({"service_left": "1.0"}, {})):
        stand_with("good", f"bad {number}")
        # Where it is, is where it was asked to go.
        assert first.rollback(service_version="1.0").code == 0
        assert words(pair) == [f"bad {number}"] * 2
        # The one that has to be sent the module goes as far as the other.
        (second.root / "rollback").unlink()
        run = first.rollback(**left)
        assert run.code == 0 and run.host["changed"], run.output
        assert words(pair) == ["good"] * 2
    stand_with("other")
    for site in pair:
        assert site.told("live", site.wheel("1.1"))["version"] == "1.1"
    # Who went back by hand goes no further than the others, though there is more of that version.
    assert second.told("previous")["version"] == "1.0"
    run = first.rollback(service_left="1.1")
    assert run.code == 0, run.output
    assert words(pair) == ["other"] * 2


@pytest.mark.root
def test_what_cannot_be_pruned_is_no_failure(pair: tuple[Site, Site]) -> None:
    first, second = pair
    stand(pair, ("1.0", "1.1"), ("1.0", "1.1"))
    held = second.root / "releases/1.0/held"
    held.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(held)], check=True)
    try:
        run = first.deploy(first.wheel("1.2"), service_keep=1, service_bake_seconds=0)
        assert run.code == 0, run.output
        assert (first.live(), second.live()) == ("1.2", "1.2")
        assert "What is old stays" in run.output, run.output
        assert (first.installed(), second.installed()) == ({"1.1", "1.2"}, {"1.1", "1.2"})
        # By its own file a host says so, too.
        run = first.rollback(service_version="1.2")
        assert run.code == 0 and "What is old stays" in run.output, run.output
    finally:
        subprocess.run(["umount", str(held)], check=True)
    assert second.told("live", second.wheel("1.2"), keep=1)["pruned"] == ["1.0"]


def test_a_failure_tells_whether_another_one_is_live_now(live: Site) -> None:
    place = [step.__name__ for _, step in rollout.STEPS].index("cutover") + 1
    live.module("live", live.wheel("1.1"), kill=str(place))
    told = live.told("live", live.wheel("1.2", "dies at once"), probe_seconds=2.0)
    assert told["failed"] and told["advanced"] and live.live() == "1.1"
    told = live.told("live", live.wheel("1.2", "dies at once"), probe_seconds=2.0)
    assert told["failed"] and not told["advanced"]
