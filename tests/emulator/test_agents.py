from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.emulator.agents import EmulatedMarket, Fill, Flow, Print, prints
from xtrader.emulator.listed_instruments import Scale, Texts, coins

FLOW = Flow(price=60_000, size=100, resting=500, width=600, operations=8, prints=1.0, interval=0.1)


def test_the_same_seed_gives_the_same_batches() -> None:
    first, second = EmulatedMarket("7/A", FLOW), EmulatedMarket("7/A", FLOW)
    assert [first.step() for _ in range(200)] == [second.step() for _ in range(200)]


def test_another_seed_gives_other_batches() -> None:
    assert EmulatedMarket("7/A", FLOW).step() != EmulatedMarket("8/A", FLOW).step()


def test_looking_at_the_book_between_batches_changes_nothing() -> None:
    plain, watched = EmulatedMarket("7/A", FLOW), EmulatedMarket("7/A", FLOW)
    for number in range(200):
        if number % 3 == 0:
            watched.begin()
            watched.begin()
            assert watched.book.touches > 0
        assert watched.step() == plain.step()


def test_a_market_keeps_its_depth_its_rate_and_is_never_crossed() -> None:
    market = EmulatedMarket("7/A", FLOW)
    printed = 0
    for _ in range(3000):
        batch = market.step()
        printed += len(prints(batch.fills))
        bid, ask = market.book.bids.best(), market.book.asks.best()
        assert bid is not None
        assert ask is not None
        assert bid < ask
        assert batch.touches >= len(batch.bids) + len(batch.asks) > 0
    assert 2900 < printed < 3100
    assert 700 < len(market.book.homes) < 1300
    assert len(market._live) < 3 * len(market.book.homes)


def test_fills_are_numbered_one_by_one_and_never_newer_than_their_batch() -> None:
    market = EmulatedMarket("7/A", FLOW._replace(prints=5.0))
    fills = [fill for _ in range(100) for fill in market.step().fills]
    assert [fill.number for fill in fills] == list(range(fills[0].number, fills[0].number + len(fills)))
    assert all(0 <= fill.age <= 100 for fill in fills)


def test_prints_join_the_fills_of_one_order_at_one_price() -> None:
    fills = [
        Fill(1, 9, 100, 5, True, 3),
        Fill(2, 9, 100, 6, True, 3),
        Fill(3, 9, 101, 7, True, 3),
        Fill(4, 10, 101, 8, True, 1),
        Fill(5, 11, 99, 1, False, 0),
    ]
    assert prints(fills) == [
        Print(1, 2, 100, 11, True, 3),
        Print(3, 3, 101, 7, True, 3),
        Print(4, 4, 101, 8, True, 1),
        Print(5, 5, 99, 1, False, 0),
    ]
    assert prints([]) == []


@pytest.mark.parametrize(
    ("scale", "steps", "text"),
    [
        (Scale(1, 2, 8), 6_183_763, "61837.63000000"),
        (Scale(1, 3, 3), 0, "0.000"),
        (Scale(1, 3, 3), 5, "0.005"),
        (Scale(1, 0, 8), 7, "7.00000000"),
        (Scale(5, 1), 3, "1.5"),
        (Scale(5, 1), 4, "2"),
        (Scale(5, 4), 120, "0.06"),
        (Scale(10, 0), 37_228, "372280"),
        (Scale(1, 2), 0, "0"),
    ],
)
def test_numbers_are_written_as_the_venues_write_them(scale: Scale, steps: int, text: str) -> None:
    assert Texts(scale)[steps] == text


@given(st.integers(0, 10**12), st.integers(1, 25), st.integers(0, 8), st.sampled_from([None, 8]))
def test_the_text_of_a_number_is_the_number(steps: int, units: int, decimals: int, places: int | None) -> None:
    from decimal import Decimal

    assert Decimal(Scale(units, decimals, places).text(steps)) == Decimal(steps * units).scaleb(-decimals)


def test_coins_have_names_of_their_own() -> None:
    names = [coin.name for coin in coins(50)]
    assert names[:3] == ["BTC", "ETH", "SOL"]
    assert names[-1] == "C049"
    assert len(set(names)) == 50
