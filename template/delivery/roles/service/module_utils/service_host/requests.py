"""What became of requests for a while: what the live release and its front count, read twice."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .layout import Layout
from .probe import Connect, ask, over_unix

METRIC = "http_request_seconds"
BORN = "process_start_time_seconds"
# Whoever asks for these wants to know how the service is, and gets an answer from a sick one too.
OPERATIONS = ("/healthz", "/version", "/metrics")
# Caddy's own; it has them once it has been asked for something.
FRONT = "caddy_http"
# With TLS the one is in the other, and the other alone counts. What leads to HTTPS is neither.
PROXIES = ("reverse_proxy", "subroute")
LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
TIMEOUT = 5.0
# The workers of one process are not born at once, and the kernel tells of a birth in whole seconds.
BIRTH_SECONDS = 1.0


class Unknown(Exception):
    """A release that does not tell what became of its requests."""


class Silent(Exception):
    """A release that does not answer."""


@dataclass
class Sample:
    """What a process has done since it was born."""

    born: float = 0.0
    requests: int = 0
    failed: int = 0
    # Answered with 5xx, which at a front is not all that failed.
    faulty: int = 0
    buckets: Counter[str] = field(default_factory=Counter)


def lines(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Read a page of metrics (Prometheus' text format): name, labels and value of each line."""
    for match in filter(None, map(LINE.match, text.splitlines())):
        yield match[1], dict(LABEL.findall(match[2] or "")), float(match[3])


def parse(text: str) -> Sample:
    """Read a page of a release's metrics, the operations' own left out.

    Returns:
        All requests, those answered with 5xx, and how many were answered within so many seconds.
    """
    sample = Sample()
    for name, labels, value in lines(text):
        if name == BORN:
            sample.born = value
        if not name.startswith(METRIC) or labels.get("route") in OPERATIONS:
            continue
        if name == f"{METRIC}_count":
            sample.requests += int(value)
            sample.faulty += int(value) * labels.get("status", "").startswith("5")
            sample.failed = sample.faulty
        elif name == f"{METRIC}_bucket":
            sample.buckets[labels.get("le", "")] += int(value)
    return sample


def parse_front(text: str) -> Sample:
    """Read a page of the front's metrics, which cannot tell the operations' own from others.

    Returns:
        All requests that have ended; those that the release gave no answer to, whatever the front
        gave instead; its answers with 5xx; and how many of them all began within so many seconds.
    """
    sample = Sample()
    for name, labels, value in lines(text):
        if name == BORN:
            sample.born = value
        if labels.get("handler") not in PROXIES:
            continue
        if name == f"{FRONT}_requests_total":
            sample.requests += int(value)
        elif name == f"{FRONT}_request_errors_total":
            sample.failed += int(value)
        elif name == f"{FRONT}_response_duration_seconds_count":
            sample.faulty += int(value) * labels.get("code", "").startswith("5")
        elif name == f"{FRONT}_response_duration_seconds_bucket":
            sample.buckets[labels.get("le", "")] += int(value)
    return sample


def sample(connect: Connect) -> Sample:
    """Ask a release for its metrics.

    Raises:
        Silent: it gives no answer at all.
        Unknown: it gives none.
    """
    try:
        status, body = ask(connect, "GET", "/metrics", TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        raise Silent(f"/metrics gives no answer ({error})") from None
    if status != 200:
        raise Unknown(f"/metrics answers {status}")
    text = body.decode(errors="replace")
    if METRIC not in text:
        raise Unknown(f"/metrics has no {METRIC}")
    return parse(text)


def sample_front(connect: Connect) -> Sample:
    """Ask the front for its metrics; one that gives none has counted nothing."""
    try:
        return parse_front(ask(connect, "GET", "/metrics", TIMEOUT)[1].decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return Sample()


def between(first: Sample, last: Sample) -> dict[str, Any] | None:
    """Return what happened between two samples; None if they are not of the same process."""
    if last.born != first.born or last.requests < first.requests:
        return None
    # Cumulative ones, so none of them can shrink.
    buckets = {le: last.buckets[le] - first.buckets[le] for le in last.buckets}
    return {
        "requests": last.requests - first.requests,
        "failed": last.failed - first.failed,
        "faulty": last.faulty - first.faulty,
        "buckets": buckets,
    }


def watch(layout: Layout, seconds: float, front: Path, pid: Callable[[], int]) -> dict[str, Any]:
    """Return what became of the requests of a while.

    Each of several workers counts for itself, and any may answer: then the front's count is taken.

    Args:
        layout: where the service is.
        seconds: how long to watch.
        front: the admin socket of its front.
        pid: tells which process the init keeps for the service.

    Returns:
        ``requests``, ``failed`` and ``buckets``, and the same of the ``front`` if it counts; or
        ``problem``, what has happened to the release meanwhile; or ``unknown``, why nothing can
        be said.
    """
    connect, above = over_unix(layout.current), over_unix(front)
    began, process = time.time(), pid()
    try:
        first, outer = sample(connect), sample_front(above)
    except Unknown as error:
        return {"unknown": str(error)}
    except Silent as error:
        return {"problem": str(error)}
    time.sleep(seconds)
    try:
        last, outermost = sample(connect), sample_front(above)
    except (Unknown, Silent) as error:
        return {"problem": str(error)}
    if pid() != process or last.born > max(first.born, began + BIRTH_SECONDS):
        return {"problem": "its process died and was started again"}
    told = between(first, last)
    # One that was started anew meanwhile has lost its count.
    seen = between(outer, outermost) if outermost.requests else None
    if told is None and seen is None:
        return {"unknown": "/metrics is of one worker of several, and its front does not count"}
    if told is None and seen:
        answered = seen["requests"] - seen["failed"]
        told = {"requests": answered, "failed": seen["faulty"], "buckets": {}}
    return {**(told or {}), **({"front": seen} if seen else {})}
