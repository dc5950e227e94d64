"""The paper venue: what fills, what does not, and that nothing is filled twice."""

from __future__ import annotations

import os
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.trading.market import KEY, START, book, buy, live, open_state, snapshot
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.model.intents import Intent, cancel
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.paper.paper_venue import PaperVenue
from xtrader.trading.paper.queue_position import QUEUES, queue_model
from xtrader.trading.paper.venue_rules import Delays
from xtrader.trading.risk.gate import Approved, decide
from xtrader.trading.risk.limit_table import LimitFile, limits_in_force

D = Decimal
EXAMPLES = int(os.environ.get("XTRADER_FILL_EVENTS", "4000")) // 40
LOOSE = limits_in_force(
    LimitFile(
        "test",
        {
            f"position_limits.{name}": (D(100_000), 0)
            for name in ("per_symbol_usd", "order_notional_usd", "exposure_per_minute_usd")
        },
    )
)


class World:
    """A venue with one instrument, whose orders are sent by the gate's word."""

    def __init__(self, queue: str = "risk_averse", entry: int = 0) -> None:
        self.book: InstrumentBook = book()
        self.state = open_state(LOOSE)
        self.venue = PaperVenue({KEY: self.book}, Delays(entry, 10), queue_model(queue))
        self.orders: dict[int, WorkingOrder] = {}
        self.now = START

    def approved(self, intent: Intent) -> Approved:
        """The gate's word for an intent, whatever its price is to the book: the venue has rules of its own."""
        self.state.now = self.now
        good = buy(quantity="1", price="99.0")
        found = decide(good if intent.kind == "NEW" else intent, "s", self.state)
        assert isinstance(found, Approved), found
        found.intent = intent
        return found

    def send(self, side: str = "buy", ticks: int | None = 1000, lots: int = 100, **facts: Any) -> WorkingOrder:
        told: dict[str, Any] = {"time_in_force": "gtc", "is_post_only": False, "is_reduce_only": False, **facts}
        id = len(self.orders) + 1
        order = WorkingOrder(
            id=id, strategy="s", instrument=KEY, side=side, lots=lots, ticks=ticks, ts_decided=self.now, decision_mid=None, **told
        )
        self.orders[id] = order
        self.venue.submit(self.approved(buy()), order)
        self.venue.arrive(KEY, self.now)
        return order

    def cancel(self, order: WorkingOrder) -> None:
        self.venue.cancel(self.approved(cancel(order.id)), order)
        self.venue.arrive(KEY, self.now)

    def trade(self, ticks: int, lots: int, side: str = "sell", name: str = "t") -> None:
        self.venue.trade_print(KEY, side, ticks, lots, self.now, name)

    def change(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]], *, is_snapshot: bool = False) -> None:
        displayed = self.venue.before(KEY) if KEY in self.venue.active else []
        was = self.book.is_continuous
        self.book.change(is_snapshot, bids, asks, self.now)
        self.venue.told_again(KEY, "buy", bids, is_snapshot)
        self.venue.told_again(KEY, "sell", asks, is_snapshot)
        self.venue.after(KEY, displayed, is_snapshot, was, self.now)

    def said(self) -> list[tuple[str, int, int, str]]:
        """(kind, order, lots, liquidity) since the last call."""
        found = [(one.event.kind, one.event.order_id, one.event.lots, one.event.liquidity) for one in self.venue.answers]
        self.venue.answers.clear()
        return found


def test_an_order_waits_for_what_is_displayed_before_it() -> None:
    world = World()
    world.send(lots=100)
    assert world.said() == [("ACK", 1, 0, "")]
    world.trade(1000, 500)
    assert world.said() == []
    world.trade(1000, 30)
    assert world.said() == [("FILL", 1, 30, "maker")]
    world.trade(1000, 900)
    assert world.said() == [("FILL", 1, 70, "maker")]


def test_a_print_through_the_price_fills_no_more_than_it_has() -> None:
    world = World()
    world.send(ticks=1000, lots=100)
    world.said()
    world.trade(999, 40)
    assert world.said() == [("FILL", 1, 40, "maker")]


def test_prints_of_the_own_side_and_beyond_the_price_fill_nothing() -> None:
    world = World()
    world.send(ticks=1000, lots=100)
    world.said()
    world.trade(1000, 9000, side="buy")
    world.trade(1001, 9000)
    assert world.said() == []
    world.trade(1000, 600, side="unknown")
    assert world.said() == [("FILL", 1, 100, "maker")]


