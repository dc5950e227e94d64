"""Fees and delays."""

from __future__ import annotations

from decimal import Decimal

import pytest

from xtrader.errors import ConfigError
from xtrader.trading.paper.venue_rules import Delays, Fees


def test_a_rebate_is_a_fee_below_nothing() -> None:
    fees = Fees(Decimal("-1"), Decimal("7.5"))
    assert (fees.rate("maker"), fees.rate("taker")) == (Decimal("-0.0001"), Decimal("0.00075"))


def test_constant_delays_are_the_same_for_every_order() -> None:
    delays = Delays(1000, 2000)
    assert {delays.of(number, "s", number) for number in range(9)} == {(1000, 2000)}


def test_delays_by_chance_are_those_of_the_seed() -> None:
    found = [[Delays(10**6, 10**6, sigma=0.5, seed=seed).of(number, "s", 0) for number in range(200)] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    middle = sorted(delay.entry for delay in found[0])[100]
    assert 0.8 * 10**6 < middle < 1.2 * 10**6
    assert len(set(found[0])) == 200


def test_a_table_has_the_delays_of_its_time() -> None:
    delays = Delays(table=[(100, 1, 2), (200, 3, 4)])
    assert [delays.of(1, "s", ts) for ts in (50, 100, 199, 200, 999)] == [(1, 2), (1, 2), (1, 2), (3, 4), (3, 4)]


def test_a_delay_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigError):
        Delays(-1)
