"""Going back: to the release before, by the journal, as long as there is one."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import zipfile

import pytest

from tests.delivery.load import load

from .conftest import Site


@pytest.fixture
def three(live: Site) -> Site:
    """Return a host where 1.0, 1.1 and 1.2 were live in turn."""
    for version in ("1.1", "1.2"):
        assert live.told("live", live.wheel(version))["version"] == version
    return live


def test_rollback_under_load_loses_no_request(three: Site) -> None:
    with load(three.url, look=lambda body: str(json.loads(body)["version"])) as running:
        running.wait_for(300)
        run = three.rollback()
        running.wait_for(300)
    assert run.ok, run.output
    assert (run.host["version"], run.host["previous"], run.host["changed"]) == ("1.1", "1.0", True)
    assert running.count.failed == 0, running.count.reasons
    assert three.instances() == {"1.1"}


def test_rollback_twice_then_nothing_is_left(three: Site) -> None:
    assert [three.told("previous")["version"] for _ in range(2)] == ["1.1", "1.0"]
    run = three.rollback()
    assert not run.ok
    assert "nothing to go back to" in run.host["reason"]
    assert three.live() == "1.0"


def test_rollback_by_version(three: Site) -> None:
    run = three.rollback(service_version="1.0")
    assert run.ok, run.output
    assert three.live() == "1.0"
    assert not three.rollback(service_version="1.0").host["changed"]


def test_rollback_to_a_version_that_was_never_live_names_those_that_were(standing: Site) -> None:
    told = standing.told("previous", version="0.9")
    assert "(1.0, 1.1, 1.2): name one of these" in told["reason"]


def test_rollback_to_a_release_that_is_gone_is_refused(three: Site) -> None:
    shutil.rmtree(three.root / "releases/1.1")
    told = three.told("previous")
    assert "1.1, which was live before, is no longer installed" in told["reason"]
    assert three.live() == "1.2"


def test_rollback_on_a_bare_host_is_refused(site: Site) -> None:
    run = site.rollback()
    assert "deploy it first" in run.host["reason"]
    assert not site.root.exists()


def test_rollback_brings_the_old_environment_back(live: Site) -> None:
    words = {"environment": json.dumps({"TINY_WORD": "new"})}
    assert live.told("live", live.wheel("1.0"), **words)["changed"]
    assert live.get("/")["word"] == "new"
    assert live.told("previous")["changed"]
    assert live.get("/")["word"] == ""


def test_rollback_in_check_mode_tells_and_does_nothing(standing: Site) -> None:
    run = standing.rollback("--check", "--diff")
    assert run.ok
    assert "+live: 1.1" in run.output
    assert standing.live() == "1.2"


def test_deploy_after_rollback_goes_on_from_there(three: Site) -> None:
    three.told("previous")
    told = three.told("live", three.wheel("1.3"))
    assert (told["version"], told["previous"]) == ("1.3", "1.1")


def test_times_of_folders_do_not_matter(three: Site) -> None:
    for age, version in enumerate(("1.0", "1.2", "1.1")):
        os.utime(three.root / "releases" / version, (10**9 + age, 10**9 + age))
    assert three.told("previous")["version"] == "1.1"


def test_prune_keeps_five_and_the_live_and_the_previous(live: Site) -> None:
    for number in range(1, 8):
        if number == 6:
            # Back to an old one, and on: the order is the journal's, and 1.4 is the previous.
            assert live.told("live", live.wheel("1.1"))["version"] == "1.1"
        assert live.told("live", live.wheel(f"1.{number}"))["version"] == f"1.{number}"
    assert live.installed() == {"1.4", "1.5", "1.1", "1.6", "1.7"}
    told = live.told("live", live.wheel("1.7"), keep=1)
    assert sorted(told["pruned"]) == ["1.1", "1.4", "1.5"]
    assert live.installed() == {"1.6", "1.7"}
    assert len(list((live.root / "instances").iterdir())) == 2


def test_to_keep_nothing_is_refused_but_never_keeps_from_going_back(three: Site) -> None:
    told = three.told("live", three.wheel("1.3"), keep=0)
    assert "service_keep is 0: give it 1" in told["reason"]
    assert (three.live(), three.installed()) == ("1.2", {"1.0", "1.1", "1.2"})
    assert three.told("previous", keep=0)["version"] == "1.1"


def secrets(site: Site) -> set[str]:
    """Return the secrets that are on the host."""
    paths = [*(site.root / "instances").iterdir()]
    return {word for path in paths for word in re.findall(r"correct-horse-\w+", path.read_text())}


def secret(word: str) -> dict[str, str]:
    """Return what gives a secret to the service."""
    return {"environment": json.dumps({"TINY_SECRET": f"correct-horse-{word}"})}


def test_a_secret_goes_when_nothing_can_go_back_to_it(live: Site) -> None:
    # As a run leaves it that is killed before it has begun.
    (live.root / "instances/.0123456789ab.json.new").write_text("correct-horse-draft")
    (live.root / "instances/0123456789ab.json").write_text('{"TINY": "correct-horse-killed"}')
    for number in range(3):
        told = live.told("live", live.wheel("1.0"), **secret(f"a{number}"))
        assert told["changed"]
    assert secrets(live) == {"correct-horse-a0", "correct-horse-a1", "correct-horse-a2"}
    log = live.root / f"log/{live.journal()[-2]['instance']}.log"
    assert live.told("previous")["changed"]
    assert secrets(live) == {"correct-horse-a0", "correct-horse-a1"}
    # What it wrote tells why one went back from it.
    assert log.exists()
    live.told("live", live.wheel("1.1"), **secret("b"))
    shutil.rmtree(live.root / "releases/1.0")
    live.told("live", live.wheel("1.2"), **secret("c"))
    assert not log.exists()
    assert secrets(live) == {"correct-horse-b", "correct-horse-c"}
    assert live.told("absent", version="1.1")["changed"]
    assert secrets(live) == {"correct-horse-c"}
    # The live one may have to start again, though its files are gone.
    shutil.rmtree(live.root / "releases/1.2")
    live.told("staged", live.wheel("1.3"))
    assert secrets(live) == {"correct-horse-c"}


def test_absent_takes_one_away_but_never_the_live_one(three: Site) -> None:
    assert "is live" in three.told("absent", version="1.2")["reason"]
    assert three.told("absent", version="1.0")["changed"]
    assert three.installed() == {"1.1", "1.2"}
    assert not three.told("absent", version="1.0")["changed"]


def test_staged_installs_and_starts_nothing(live: Site) -> None:
    assert live.told("staged", live.wheel("1.1"))["changed"]
    assert live.installed() == {"1.0", "1.1"}
    assert live.instances() == {"1.0"}
    assert not live.told("staged", live.wheel("1.1"))["changed"]
    assert live.told("live", live.wheel("1.1"))["version"] == "1.1"


def by_hand(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """Roll back by the file that is on the host, from somewhere else."""
    command = [str(site.root / "rollback"), *words]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)


def test_a_person_on_the_host_rolls_back_without_a_controller(three: Site) -> None:
    done = by_hand(three)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"tiny-service 1.1 is live again: {three.url}\n"
    assert three.live() == "1.1"
    assert three.journal()[-1]["by"] == getpass.getuser()
    done = by_hand(three, "1.0")
    assert (done.returncode, three.live()) == (0, "1.0"), done.stderr
    done = by_hand(three)
    assert done.returncode == 1
    assert "tiny-service has nothing to go back to" in done.stderr
    done = by_hand(three, "--help")
    assert done.returncode == 1 and "rollback [VERSION]" in done.stderr


def test_the_file_for_that_is_put_right_and_holds_no_secret(live: Site) -> None:
    secret = json.dumps({"TINY_SECRET": "correct-horse-battery"})
    assert "rollback" in live.told("live", live.wheel("1.0"), port=live.port, keep=9)["stack"]
    told = live.told("live", live.wheel("1.0"), keep=9, environment=secret)
    assert told["stack"] == []
    with zipfile.ZipFile(live.root / "rollback") as archive:
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert not [text for text in texts if "correct-horse" in text]


def test_the_file_tells_programs_what_the_module_tells(standing: Site) -> None:
    asked = {"by": "ada", "check": True}
    done = by_hand(standing, "--json", json.dumps(asked))
    by_module = standing.told("previous", check=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {k: v for k, v in by_module.items() if k != "invocation"}
    done = by_hand(standing, "--json", json.dumps({**asked, "version": "0.9"}))
    told = json.loads(done.stdout)
    assert (done.returncode, told["failed"]) == (1, True)
    assert "0.9 is none of the releases that were live" in told["reason"]
    assert standing.live() == "1.2"


@pytest.mark.parametrize("there", ["nothing", "an older one", "no Python"])
def test_rollback_goes_by_the_module_where_the_file_does_not_speak(three: Site, there: str) -> None:
    path = three.root / "rollback"
    if there == "nothing":
        path.unlink()
    else:
        older = "echo sh: a warning >&2; echo usage: rollback [VERSION] >&2; exit 1"
        path.write_text(
            f"#!/bin/sh\n{older if there == 'an older one' else 'exec nowhere/python'}\n"
        )
    run = three.rollback()
    assert run.ok, run.output
    assert (run.host["version"], run.host["changed"]) == ("1.1", True)
    # And it is as it should be again.
    assert by_hand(three, "1.0").returncode == 0


def test_rollback_by_a_file_that_breaks_says_so_and_does_not_try_again(three: Site) -> None:
    (three.root / "rollback").write_text("#!/bin/sh\necho half a line\nexit 3\n")
    run = three.rollback()
    assert not run.ok
    assert run.host["reason"] == "The host's own rollback ended with 3, and said: half a line"
    assert three.live() == "1.2"


def test_rollback_leaves_the_front_as_the_last_deploy_made_it(three: Site) -> None:
    before = (three.root / "Caddyfile").read_bytes()
    run = three.rollback(service_drain_seconds=12, service_keep=1)
    assert run.ok and three.live() == "1.1", run.output
    assert (three.root / "Caddyfile").read_bytes() == before
    assert three.installed() == {"1.0", "1.1", "1.2"}
