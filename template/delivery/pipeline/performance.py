"""Stage ``performance``: ask what is deployed for a few seconds, and compare with the limits.

Requests are due at a fixed rate, and the time of each counts from when it was due: a service that
stalls is not asked less for it, so the pause shows (Gil Tene, "How NOT to measure latency").
"""

from __future__ import annotations

import http.client
import itertools
import math
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DeliveryError, UsageError
from ..tables import Limits

CLIENTS = 16  # so many requests can be on their way at once
PATIENCE = 5.0  # seconds until an answer counts as a failure
TURNS = 2  # a laptop may have been at something else: only what is slow twice is slow


@dataclass
class Figures:
    """What a path came to.

    Attributes:
        due: how many requests there were to be.
        seconds: until the last one was answered.
        milliseconds: of each that was answered well, from when it was due.
        faults: of the others, why, and how often.
    """

    due: int = 0
    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: int) -> float:
        """Return the milliseconds that so many of 100 good answers did not take longer than.

        >>> Figures(milliseconds=[4.0, 1.0, 3.0, 2.0]).percentile(50)
        2.0
        """
        ordered = sorted(self.milliseconds) or [math.inf]
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]

    def line(self, path: str) -> str:
        """Return the figures as one line."""
        slow = ", ".join(f"p{n} {self.percentile(n):.0f} ms" for n in (50, 95, 99))
        failed = sum(self.faults.values())
        return f"{path}: {self.rate:.0f} requests/s, {slow}, {failed} of {self.due} failed"

    def problems(self, path: str, limits: Limits) -> list[str]:
        """Return what is over a limit, each in a few words."""
        found = []
        if self.faults:
            (why, _), failed = self.faults.most_common(1)[0], sum(self.faults.values())
            found.append(f"{failed} of {self.due} requests for {path} failed ({why})")
        for percent, limit in ((50, limits.p50), (95, limits.p95), (99, limits.p99)):
            took = self.percentile(percent)
            if took > limit:
                found.append(f"p{percent} is {took:.0f} ms on {path}, the limit is {limit:g} ms")
        return found


def measure(url: str, path: str, limits: Limits) -> Figures:
    """Ask for a path at the rate its limits name, for as long as they say."""
    due = max(1, round(limits.rate * limits.seconds))
    figures, turn, lock = Figures(due), itertools.count(), threading.Lock()
    start = time.monotonic()
    # What is not answered by then will not be: the service is far behind.
    end = start + 2 * limits.seconds

    def client() -> None:
        connection = _connection(url)
        while (number := next(turn)) < due:
            moment = start + number / limits.rate
            time.sleep(max(0.0, moment - time.monotonic()))
            fault = "it was too far behind" if time.monotonic() > end else _ask(connection, path)
            with lock:
                if fault:
                    figures.faults[fault] += 1
                else:
                    figures.milliseconds.append((time.monotonic() - moment) * 1000)
        connection.close()

    clients = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    figures.seconds = time.monotonic() - start
    return figures


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(url)
    kind = {"https": http.client.HTTPSConnection}.get(parts.scheme, http.client.HTTPConnection)
    # No proxy: a pipeline asks its environments directly.
    return kind(parts.hostname or "", parts.port, timeout=PATIENCE)


def _ask(connection: http.client.HTTPConnection, path: str) -> str | None:
    """Ask for a page and take the whole answer; return what is wrong with it."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return str(error) or type(error).__name__
    return None if answer.status < 400 else f"status {answer.status}"


def perform(url: str, table: Mapping[str, Limits], report: Path) -> None:
    """Measure every path, print a line of figures for each, write JUnit XML.

    Args:
        url: where the service answers.
        table: the limits of each path.
        report: the file for the JUnit XML, one test for each path.

    Raises:
        UsageError: there are no limits.
        DeliveryError: a path is over a limit, twice.
    """
    if not table:
        raise UsageError(
            'delivery.toml has no [performance."/"]: say there what / has to bear, or take the'
            " stage out"
        )
    suite, over = ElementTree.Element("testsuite", name="performance", tests=str(len(table))), []
    for path, limits in table.items():
        figures, problems = _judged(url, path, limits)
        case = ElementTree.SubElement(suite, "testcase", classname="performance", name=path)
        case.set("time", f"{figures.seconds:.2f}")
        ElementTree.SubElement(case, "system-out").text = figures.line(path)
        if problems:
            ElementTree.SubElement(case, "failure", message="; ".join(problems))
            over += [*problems[:-1], f'{problems[-1]} (delivery.toml [performance."{path}"])']
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    report.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(suite).write(report, "utf-8", True)
    if over:
        raise DeliveryError("; ".join(over))


def _judged(url: str, path: str, limits: Limits) -> tuple[Figures, list[str]]:
    """Measure until a path keeps its limits, or has not for the last time; return why not."""
    for turn in range(1, TURNS + 1):
        figures = measure(url, path, limits)
        problems = figures.problems(path, limits)
        print(figures.line(path), flush=True)
        if not problems or turn == TURNS:
            break
    return figures, problems
