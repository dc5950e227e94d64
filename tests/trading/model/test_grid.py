"""Exact numbers: what a record says becomes a whole number of ticks and lots, or is not used."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.market import INVERSE, instrument, inverse
from xtrader.errors import ConfigError
from xtrader.trading.model.grid import Grid, exact, steps_in

STEPS = (0.1, 0.01, 0.5, 1e-05, 0.25, 1.0, 10.0, 5e-08)


@given(count=st.integers(0, 10**9), step=st.sampled_from(STEPS))
def test_every_number_of_steps_comes_back_from_its_float(count: int, step: float) -> None:
    number = float(Decimal(repr(step)) * count)
    assert steps_in(number, step) == count


@given(count=st.integers(0, 10**6), step=st.sampled_from(STEPS), off=st.floats(0.01, 0.99))
def test_what_lies_between_two_steps_is_on_none(count: int, step: float, off: float) -> None:
    assert steps_in((count + off) * step, step) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_on_no_step(number: float) -> None:
    assert steps_in(number, 0.1) is None


def test_a_tenth_and_two_tenths_are_three_tenths() -> None:
    """The trap `0.1 + 0.2`."""
    grid = Grid(instrument())
    ticks = grid.ticks(0.1 + 0.2)
    assert ticks == 3
    assert grid.price(3) == grid.price(1) + grid.price(2) == Decimal("0.3")


def test_levels_off_the_grid_are_counted_and_left_out() -> None:
    grid = Grid(instrument())
    assert grid.levels([(100.0, 1.0), (100.05, 1.0), (100.1, 0.005), (100.2, 0.0), (100.3, math.nan)]) == [(1000, 100), (1002, 0)]
    assert grid.off_grid == 3


def test_an_exact_price_is_on_a_tick_or_on_none() -> None:
    grid = Grid(instrument())
    assert grid.ticks_of(Decimal("100.1")) == 1001
    assert grid.ticks_of(Decimal("100.15")) is None
    assert grid.ticks_of(Decimal("NaN")) is None
    assert grid.lots_of(Decimal("0.07")) == 7
    assert grid.lots_of(Decimal("0.075")) is None


def test_ticks_may_depend_on_the_price() -> None:
    steps = [(Decimal(0), Decimal("0.1")), (Decimal(1000), Decimal("0.5"))]
    grid = Grid(instrument(), steps)
    assert grid.ticks_of(Decimal("999.9")) == 9999
    assert grid.ticks_of(Decimal("1000.1")) is None
    assert grid.ticks_of(Decimal("1000.5")) == 10005
    assert grid.round_price(Decimal("1000.3"), "buy") == Decimal("1000.0")
    assert grid.round_price(Decimal("1000.3"), "sell") == Decimal("1000.5")
    with pytest.raises(ConfigError, match="no multiples of the smallest"):
        Grid(instrument(), [(Decimal(0), Decimal("0.2")), (Decimal(10), Decimal("0.3"))])


def test_prices_of_orders_are_rounded_away_from_the_mid() -> None:
    grid = Grid(instrument())
    assert grid.round_price(Decimal("100.19"), "buy") == Decimal("100.1")
    assert grid.round_price(Decimal("100.11"), "sell") == Decimal("100.2")
    assert grid.round_price(Decimal("100.1"), "sell") == Decimal("100.1")
    assert grid.round_size(Decimal("0.019")) == Decimal("0.01")


def test_worth_is_in_quote_for_linear_and_inverse_contracts() -> None:
    assert Grid(instrument(contract_size=0.1)).notional(Decimal(3), Decimal(100)) == 30
    grid = Grid(inverse())
    assert grid.notional(Decimal(500), Decimal(50_000)) == 500
    assert grid.base_quantity(Decimal(500), Decimal(50_000)) == Decimal("0.01")


@pytest.mark.parametrize(("fact", "word"), [({"tick_size": None}, "tick_size"), ({"lot_size": None, "min_size": None}, "lot_size")])
def test_an_instrument_without_steps_cannot_be_traded(fact: dict[str, None], word: str) -> None:
    with pytest.raises(ConfigError, match=f"its catalogue gives no {word}"):
        Grid(instrument(INVERSE, **fact))


def test_numbers_of_users_are_exact_or_refused() -> None:
    assert exact(0.1, "x") == exact("0.1", "x") == Decimal("0.1")
    for wrong in ("abc", None, True, [1]):
        with pytest.raises(ConfigError, match=r"the size is .*, which is no number"):
            exact(wrong, "the size")
