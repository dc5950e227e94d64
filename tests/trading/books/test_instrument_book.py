"""Books as a trader may use them: live or no price at all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.market import SECOND, START, book, instrument, live, snapshot, update
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.model.grid import Grid

D = Decimal


def asked(found: InstrumentBook) -> list[object]:
    """Every price that a strategy can ask for."""
    prices = [found.best_bid, found.best_ask, found.bid, found.ask, found.bid_size, found.ask_size, found.mid, found.spread_bps]
    return [*prices, found.vwap("buy", D(1)), found.imbalance(), found.liquidity(10)]


def test_a_live_book_answers_in_exact_numbers() -> None:
    found = book()
    assert (found.best_bid, found.best_ask, found.bid, found.ask) == (1000, 1002, D("100.0"), D("100.2"))
    assert (found.bid_size, found.ask_size, found.mid) == (D("5.00"), D("5.00"), D("100.1"))
    assert round(found.spread_bps or 0, 6) == D("19.980020")
    assert found.state == "live"


@pytest.mark.parametrize(
    ("break_it", "state"),
    [
        (lambda one: one.cover(live(state="gap")), "gap"),
        (lambda one: one.cover(live(state="syncing")), "syncing"),
        (lambda one: setattr(one, "now", START + one.max_age + 1), "stale"),
        (lambda one: one.apply(update(START, [(100.5, 1.0)], []), START), "crossed"),
    ],
)
def test_a_book_that_is_not_live_has_no_price(break_it: Callable[[InstrumentBook], object], state: str) -> None:
    found = book()
    break_it(found)
    assert found.state == state
    assert asked(found) == [None] * 11
    assert found.levels("buy") == []


def test_a_book_used_across_a_gap() -> None:
    """The trap: changes after a gap belong to a book that nobody has."""
    found = book()
    found.cover(live(state="gap"))
    found.apply(update(START + 1, [(100.1, 9.0)], []), START + 1)
    found.cover(live(ts=START + 2))
    assert found.state == "syncing"
    assert found.bid is None
    found.apply(snapshot(START + 3, bid=90.0, ask=90.2), START + 3)
    assert found.bid == D("90.0")


def test_a_snapshot_may_come_before_or_after_the_row_that_says_it_is_live() -> None:
    for rows_first in (True, False):
        found = InstrumentBook(Grid(instrument()))
        steps = [lambda one: one.cover(live()), lambda one: one.apply(snapshot(START), START)]
        for step in steps if rows_first else reversed(steps):
            assert found.state != "live"
            step(found)
        found.now = START
        assert found.state == "live"


def test_what_a_position_is_valued_at_outlives_a_gap() -> None:
    """The trap: a missing mark read as 0. Before there ever was one it is None, afterwards the last."""
    assert InstrumentBook(Grid(instrument())).mark is None
    found = book()
    found.cover(live(state="gap"))
    assert found.mid is None
    assert found.mark == D("100.1")


def test_an_empty_side_has_no_price_and_no_mid() -> None:
    found = book()
    found.apply(update(START, [(round(100 - place / 10, 1), 0.0) for place in range(5)], []), START)
    assert found.bid is None
    assert found.mid is None
    assert found.ask == D("100.2")
    assert found.spread_bps is None


def test_a_market_price_is_that_of_the_levels_it_takes() -> None:
    found = book()
    assert found.vwap("buy", D(5)) == D("100.2")
    assert found.vwap("buy", D(10)) == D("100.25")
    assert found.vwap("sell", D("7.5")) == (5 * D("100.0") + D("2.5") * D("99.9")) / D("7.5")
    assert found.vwap("buy", D(26)) is None
    assert found.vwap("buy", D(0)) is None
    assert found.vwap("buy", D("NaN")) is None


def test_imbalance_is_between_all_asks_and_all_bids() -> None:
    found = book()
    assert found.imbalance() == 0
    found.apply(update(START, [(100.0, 15.0)], []), START)
    assert found.imbalance(1) == 50
    assert found.liquidity(5) == (D("0"), D("0"))
    assert found.liquidity(11) == (D("15.00"), D("5.00"))


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(900, 1100), st.integers(0, 50)),
        min_size=1,
        max_size=60,
    )
)
def test_a_book_in_ticks_is_the_book_of_its_messages(changes: list[tuple[bool, int, int]]) -> None:
    found = InstrumentBook(Grid(instrument()))
    found.cover(live())
    found.apply(update(START, [], [], snapshot=True), START)
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for is_bid, ticks, lots in changes:
        level = [(float(D(ticks) / 10), float(D(lots) / 100))]
        found.apply(update(START, level if is_bid else [], [] if is_bid else level), START)
        side = sides[0 if is_bid else 1]
        side[ticks] = lots
        if not lots:
            del side[ticks]
    assert (found.book.bids.sizes, found.book.asks.sizes) == sides
    assert found.grid.off_grid == 0


def test_age_is_counted_from_the_last_message_whatever_it_changed() -> None:
    found = book()
    found.apply(update(START + SECOND, [], []), START + SECOND)
    found.now = START + SECOND + found.max_age
    assert found.state == "live"
