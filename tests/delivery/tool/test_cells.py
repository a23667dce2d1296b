"""What the board says of a version and of each of its stages: text, page and JSON."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from .story import Story

WHY, WRONG = "the queue <is> full", "the totals are wrong"


def board(story: Story, *words: str) -> tuple[dict[str, Any], str, str]:
    """Return the board as JSON, as text and as a page."""
    path = story.toy.root.parent / "board.html"
    told = json.loads(story.toy.delivery("board", "--json", *words).stdout)
    assert story.toy.delivery("board", "--html", str(path), *words).returncode == 0
    return told, story.toy.delivery("board", *words).stdout, path.read_text()


def line(text: str, version: str) -> str:
    """Return a version's line of the text."""
    (found,) = (line for line in text.splitlines()[1:] if version in line and "since" not in line)
    return found


def part(page: str, version: str) -> str:
    """Return a version's row of the page."""
    (found,) = (row for row in re.findall(r"<tr .*?</tr>", page) if version in row)
    return str(found)


def test_what_was_forced_rolled_back_and_revoked_stays_visible(story: Story) -> None:
    story.deploy("production", forced=True, reason=WHY)
    first, about = story.version, dict(story.about)
    told, text, page = board(story)
    assert told["environments"][-1]["forced"] is True
    assert "! forced: the queue &lt;is&gt; full" in page
    assert told["older"] == [] and 'id="older"' not in page and "before these" not in text

    second = story.commit()
    story.accept()
    story.deploy("production")
    story.tell("rolled-back", "production", environment="production", reason=WRONG)
    story.tell("revoked", "everywhere", reason=WRONG)
    gone, story.about = dict(story.about), about
    story.deploy("production", reason="rollback")

    told, text, page = board(story)
    rows = {row["version"]: row for row in told["versions"]}
    assert [row["version"] for row in told["versions"]] == [second, first]  # newest first
    assert page.index(f">{second}<") < page.index(f">{first}<")
    assert text.index(second) < text.index(first)
    cells = [rows[name]["stages"]["production"] for name in (first, second)]
    assert [(c["forced"], c["rolled_back"], c["live"]) for c in cells] == [
        (WHY, False, True),
        (False, WRONG, False),
    ]
    assert [rows[name]["revoked"] for name in (first, second)] == [False, True]
    assert [rows[name]["live"] for name in (first, second)] == [["production"], ["acceptance"]]
    assert line(text, second).startswith("⊘ ") and line(text, second).endswith("·↩")
    assert line(text, first).endswith("●·!")
    for sign in ("! forced", "↩ rolled back", "⊘ revoked", "● live"):
        assert sign in text
    assert re.search(r'<a href="#e-\w+">! forced</a>', part(page, first))
    assert 'class="is-live"' in part(page, first) and "! forced" not in part(page, second)
    assert re.search(r'<a href="#e-\w+">↩ rolled back</a>', part(page, second))
    assert "⊘ revoked by Ada Lovelace" in part(page, second)
    assert part(page, second).startswith('<tr role="row" class="revoked">')

    # And for ever: when newer versions have taken their rows.
    story.commit()
    for stage in ("acceptance", "production"):
        story.deploy(stage)
    told, text, page = board(story, "-n", "1")
    assert [row["version"] for row in told["versions"]] == [story.version]
    assert [(one["version"], one["event"], one["forced"]) for one in told["older"]] == [
        (second, "revoked", False),
        (second, "rolled-back", False),
        (first, "deployed", True),
    ]
    assert told["older"][0]["sha256"] == gone["sha256"] and told["older"][-1]["reason"] == WHY
    assert "before these versions: 1 forced, 1 rolled back, 1 revoked" in text
    (kept,) = re.findall(r'<details class="older".*?</details>', page)
    assert "1 forced, 1 rolled back, 1 revoked</summary>" in kept
    assert f"{first}: production deployed by Ada Lovelace: the queue &lt;is&gt; full" in kept
    assert kept.count("<li>") == 3


def test_a_cell_has_its_verdict_its_time_who_and_when_and_leads_to_its_event(story: Story) -> None:
    grace = "Grace Hopper <grace@example.org>"
    story.tell("failed", "unit", by=grace, seconds=1.5)
    story.tell("failed", "load", by=grace, seconds=2)
    again = story.tell("passed", "load", by=grace, seconds=9.0)
    story.tell("passed", "acceptance", seconds=100)
    story.deploy("production")
    story.tell("passed", "production", seconds=4)
    told, text, page = board(story)

    (row,) = (one for one in told["versions"] if one["version"] == story.version)
    wanted = {"by": grace, "at": again.at, "verdict": "passed", "seconds": 9.0, "attempts": 3}
    cell = row["stages"]["load"]
    assert {key: cell[key] for key in wanted} == wanted
    assert cell["over_budget"] is True and row["stages"]["unit"]["verdict"] == "failed"
    assert row["stages"]["production"]["live"] is True

    cells = dict(re.findall(r'<td role="cell" data-stage="(\w+)".*?>(.*?)</td>', part(page, "1.")))
    when = datetime.fromisoformat(again.at).astimezone().strftime("%d %b %H:%M")
    for said in ("✓", '<span class="hidden">load passed</span> 9.0 s', ", try 3", "over budget"):
        assert said in cells["load"]
    assert f">{when}</time>" in cells["load"] and ">Grace Hopper</span>" in cells["load"]
    assert '<span aria-hidden="true">✗</span><span class="hidden">unit failed</span>' in (
        cells["unit"]
    )
    assert '<span class="live">live</span>' in cells["production"]
    assert line(text, story.version).split()[1:] == ["✓", "✗", "✓", "✓", "●✓", "✓", "●✓"]

    # Every cell with something in it leads to its event, which is there.
    filled = [inner for inner in re.findall(r"<td .*?</td>", page) if "not yet" not in inner]
    links = [re.search(r'<a href="#(e-\w+)">', inner) for inner in filled]
    assert len(filled) == len(links) == 7
    assert all(link and f'<pre id="{link[1]}"' in page for link in links)

    assert "the bottleneck is acceptance: waits 0.0 s, takes 1 min 40 s (medians)" in text
    (slowest,) = re.findall(r"<li class=slowest>.*?</li>", page)
    assert slowest.startswith("<li class=slowest><span>acceptance</span>")
    assert "waits 0.0 s, takes 1 min 40 s: the bottleneck" in slowest

    # The four figures, each with a plot of 13 weeks.
    assert told["metrics"]["changes"] == 1 and len(told["weeks"]) == 13
    plots = dict(re.findall(r'aria-label="([a-z ]+), week by week: (.*?)"', page))
    assert set(plots) == {
        "lead time",
        "deployment frequency",
        "change failure rate",
        "time to restore",
    }
    weeks = {term: said.split(", ") for term, said in plots.items()}
    assert {len(said) for said in weeks.values()} == {13}
    assert weeks["deployment frequency"] == [*["0"] * 12, "1"]
    assert weeks["change failure rate"] == [*["none"] * 12, "0 %"]
    assert "0 % (0 of 1)" in text and '<p class="big">0 %</p><p class="soft">0 of 1</p>' in page

    # Nothing outside of the page is asked for, and the browser is told so.
    for what in ("src=", "<link", "url(", "@import", "<script", "http-equiv=refresh"):
        assert what not in page
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    assert policy and policy[0].startswith("default-src 'none'; style-src 'sha256-")
