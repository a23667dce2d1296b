"""status: the verdict on what is live, what is next, what that waits for; zones and colours."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from .people import ASKS, People, approved
from .story import Story

SETTINGS = ASKS  # of the story


def places(story: Story) -> list[dict[str, Any]]:
    """Return what status tells of each environment."""
    told = json.loads(story.toy.delivery("status", "--json").stdout)
    return list(told["environments"])


def test_each_environment_has_the_verdict_on_what_is_live(story: Story) -> None:
    story.tell("passed", "acceptance", seconds=41.3)
    version = story.version
    story.commit()  # what is checked out is another one, which has not come there
    acceptance, production = places(story)
    assert (acceptance["version"], acceptance["verdict"]) == (version, "passed")
    assert acceptance["seconds"] == 41.3 and acceptance["verdict_at"] > acceptance["since"]
    assert production["verdict"] is production["seconds"] is None
    assert "\n  passed in 41 s, just now\n" in story.toy.delivery("status").stdout
    story.deploy("acceptance")
    assert places(story)[0]["verdict"] is None  # that was about what was there before
    story.tell("failed", "acceptance", seconds=3)
    assert "\n  FAILED after 3.0 s, just now\n" in story.toy.delivery("status").stdout


def test_what_was_deployed_by_hand_is_told_as_that(story: Story) -> None:
    story.commit()
    story.deploy("acceptance")
    lines = story.toy.delivery("status").stdout.splitlines()
    assert "  acceptance   deployed by hand, just now" in lines
    assert "  production   not yet" in lines
    story.tell("passed", "acceptance", seconds=2.0)
    assert "  acceptance   passed " in story.toy.delivery("status").stdout


def test_what_is_next_and_what_it_waits_for(people: People) -> None:
    story = people.story
    accepted = story.version
    commit = story.about["commit"]
    approve = f"python3 -m delivery approve {accepted}"

    acceptance, production = places(story)
    assert acceptance["next"] is None  # it is there
    assert {**production["next"], "waits": None} == {
        "version": accepted,
        "commit": commit,
        "waits": None,
    }
    assert production["next"]["waits"].startswith("production waits for an approval of")
    assert f"\n  next: {accepted}: production waits for" in story.toy.delivery("status").stdout
    assert production["next"]["waits"].endswith(approve)

    approved(story)
    assert places(story)[1]["next"]["waits"] is None
    yours = f"waits for you: python3 -m delivery deploy production {accepted}"
    assert f"\n  next: {accepted}: {yours}\n" in story.toy.delivery("status").stdout

    # One that has come as far as the gate goes before a newer one that has not.
    newer = story.commit()
    acceptance, production = places(story)
    assert (acceptance["next"]["version"], acceptance["next"]["waits"]) == (newer, None)
    assert production["next"]["version"] == accepted

    story.version, story.about = accepted, {**story.about, **_about(story, accepted)}
    story.deploy("production")
    production = places(story)[1]
    assert (production["version"], production["behind"]) == (accepted, 1)
    assert production["next"]["version"] == newer
    assert "production takes only what passed load" in production["next"]["waits"]


def _about(story: Story, version: str) -> dict[str, Any]:
    artifact = story.project.named(version)
    return {"version": version, "sha256": artifact.sha256, "commit": artifact.commit}


def test_the_commits_between_two_environments_are_told_with_their_authors(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.deploy("production")
    before, commits = story.version, []
    for author, subject in (("Grace Hopper", "Greet"), ("Edsger Dijkstra", "Count → ∞")):
        monkeypatch.setenv("GIT_AUTHOR_NAME", author)
        story.commit(message=subject)
        commits.append((story.about["commit"], author, subject))
    story.accept()
    done = story.toy.delivery("diff", "acc", "prod")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"acceptance runs {story.version}: 2 commits more",
        *(f"  {commit[:9]}  {subject}  ({author})" for commit, author, subject in commits[::-1]),
        f"production runs {before}: 0 commits more",
    ]
    first, second = json.loads(story.toy.delivery("diff", "acc", "prod", "--json").stdout)
    told = [(one["commit"], one["author"], one["subject"]) for one in first["only"]]
    assert told == commits[::-1] and second["only"] == []


def test_times_are_in_the_readers_zone_and_utc_for_scripts(story: Story) -> None:
    about = story.about["commit"]
    at: list[datetime] = []
    for zone in ("UTC", "Pacific/Kiritimati"):
        env = {**os.environ, "TZ": zone}
        (line,) = story.toy.delivery("log", about, "-n1", env=env).stdout.splitlines()
        at.append(datetime.fromisoformat(line[:19]))
        (event,) = json.loads(story.toy.delivery("log", about, "-n1", "--json", env=env).stdout)
        assert datetime.fromisoformat(event["at"]).replace(microsecond=0, tzinfo=None) == at[0]
        assert event["at"].endswith("+00:00")
    assert at[1] - at[0] == timedelta(hours=14)


@pytest.mark.parametrize("plain", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_terminals_that_want_them(story: Story, plain: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **plain}
    env = {name: value for name, value in env.items() if name != "NO_COLOR" or plain}
    command = [sys.executable, "-m", "delivery", "status"]
    with subprocess.Popen(command, cwd=story.toy.root, env=env, stdout=theirs) as asked:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # what a terminal says when nobody is at its other end
            while part := os.read(ours, 4096):
                said += part
    os.close(ours)
    assert asked.returncode == 0
    assert (b"\x1b[32mpassed" in said) is (not plain)
    assert (b"\x1b" in said) is (not plain)
