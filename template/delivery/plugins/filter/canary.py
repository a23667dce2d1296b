"""Filters of deploy.yml: who goes first, and whether the first ones do as well as the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# So many standard deviations apart are two shares by chance in one deploy of a hundred.
CHANCE = 2.33
# A difference that nobody feels is none, however many times as long it is.
FELT_SECONDS = 0.1


def batches(sizes: Sequence[int | str], hosts: int) -> list[int]:
    """Return how many hosts are in each batch; the last size is for all that are left.

    Args:
        sizes: numbers, or shares of all hosts with a percent sign, as for Ansible's ``serial``.
        hosts: how many there are.

    >>> batches([1, "25%", "100%"], 9)
    [1, 2, 6]
    """
    found: list[int] = []
    wanted = list(sizes) or ["100%"]
    while (left := hosts - sum(found)) > 0:
        size = str(wanted[min(len(found), len(wanted) - 1)])
        number = int(size[:-1]) * hosts // 100 if size.endswith("%") else int(size)
        found.append(min(left, max(1, number)))
    return found


@dataclass
class Group:
    """Some hosts, and what became of their requests."""

    names: list[str] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    buckets: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, watched: Mapping[str, Any]) -> None:
        """Add a host."""
        self.names.append(name)
        self.requests += watched["requests"]
        self.failed += watched["failed"]
        self.buckets.update(watched["buckets"])

    @property
    def share(self) -> float:
        """The share of the requests that failed."""
        return self.failed / self.requests if self.requests else 0.0

    def within(self, share: float = 0.95) -> float:
        """Return the seconds within which a share of the requests was answered, between buckets."""
        bounds = sorted((float(le), count) for le, count in self.buckets.items())
        goal, below, before = share * self.requests, 0.0, 0
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
    who = f"{'canary' if len(canaries) == 1 else 'canaries'} {listed(canaries)}"
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
    if new.requests < requests:
        said = f"{who}: {new.requests} requests are too few to judge, it takes {requests}"
        return {"said": said, "bad": ""}
    compared = old.requests >= requests
    others = f"{listed(old.names) or 'nobody else'} on the old release"
    if not compared:
        # Who has nobody to be measured by may fail as much as nobody does.
        others, old = f"{others}: too few to compare", Group(requests=new.requests)
    else:
        others = f"{others}: {percent(old.share)}"
    together = (new.failed + old.failed) / (new.requests + old.requests)
    spread = math.sqrt(together * (1 - together) * (1 / new.requests + 1 / old.requests))
    more = new.share - old.share
    said = f"{who}: {percent(new.share)} of {new.requests} requests failed, {others}"
    if more * 100 > failed and more > CHANCE * spread:
        return {"said": said, "bad": said}
    long, usual = new.within(), old.within()
    if compared and long > slower * usual and long - usual > FELT_SECONDS:
        said = (
            f"{who}: 95 % of {new.requests} requests were answered within {long:.2g} s,"
            f" {listed(old.names)} on the old release: within {usual:.2g} s"
        )
        return {"said": said, "bad": said}
    return {"said": said, "bad": ""}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by their names."""
        return {"service_batches": batches, "service_judged": judged}
