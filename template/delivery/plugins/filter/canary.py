"""Filters of deploy.yml: who goes first, how the first ones do, and why a task failed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# So many standard deviations apart are two shares by chance in one deploy of a hundred.
CHANCE = 2.33
# A difference that nobody feels is none, however many times as long it is.
FELT_SECONDS = 0.1
SIZE = re.compile(r"\d+(\.\d+%|%)?")


def several(sizes: object) -> list[object]:
    """Return the sizes as a list; one alone needs none."""
    return [*sizes] if isinstance(sizes, list | tuple) else [sizes]


def wrong(sizes: object) -> str:
    """Say which of the sizes of batches is none; nothing when all are.

    >>> wrong("half")
    "service_batches: 'half' is no size of a batch: give numbers or shares, like [1, '25%']."
    """
    bad = [one for one in several(sizes) if not SIZE.fullmatch(str(one))]
    say = "service_batches: {!r} is no size of a batch: give numbers or shares, like [1, '25%']."
    return say.format(bad[0]) if bad else ""


def batches(sizes: Sequence[int | str] | int | str, hosts: int) -> list[int]:
    """Return how many hosts are in each batch; the last size is for all that are left.

    Args:
        sizes: numbers, or shares of all hosts with a percent sign, as for Ansible's ``serial``.
        hosts: how many there are.

    >>> batches([1, "25%", "100%"], 9)
    [1, 2, 6]
    """
    found: list[int] = []
    wanted = several(sizes) or ["100%"]
    while (left := hosts - sum(found)) > 0:
        size = str(wanted[min(len(found), len(wanted) - 1)])
        number = int(float(size[:-1]) * hosts / 100) if size.endswith("%") else int(size)
        found.append(min(left, max(1, number)))
    return found


@dataclass
class Group:
    """Some hosts, and what became of their requests."""

    names: list[str] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    unanswered: int = 0
    buckets: Counter[str] = field(default_factory=Counter)
    front_buckets: Counter[str] = field(default_factory=Counter)
    # Whether all fronts told what they saw, but for those with nothing to see.
    fronts: bool = True

    def add(self, name: str, watched: Mapping[str, Any]) -> None:
        """Add a host."""
        self.names.append(name)
        self.requests += watched["requests"]
        self.failed += watched["failed"]
        self.buckets.update(watched["buckets"])
        front = watched.get("front")
        if front:
            self.unanswered += front["failed"]
            self.front_buckets.update(front["buckets"])
        self.fronts &= bool(front) or not watched["requests"]

    def count_unanswered(self) -> None:
        """Count the requests that never came to the release, or that it left without an answer."""
        self.requests += self.unanswered
        self.failed += self.unanswered

    @property
    def share(self) -> float:
        """The share of the requests that failed."""
        return self.failed / self.requests if self.requests else 0.0


def within(buckets: Mapping[str, int], share: float = 0.95) -> float:
    """Return the seconds within which a share of the requests was answered, between buckets."""
    bounds = sorted((float(le), count) for le, count in buckets.items())
    goal, below, before = share * max(buckets.values(), default=0), 0.0, 0
    for bound, count in bounds:
        if count >= goal and count > before:
            if math.isinf(bound):
                return below
            return below + (bound - below) * (goal - before) / (count - before)
        below, before = bound, count
    return below


def listed(names: Sequence[str]) -> str:
    """Write names as people do.

    >>> listed(["h2", "h3", "h4"])
    'h2, h3 and h4'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def percent(share: float) -> str:
    """Write a share in percent."""
    return f"{round(share * 100, 1):g} %"


def judged(
    watched: Mapping[str, Mapping[str, Any] | None],
    canaries: Sequence[str],
    requests: int,
    failed: float,
    slower: float,
) -> dict[str, str]:
    """Judge a release by what became of its requests, on the canary and elsewhere.

    A front adds what the release cannot count: requests it gave no answer to, and what they wait.

    Args:
        watched: what each host tells; nothing when it could not be asked.
        canaries: the hosts that have the new release.
        requests: how many it takes to judge.
        failed: how many percent of them may fail more than on the old release.
        slower: how many times as long 95 % of them may take.

    Returns:
        ``said``, what was seen, in one sentence; and the same as ``bad`` if that is bad.
    """
    new, old = Group(), Group()
    one = len(canaries) == 1
    who = f"{'canary' if one else 'canaries'} {listed(canaries)}"
    front = "its front" if one else "their fronts"
    for name in canaries:
        told = watched.get(name) or {"problem": "out of reach while it was watched"}
        if "problem" in told:
            said = f"canary {name}: {told['problem']}"
            return {"said": said, "bad": said}
        if "unknown" in told:
            return {"said": f"canary {name}: {told['unknown']}, so it was not judged", "bad": ""}
        new.add(name, told)
    fresh = {(watched[name] or {}).get("instance") for name in canaries}
    for name, other in watched.items():
        if other and "requests" in other and other["instance"] not in fresh:
            old.add(name, other)
    compared = old.requests >= requests
    # A front that does not count yet would make the old release look better than it is.
    fronts = new.fronts and (old.fronts or not compared)
    if fronts:
        new.count_unanswered()
        old.count_unanswered()
    if new.requests < requests:
        said = f"{who}: {new.requests} requests are too few to judge, it takes {requests}"
        return {"said": said, "bad": ""}
    others = f"{listed(old.names) or 'nobody else'} on the old release"
    if not compared:
        # Who has nobody to be measured by may fail as much as nobody does.
        others, old = f"{others}: too few to compare", Group(requests=new.requests)
    else:
        others = f"{others}: {percent(old.share)}"
    together = (new.failed + old.failed) / (new.requests + old.requests)
    spread = math.sqrt(together * (1 - together) * (1 / new.requests + 1 / old.requests))
    more = new.share - old.share
    said = f"{who}: {percent(new.share)} of {new.requests} requests failed"
    if fronts and new.unanswered:
        said += f" ({new.unanswered} of them at {front}: no answer from the release)"
    said += f", {others}"
    if more * 100 > failed and more > CHANCE * spread:
        return {"said": said, "bad": said}
    times = {"": (new.buckets, old.buckets)}
    times |= {f" at {front}": (new.front_buckets, old.front_buckets)} if fronts else {}
    for where, (mine, theirs) in times.items():
        long, usual = within(mine), within(theirs)
        # Who has several workers is timed by its front alone.
        if compared and theirs and long > slower * usual and long - usual > FELT_SECONDS:
            said = (
                f"{who}: 95 % of {new.requests} requests were answered within {long:.2g} s{where},"
                f" {listed(old.names)} on the old release: within {usual:.2g} s"
            )
            return {"said": said, "bad": said}
    return {"said": said, "bad": ""}


def why(failed: Mapping[str, Any]) -> str:
    """Return why a task failed: of a loop its first such item, of a command what it said last.

    >>> why({"msg": "One or more items failed", "results": [
    ...     {"msg": "All went well"},
    ...     {"failed": True, "msg": "non-zero return code", "cmd": [], "stderr": "no such server"},
    ... ]})
    'no such server'
    """
    items = [item for item in failed.get("results") or () if item.get("failed")]
    told = items[0] if items else failed
    said = str(told.get("stderr", "")).strip().splitlines() if "cmd" in told else []
    return str(told.get("reason") or (said or [told.get("msg", "")])[-1])


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by their names."""
        return {
            "service_batches": batches,
            "service_batches_wrong": wrong,
            "service_judged": judged,
            "service_why": why,
        }
