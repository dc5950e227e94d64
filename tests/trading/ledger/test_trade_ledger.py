"""The ledger: postings that sum to zero, positions that are the sum of their fills, results by hand."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.market import INVERSE, KEY, SPOT, START, instrument, inverse, spot
from xtrader.trading.ledger.trade_ledger import ACCOUNTS, PositionState, TradeLedger
from xtrader.trading.model.grid import Grid
from xtrader.trading.model.order_state import Execution

D = Decimal
GRIDS = {KEY: Grid(instrument()), INVERSE: Grid(inverse()), SPOT: Grid(spot())}
RATES = {"USDT": D(1), "USD": D(1), "BTC": D(50_000), "ETH": D(100), "BNB": D(500)}


def ledger(**missing: Any) -> TradeLedger:
    return TradeLedger(GRIDS.__getitem__, lambda asset: None if asset in missing else RATES[asset])


def fill(
    side: str, quantity: str, price: str, *, key: str = KEY, fee: str = "0", asset: str = "USDT", number: int = 1
) -> Execution:
    return Execution(number, 1, "s", key, side, D(quantity), D(price), "maker", D(fee), asset, START, START)


def sums(found: TradeLedger) -> dict[str, Decimal]:
    total: dict[str, Decimal] = defaultdict(Decimal)
    for one in found.postings:
        assert one.account in ACCOUNTS
        total[one.asset] += one.amount
    return total


def trades(*fills: tuple[str, str, str], key: str = KEY) -> TradeLedger:
    found = ledger()
    for number, one in enumerate(fills, 1):
        found.fill(fill(*one, key=key, number=number))
    return found


LINEAR = [
    ([("buy", "2", "100"), ("sell", "2", "110")], "20", "0", None),
    ([("buy", "1", "100"), ("buy", "1", "110"), ("sell", "1", "120")], "15", "1", "105"),
    ([("sell", "2", "100"), ("buy", "1", "90")], "10", "-1", "100"),
    ([("buy", "1", "100"), ("sell", "3", "110")], "10", "-2", "110"),
    ([("sell", "1", "100"), ("buy", "2", "110"), ("sell", "1", "120")], "0", "0", None),
]


@pytest.mark.parametrize(("fills", "realised", "quantity", "entry"), LINEAR)
def test_linear_results_by_hand(fills: list[tuple[str, str, str]], realised: str, quantity: str, entry: str | None) -> None:
    position = trades(*fills).positions["s", KEY]
    assert (position.realised, position.quantity) == (D(realised), D(quantity))
    assert position.entry == (None if entry is None else D(entry))


def test_inverse_results_by_hand() -> None:
    """100 lots' worth: 1000 USD bought at 50,000 are 0.02 BTC, sold at 62,500 only 0.016."""
    found = trades(("buy", "1000", "50000"), ("sell", "500", "62500"), key=INVERSE)
    position = found.positions["s", INVERSE]
    assert position.realised == D("0.002")
    assert position.entry == 50_000
    assert position.unrealised(D(62_500)) == D("0.002")
    short = trades(("sell", "1000", "50000"), ("buy", "1000", "40000"), key=INVERSE).positions["s", INVERSE]
    assert short.realised == D("0.005")


def test_a_flip_through_zero_opens_at_the_price_of_the_fill() -> None:
    for key, sign in ((KEY, 1), (INVERSE, 1)):
        position = trades(("buy", "10", "100"), ("sell", "30", "125"), key=key).positions["s", key]
        assert position.quantity == -20 * sign
        assert position.entry == 125


def test_a_fee_in_the_base_makes_the_position_smaller() -> None:
    found = ledger()
    found.fill(fill("buy", "1", "100", key=SPOT, fee="0.01", asset="ETH"))
    assert found.quantities[SPOT] == found.positions["s", SPOT].quantity == D("0.99")
    assert found.cash == {"ETH": D("0.99"), "USDT": D(-100)}
    assert found.components["s", SPOT]["fees"] == 1


