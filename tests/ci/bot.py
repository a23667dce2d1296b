"""A Buildbot that runs on this machine, as people see it: log in, press buttons, look."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delivery.ci import buildbot

from tests.ci.sample import Sample

Login = tuple[str, str]
PATIENCE = 540  # seconds for what a commit begins, on a busy machine
PAUSE = 0.3  # seconds between two looks
# Looks in a row without any work, and not seconds: a busy master answers late, and begins the next
# wave late.
QUIET = 25


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


class Bot:
    """A master that builds a sample.

    Args:
        sample: the project, whose bare repository it polls.
        tools: where Buildbot was installed before; it is not done again. None: it is installed.
    """

    def __init__(self, sample: Sample, tools: Path | None = None) -> None:
        self.sample, self.port = sample, free_port()
        self.home = sample.root / buildbot.HOME
        self.home.mkdir(parents=True)
        if tools:
            (self.home.parent / tools.name).symlink_to(tools)
        self.url = f"http://127.0.0.1:{self.port}/"
        self.settings(repository=f"file://{sample.origin}", port=self.port, poll=1)

    def settings(self, **more: Any) -> None:
        """Add to the master's settings."""
        path = self.home / buildbot.SETTINGS
        old = path.read_text() if path.exists() else ""
        path.write_text(old + "".join(f"{key} = {json.dumps(v)}\n" for key, v in more.items()))

    def delivery(self, *args: str) -> str:
        """Run ``python3 -m delivery``."""
        return self.sample.run(["python3", "-m", "delivery", *args], self.sample.root)

    def admit(self, name: str) -> Login:
        """Give somebody a password; return the name and it."""
        return name, self.delivery("ci", "--admit", name).split()[-1]

    @contextmanager
    def running(self) -> Iterator[Bot]:
        """Let it run; it has looked at the repository once."""
        try:
            said = self.delivery("ci", "--start")
            assert self.url in said, said
            self.wait(lambda: (self.home / "gitpoller-work" / "FETCH_HEAD").exists())
            time.sleep(1)
            yield self
        finally:
            self.delivery("ci", "--stop")

    def get(self, path: str) -> Any:
        """Return what the master's API says."""
        url = f"http://127.0.0.1:{self.port}/api/v2/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    def builder(self, name: str) -> str:
        """Return the number of a builder, as a button takes it."""
        return str(self.get(f"builders/{name}")["builders"][0]["builderid"])

    def said(self, builder: str) -> str:
        """Return what the steps of a builder's builds said."""
        return "".join(self.logs(builder).values())

    def logs(self, builder: str) -> dict[str, str]:
        """Return the logs of a builder's builds, by the build, the step and their name."""
        found = {}
        for build in self.get(f"builders/{builder}/builds")["builds"]:
            for step in self.get(f"builds/{build['buildid']}/steps")["steps"]:
                for log in self.get(f"steps/{step['stepid']}/logs")["logs"]:
                    chunks = self.get(f"logs/{log['logid']}/contents")["logchunks"]
                    name = f"{build['number']}/{step['name']}/{log['name']}"
                    found[name] = "".join(chunk["content"] for chunk in chunks)
        return found

    def press(self, button: str, who: Login | None = None, /, **told: str) -> int:
        """Press a button, logged in or not; return the HTTP status."""
        return self._control(f"forceschedulers/{button}", "force", who, told)

    def cancel(self, build: int, who: Login) -> int:
        """Stop a build; return the HTTP status."""
        return self._control(f"builds/{build}", "stop", who, {"reason": "changed my mind"})

    def _control(self, path: str, method: str, who: Login | None, told: dict[str, str]) -> int:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(cookies)
        base = f"http://127.0.0.1:{self.port}"
        try:
            if who:
                login = urllib.request.Request(f"{base}/auth/login")
                secret = base64.b64encode(":".join(who).encode()).decode()
                login.add_header("Authorization", f"Basic {secret}")
                browser.open(login, timeout=60)
            body = {"jsonrpc": "2.0", "method": method, "id": 1, "params": told}
            data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
            place = urllib.request.Request(f"{base}/api/v2/{path}", data, kind)
            with browser.open(place, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def running_build(self, builder: str) -> int:
        """Wait for a build of a builder that is not complete; return its number."""
        found: list[int] = []

        def there() -> bool:
            path = f"builders/{builder}/builds?complete=false"
            found[:] = [build["buildid"] for build in self.get(path)["builds"]]
            return bool(found)

        self.wait(there)
        return found[0]

    def built(self, *commits: str, until: str | None = None) -> None:
        """Wait until the master has seen commits, and has nothing to do any more.

        Args:
            commits: the commits.
            until: the stage that each of them comes to, the last of all; None: as far as it goes.
        """
        self.wait(lambda: set(commits) <= self._seen())
        if until:
            self.wait(lambda: all(until in self.sample.journal(commit) for commit in commits))
        self.idle(looked=QUIET if until else 0)

    def idle(self, looked: int = 0) -> None:
        """Wait until the master has nothing to do for a while.

        Args:
            looked: how many looks of that while may be left out.
        """
        looks = looked

        def quiet() -> bool:
            nonlocal looks
            waiting = self.get("buildrequests?complete=false")["buildrequests"]
            looks = looked if waiting else looks + 1
            return looks > QUIET

        self.wait(quiet)

    def _seen(self) -> set[str]:
        return {change["revision"] for change in self.get("changes")["changes"]}

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, self.log()
            time.sleep(PAUSE)

    def log(self) -> str:
        """Return what the builds say of themselves, and the end of the master's log."""
        builds = self.get("builds?property=got_revision")["builds"]
        told = [f"{b['builderid']} {b['results']} {b['state_string']}" for b in builds]
        return "\n".join(told) + (self.home / "twistd.log").read_text()[-3000:]