def test_two_own_orders_never_share_a_print() -> None:
    world = World()
    world.send(ticks=1000, lots=100)
    world.send(ticks=1000, lots=100)
    world.said()
    world.trade(1000, 650)
    assert world.said() == [("FILL", 1, 100, "maker"), ("FILL", 2, 50, "maker")]


def test_the_better_price_comes_first_and_then_the_earlier_order() -> None:
    world = World()
    world.send(ticks=999, lots=10)
    world.send(ticks=1000, lots=10)
    world.said()
    world.trade(998, 15)
    assert world.said() == [("FILL", 2, 10, "maker"), ("FILL", 1, 5, "maker")]


def test_a_taker_walks_the_book_and_the_rest_of_a_market_order_is_void() -> None:
    world = World()
    world.send(ticks=None, lots=2600, time_in_force="ioc")
    kinds = world.said()
    assert kinds[0] == ("ACK", 1, 0, "")
    assert kinds[1:6] == [("FILL", 1, 500, "taker")] * 5
    assert kinds[6] == ("EXPIRED", 1, 0, "")


def test_what_was_taken_stays_taken_until_the_level_is_told_again() -> None:
    world = World()
    world.send(ticks=1002, lots=400)
    world.send(ticks=1002, lots=400, time_in_force="ioc")
    assert [one[2] for one in world.said() if one[0] == "FILL"] == [400, 100]
    world.change([], [(1002, 500)])
    world.send(ticks=1002, lots=400, time_in_force="ioc")
    assert [one[2] for one in world.said() if one[0] == "FILL"] == [400]


def test_the_rest_of_a_limit_order_that_takes_rests() -> None:
    world = World()
    world.send(ticks=1002, lots=700)
    assert [one[:3] for one in world.said()] == [("ACK", 1, 0), ("FILL", 1, 500)]
    world.trade(1002, 50)
    assert world.said() == [("FILL", 1, 50, "maker")]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"ticks": 1002, "is_post_only": True}, "REJECTED"),
        ({"ticks": 1002, "lots": 501, "time_in_force": "fok"}, "EXPIRED"),
        ({"is_reduce_only": True}, "REJECTED"),
    ],
)
def test_the_venues_rules(facts: dict[str, Any], kind: str) -> None:
    world = World()
    world.send(**facts)
    assert [one[0] for one in world.said()] == [kind]
    assert world.venue.active == {}


def test_all_or_nothing_is_all() -> None:
    world = World()
    world.send(ticks=1002, lots=500, time_in_force="fok")
    assert [one[:3] for one in world.said()] == [("ACK", 1, 0), ("FILL", 1, 500)]


def test_a_quote_that_crosses_an_order_fills_it_at_its_price() -> None:
    world = World()
    world.send(ticks=1001, lots=100)
    world.said()
    world.change([], [(1001, 60)])
    (answer,) = world.venue.answers
    assert (answer.event.lots, answer.event.ticks, answer.event.detail) == (60, 1001, "quote")


def test_in_a_gap_nothing_fills_and_the_queue_is_no_shorter_after_it() -> None:
    world = World()
    world.send(ticks=1000, lots=100)
    world.trade(1000, 499)
    world.said()
    world.book.cover(live(state="gap"))
    world.trade(999, 10_000)
    assert world.said() == []
    world.book.cover(live())
    world.change([(1000, 300)], [(1002, 500)], is_snapshot=True)
    world.trade(1000, 300)
    assert world.said() == []
    world.trade(1000, 1)
    assert world.said() == [("FILL", 1, 1, "maker")]


def test_an_order_that_arrives_in_a_gap_waits_for_the_book() -> None:
    world = World()
    world.book.cover(live(state="gap"))
    world.send(ticks=1000, lots=100)
    world.trade(1000, 5000)
    assert [one[0] for one in world.said()] == ["ACK"]
    world.book.cover(live())
    world.change([(1000, 40)], [(1002, 5)], is_snapshot=True)
    world.trade(1000, 41)
    assert world.said() == [("FILL", 1, 1, "maker")]


def test_a_cancelled_order_is_gone_and_a_cancel_too_late_is_said() -> None:
    world = World()
    order = world.send()
    world.cancel(order)
    world.cancel(order)
    assert [one[0] for one in world.said()] == ["ACK", "CANCELED", "CANCEL_REJECTED"]
    world.trade(999, 5000)
    assert world.said() == []


