"""The gate: what passes, what does not, and which check says so."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.market import KEY, OTHER, SECOND, START, buy, instrument, limits, live, open_state, order, update
from xtrader.errors import UnknownKind
from xtrader.trading.model.decisions import Rejected
from xtrader.trading.model.grid import Grid
from xtrader.trading.model.intents import Intent, cancel, cancel_all
from xtrader.trading.paper.paper_venue import PaperVenue
from xtrader.trading.paper.queue_position import queue_model
from xtrader.trading.paper.venue_rules import Delays
from xtrader.trading.risk.gate import CODES, Approved, decide, same_as
from xtrader.trading.risk.gate_state import CATALOGUE_AGE, GateState, OrderRate

D = Decimal
Case = tuple[Callable[[GateState], object], Intent]
BIG = limits(position_limits__per_symbol_usd=10**5, position_limits__gross_exposure_usd=10**5)


def setting(**values: Any) -> Callable[[GateState], object]:
    def put(state: GateState) -> None:
        for name, value in values.items():
            setattr(state, name, value)

    return put


def of_instrument(**values: Any) -> Callable[[GateState], object]:
    def put(state: GateState) -> None:
        for name, value in values.items():
            setattr(state.instruments[KEY], name, value)

    return put


def of_account(**values: Any) -> Callable[[GateState], object]:
    def put(state: GateState) -> None:
        for name, value in values.items():
            setattr(state.account, name, value)

    return put


def limited(**values: Any) -> Callable[[GateState], object]:
    return setting(limits=limits(**values))


def both(*calls: Callable[[GateState], object]) -> Callable[[GateState], object]:
    def put(state: GateState) -> None:
        for call in calls:
            call(state)

    return put


def drained(state: GateState) -> None:
    assert state.rate is not None
    for _ in range(20):
        state.rate.take(START)


def wide(state: GateState) -> None:
    """A thin book: a market order pays more than 25 bps."""
    state.books[KEY].apply(
        update(START, [], [(100.2, 0.5), (100.3, 0.0), (100.4, 0.0), (100.5, 0.0), (101.0, 50.0), (100.6, 0.0)]), START
    )


def nothing(state: GateState) -> None:
    pass


FAILS: dict[str, Case] = {
    "MALFORMED": (nothing, buy(side="long")),
    "EXPIRED": (nothing, buy(valid_until=START - 1)),
    "LOG": (setting(is_log_writable=False), buy()),
    "MODE": (setting(mode="live"), buy()),
    "HALTED": (setting(halted="a person said so"), buy()),
    "PAUSED": (setting(paused={f"instrument:{KEY}"}), buy()),
    "PHASE": (setting(phase="full"), buy()),
    "BREAKER": (setting(blocked={KEY: "its spread"}), buy()),
    "UNKNOWN_ORDER": (setting(unknown={KEY}), buy()),
    "NOT_TRADING": (of_instrument(status="suspend"), buy()),
    "CATALOGUE_AGE": (of_instrument(known=START - CATALOGUE_AGE - 1), buy()),
    "CONNECTION": (setting(connected={KEY: False}), buy()),
    "PRICE": (limited(price_sanity__max_valid_price=98), buy()),
    "OFF_TICK": (nothing, buy("99.05")),
    "FAR_FROM_MID": (nothing, buy("95.0")),
    "VENUE_BAND": (of_instrument(band=(D(99), D(110))), buy("98.9")),
    "OFF_LOT": (nothing, buy(quantity="1.005")),
    "ORDER_SIZE": (of_instrument(max_size=D("0.5")), buy()),
    "MIN_NOTIONAL": (of_instrument(min_notional=D(100)), buy()),
    "ORDER_NOTIONAL": (limited(position_limits__order_notional_usd=98), buy()),
    "SLIPPAGE": (wide, buy(None)),
    "POSITION": (limited(units__ETH__max_position="0.5"), buy()),
    "PER_SYMBOL": (limited(position_limits__per_symbol_usd=100), buy()),
    "GROSS": (limited(position_limits__gross_exposure_usd=100), buy()),
    "NET": (limited(position_limits__net_exposure_usd=100), buy()),
    "ADDED_PER_MINUTE": (lambda state: state.added.append((START - SECOND, D(950))), buy()),  # type: ignore[union-attr]
    "POSITION_COUNT": (both(limited(position_limits__max_positions=1), setting(positions={OTHER: D("0.01")})), buy()),
    "LEVERAGE": (of_account(equity_usd=D(100), day_start_usd=D(100), day_peak_usd=D(100), peak_usd=D(100)), buy()),
    "BANKROLL": (setting(bankrolls={"s": D(50)}), buy()),
    "TRADE_LOSS": (nothing, buy(stop_price=D(40))),
    "DAILY_LOSS": (both(of_account(equity_usd=D(9750)), limited(max_loss__daily_usd=250)), buy()),
    "DAILY_LOSS_PCT": (both(of_account(equity_usd=D(9750)), limited(max_loss__daily_loss_pct="2.5")), buy()),
    "DAY_DRAWDOWN": (of_account(day_peak_usd=D(10_600), peak_usd=D(10_600)), buy()),
    "PEAK_DRAWDOWN": (of_account(peak_usd=D(12_000)), buy()),
    "OPEN_ORDERS": (
        both(limited(position_limits__max_open_orders=1), setting(orders={1: order(1, ticks=900, lots=1, key=OTHER)})),
        buy(),
    ),
    "OPEN_ORDERS_SYMBOL": (
        both(limited(position_limits__max_open_orders_per_symbol=1), setting(orders={1: order(1, ticks=900, lots=1)})),
        buy(),
    ),
    "RATE": (drained, buy()),
    "BALANCE": (lambda state: state.account.free.update(USDT=D(90)), buy()),  # type: ignore[union-attr]
    "SELF_CROSS": (setting(orders={1: order(1, "sell", 1, 990)}), buy()),
    "DUPLICATE": (lambda state: state.recent.update({same_as(buy(), "s"): START - 10**8}), buy()),
    "NOT_REDUCING": (setting(positions={KEY: D("-0.5")}), buy(is_reduce_only=True)),
    "TIME_WINDOW": (setting(windows=((0, SECOND),)), buy()),
}
"""Code of a check -> what makes it fail, and nothing else."""
MISSING: dict[str, Case] = {
    "INSTRUMENT": (setting(instruments={}), buy()),
    "BOOK": (lambda state: state.books[KEY].cover(live(state="gap")), buy()),
}
"""Without an instrument or a book others cannot be answered either; these are the first to say so."""


def test_an_order_within_all_limits_is_approved_with_all_values() -> None:
    found = decide(buy(), "s", open_state())
    assert isinstance(found, Approved), found
    assert [check.code for check in found.checks] == list(CODES)
    assert (found.lots, found.ticks, found.limits) == (100, 990, limits().digest)


@pytest.mark.parametrize("code", FAILS)
def test_each_check_fails_alone(code: str) -> None:
    put, intent = FAILS[code]
    state = open_state()
    put(state)
    found = decide(intent, "s", state)
    assert isinstance(found, Rejected)
    assert [check.code for check in found.failed] == [code]
    assert found.code == code
    assert len(found.checks) == len(CODES)


@pytest.mark.parametrize("code", MISSING)
def test_what_others_depend_on_is_the_reason(code: str) -> None:
    put, intent = MISSING[code]
    state = open_state()
    put(state)
    found = decide(intent, "s", state)
    assert isinstance(found, Rejected)
    assert found.code == code


def test_every_check_has_a_test() -> None:
    assert {*FAILS, *MISSING} == set(CODES)


@pytest.mark.parametrize(
    ("code", "put"),
    [
        ("PAUSED", setting(paused={"all"})),
        ("PAUSED", setting(paused={"venue:OKX_SWAP"})),
        ("PAUSED", setting(paused={"strategy:s"})),
        ("BREAKER", setting(stopped_until=START + SECOND)),
        ("BOOK", lambda state: setattr(state, "now", START + 2 * SECOND)),
        ("BOOK", lambda state: state.books[KEY].apply(update(START, [(100.9, 1.0)], []), START)),
        ("TIME_WINDOW", of_instrument(expiry=START + 30 * SECOND)),
    ],
)
def test_a_check_has_more_than_one_reason(code: str, put: Callable[[GateState], object]) -> None:
    state = open_state()
    put(state)
    found = decide(buy(valid_until=START + 10 * SECOND), "s", state)
    assert isinstance(found, Rejected)
    assert found.code == code


def test_with_all_state_missing_everything_is_rejected() -> None:
    found = decide(buy(), "s", GateState(limits(), lambda asset: None))
    assert isinstance(found, Rejected)
    passed = {check.code for check in found.checks if check.is_ok}
    # What the order says itself is there, and what only forbids cannot be missing: nobody paused, nobody traded before.
    assert passed == {
        "MALFORMED",
        "EXPIRED",
        "PRICE",
        "PAUSED",
        "BREAKER",
        "UNKNOWN_ORDER",
        "DUPLICATE",
        "NOT_REDUCING",
        "TIME_WINDOW",
    }


@pytest.mark.parametrize("name", ["instruments", "books", "connected", "positions", "orders", "account", "rate", "added"])
def test_a_missing_part_rejects(name: str) -> None:
    state = open_state()
    setattr(state, name, {} if name in ("instruments", "books", "connected") else None)
    assert isinstance(decide(buy(), "s", state), Rejected)


def test_a_missing_mark_read_as_0() -> None:
    """The trap: a position without a mark is not worth nothing."""
    state = open_state()
    state.positions = {OTHER: D(1)}
    del state.books[OTHER]  # type: ignore[attr-defined]
    found = decide(buy(), "s", state)
    assert isinstance(found, Rejected)
    assert {"GROSS", "NET", "LEVERAGE", "BANKROLL"} <= {check.code for check in found.failed}


def test_a_rate_to_usd_that_is_missing_rejects() -> None:
    state = open_state()
    state.usd = lambda asset: None
    found = decide(buy(), "s", state)
    assert isinstance(found, Rejected)
    assert found.code == "ORDER_NOTIONAL"


BAD = st.sampled_from([D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity"), D(0), D(-1), D("99.05"), D("1e400"), D("1e-400")])


@given(price=BAD, quantity=st.sampled_from([D(1), D("0.01")]), side=st.sampled_from(["buy", "sell"]), stop=st.none() | BAD)
def test_no_bad_price_ever_passes(price: Decimal, quantity: Decimal, side: str, stop: Decimal | None) -> None:
    assert isinstance(decide(buy(price=None, quantity="1"), "s", open_state()), Approved)
    intent = msgspec.structs.replace(buy(side=side, stop_price=stop), price=price, quantity=quantity)
    assert isinstance(decide(intent, "s", open_state()), Rejected)


@given(
    quantity=st.sampled_from([D("NaN"), D("Infinity"), D("-Infinity"), D(0), D(-1), D("0.015"), D("1e400")]),
    side=st.sampled_from(["buy", "sell"]),
)
def test_no_bad_quantity_ever_passes(quantity: Decimal, side: str) -> None:
    intent = msgspec.structs.replace(buy(side=side), quantity=quantity)
    assert isinstance(decide(intent, "s", open_state()), Rejected)


@given(data=st.data())
def test_no_further_limit_ever_turns_a_rejection_into_an_approval(data: st.DataObject) -> None:
    """Whatever a profile, phase or strategy adds can only tighten."""
    from xtrader.trading.risk.limit_table import TABLE, LimitFile, limits_in_force

    keys = data.draw(st.lists(st.sampled_from(sorted(TABLE)), min_size=1, max_size=6))
    more = LimitFile("strategy", {key: (D(data.draw(st.integers(0, 10**6))), 0) for key in keys})
    intent = buy(
        data.draw(st.sampled_from(["99.0", "95.0", "100.2", "99.05"])), data.draw(st.sampled_from(["1", "5", "20", "0.015"]))
    )
    loose, tight = open_state(limits_in_force()), open_state(limits_in_force(tighter=[more]))
    if isinstance(decide(intent, "s", loose), Rejected):
        assert isinstance(decide(intent, "s", tight), Rejected)


@pytest.mark.parametrize("intent", [cancel(7), cancel_all()])
def test_cancels_pass_everything(intent: Intent) -> None:
    assert isinstance(decide(intent, "s", GateState(limits(), lambda asset: None)), Approved)


def test_nothing_else_makes_an_approval() -> None:
    with pytest.raises(TypeError, match="only the gate approves"):
        Approved(object(), buy(), "s", open_state(), (), 1, 1)
    venue = PaperVenue(open_state().books, Delays(), queue_model("risk_averse"))
    with pytest.raises(TypeError, match="only what the gate approved"):
        venue.submit(buy(), order(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="only what the gate approved"):
        venue.cancel(buy(), order(1))  # type: ignore[arg-type]


def test_an_intent_of_an_unknown_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(UnknownKind):
        decide(buy(kind="AMEND"), "s", open_state())


def test_open_orders_count_as_filled_where_that_is_worse() -> None:
    state = open_state(limits(units__ETH__max_position=2))
    state.positions = {KEY: D("0.5")}
    state.orders = {1: order(1, lots=60, ticks=980), 2: order(2, "sell", lots=900, ticks=1100)}
    found = decide(buy(), "s", state)
    assert isinstance(found, Rejected)
    assert "POSITION" in {check.code for check in found.failed}
    worst = next(check for check in found.checks if check.code == "POSITION")
    assert worst.value == D("2.10")


def test_a_replaced_order_is_not_counted_beside_the_one_that_replaces_it() -> None:
    state = open_state(limits(units__ETH__max_position="1.5"))
    state.orders = {1: order(1, lots=100, ticks=980)}
    intent = Intent(kind="REPLACE", order_id=1, quantity=D("1.2"), price=D("98.5"), valid_until=START)
    found = decide(intent, "s", state)
    assert isinstance(found, Approved), found
    assert (found.lots, found.ticks) == (120, 985)
    assert isinstance(decide(msgspec.structs.replace(intent, order_id=9), "s", state), Rejected)


def test_reducing_is_free_of_the_least_sizes() -> None:
    state = open_state(limits(units__ETH__min_order_size="0.5"))
    state.positions = {KEY: D("-0.05")}
    state.instruments[KEY].min_notional = D(10)
    assert isinstance(decide(buy(quantity="0.05", is_reduce_only=True), "s", state), Approved)
    assert isinstance(decide(buy(quantity="0.05"), "s", state), Rejected)


def test_spot_is_paid_in_full_and_sold_only_if_it_is_there() -> None:
    state = open_state(BIG)
    grid = Grid(instrument(kind="spot"))
    state.instruments[KEY].grid = grid
    assert state.account is not None
    state.account.free = {"USDT": D(99), "ETH": D("0.5")}
    assert codes(decide(buy(), "s", state)) == ["BALANCE"]
    state.account.free = {"USDT": D("99.2"), "ETH": D("0.5")}
    assert codes(decide(buy(), "s", state)) == []
    assert codes(decide(buy("101.0", side="sell"), "s", state)) == ["BALANCE"]
    assert codes(decide(buy("101.0", "0.5", side="sell"), "s", state)) == []
    state.orders = {1: order(1, "sell", 10, 1020)}
    assert codes(decide(buy("101.0", "0.5", side="sell"), "s", state)) == ["BALANCE"]


def codes(found: Approved | Rejected) -> list[str]:
    return [check.code for check in found.failed] if isinstance(found, Rejected) else []


def test_orders_come_no_faster_than_the_bucket_fills() -> None:
    rate = OrderRate(D(10), D(20), D(25), D(120))
    for number in range(20):
        assert rate.tokens(START) == 20 - number
        rate.take(START)
    assert rate.tokens(START) < 1
    assert rate.tokens(START + SECOND // 10) == pytest.approx(1)
    assert rate.tokens(START + 10 * SECOND) == 5
    assert rate.tokens(START + 61 * SECOND) == 20


def test_after_too_many_cancels_in_a_minute_there_are_no_new_orders() -> None:
    rate = OrderRate(D(10), D(20), D(120), D(3))
    for _ in range(3):
        rate.cancelled(START)
    assert rate.tokens(START) == 20
    rate.cancelled(START + SECOND)
    assert rate.tokens(START + SECOND) == 0
    assert rate.tokens(START + 60 * SECOND) == 20
