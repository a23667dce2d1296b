"""What became of requests for a while: the /metrics of the live release, read twice."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .layout import Layout
from .probe import Connect, ask, over_unix

METRIC = "http_request_seconds"
BORN = "process_start_time_seconds"
# Whoever asks for these wants to know how the service is, and gets an answer from a sick one too.
OPERATIONS = ("/healthz", "/version", "/metrics")
LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
TIMEOUT = 5.0


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
    buckets: Counter[str] = field(default_factory=Counter)


def parse(text: str) -> Sample:
    """Read a page of metrics (Prometheus' text format), the operations' own left out.

    Returns:
        All requests, those answered with 5xx, and how many were answered within so many seconds.
    """
    sample = Sample()
    for match in filter(None, map(LINE.match, text.splitlines())):
        name, labels, value = match[1], dict(LABEL.findall(match[2] or "")), float(match[3])
        if name == BORN:
            sample.born = value
        if not name.startswith(METRIC) or labels.get("route") in OPERATIONS:
            continue
        if name == f"{METRIC}_count":
            sample.requests += int(value)
            sample.failed += int(value) * labels.get("status", "").startswith("5")
        elif name == f"{METRIC}_bucket":
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


def watch(layout: Layout, seconds: float) -> dict[str, Any]:
    """Return what became of the requests of a while.

    Args:
        layout: where the service is.
        seconds: how long to watch.

    Returns:
        ``requests``, ``failed`` and ``buckets``; or ``problem``, what has happened to the release
        meanwhile; or ``unknown``, why nothing can be said.
    """
    connect = over_unix(layout.current)
    try:
        first = sample(connect)
    except Unknown as error:
        return {"unknown": str(error)}
    except Silent as error:
        return {"problem": str(error)}
    time.sleep(seconds)
    try:
        last = sample(connect)
    except (Unknown, Silent) as error:
        return {"problem": str(error)}
    if last.born != first.born or last.requests < first.requests:
        return {"problem": "its process died and was started again"}
    # Cumulative ones, so none of them can shrink.
    buckets = {le: last.buckets[le] - first.buckets[le] for le in last.buckets}
    return {
        "requests": last.requests - first.requests,
        "failed": last.failed - first.failed,
        "buckets": buckets,
    }
