"""The questions and the board, over a plausible past."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from delivery.git import Git
from delivery.ledger.event import Event
from delivery.ledger.store import Ledger
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.delivery.past import PIPELINE, fill, write

from .conftest import Toy

EVIL = "<script>document.title='evil'</script>"


@pytest.fixture()
def past(toy: Toy) -> Toy:
    """Return a project with a past of sixty commits, the last of them with an evil subject."""
    toy.write("delivery.toml", PIPELINE)
    toy.commit("Describe the pipeline")
    fill(toy.root, 60, datetime.now(UTC))
    toy.git("reset", "--quiet", "--hard")
    evil = toy.commit(EVIL)
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    write(toy.root, [Event("failed", "lint", evil, at, EVIL, "x", reason=EVIL, seconds=1.0)])
    return toy


def test_status_tells_versions_distance_and_what_is_next(past: Toy) -> None:
    done = past.delivery("status", "--json")
    assert done.returncode == 1  # nothing answers at the address the ledger tells
    told = json.loads(done.stdout)
    production = told["environments"][-1]
    assert production["environment"] == "production" and production["behind"] >= 1
    assert production["answers"] == "no" and production["since"].endswith("+00:00")
    assert "production: " + production["version"] in past.delivery("status").stdout


def test_the_difference_of_two_environments_is_told_with_authors(past: Toy) -> None:
    done = past.delivery("diff", "acc", "prod", "--json")
    first, second = json.loads(done.stdout)
    assert done.returncode == (first["commit"] != second["commit"])
    commits = past.git("rev-list", f"{second['commit']}..{first['commit']}").splitlines()
    assert [one["commit"] for one in first["only"]] == commits
    assert past.delivery("diff", "prod", "prod").returncode == 0


def test_the_log_takes_short_names(past: Toy) -> None:
    (event,) = json.loads(past.delivery("log", "prod", "-n", "1", "--json").stdout)
    assert event["stage"] == "production"
    for name in (event["version"], event["sha256"][:7], event["commit"][:7]):
        (same,) = json.loads(past.delivery("log", name, "-n", "1", "--json").stdout)
        assert same["commit"] == event["commit"]
    done = past.delivery("log", "nothing-like-it")
    assert done.returncode == 2 and "no artifact that was built is called" in done.stderr


def test_metrics_come_with_their_definition(past: Toy) -> None:
    done = past.delivery("metrics", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["changes"] > 0
    assert set(told["definition"]) > {"lead time", "time to restore"}
    assert "change failure rate: the part" in past.delivery("metrics").stdout


def test_the_board_is_a_table_as_wide_as_the_terminal(
    past: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = past.delivery("board", "-n", "5").stdout.splitlines()
    assert lines[0].startswith("version") and "●" in "".join(lines)
    assert max(map(len, lines[:6])) <= 100 and "\x1b" not in "".join(lines)


def test_a_pipe_nobody_reads_a_closed_one_and_a_plain_terminal_are_no_error(past: Toy) -> None:
    version = Ledger(Git(past.root)).events(event=("built",), newest=1)[0].version
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    plain.pop("PYTHONIOENCODING", None)  # tox sets it

    def shell(line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", line], cwd=past.root, env=plain, capture_output=True, check=False
        )

    questions = ["status", "log", "board", "metrics", "diff acc prod", "verify"]
    for question in (*questions, f"why {version}", f"export {version}"):
        python = f"{sys.executable} -m delivery {question}"
        for line in (f"{python} | true", f"{python} --json | true", f"{python} >&-", python):
            done = shell(line)
            assert done.stderr == b"", line
            done.stdout.decode("ascii")
        full = shell(f"{python} >/dev/full")
        assert full.returncode == 1
        said = b"delivery: the answer cannot be written: No space left on device\n"
        assert full.stderr == said, question


def test_a_held_ledger_answers_all_with_one_process(
    past: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []
    before = Git.start

    def start(git: Git, *args: str) -> subprocess.Popen[bytes]:
        started.append(args)
        return before(git, *args)

    monkeypatch.setattr(Git, "start", start)
    with Ledger(Git(past.root)).held() as ledger:
        newest = ledger.events(newest=3)
        assert ledger.events()[-3:] == newest
    assert started == [("cat-file", "--batch")]


def test_what_the_ledger_says_is_escaped_in_the_page(past: Toy) -> None:
    assert past.delivery("board", "--html", "board.html").returncode == 0
    page = (past.root / "board.html").read_text()
    assert EVIL not in page and "&lt;script&gt;" in page and "<script" not in page


def test_a_page_that_cannot_be_written_is_an_error(past: Toy) -> None:
    done = past.delivery("board", "--html", "nowhere/board.html")
    assert done.returncode == 1 and "nowhere/board.html cannot be written" in done.stderr


@pytest.fixture()
def browser() -> Iterator[webdriver.Chrome]:
    """Return a browser that is told nothing but to be quiet."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_script_timeout(120)  # a busy machine needs it
    yield driver
    driver.quit()


