"""One rollout at a time on a group of hosts: a second one is turned away, and told by whom."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from delivery.config import Config
from delivery.environments import playbooks
from delivery.environments.playbooks import Busy as Refusal
from delivery.environments.playbooks import attempt, dead
from delivery.errors import DeliveryError

# Found where conftest has said.
from service_host import claim
from service_host.claim import Attempt
from service_host.errors import Busy
from service_host.layout import Layout

from .conftest import DELIVERY, Site, new_site, vars_of, wait


@pytest.fixture
def pair(live: Site) -> Iterator[tuple[Site, Site]]:
    """Return two hosts of one service, where 1.0 is live."""
    with new_site() as second:
        assert second.told("live", live.wheel("1.0"))["version"] == "1.0"
        place: dict[str, object] = {"service_root": str(second.root), "service_port": second.port}
        live.hosts["second"] = place
        yield live, second


def test_a_rollout_has_the_hosts_for_itself_until_its_end(pair: tuple[Site, Site]) -> None:
    first, note = pair[0], pair[0].root / "claim.json"
    (first.work / "other").mkdir()
    other = Site(first.root, first.work / "other", first.port, hosts=first.hosts)
    told: dict[str, object] = {"service_attempt": "one", "service_bake_seconds": 60}
    running = first.start("deploy.yml", **vars_of(first.wheel("1.1")), **told)
    try:
        wait(lambda: first.live() == "1.1", 120)
        # Of the same release, for what the first one has done is not for the second to undo.
        run = other.deploy(first.wheel("1.1"), service_attempt="two", service_unfinished=True)
        assert run.code
        said = r"are being rolled out to by ada with version 1\.1, since 20\S+: wait until that"
        assert re.search(said, run.host["reason"]), run.output
        assert (run.host["busy"], run.host["claim"]) == (True, "one")
        run = other.rollback()
        assert run.code and run.host["claim"] == "one", run.output
        assert [site.live() for site in pair] == ["1.1", "1.0"]
        assert json.loads(note.read_text())["attempt"] == "one"
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        # Not to its end: what it has started on the hosts holds it open.
        assert running.stdout
        running.stdout.close()
        running.wait()
    told = {"service_attempt": "two", "service_over": "one", "service_bake_seconds": 0}
    run = other.deploy(first.wheel("1.2"), **told)
    assert run.code == 0, run.output
    assert run.host["taken_over"].startswith("ada with version 1.1, since 20")
    assert [site.live() for site in pair] == ["1.2", "1.2"]
    assert not note.exists()


def test_a_rollout_whose_place_was_taken_goes_no_further(pair: tuple[Site, Site]) -> None:
    first, place = pair[0], Layout(pair[0].root)
    told: dict[str, object] = {"service_attempt": "one", "service_bake_seconds": 5}
    running = first.start("deploy.yml", **vars_of(first.wheel("1.1")), **told)
    wait(lambda: first.live() == "1.1", 120)
    # Who insists, and has nothing to do.
    claim.take(place, Attempt("two", over="*"), "grace", "1.0", 600)
    claim.give_back(place, Attempt("two"))
    run = first.finish(running)
    assert run.code, run.output
    assert "Another rollout has taken the place of this one" in run.host["reason"]
    assert [site.live() for site in pair] == ["1.0", "1.0"]


def begun(pair: tuple[Site, Site]) -> subprocess.Popen[str]:
    """Begin a rollout, and return it when its second host is about to migrate for some seconds."""
    first, second = pair
    second.root.joinpath("data").mkdir(exist_ok=True)
    first.hosts["localhost"]["service_migrate"] = False
    first.hosts["second"]["service_migrate"] = True
    what = first.wheel("1.1", migrate="__import__('time').sleep(5)")
    told: dict[str, object] = {"service_attempt": "one", "service_claim_seconds": 2}
    told |= {"service_bake_seconds": 0}
    running = first.start("deploy.yml", **vars_of(what), **told)
    wait(lambda: (second.root / "data/migrations").exists(), 120)
    return running


def test_a_rollout_whose_place_was_taken_in_its_last_batch_is_told(pair: tuple[Site, Site]) -> None:
    first, place = pair[0], Layout(pair[0].root)
    running = begun(pair)
    # It has lapsed by then, so nobody has to insist.
    wait(lambda: claim.standing(place) is None)
    claim.take(place, Attempt("two"), "grace", "1.0", 600)
    run = first.finish(running)
    assert run.code, run.output
    assert "are being rolled out to by grace with version 1.0, since 20" in run.output
    assert [site.live() for site in pair] == ["1.0", "1.0"]
    assert (claim.standing(place) or {})["attempt"] == "two"


def test_a_claim_that_lapsed_and_that_nobody_took_is_renewed(pair: tuple[Site, Site]) -> None:
    running = begun(pair)
    wait(lambda: claim.standing(Layout(pair[0].root)) is None)
    run = pair[0].finish(running)
    assert run.code == 0, run.output
    assert [site.live() for site in pair] == ["1.1", "1.1"]
    assert not Layout(pair[0].root).claim.exists()


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_who_stops_the_service_amid_a_rollout_is_turned_away(
    pair: tuple[Site, Site], state: str
) -> None:
    first, place = pair[0], Layout(pair[0].root)
    claim.take(place, Attempt("one"), "ada", "1.1", 600)
    told: dict[str, object] = {"service_state": state, "service_attempt": "two"}
    run = first.play("stop.yml", **told)
    assert run.code and run.host["claim"] == "one", run.output
    assert [site.live() for site in pair] == ["1.0", "1.0"]
    # A host that fails keeps nobody else from being stopped.
    first.hosts["localhost"]["service_keep"] = "none"
    run = first.play("stop.yml", **told, service_over="*")
    assert run.code and not run.host["ok"], run.output
    assert first.live() == "1.0" and not pair[1].processes()
    del first.hosts["localhost"]["service_keep"]
    assert first.play("stop.yml", **told, service_over="one").ok
    assert not first.processes()


def test_a_first_deploy_that_is_refused_leaves_nothing(site: Site, tmp_path: Path) -> None:
    # A name that a pattern of Ansible would take apart, and one batch that needs no list.
    site.hosts = {"localhost": {}, "a b:c": {"service_root": str(tmp_path / "root")}}
    site.hosts = {name: site.hosts[name] for name in ("a b:c", "localhost")}
    with socket.create_server(("127.0.0.1", site.port)):
        what: dict[str, object] = {**vars_of(site.wheel("1.0")), "service_attempt": "one"}
        run = site.play("deploy.yml", **what, service_batches=1)
    assert run.code and f"Port {site.port} on 127.0.0.1 is taken" in run.output
    assert "The claim of this attempt on the hosts is present" in run.output
    assert not (tmp_path / "root").exists()


def test_a_batch_of_no_size_is_refused_in_a_sentence(site: Site) -> None:
    site.hosts["second"] = {}
    run = site.deploy(site.wheel("1.0"), service_batches=["half"])
    assert run.code
    assert run.host["reason"].startswith(
        "service_batches: 'half' is no size of a batch"
    ), run.output
    assert not site.root.exists()


def test_an_inventory_without_hosts_is_told_of(tmp_path: Path) -> None:
    shutil.copytree(DELIVERY, tmp_path / "delivery", ignore=shutil.ignore_patterns("inventories"))
    inventory = tmp_path / "delivery/inventories/production/hosts.yml"
    inventory.parent.mkdir(parents=True)
    inventory.write_text("services: {hosts: {h1: {ansible_connection: local}}}\n")
    config = cast(Config, SimpleNamespace(root=tmp_path, name="tiny-service"))
    said = "delivery/inventories/production has no host in its group service: add one"
    with pytest.raises(DeliveryError, match=said):
        playbooks.stop(config, "production")


def test_who_is_on_the_host_by_hand_is_not_turned_away(live: Site) -> None:
    assert live.told("live", live.wheel("1.1"))["version"] == "1.1"
    claim.take(Layout(live.root), Attempt("one"), "ada", "1.2", 600)
    told = live.told("previous")
    assert (told["busy"], told["claim"]) == (True, "one")
    assert told["reason"].endswith("if nobody is at it any more, it lapses in 10 min.")
    assert subprocess.run([live.root / "rollback"], capture_output=True, check=False).stderr == b""
    assert live.live() == "1.0"


def test_a_claim_admits_its_own_rollout_and_those_who_may_take_its_place(tmp_path: Path) -> None:
    place, own = Layout(tmp_path), Attempt("one")
    claim.take(place, own, "ada", "1.0", 600)
    own.admit(place)
    for other in (Attempt("two"), Attempt(None), Attempt("two", over="three")):
        with pytest.raises(Busy) as refused:
            other.admit(place)
        assert refused.value.claim == "one"
    for other in (Attempt("two", over="one"), Attempt(None, over="*")):
        other.admit(place)
        assert other.said["taken_over"].startswith("ada with version 1.0, since ")
    claim.give_back(place, Attempt("two"))
    assert claim.standing(place)
    claim.give_back(place, own)
    Attempt("two").admit(place)


@pytest.mark.parametrize(
    "change",
    [{"until": 0}, {"boot": "another"}, {"seconds": 1}, {"until": None}, {"until": "soon"}],
)
def test_a_claim_that_lapsed_or_says_nothing_keeps_nobody_away(
    tmp_path: Path, change: dict[str, object]
) -> None:
    place = Layout(tmp_path)
    claim.take(place, Attempt("one"), "ada", "1.0", 600)
    place.claim.write_text(json.dumps(json.loads(place.claim.read_text()) | change))
    claim.take(place, Attempt("two"), "grace", "1.1", 600)
    assert json.loads(place.claim.read_text())["who"] == "grace"


BEGIN = """
import time
from delivery.environments.playbooks import attempt
with attempt() as name:
    print(name, flush=True)
    time.sleep(60)