def test_a_replaced_order_never_adds_to_what_was_filled_meanwhile() -> None:
    world = World()
    first = world.send(ticks=1000, lots=100)
    world.trade(1000, 530)
    second = WorkingOrder(
        id=2, strategy="s", instrument=KEY, side="buy", lots=100, ticks=999, time_in_force="gtc", is_post_only=False,
        is_reduce_only=False, ts_decided=START, decision_mid=None, replaces=1,
    )  # fmt: skip
    approved = world.approved(buy())
    world.venue.submit(approved, second, first)
    market = world.venue.active[KEY]
    market.arrivals[0] = market.arrivals[0]._replace(kind="REPLACE", filled=0)
    world.said()
    world.venue.arrive(KEY, world.now)
    assert [one[:2] for one in world.said()] == [("CANCELED", 1), ("ACK", 2)]
    assert second.lots == 70


def test_orders_arrive_after_their_delay_and_meet_the_book_of_then() -> None:
    world = World(entry=1000)
    world.send(ticks=1002, lots=100)
    assert world.said() == []
    world.venue.arrive(KEY, START + 999)
    assert world.said() == []
    world.change([], [(1002, 0), (1003, 500)])
    world.venue.arrive(KEY, START + 1000)
    (answer,) = world.venue.answers
    assert (answer.event.kind, answer.event.ts_event, answer.ts) == ("ACK", START + 1000, START + 1010)


class Fills(RuleBasedStateMachine):
    """Random prints, depth, orders, cancels and gaps: no print is shared, and nothing is filled beyond an order or a print."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.filled: dict[int, int] = defaultdict(int)
        self.prints = 0

    @rule(
        side=st.sampled_from(["buy", "sell"]),
        ticks=st.integers(996, 1006),
        lots=st.integers(1, 300),
        tif=st.sampled_from(["gtc", "ioc", "fok"]),
    )
    def order(self, side: str, ticks: int, lots: int, tif: str) -> None:
        self.world.send(side, ticks, lots, time_in_force=tif)
        self.hear(None)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.world.orders:
            self.world.cancel(self.world.orders[data.draw(st.integers(1, len(self.world.orders)))])
            self.hear(0)

    @rule(ticks=st.integers(996, 1006), lots=st.integers(1, 900), side=st.sampled_from(["buy", "sell", "unknown"]))
    def print_(self, ticks: int, lots: int, side: str) -> None:
        self.world.trade(ticks, lots, side)
        self.hear(lots if side != "unknown" else 2 * lots)

    @rule(bid=st.integers(996, 1001), ask=st.integers(1002, 1006), lots=st.integers(0, 600))
    def depth(self, bid: int, ask: int, lots: int) -> None:
        self.world.change([(bid, lots)], [(ask, lots)])
        self.hear(None)

    @rule()
    def gap(self) -> None:
        self.world.book.cover(live(state="gap"))
        self.world.trade(1000, 1000)
        self.hear(0)
        self.world.book.cover(live())
        update = snapshot(START)
        self.world.change(self.world.book.grid.levels(update.bids), self.world.book.grid.levels(update.asks), is_snapshot=True)
        self.hear(None)

    def hear(self, most: int | None) -> None:
        now = 0
        for kind, order, lots, _ in self.world.said():
            assert (kind == "FILL") == (lots > 0)
            self.filled[order] += lots
            now += lots
        assert most is None or now <= most

    @invariant()
    def no_order_is_filled_beyond_its_size(self) -> None:
        assert all(self.filled[id] <= order.lots for id, order in self.world.orders.items())


TestFills = Fills.TestCase
TestFills.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)


@given(queue=st.sampled_from(QUEUES), prints=st.lists(st.integers(1, 400), max_size=30))
def test_no_model_fills_more_than_was_printed(queue: str, prints: list[int]) -> None:
    world = World(queue)
    for _ in range(3):
        world.send(ticks=1000, lots=200)
    world.said()
    for lots in prints:
        world.trade(1000, lots)
        assert sum(one[2] for one in world.said()) <= lots


def test_levels_off_the_price_change_nothing() -> None:
    world = World()
    world.send(ticks=1000)
    world.said()
    world.change([(998, 1), (997, 0)], [(1004, 9)])
    assert world.said() == []
    assert world.venue.queue_ahead(world.orders[1]) == 500
