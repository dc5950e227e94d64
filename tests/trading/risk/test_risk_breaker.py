"""The breaker: what halts, what blocks, what stops for the day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.trading.market import KEY, SECOND, START, limits, open_state
from xtrader.trading.risk.gate_state import GateState
from xtrader.trading.risk.risk_breaker import DAY, RiskBreaker

D = Decimal


@pytest.fixture
def state() -> GateState:
    return open_state()


@pytest.fixture
def breaker(state: GateState) -> RiskBreaker:
    return RiskBreaker(state)


def test_a_jump_of_more_than_a_tenth_halts_at_once(state: GateState, breaker: RiskBreaker) -> None:
    breaker.quote(KEY, 1000, 1002)
    breaker.quote(KEY, 1099, 1101)
    assert state.halted is None
    breaker.quote(KEY, 1210, 1212)
    assert state.halted is not None
    assert "jumped by more than 10 %" in state.halted


def test_the_first_price_after_a_gap_is_no_jump(state: GateState, breaker: RiskBreaker) -> None:
    breaker.quote(KEY, 1000, 1002)
    breaker.gap(KEY)
    breaker.quote(KEY, 2000, 2002)
    assert state.halted is None


def test_a_wide_spread_blocks_at_once_and_halts_the_third_time_in_a_row(state: GateState, breaker: RiskBreaker) -> None:
    breaker.quote(KEY, 1000, 1011)
    assert KEY in state.blocked
    breaker.quote(KEY, 1000, 1001)
    assert state.blocked == {}
    breaker.quote(KEY, 1000, 1011)
    breaker.quote(KEY, 1000, 1012)
    assert state.halted is None
    breaker.quote(KEY, 1000, 1013)
    assert state.halted is not None
    assert "3 times in a row" in state.halted


def test_one_side_says_nothing_of_the_spread(state: GateState, breaker: RiskBreaker) -> None:
    breaker.quote(KEY, 1000, None)
    assert (state.halted, state.blocked) == (None, {})


@pytest.mark.parametrize(("equity", "is_stopped"), [(D(9501), False), (D(9500), True)])
def test_a_days_loss_stops_until_the_next_day(state: GateState, breaker: RiskBreaker, equity: Decimal, is_stopped: bool) -> None:
    assert state.account is not None
    state.account.equity_usd = equity
    state.now = START + 5 * SECOND
    breaker.account()
    assert state.stopped_until == (START + DAY if is_stopped else None)
    assert state.halted is None


def test_a_days_drawdown_stops_too(state: GateState, breaker: RiskBreaker) -> None:
    assert state.account is not None
    for equity in (D(11_000), D(10_450)):
        state.account.equity_usd = equity
        breaker.account()
    assert state.stopped_until == START + DAY


def test_a_drawdown_from_the_peak_halts(state: GateState, breaker: RiskBreaker) -> None:
    assert state.account is not None
    state.account.peak_usd = D(12_000)
    state.account.equity_usd = D(10_200)
    breaker.account()
    assert state.halted is not None


def test_what_is_unknown_or_not_finite_is_no_gain(state: GateState, breaker: RiskBreaker) -> None:
    assert state.account is not None
    state.account.equity_usd = None
    breaker.account()
    assert state.halted is None
    state.account.equity_usd = D("NaN")
    breaker.account()
    assert state.halted is not None


def test_numbers_of_a_strategy_that_are_not_finite_halt(state: GateState, breaker: RiskBreaker) -> None:
    assert breaker.finite(D(1), None)
    assert not breaker.finite(D("NaN"))
    assert state.halted is not None


def test_a_position_beyond_its_limit_halts() -> None:
    state = open_state(limits(units__ETH__max_position=1))
    breaker = RiskBreaker(state)
    state.positions = {KEY: D(1)}
    breaker.filled(KEY)
    assert state.halted is None
    state.positions = {KEY: D("1.01")}
    breaker.filled(KEY)
    assert state.halted is not None
    assert breaker.trips == [(START, f"halted: {state.halted}")]


def test_the_first_reason_of_a_halt_stays(state: GateState, breaker: RiskBreaker) -> None:
    breaker.halt("one")
    breaker.halt("two")
    assert state.halted == "one"