def test_a_fee_in_a_third_asset_is_valued_at_the_fill() -> None:
    found = ledger()
    found.fill(fill("buy", "1", "100", fee="0.002", asset="BNB"))
    assert found.components["s", KEY]["fees"] == 1
    assert found.cash["BNB"] == D("-0.002")
    assert found.quantities[KEY] == 1


def test_a_rebate_is_no_fee() -> None:
    found = ledger()
    found.fill(fill("buy", "1", "100", fee="-0.5"))
    assert (found.components["s", KEY]["fees"], found.components["s", KEY]["rebates"]) == (0, D("0.5"))
    assert {one.account for one in found.postings} == {"cash", "rebate"}


def test_what_has_no_price_makes_its_sum_unknown_and_never_0() -> None:
    found = ledger(BNB=True)
    found.fill(fill("buy", "1", "100", fee="0.002", asset="BNB"))
    assert found.components["s", KEY]["fees"] is None
    assert found.equity_usd(lambda key: D(100)) is None


def test_funding_is_paid_in_what_the_position_is_settled_in() -> None:
    found = trades(("buy", "1000", "50000"), key=INVERSE)
    found.fund(START, "s", INVERSE, D("-0.0001"))
    assert found.positions["s", INVERSE].funding == D("-0.0001")
    assert found.components["s", INVERSE]["funding"] == -5
    assert found.cash["BTC"] == D("-0.0001")


def test_a_position_without_a_mark_is_not_worth_nothing() -> None:
    found = trades(("buy", "1", "100"))
    assert found.equity_usd(lambda key: None) is None
    assert found.equity_usd(lambda key: D(130)) == 30


FILLS = st.lists(
    st.tuples(
        st.sampled_from([KEY, INVERSE, SPOT]),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 500),
        st.integers(500, 2000),
        st.integers(-30, 60),
        st.sampled_from(["quote", "base", "BNB"]),
    ),
    max_size=30,
)


@given(FILLS)
def test_postings_sum_to_zero_and_positions_are_the_sum_of_fills(found: list[tuple[str, str, int, int, int, str]]) -> None:
    books = ledger()
    books.capital(START, {"USDT": D(1000)})
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for number, (key, side, lots, ticks, fee, paid_in) in enumerate(found, 1):
        grid = GRIDS[key]
        asset = {"quote": grid.quote if grid.is_spot else grid.settle, "base": grid.base, "BNB": "BNB"}[paid_in]
        amount = D(fee) / 10_000
        size = grid.size(lots)
        books.fill(Execution(number, 1, "s", key, side, size, grid.price(ticks), "taker", amount, asset, START, START))
        expected[key] += size if side == "buy" else -size
        if grid.is_spot and asset == grid.base:
            expected[key] -= amount
        assert set(sums(books).values()) <= {D(0)}
        assert {key: value for key, value in books.quantities.items() if value} == {k: v for k, v in expected.items() if v}
    for (_, key), position in books.positions.items():
        assert position.quantity == expected[key]
        assert (position.entry is None) == (position.quantity == 0)


@given(
    st.lists(st.tuples(st.sampled_from([-1, 1]), st.integers(1, 100), st.integers(500, 2000)), min_size=1, max_size=20),
    st.integers(500, 2000),
    st.sampled_from([KEY, INVERSE]),
)
def test_realised_and_unrealised_are_all_that_was_made(found: list[tuple[int, int, int]], last: int, key: str) -> None:
    """Whatever the order of the fills: cash flows of everything, closed at the last price, are the same sum."""
    grid = GRIDS[key]
    position = PositionState(grid)
    total = D(0)
    for sign, lots, ticks in found:
        quantity, price = sign * grid.size(lots), grid.price(ticks)
        position.trade(quantity, price)
        total += quantity / price if grid.is_inverse else -quantity * price
    mark = grid.price(last)
    total += -position.quantity / mark if grid.is_inverse else position.quantity * mark
    made = position.realised + (position.unrealised(mark) if position.quantity else D(0))
    assert abs(made - total * grid.multiplier) < D("1e-18")
