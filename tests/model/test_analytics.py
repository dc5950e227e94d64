"""The analytics against definitions written naively, in exact fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.model.analytics import (
    Cost,
    Sides,
    cost_to_trade,
    depth_within,
    grouped,
    imbalance,
    micro_price,
    mid,
    quote_value,
    sides,
    spread,
    spread_bps,
    vwap,
)
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Level

EMPTY = Sides([], [])
CENT = Fraction(1, 100)
sizes = st.integers(1, 10**6).map(lambda n: n / 1000)


@st.composite
def books(draw: st.DrawFn, least: int = 1) -> Sides:
    """Books in ticks of a cent, bids from 100.00 down and asks from 100.01 up, with holes."""
    bids = draw(st.lists(st.integers(0, 5000), min_size=least, max_size=12, unique=True))
    asks = draw(st.lists(st.integers(0, 5000), min_size=least, max_size=12, unique=True))
    return Sides(
        [((10_000 - tick) / 100, draw(sizes)) for tick in sorted(bids)],
        [((10_001 + tick) / 100, draw(sizes)) for tick in sorted(asks)],
    )


def exact(number: float) -> Fraction:
    """The decimal that a float of a few digits stands for."""
    return Fraction(repr(number))


def close(found: float | None, true: Fraction) -> bool:
    return found is not None and math.isclose(found, float(true), rel_tol=1e-9, abs_tol=1e-9)


def unit_prices(levels: list[Level], quantity: Fraction) -> Fraction | None:
    """The sum of the prices of `quantity`, thousandth by thousandth: the naive way to fill an order."""
    units = int(quantity * 1000)
    total = Fraction(0)
    for price, size in levels:
        here = min(units, int(exact(size) * 1000))
        total += exact(price) * here
        units -= here
    return total / 1000 if not units else None


@given(books())
def test_mid_spread_and_micro_price_are_what_they_are_called(book: Sides) -> None:
    (bid, bid_size), (ask, ask_size) = ((exact(price), exact(size)) for price, size in (book.bids[0], book.asks[0]))
    middle = (bid + ask) / 2
    assert close(mid(book), middle)
    assert close(spread(book), ask - bid)
    assert close(spread_bps(book), (ask - bid) / middle * 10_000)
    assert close(micro_price(book), (bid * ask_size + ask * bid_size) / (bid_size + ask_size))


@given(books(), st.integers(1, 5 * 10**6))
def test_a_quantity_costs_what_filling_it_unit_by_unit_costs(book: Sides, thousandths: int) -> None:
    quantity = Fraction(thousandths, 1000)
    middle = exact(book.bids[0][0]) / 2 + exact(book.asks[0][0]) / 2
    for side, levels, sign in (("buy", book.asks, 1), ("sell", book.bids, -1)):
        paid = unit_prices(list(levels), quantity)
        price = vwap(levels, float(quantity))
        cost = cost_to_trade(book, side, float(quantity))
        if paid is None:
            assert price is None
            assert cost is None
            continue
        assert close(price, paid / quantity)
        assert cost is not None
        assert close(cost.price, paid / quantity)
        away = sign * (paid / quantity - middle)
        assert math.isclose(cost.quote, float(away * quantity), rel_tol=1e-6, abs_tol=1e-6)
        assert math.isclose(cost.bps, float(away / middle * 10_000), rel_tol=1e-6, abs_tol=1e-6)


@given(books())
def test_the_whole_side_can_be_filled_and_nothing_beyond_it(book: Sides) -> None:
    whole = float(sum(exact(size) for _, size in book.asks))
    assert vwap(book.asks, whole) is not None
    assert vwap(book.asks, whole * 1.001) is None


@given(books(least=0), st.integers(1, 20))
def test_imbalance_compares_the_sizes_of_the_best_levels(book: Sides, n: int) -> None:
    bids, asks = (sum((exact(size) for _, size in levels[:n]), Fraction(0)) for levels in book)
    found = imbalance(book, n)
    if not bids + asks:
        assert found is None
    else:
        assert close(found, (bids - asks) / (bids + asks))
        assert -1 <= (found or 0) <= 1


@given(books(), st.floats(0, 6000))
def test_depth_within_counts_the_levels_near_the_mid(book: Sides, bps: float) -> None:
    middle = mid(book) or 0.0
    reach = middle * bps / 10_000
    found = depth_within(book, bps)
    true = [sum(size for price, size in levels if abs(price - middle) <= reach) for levels in book]
    assert found == pytest.approx(true)


@given(books(), st.integers(1, 400))
def test_grouping_moves_every_size_away_from_the_mid_by_less_than_a_step(book: Sides, ticks: int) -> None:
    step = ticks * CENT
    for levels, sign in ((book.bids, -1), (book.asks, 1)):
        true: dict[Fraction, Fraction] = {}
        for price, size in levels:
            place = sign * math.ceil(sign * exact(price) / step) * step
            true[place] = true.get(place, Fraction(0)) + exact(size)
        found = grouped(levels, float(step), sign)
        assert [price for price, _ in found] == pytest.approx([float(price) for price in true])
        assert [size for _, size in found] == pytest.approx([float(size) for size in true.values()])


def test_an_empty_side_has_no_mid_no_spread_no_cost_and_no_depth() -> None:
    for book in (EMPTY, Sides([(1.0, 2.0)], []), Sides([], [(1.0, 2.0)])):
        assert (mid(book), spread(book), spread_bps(book), micro_price(book), depth_within(book, 10)) == (None,) * 5
        assert cost_to_trade(book, "buy", 1.0) is None
        assert cost_to_trade(book, "sell", 1.0) is None


def test_the_figures_of_a_small_book() -> None:
    book = Sides([(99.0, 3.0), (98.0, 5.0)], [(101.0, 1.0), (103.0, 1.0)])
    assert (mid(book), spread(book), spread_bps(book), micro_price(book)) == (100.0, 2.0, 200.0, 100.5)
    assert cost_to_trade(book, "buy", 2.0) == Cost(102.0, 200.0, 4.0)
    assert cost_to_trade(book, "sell", 3.0) == Cost(99.0, 100.0, 3.0)
    assert imbalance(book, 1) == 0.5
    assert depth_within(book, 100) == (3.0, 1.0)
    assert depth_within(book, 99.9) == (0.0, 0.0)


@pytest.mark.parametrize("quantity", [0.0, -1.0, math.nan, math.inf])
def test_a_quantity_that_is_not_above_zero_is_refused(quantity: float) -> None:
    with pytest.raises(ConfigError, match="is not a number above 0"):
        vwap([(1.0, 1.0)], quantity)


def test_the_sides_of_a_book_are_its_levels_best_first() -> None:
    book = Book()
    book.apply(BookUpdate("X@Y", True, [(9.0, 1.0), (10.0, 2.0)], [(12.0, 1.0), (11.0, 3.0)], 1, None, None, 0))
    assert sides(book) == Sides([(10.0, 2.0), (9.0, 1.0)], [(11.0, 3.0), (12.0, 1.0)])
    assert sides(book, 1) == Sides([(10.0, 2.0)], [(11.0, 3.0)])


@pytest.mark.parametrize(
    ("about", "worth"),
    [
        ({"contract_size": 1.0, "contract_unit": "BTC"}, 120.0),
        ({"contract_size": 0.01, "contract_unit": "BTC"}, 1.2),
        ({"contract_size": 100.0, "contract_unit": "USD", "is_inverse": True}, 200.0),
        ({}, 120.0),
    ],
)
def test_two_units_at_sixty_are_worth_what_the_contract_says(about: dict[str, object], worth: float) -> None:
    instrument = Instrument(exchange="X", symbol="Y", alias="Y", kind="future", quote="USD", **about)  # type: ignore[arg-type]
    assert quote_value(instrument, 60.0, 2.0) == pytest.approx(worth)
