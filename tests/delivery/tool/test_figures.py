"""The value stream, and DORA's figures: what is counted, and how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from delivery.board.history import Cell, Commit, Row
from delivery.board.metrics import Change, Spread, changes, figures
from delivery.board.stream import Step, stream
from delivery.ledger.event import EVERYWHERE, Event
from delivery.ledger.listing import Entry

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
STAGES = ("lint", "unit", "build", "integration", "docs")


def row(*told: tuple[str, str, float, float]) -> Row:
    """Return a commit, given stage, verdict, and the seconds from its begin to its end."""
    events = tuple(
        Event(
            verdict,
            stage,
            "c" * 40,
            (START + timedelta(seconds=end)).isoformat(),
            "Ada",
            "test",
            seconds=end - begin,
        )
        for stage, verdict, begin, end in told
    )
    cells = {event.stage: Cell(event.event, event) for event in events}
    return Row("c" * 40, Commit(), None, None, events, cells, None, {})


def test_the_stream_tells_waits_from_work() -> None:
    found = stream(
        [
            row(
                ("lint", "passed", 0, 8),
                ("unit", "passed", 1, 6),  # beside lint: it waited for nothing, and ended first
                ("build", "passed", 16, 21),
                ("integration", "failed", 21, 26),
                ("integration", "passed", 31, 41),  # again: both tries are work, and all waits wait
            )
        ],
        STAGES,
    )
    assert found.steps == (
        Step("lint", 1, 0, 8),
        Step("unit", 1, 0, 5),
        Step("build", 1, 8, 5),
        Step("integration", 1, 5, 15),
    )
    assert (found.total, found.waiting) == (46, 13)
    assert found.slowest == found.steps[-1]


def test_the_stream_is_of_medians_over_the_commits_that_passed() -> None:
    found = stream(
        [
            row(("lint", "passed", 0, 2), ("build", "passed", 3, 4)),
            row(("lint", "passed", 0, 4), ("build", "passed", 104, 105)),
            row(("lint", "passed", 0, 9), ("build", "failed", 9, 999)),
        ],
        STAGES,
    )
    assert found.steps == (Step("lint", 3, 0, 4), Step("build", 2, 50.5, 1))
    assert found.slowest and found.slowest.stage == "build"
    nothing = stream([], STAGES)
    assert (nothing.steps, nothing.slowest, nothing.total) == ((), None, 0)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        ([], (0, None, None)),
        ([5], (1, 5, 5)),
        (range(10, 0, -1), (10, 5.5, 9)),
        (range(1, 12), (11, 6, 10)),
    ],
)
def test_a_spread_has_the_median_and_the_nearest_rank(
    seconds: list[float], wanted: tuple[int, float | None, float | None]
) -> None:
    found = Spread.of(seconds)
    assert (found.count, found.median, found.p90) == wanted


def names(*told: tuple[int, str, str, str]) -> list[Entry]:
    """Return entries, newest first, of events given as minute, stage, event and artifact."""
    made = [
        Entry("2026/01/05", f"10{minute:02}00000000", stage, event, name * 12, name * 12, "")
        for minute, stage, event, name in told
    ]
    return made[::-1]


def minutes(change: Change) -> tuple[float, float, bool, float | None]:
    """Return when a change began, went live, whether it failed, when that was over, in minutes."""

    def past(moment: datetime) -> float:
        return (moment - START) / timedelta(minutes=1)

    end = past(change.restored) if change.restored else None
    return past(change.begun), past(change.live), change.failed, end


def test_a_change_that_was_rolled_back_failed_and_was_restored() -> None:
    found = changes(
        names(
            (0, "lint", "passed", "a"),
            (5, "production", "deployed", "a"),
            (6, "lint", "passed", "b"),
            (20, "production", "deployed", "b"),
            (29, "production", "rolled-back", "b"),
            (30, "production", "deployed", "a"),
            (40, "production", "failed", "c"),
        ),
        "production",
    )
    day = datetime(2026, 1, 5, tzinfo=UTC)
    result = figures(found, day, day + timedelta(days=7))
    assert (result.changes, result.failed, result.weekly) == (2, 1, 2.0)
    assert result.lead.median == (5 + 14) * 30
    assert result.restore.median == 600


def test_what_is_revoked_or_fails_while_live_failed_and_a_new_verdict_restores_it() -> None:
    found = changes(
        names(
            (0, "lint", "passed", "a"),
            (5, "production", "deployed", "a"),
            (6, "production", "failed", "a"),
            (9, "production", "passed", "a"),  # after all
            (10, "lint", "passed", "b"),
            (11, "production", "failed", "b"),  # before it was live: no change
            (12, "production", "deployed", "b"),
            (13, EVERYWHERE, "revoked", "a"),  # it is not live any more
            (14, EVERYWHERE, "revoked", "b"),
        ),
        "production",
    )
    assert list(map(minutes, found)) == [(0, 5, True, 9), (10, 12, True, None)]
    told = figures(found, START, START + timedelta(days=1))
    assert (told.changes, told.failed, told.rate) == (2, 2, 1.0)
    assert told.restore == Spread(1, 240, 240)


def test_of_a_library_it_counts_when_it_was_published() -> None:
    found = changes(
        names(
            (0, "lint", "passed", "a"),
            (7, "publish", "published", "a"),
            (8, "publish", "passed", "a"),
            (9, "publish", "published", "a"),  # again, and no other change
        ),
        "publish",
        "published",
    )
    assert list(map(minutes, found)) == [(0, 7, False, None)]


def test_a_young_project_is_measured_since_its_first_change() -> None:
    until = START + timedelta(days=91)
    change = Change("a", until - timedelta(days=14), until - timedelta(days=1))
    assert figures([change], START, until).weekly == 0.5
    today = Change("b", until - timedelta(hours=2), until - timedelta(hours=1))
    assert figures([today], START, until).weekly == 1
    assert figures([Change("c", START, START), change], START, until).weekly == 2 / 13
