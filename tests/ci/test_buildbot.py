"""Buildbot: one that runs here delivers commits, and keeps back what must not go on."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery import tools
from delivery.ci import buildbot

from tests.ci.bot import Bot, Login, free_port
from tests.ci.conftest import started
from tests.ci.emit import SHAPES
from tests.ci.front import Front
from tests.ci.sample import STAGES, TESTED, Sample, in_order
from tests.render.conftest import Render

IDENTITY = {"NAME": "Ada Lovelace", "EMAIL": "ada@example.org"}
PASSED = sorted(f"{stage} passed" for stage in STAGES)


@pytest.fixture(scope="session")
def installed(render: Render) -> Path:
    """Return the folder in which Buildbot is installed, as ``ci --start`` does it."""
    return tools.buildbot(render(ci=["buildbot"])).parents[1]


def bot_of(render: Render, home: Path, installed: Path, approval: bool = False) -> Bot:
    """Return a Buildbot that does not run yet, for a project of its own."""

    def change(sample: Sample) -> None:
        if approval:
            sample.edit("delivery.toml", "approval = false", "approval = true")

    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            for name, text in IDENTITY.items():
                patch.setenv(f"GIT_{role}_{name}", text)
        sample = started(render, home, change, ci=["buildbot"])
    return Bot(sample, installed)


@pytest.fixture(scope="module")
def bot(render: Render, tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Iterator[Bot]:
    """Return a running Buildbot, with its one worker inside."""
    with bot_of(render, tmp_path_factory.mktemp("bot"), installed).running() as running:
        yield running


def test_a_commit_goes_into_production(bot: Bot) -> None:
    commit = bot.sample.commit("Go")
    bot.built(commit, until="production")
    assert in_order(bot.sample.journal(commit)), bot.log()
    assert len(bot.sample.digests(commit)) == 1
    assert sorted(bot.sample.told(commit)) == PASSED
    events = bot.sample.events(commit)
    assert {event.by for event in events} == {"Ada Lovelace <ada@example.org>"}
    assert {event.via for event in events} == {"buildbot"}


def test_what_stages_left_and_the_board_are_shown_with_their_steps(bot: Bot) -> None:
    logs = bot.logs("unit")
    assert "1/unit/unit.1.log" in logs, logs
    assert "<testsuite" in logs["1/unit/stage.xml"]
    assert "● " in bot.logs("production")["1/board/stdio"]
    assert "1/board/stdio" not in bot.logs("publish")


def test_the_database_is_not_opened_anew_for_each_query(bot: Bot) -> None:
    # SQLite takes its log away when the last connection goes.
    assert (bot.home / "state.sqlite-wal").exists()


def test_who_hangs_up_before_the_answer_breaks_nothing(bot: Bot) -> None:
    before = len((bot.home / "twistd.log").read_text())
    for number in range(200):
        with socket.create_connection(("127.0.0.1", bot.port)) as caller:
            at_once = struct.pack("ii", 1, 0)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            caller.sendall(b"GET /api/v2/builders HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(number % 5 / 100)
    assert len(bot.get("builders")["builders"]) > len(STAGES)
    assert "Traceback" not in (bot.home / "twistd.log").read_text()[before:]


def test_after_a_red_unit_nothing_is_begun_and_the_ledger_says_so(bot: Bot) -> None:
    commit = bot.sample.commit("Break", "unit red")
    bot.built(commit)
    assert set(bot.sample.journal(commit)) <= {"unit", "build", "security"}
    told = bot.sample.told(commit)
    assert "unit failed" in told and "security passed" in told, bot.log()


def test_after_a_red_acceptance_is_no_production(bot: Bot) -> None:
    commit = bot.sample.commit("Break", "acceptance red")
    bot.built(commit)
    assert bot.sample.journal(commit)[-1] == "acceptance", bot.log()
    assert "acceptance failed" in bot.sample.told(commit)


def test_another_branch_is_tested_and_not_published(bot: Bot) -> None:
    bot.sample.git("switch", "--quiet", "--create", "topic")
    commit = bot.sample.commit("Try")
    bot.built(commit)
    bot.sample.git("switch", "--quiet", "main")
    assert sorted(bot.sample.journal(commit)) == sorted(TESTED), bot.log()
    assert bot.sample.events(commit) == []


@pytest.mark.parametrize("fault", ["build alters", "build loses"])
def test_an_artifact_that_was_altered_or_lost_is_not_published(bot: Bot, fault: str) -> None:
    commit = bot.sample.commit("Fault", fault)
    bot.built(commit)
    assert sorted(bot.sample.journal(commit)) == sorted({*TESTED} - {"integration"}), bot.log()
    assert "build passed" in bot.sample.told(commit)


def test_publish_refuses_what_is_not_what_was_built(bot: Bot) -> None:
    who = bot.admit("ada@example.org")
    bot.sample.git("switch", "--quiet", "--create", "spoilt")
    commit = bot.sample.commit("Test")
    bot.sample.git("switch", "--quiet", "main")
    bot.built(commit)
    (wheel,) = (bot.home / "kept" / commit / "dist").glob("*.whl")
    publish = bot.builder("publish")
    told = {"branch": "spoilt", "revision": commit, "reason": "spoilt", "builderid": publish}
    wheel.write_bytes(b"!")
    assert bot.press("again", who, **told) == 200
    bot.wait(lambda: "is not the artifact that was built" in bot.said("publish"))
    wheel.unlink()
    assert bot.press("again", who, **told) == 200
    bot.wait(lambda: "is neither in dist nor in the" in bot.said("publish"))
    bot.idle()
    assert "publish" not in bot.sample.journal(commit), bot.log()


def test_two_commits_in_quick_succession_keep_their_order(bot: Bot) -> None:
    commits = [bot.sample.commit("One"), bot.sample.commit("Two")]
    bot.built(*commits, until="production")
    for commit in commits:
        assert in_order(bot.sample.journal(commit)), bot.log()
    live = [
        event.when
        for commit in commits
        for event in bot.sample.events(commit)
        if (event.stage, event.event) == ("production", "deployed")
    ]
    assert live == sorted(live) and len(live) == 2


def test_a_build_that_is_cancelled_says_so_and_the_next_goes_on(bot: Bot) -> None:
    who = bot.admit("ada@example.org")
    commit = bot.sample.commit("Slow", "acceptance slow")
    bot.wait(lambda: "acceptance" in bot.sample.journal(commit))
    assert bot.cancel(bot.running_build("acceptance"), who) == 200
    bot.built(commit)
    told = [e for e in bot.sample.events(commit) if (e.stage, e.event) == ("acceptance", "failed")]
    assert [event.reason for event in told] == ["interrupted"], bot.log()
    following = bot.sample.commit("Quick")
    bot.built(following, until="production")
    assert sorted(bot.sample.told(following)) == PASSED, bot.log()


def test_a_tag_is_delivered(bot: Bot) -> None:
    commit = bot.sample.commit("Release")
    bot.built(commit, until="production")
    before = bot.sample.journal(commit).count("publish")
    bot.sample.git("tag", "1.0.0", "main")
    bot.sample.git("push", "--quiet", "origin", "1.0.0")
    bot.wait(lambda: any("tags" in c["branch"] for c in bot.get("changes")["changes"]))
    bot.wait(lambda: bot.sample.journal(commit).count("publish") > before)
    bot.idle()
    assert bot.sample.journal(commit).count("publish") == before + 1, bot.log()


def test_a_person_may_ask_for_a_branch_to_be_delivered_and_nobody_else(bot: Bot) -> None:
    who = bot.admit("ada@example.org")
    bot.sample.git("switch", "--quiet", "--create", "urgent")
    commit = bot.sample.commit("Hurry")
    bot.sample.git("switch", "--quiet", "main")
    bot.built(commit)
    told = {"branch": "urgent", "revision": commit, "reason": "urgent"}
    assert bot.press("deliver", **told) == 403
    assert bot.press("deliver", who, **told) == 200
    bot.wait(lambda: "production passed" in bot.sample.told(commit))
    bot.idle()
    # The tested stages ran before she asked, too.
    assert sorted({*bot.sample.told(commit)}) == PASSED, bot.log()
    assert {e.by for e in bot.sample.events(commit) if e.stage == "production"} == {who[0]}


@pytest.fixture(scope="module")
def asked(
    render: Render, tmp_path_factory: pytest.TempPathFactory, installed: Path
) -> Iterator[tuple[Bot, Login, Login]]:
    """Return a Buildbot with a worker of its own, where production waits; an approver, another."""
    bot = bot_of(render, tmp_path_factory.mktemp("asked"), installed, approval=True)
    port, place = free_port(), bot.sample.home / "worker"
    bot.settings(workers=["remote"], worker_port=port, approvers=["grace@example.org"])
    bot.url = f"https://localhost:{free_port()}/"
    bot.settings(url=bot.url)
    grace, linus = bot.admit("grace@example.org"), bot.admit("linus@example.org")
    password = buildbot.worker_password(bot.home, "remote")
    program = installed / "bin" / "buildbot-worker"
    with bot.running():
        worker = ("create-worker", "--umask=0o22", place, f"127.0.0.1:{port}", "remote", password)
        try:
            bot.sample.run([program, *worker], bot.sample.home)
            bot.sample.run([program, "start", place], bot.sample.home)
            yield bot, grace, linus
        finally:
            bot.sample.run([program, "stop", place], bot.sample.home)


@pytest.fixture(scope="module")
def front(asked: tuple[Bot, Login, Login]) -> Iterator[Front]:
    """Return a proxy with TLS before that Buildbot."""
    bot, *_ = asked
    port = int(bot.url.strip("/").rpartition(":")[2])
    with Front(port, bot.sample.home / "front").running(bot.port) as running:
        yield running


def test_behind_a_proxy_with_tls_nothing_goes_without(
    asked: tuple[Bot, Login, Login], front: Front
) -> None:
    bot, grace, _ = asked
    assert front.ask("GET", "/auth/login").status == 401
    login = front.login(grace)
    assert (login.status, login.headers["location"]) == (302, f"{bot.url}#/")
    cookie, *more = login.headers["set-cookie"].split("; ")
    assert "Secure" in more
    page = json.loads(front.ask("GET", "/config", Cookie=cookie).text)
    assert (page["buildbotURL"], page["titleURL"]) == (bot.url, bot.url)
    assert page["user"]["email"] == grace[0]
    assert "http://" not in front.ask("GET", "/").text
    assert json.loads(front.ping(cookie)) == {"_id": 1, "code": 200, "msg": "pong"}
    assert front.ask("GET", "/sse/listen").text == "event: handshake\n"


def test_production_waits_for_who_may_approve(
    asked: tuple[Bot, Login, Login], front: Front
) -> None:
    bot, grace, linus = asked
    commit = bot.sample.commit("Ask")
    bot.built(commit)
    assert bot.sample.journal(commit)[-1] == "acceptance", bot.log()
    told = {"branch": "main", "revision": commit, "reason": "seen it"}
    assert bot.press("approve-production", **told) == 403
    assert front.press("approve-production", linus, **told) == 403
    assert front.press("approve-production", grace, "https://evil.example", **told) == 400
    assert bot.press("approve-production", (grace[0], "wrong"), **told) in (401, 403)
    bot.idle()
    assert "production" not in bot.sample.journal(commit)
    assert front.press("approve-production", grace, **told) == 200
    bot.wait(lambda: "production passed" in bot.sample.told(commit))
    bot.idle()
    assert bot.sample.journal(commit)[-1] == "production", bot.log()
    events = {(e.stage, e.event): e.by for e in bot.sample.events(commit)}
    assert events["production", "approved"] == events["production", "passed"] == grace[0]


def test_what_was_not_approved_is_refused_by_the_ledger_too(
    asked: tuple[Bot, Login, Login], front: Front
) -> None:
    bot, grace, _ = asked
    commit = bot.sample.commit("Push past")
    bot.built(commit)
    builders = {b["name"]: str(b["builderid"]) for b in bot.get("builders")["builders"]}
    told = {"branch": "main", "revision": commit, "builderid": builders["production"]}
    assert front.press("again", grace, **told) == 200
    bot.idle()
    assert "production" not in bot.sample.journal(commit), bot.log()


def test_a_shallow_clone_is_not_built(render: Render, tmp_path: Path, installed: Path) -> None:
    bot = bot_of(render, tmp_path, installed)
    bot.sample.edit("buildbot/pieces.py", 'method="clean"', 'method="clobber", shallow=1')
    with bot.running():
        commit = bot.sample.commit("Forget the history")
        bot.built(commit)
        assert "this clone is shallow" in bot.said("build"), bot.log()
        assert not {"build", "integration"} & {*bot.sample.journal(commit)}


@pytest.mark.parametrize("answers", SHAPES.values(), ids=str)
def test_the_master_takes_every_stage_table(
    render: Render, tmp_path: Path, installed: Path, answers: dict[str, object]
) -> None:
    project = render(**answers, ci=["buildbot"])
    program, config = installed / "bin" / "buildbot", project / "buildbot" / "master.cfg"
    command = [str(program), "checkconfig", str(config)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert "Config file is good!" in done.stdout, done.stdout + done.stderr
