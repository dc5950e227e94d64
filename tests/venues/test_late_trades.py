"""Trades that come late, again or in another order, at every venue: each is stored once, only what never comes stays missing."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.speakers import Speaker
from tests.venues.tape import EVERY, LISTS, NOW, Tape
from xtrader.model.market import Coverage

every_venue = pytest.mark.parametrize("speaker", EVERY.values(), ids=lambda speaker: speaker.exchange)


@every_venue
def test_a_number_that_comes_late_is_stored_and_closes_its_hole(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(100, 102, 101, 103)
    assert tape.stored == [100, 102, 101, 103]
    assert tape.rows() == [("gap", "venue_gap", 101, 101), ("live", "filled", 101, 101)]
    gap, filled = (row for row in tape.out if isinstance(row, Coverage) and row.ts_to is not None)
    assert (filled.ts_from, filled.ts_to) == (gap.ts_from, gap.ts_to)
    counts = tape.session.counts
    assert (counts["late"], counts["trade_gaps"], counts["duplicates"]) == (1, 1, 0)


@every_venue
def test_a_part_of_a_hole_that_comes_late_names_only_what_came(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(100, 106, 103, 103, 101)
    assert tape.stored == [100, 106, 103, 101]
    assert tape.rows() == [("gap", "venue_gap", 101, 105), ("live", "filled", 103, 103), ("live", "filled", 101, 101)]
    assert tape.session.counts["duplicates"] == 1


@every_venue
def test_what_comes_before_the_first_trade_of_all_was_not_seen_either(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(101, 100, 102, 100)
    assert tape.stored == [101, 100, 102]
    assert tape.rows()[-1] == ("live", "filled", 100, 100)
    assert all(state == "live" or cause == "start" for state, cause, *_ in tape.rows())


@every_venue
def test_a_gateway_that_is_seconds_behind_doubles_nothing_and_nothing_restarted(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(*range(900, 1001), at=lambda number: NOW + 150 * number)
    tape.reconnect()
    tape.hear(*range(976, 1065), at=lambda number: NOW + 150 * number)
    assert tape.stored == list(range(900, 1065))
    assert [row for row in tape.rows() if row[0] == "gap"] == []
    assert tape.session.counts["duplicates"] == 25


@every_venue
def test_a_gateway_that_is_behind_fills_what_the_connection_before_missed(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(98, 99, 102)
    tape.reconnect()
    tape.hear(99, 100, 101, 102, 103)
    assert tape.stored == [98, 99, 102, 100, 101, 103]
    assert [row[1:] for row in tape.rows() if row[1] != "start"] == [
        ("venue_gap", 100, 101),
        ("filled", 100, 100),
        ("filled", 101, 101),
    ]


@every_venue
def test_numbers_that_began_anew_between_two_connections_are_seen_at_the_first_trade(speaker: Speaker) -> None:
    tape = Tape(speaker)
    tape.hear(1_000_000, at=lambda number: NOW)
    tape.reconnect()
    tape.hear(1, 2, at=lambda number: NOW + 5000 + number)
    assert tape.stored == [1_000_000, 1, 2]
    gaps = [row for row in tape.out if isinstance(row, Coverage) and row.state == "gap"]
    assert [(gap.cause, gap.detail, gap.ids_from) for gap in gaps] == [("disconnect", "numbers restarted", None)]


@pytest.mark.parametrize("exchange", LISTS)
def test_trades_of_one_message_are_stored_by_their_numbers_and_leave_no_hole(exchange: str) -> None:
    tape = Tape(EVERY[exchange])
    tape.hear(100)
    tape.hear_list(102, 101, 103, 102)
    assert tape.stored == [100, 101, 102, 103]
    assert [row for row in tape.rows() if row[1] != "start"] == []
    assert tape.session.counts["duplicates"] == 1


@pytest.mark.parametrize("exchange", LISTS)
def test_a_message_that_fills_a_hole_in_part_leaves_the_rest_missing(exchange: str) -> None:
    tape = Tape(EVERY[exchange])
    tape.hear_list(100)
    tape.hear_list(105, 103)
    tape.hear_list(102, 101)
    assert tape.stored == [100, 103, 105, 101, 102]
    assert [row for row in tape.rows() if row[1] != "start"] == [
        ("gap", "venue_gap", 101, 102),
        ("gap", "venue_gap", 104, 104),
        ("live", "filled", 101, 101),
        ("live", "filled", 102, 102),
    ]


def test_prints_that_stand_for_several_numbers_fill_all_that_they_stand_for() -> None:
    tape = Tape(EVERY["OKX_SWAP"])
    for first, last in ((100, 100), (110, 112), (103, 105), (102, 104), (99, 101)):
        tape.hear_text(tape.speaker.trade(first, last, NOW + last))
    assert tape.stored == [100, 112, 105, 104, 101]
    assert [row[2:] for row in tape.rows() if row[1] == "filled"] == [(103, 105), (102, 102), (99, 99), (101, 101)]


@every_venue
@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.sets(st.integers(0, 59)))
def test_in_any_order_each_number_is_stored_once_and_the_rows_name_what_never_came(
    speaker: Speaker, steps: Iterable[int], cuts: set[int]
) -> None:
    tape = Tape(speaker)
    numbers = [500 + step for step in steps]
    for place, number in enumerate(numbers):
        if place in cuts:
            tape.reconnect()
        tape.hear(number)
    assert sorted(tape.stored, key=int) == sorted(set(numbers))  # type: ignore[arg-type]
    missing: set[int] = set()
    for state, cause, first, last in tape.rows():
        if first is None or last is None:
            continue
        named = set(range(first, last + 1))
        assert cause == "filled" or (state == "gap" and not named & missing)
        missing = missing | named if state == "gap" else missing - named
    came = set(numbers)
    assert missing == set(range(numbers[0], max(came) + 1)) - came
