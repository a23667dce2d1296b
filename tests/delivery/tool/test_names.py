"""The names that are kept of months that are over: quicker, and never the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from delivery.git import Git
from delivery.ledger.event import Event
from delivery.ledger.store import Ledger

from tests.delivery.past import PIPELINE, fill, write

from .conftest import Toy


@pytest.fixture()
def long(toy: Toy) -> Toy:
    """Return a project with a past of some months."""
    toy.write("delivery.toml", PIPELINE)
    toy.commit("Describe the pipeline")
    fill(toy.root, 900, datetime.now(UTC))
    toy.git("reset", "--quiet", "--hard")
    (toy.root / ".delivery").mkdir()
    return toy


def kept(toy: Toy) -> list[Path]:
    """Return the files that are kept, oldest month first."""
    return sorted((toy.root / ".delivery" / "names").iterdir())


def told(
    toy: Toy, stage: str | None = None, about: str | None = None
) -> tuple[list[Event], list[Event]]:
    """Return what the ledger says with the names that are kept, and without."""
    ledger = Ledger(Git(toy.root))
    with ledger.held(toy.root / ".delivery" / "names") as held:
        quick = held.events(stage=stage, about=about)
    return quick, Ledger(Git(toy.root)).events(stage=stage, about=about)


def test_an_answer_is_the_same_with_them(long: Toy) -> None:
    for _ in range(2):  # made, then used
        quick, true = told(long)
        assert quick == true and len(true) > 5000
    for stage, about in (("production", None), (None, true[3].commit), (None, true[-9].commit)):
        quick, found = told(long, stage, about)
        assert quick == found != []
    months = {event.at[:7] for event in told(long)[1]}
    assert [path.name for path in kept(long)] == sorted(months)[:-1]


@pytest.mark.parametrize("body", [b"", b"0123 9\nnonsense", None])
def test_one_that_is_damaged_is_made_anew(long: Toy, body: bytes | None) -> None:
    told(long)
    good = kept(long)[0].read_bytes()
    kept(long)[0].write_bytes(good[:-50] if body is None else body)
    quick, true = told(long)
    assert quick == true
    assert kept(long)[0].read_bytes() == good


def test_an_event_that_comes_late_into_an_old_month_is_seen(long: Toy) -> None:
    _, before = told(long)
    late = datetime.fromisoformat(before[0].at) + timedelta(seconds=1)
    write(long.root, [replace(before[0], at=late.isoformat(timespec="microseconds"))])
    quick, true = told(long)
    assert quick == true and len(true) == len(before) + 1


def test_without_the_tools_folder_nothing_is_kept_and_status_is_the_same(long: Toy) -> None:
    with_them = [long.delivery("status", "--json").stdout for _ in range(2)]
    for path in kept(long):
        path.unlink()
    (long.root / ".delivery" / "names").rmdir()
    (long.root / ".delivery").rmdir()
    assert [*with_them, long.delivery("status", "--json").stdout] == [with_them[0]] * 3
    assert not (long.root / ".delivery").exists()


def test_what_decides_does_not_read_them(long: Toy) -> None:
    long.delivery("status")
    version = Ledger(Git(long.root)).events(event=("built",), newest=1)[0].version
    before = long.delivery("why", str(version)).stdout
    for path in kept(long):
        path.write_bytes(b"")
        path.chmod(0o400)
    stamps = [path.stat().st_mtime_ns for path in kept(long)]
    assert long.delivery("why", str(version)).stdout == before
    assert [path.stat().st_mtime_ns for path in kept(long)] == stamps
