"""Queues: an order advances by what is known to have gone before it, never by more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.trading.paper.queue_position import QUEUES, QueuePlace, queue_model


def test_only_the_excess_over_what_was_before_fills() -> None:
    place = QueuePlace(10, queue_model("risk_averse"))
    assert place.trade(4) == 0
    assert place.trade(6) == 0
    assert place.trade(3) == 3


def test_trades_counted_twice_once_as_print_and_once_as_depth() -> None:
    """The trap: the level becomes smaller by the trade that was printed, and by no more."""
    for name in QUEUES:
        place = QueuePlace(10, queue_model(name))
        place.trade(4)
        place.change(20, 16)
        assert place.front == 6


def test_risk_averse_believes_no_cancel() -> None:
    place = QueuePlace(10, queue_model("risk_averse"))
    place.change(20, 12)
    assert place.front == 10
    place.change(12, 7)
    assert place.front == 7


def test_power_shares_what_went_away_by_what_is_before_and_behind() -> None:
    place = QueuePlace(10, queue_model("power(3)"))
    place.change(30, 21)
    # 1000 of 9000 parts were before it: one lot of nine.
    assert place.front == 9


def test_what_cannot_have_been_behind_was_before() -> None:
    place = QueuePlace(2, queue_model("power(3)"))
    place.change(14, 3)
    assert place.front == 2
    place.change(14, 1)
    assert place.front == 1


def test_after_a_gap_an_order_stands_no_better() -> None:
    place = QueuePlace(10, queue_model("risk_averse"))
    place.resync(30)
    assert place.front == 30
    place.resync(5)
    assert place.front == 30
    unknown = QueuePlace(None, queue_model("risk_averse"))
    assert unknown.trade(5) == 0
    unknown.resync(5)
    assert unknown.front == 5


@given(
    name=st.sampled_from(QUEUES),
    front=st.integers(0, 50),
    events=st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=40),
)
def test_every_model_stays_within_the_level_and_risk_averse_is_last(name: str, front: int, events: list[tuple[bool, int]]) -> None:
    places = [QueuePlace(front, queue_model(one)) for one in (name, "risk_averse")]
    displayed = front
    filled = [0, 0]
    for is_trade, lots in events:
        for which, place in enumerate(places):
            if is_trade:
                filled[which] += place.trade(lots)
            else:
                place.change(displayed, lots)
            assert place.front is not None
            assert place.front >= 0
            assert is_trade or place.front <= lots
        if not is_trade:
            displayed = lots
        assert filled[0] >= filled[1]


@pytest.mark.parametrize("name", ["power(0)", "power(x)", "fifo", "power(10)", ""])
def test_an_unknown_model_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no queue model"):
        queue_model(name)
