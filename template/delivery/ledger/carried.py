"""Events that go from job to job as files, where a job may not push the ledger.

With ``DELIVERY_LEDGER_PUSH=no`` the ledger is fetched and never pushed, and every event that is
appended is also written to ``.delivery/events/``, by the path it has on the ref. A CI system hands
that folder on; the next job's ``sync``, which every stage begins with, takes it in. The first job
that may push shares all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from .chain import Chain
from .event import Event

FOLDER = Path(".delivery", "events")
# Of what ran the code under test only this is believed, and only about the commit that is here.
KINDS = ("built", "passed", "failed")


def keep(root: Path, files: dict[str, bytes]) -> None:
    """Write events, by their paths on the ref, into the folder that is handed on."""
    for name, body in files.items():
        place = root / FOLDER / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)


def take_in(chain: Chain, stages: Collection[str], by: str) -> None:
    """Append the events that were handed on and that the chain does not have.

    Args:
        chain: the ledger's chain.
        stages: only verdicts of these are taken, and what they built.
        by: the committer, as ``name <email>``.
    """
    folder = chain.git.root / FOLDER
    if not folder.is_dir():
        return
    head = chain.git.head()
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.json"))
    }
    good = {name: body for name, body in found.items() if _believed(name, body, stages, head)}
    tip = chain.tip()
    if good and tip:
        there = chain.git.text("ls-tree", "-r", "--name-only", tip, *good).splitlines()
        good = {name: body for name, body in good.items() if name not in there}
    if good:
        chain.add(lambda _: good, f"take in {len(good)} events of other jobs", by)


def _believed(name: str, body: bytes, stages: Collection[str], head: str) -> bool:
    event = Event.parse(body)
    return (
        event is not None
        and event.event in KINDS
        and event.stage in stages
        and event.commit == head
        and event.envelope is None
        # The end of a path is chance.
        and name[: -len("01234567.json")] == event.path()[: -len("01234567.json")]
    )
