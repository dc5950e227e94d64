"""The life of an order: every event in every state, and no fill that is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.market import START, order
from xtrader.errors import UnknownKind
from xtrader.trading.model.order_state import ENDED, EVENTS, STATUSES, OrderEvent, advance


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_of_every_state_is_applied_or_changes_nothing(status: str, kind: str) -> None:
    one = order(1, status=status, filled=100 if status == "FILLED" else 0)
    changed = advance(one, OrderEvent(kind, 1, START, lots=10, ticks=990, liquidity="maker"))
    assert one.status in STATUSES
    assert changed or one.status == status
    if status in ENDED and kind != "FILL":
        assert one.status == status


@given(parts=st.lists(st.integers(1, 60), max_size=8), kinds=st.lists(st.sampled_from(EVENTS), max_size=8))
def test_filled_lots_are_the_sum_of_all_fills_whatever_comes_between(parts: list[int], kinds: list[str]) -> None:
    one = order(1)
    for place in range(max(len(parts), len(kinds))):
        if place < len(kinds) and kinds[place] != "FILL":
            advance(one, OrderEvent(kinds[place], 1, START))
        if place < len(parts):
            advance(one, OrderEvent("FILL", 1, START, parts[place], 990, "maker"))
    assert one.filled == sum(parts)
    assert 0 <= one.leaves <= one.lots
    assert (one.status == "FILLED") == (sum(parts) >= one.lots)


def test_a_fill_after_the_end_is_booked_and_counted() -> None:
    one = order(1)
    advance(one, OrderEvent("CANCELED", 1, START))
    assert advance(one, OrderEvent("FILL", 1, START + 1, 30, 990, "maker"))
    assert (one.filled, one.status, one.odd_events) == (30, "CANCELED", 1)


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(UnknownKind):
        advance(order(1), OrderEvent("BUST", 1, START))