"""
# As Ansible does: what it starts for a task outlives it.
PLAY = """
import os, time
from delivery_result import CallbackModule
playbook = CallbackModule()
print(os.fork() or os.getpid(), flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def running(code: str, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run some code for a while; return the line that it prints first."""
    paths = [str(DELIVERY.parent), str(DELIVERY / "plugins/callback"), *sys.path]
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    try:
        yield child.stdout.readline().strip(), child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_rollout_is_dead_when_neither_its_tool_nor_its_playbook_is_left() -> None:
    with running(BEGIN) as (name, tool):
        assert not dead(name)
        assert not dead(f"elsewhere.example.com:{name.partition(':')[2]}")
        path = Path(name.partition(":")[2])
        with running(PLAY, DELIVERY_ATTEMPT=str(path)) as (worker, _):
            tool.kill()
            tool.wait()
            assert not dead(name)
        try:
            assert dead(name)
        finally:
            os.kill(int(worker), signal.SIGKILL)
            path.unlink()
    assert dead(name)


def test_a_rollout_that_has_ended_is_dead() -> None:
    with attempt() as name:
        pass
    assert dead(name)


def test_only_a_dead_rollout_makes_way_for_who_does_not_insist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []
    unused = cast(Config, None)
    with attempt() as gone:
        holder = gone

    def play(*words: object, **more: object) -> dict[str, object]:
        told = next(word for word in words if isinstance(word, dict))
        asked.append(told.get("service_over"))
        if asked[-1] is None:
            raise Refusal("somebody is at it", holder)
        return {}

    monkeypatch.setattr(playbooks, "_play", play)
    playbooks.rollback(unused, "production", None, None, "ada")
    assert asked == [None, gone]
    with running(BEGIN) as (holder, _), pytest.raises(Refusal):
        playbooks.rollback(unused, "production", None, None, "ada")
    assert asked[2:] == [None]
