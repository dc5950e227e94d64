"""One open interval per subscription at any time; every interval is written when it opens and when it closes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.feed.coverage import CoverageTracker
from xtrader.model.market import CAUSES, STATES, Coverage

KEY = "OKX_SWAP@BTC-USDT-SWAP"
OPENING = [cause for cause in CAUSES if cause != "filled"]


def row(state: str, cause: str, since: int, until: int | None = None, detail: str = "") -> Coverage:
    return Coverage(KEY, "L2", state, cause, since, until, detail)


def test_a_row_that_opens_closes_the_one_before_at_its_own_beginning() -> None:
    tracker = CoverageTracker()
    assert tracker.rows(row("syncing", "start", 10)) == [row("syncing", "start", 10)]
    assert tracker.rows(row("live", "start", 25)) == [row("syncing", "start", 10, 25), row("live", "start", 25)]
    assert tracker.current(KEY, "L2") == row("live", "start", 25)


def test_a_gap_told_once_it_is_over_is_written_once_and_leaves_nothing_open() -> None:
    tracker = CoverageTracker([row("live", "start", 5)])
    gap = row("gap", "venue_gap", 20, 30, "prev 3 != last 2")
    assert tracker.rows(gap) == [row("live", "start", 5, 20), gap]
    assert tracker.open_rows() == []
    assert tracker.rows(row("syncing", "venue_gap", 30)) == [row("syncing", "venue_gap", 30)]


@pytest.mark.parametrize("since", [5, 20])
def test_what_was_filled_later_ends_no_interval(since: int) -> None:
    tracker = CoverageTracker([row("live", "venue_gap", 20)])
    filled = row("live", "filled", since, 20)
    assert tracker.rows(filled) == [filled]
    assert tracker.open_rows() == [row("live", "venue_gap", 20)]


def test_an_interval_left_open_by_an_earlier_run_is_closed_by_the_first_row_of_this_one() -> None:
    tracker = CoverageTracker([row("gap", "start", 100, None, "the recorder was not running")])
    assert tracker.rows(row("syncing", "start", 400))[0] == row("gap", "start", 100, 400, "the recorder was not running")


def test_saying_the_same_again_writes_nothing() -> None:
    tracker = CoverageTracker()
    tracker.rows(row("live", "start", 1))
    assert tracker.rows(row("live", "start", 9)) == []
    assert tracker.current(KEY, "L2") == row("live", "start", 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(STATES), st.sampled_from(OPENING), st.integers(0, 100), st.none() | st.integers(0, 20)),
        max_size=30,
    )
)
def test_every_opened_interval_but_the_last_is_closed_exactly_once_and_never_before_it_began(
    told: list[tuple[str, str, int, int | None]],
) -> None:
    tracker = CoverageTracker()
    written: list[Coverage] = []
    for state, cause, since, length in told:
        written += tracker.rows(row(state, cause, since, None if length is None else since + length))
    opened = [r for r in written if r.ts_to is None]
    closed = [r for r in written if r.ts_to is not None]
    assert all(r.ts_to is not None and r.ts_to >= r.ts_from for r in closed)
    told_closed = sum(length is not None for *_, length in told)
    assert len(closed) - told_closed == len(opened) - len(tracker.open_rows())