def sized(browser: webdriver.Chrome, width: int, scheme: str) -> None:
    """Give the page a width and a colour scheme."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.mark.browser
def test_the_page_is_accessible_fits_and_leads_to_each_event(
    past: Toy, browser: webdriver.Chrome
) -> None:
    past.delivery("board", "--html", "board.html")
    browser.get((past.root / "board.html").as_uri())
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    paper = {}
    for width in (380, 1280, 2000):
        for scheme in ("light", "dark"):
            sized(browser, width, scheme)
            ground = "return getComputedStyle(document.body).backgroundColor"
            paper[scheme] = sum(map(int, re.findall(r"\d+", browser.execute_script(ground))[:3]))
            browser.execute_script(axe)
            found = browser.execute_async_script("axe.run().then(arguments[0])")
            wrong = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]]
            assert not wrong, (width, scheme)
            fits = "return document.documentElement.scrollWidth <= innerWidth"
            assert browser.execute_script(fits), width
    assert paper["light"] > 600 and paper["dark"] < 150
    assert browser.title == "toy: what is where"
    lost = (
        "return [...document.querySelectorAll('a')].map(a => a.hash)"
        ".filter(h => !document.querySelector(h))"
    )
    assert browser.execute_script(lost) == []
    # By keyboard alone, from the top to a cell, and from there to its event.
    at = "return document.activeElement.closest('td.is-live') !== null"
    for _ in range(100):
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.execute_script(at):
            break
    assert browser.execute_script(at)
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    webdriver.ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert browser.execute_script("return document.querySelector('pre:target').offsetHeight > 0")


@pytest.mark.browser
def test_eleven_stages_fit_a_laptop_and_a_few_sheets_of_paper(
    past: Toy, browser: webdriver.Chrome
) -> None:
    more = '[stages.{}]\nneeds = ["{}"]\nbudget = 9\n\n'
    last = '[stages.production]\nneeds = ["{}"]'
    between = more.format("performance", "acceptance") + more.format("staging", "performance")
    assert last.format("acceptance") in PIPELINE
    pipeline = PIPELINE.replace(last.format("acceptance"), between + last.format("staging"))
    past.write("delivery.toml", pipeline)
    events = Ledger(Git(past.root)).events(event=("passed",), stage="production", newest=9)
    wide = [replace(e, stage=stage) for e in events for stage in ("performance", "staging")]
    write(past.root, sorted(wide, key=lambda event: event.at))
    past.delivery("board", "--html", "board.html")
    browser.get((past.root / "board.html").as_uri())
    sized(browser, 1280, "light")
    table = "const s = document.querySelector('.scroll'); return s.scrollWidth <= s.clientWidth"
    assert browser.execute_script(table)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    sheets = re.findall(rb"/Type ?/Page\b", base64.b64decode(printed["data"]))
    assert 1 <= len(sheets) <= 3  # as on a telephone, one below the other, it would be a dozen


@pytest.mark.browser
def test_a_served_board_refreshes_itself_and_stops_on_ctrl_c(
    past: Toy, browser: webdriver.Chrome
) -> None:
    command = [sys.executable, "-m", "delivery", "board", "--serve", "0"]
    with subprocess.Popen(command, cwd=past.root, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout
        url = served.stdout.readline().split()[4]
        browser.get(url)
        events = Ledger(Git(past.root)).events(newest=1)
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="microseconds")
        write(past.root, [replace(events[0], at=at, by="Somebody New")])
        browser.execute_async_script(
            "const done = arguments[0], look = () => document.body.textContent"
            ".includes('Somebody New') ? done() : setTimeout(look, 100); look()"
        )
        served.send_signal(2)
        try:
            assert served.wait(30) == 0
        finally:
            served.kill()
    browser.execute_async_script(
        "const done = arguments[0], line = document.getElementById('asof'), look = () =>"
        " line.classList.contains('lost') ? done() : setTimeout(look, 100); look()"
    )
    said = browser.execute_script("return document.getElementById('asof').textContent")
    assert said.startswith("no answer since: as of ")
    assert "Somebody New" in browser.execute_script("return document.body.textContent")
