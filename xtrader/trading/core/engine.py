"""The engine: takes one event after the other, in one order, and lets books, venue, desk and strategies see it.

The rule: single-threaded, and no clock but the events'. The next event is the smallest of (time, rank, number): what the venue says
of orders first, then market records, then timers. A strategy's answer is decided before the next event.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from xtrader.errors import UnknownKind
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.streams import Funding
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.core.account_keeper import AccountKeeper
from xtrader.trading.core.order_desk import OrderDesk, Write
from xtrader.trading.core.strategy_host import Hosted, StrategyHost, StrategyPlan
from xtrader.trading.ledger.trade_ledger import ZERO
from xtrader.trading.model.inputs import Input
from xtrader.trading.model.intents import cancel_all
from xtrader.trading.model.order_state import OrderEvent
from xtrader.trading.paper.paper_venue import PaperVenue
from xtrader.trading.paper.queue_position import queue_model
from xtrader.trading.paper.venue_rules import Delays, Fees
from xtrader.trading.risk.gate_state import GateState, OrderRate, Tradeable
from xtrader.trading.risk.limit_table import RiskLimits
from xtrader.trading.risk.risk_breaker import RiskBreaker

ORDERS, MARKET, TIMERS = 0, 1, 2
MARKOUTS: Final = (1, 10, 60)
"""Seconds after a fill at which the mid is noted."""
MINUTE: Final = 60_000_000_000
SECOND: Final = 1_000_000_000


class EngineSetup(NamedTuple):
    """What a run is made of. `fees` gives those of an instrument, `stopwatch` nanoseconds for slow callbacks."""

    mode: str
    plans: Sequence[StrategyPlan]
    tradeables: Mapping[str, Tradeable]
    limits: RiskLimits
    capital: Mapping[str, Decimal]
    fees: Callable[[str], Fees]
    delays: Delays
    queue: str
    write: Write
    stopwatch: Callable[[], int]
    bankrolls: Mapping[str, Decimal] = {}
    halted: str | None = None
    """Why an earlier run was halted, for ever until a person says otherwise."""
    stopped_until: int | None = None


class Blind(NamedTuple):
    """How long an instrument's book was not there, and how often it was lost."""

    nanoseconds: int
    times: int


class MarketSlot:
    """One instrument of the run."""

    __slots__ = ("best", "blind", "book", "books", "funding", "losses", "lost", "quotes", "tradeable", "trades")

    def __init__(self, book: InstrumentBook, tradeable: Tradeable) -> None:
        self.book = book
        self.tradeable = tradeable
        self.best: tuple[Any, Any, Any, Any] = (None, None, None, None)
        self.lost: int | None = None
        self.blind = self.losses = 0
        self.funding: Funding | None = None
        self.books: list[Hosted] = []
        self.quotes: list[Hosted] = []
        self.trades: list[Hosted] = []


class Engine:
    """Runs once: `run`, and then its parts hold what came of it."""

    def __init__(self, setup: EngineSetup) -> None:
        age = int(setup.limits["price_sanity.max_book_age_ms"]) * 1_000_000
        books = {key: InstrumentBook(one.grid, age) for key, one in setup.tradeables.items()}
        self.slots = {key: MarketSlot(books[key], one) for key, one in setup.tradeables.items()}
        self.state = state = GateState(setup.limits, lambda asset: None)
        state.mode, state.phase, state.is_log_writable = setup.mode, "paper", True
        state.halted, state.stopped_until = setup.halted, setup.stopped_until
        state.instruments, state.books, state.added = setup.tradeables, books, deque()
        self.connected = dict.fromkeys(books, False)
        state.connected, state.bankrolls = self.connected, setup.bankrolls
        rates = (
            setup.limits[f"rate_limits.{name}"] for name in ("orders_per_sec", "burst", "orders_per_minute", "cancels_per_minute")
        )
        state.rate = OrderRate(*rates)
        self.keeper = AccountKeeper(state, setup.tradeables, setup.capital)
        self.breaker = RiskBreaker(state)
        self.venue = PaperVenue(books, setup.delays, queue_model(setup.queue))
        self._heap: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self.desk = OrderDesk(state, self.venue, self.keeper, self.breaker, setup.fees, setup.write, self._answer_by)
        self.host = StrategyHost(setup.plans, state, self.desk, setup.write, self._set_timer, setup.stopwatch)
        self._write = setup.write
        self._fees = setup.fees
        self._is_halted = False
        self.counts: Counter[str] = Counter()
        """Records taken, by kind."""
        self.first: int | None = None
        self.last: int | None = None
        """When the last input was known."""
        self.volume: Counter[tuple[str, int]] = Counter()
        """Lots traded in the market by instrument and minute."""
        self.markouts: list[tuple[int, int, Decimal | None]] = []
        """(number of the fill, seconds, mid then)."""
        self.unknown_funding: set[str] = set()
        """Instruments whose positions may have cost funding of which nothing is recorded."""
        self._takes: dict[type, Callable[[int, Any], None]] = {
            BookUpdate: self._update,
            Trade: self._trade,
            Coverage: self._coverage,
            Instrument: self._instrument,
            Funding: self._funding,
            type(None): self._nothing,
        }

    def run(self, inputs: Iterable[Input]) -> None:
        """Take all inputs, then end the run: orders are taken back, positions stay and are valued at their marks."""
        heap, takes, state = self._heap, self._takes, self.state
        for ts, now, record in inputs:
            if self.first is None:
                self._begin(now)
            if heap and heap[0][0] <= now:
                self._until(now, MARKET)
            state.now = now
            take = takes.get(type(record))
            if take is None:
                raise UnknownKind(record)
            take(ts, record)
            self.last = ts
            if self.keeper.tick():
                self.confirm(ts)
        self._end()

    def _begin(self, now: int) -> None:
        self.first = self.state.now = now
        for slot in self.slots.values():
            slot.lost = now
        rates = [self._fees(key).rate("taker") for key in self.slots]
        self.keeper.open(now, max(rates, default=ZERO))
        self.host.start()
        for key, slot in self.slots.items():
            slot.books, slot.quotes, slot.trades = (self.host.interested(key, name) for name in ("on_book", "on_quote", "on_trade"))

    def _end(self) -> None:
        if self.first is None:
            return
        self.host.stop()
        while self._heap and self._heap[0][1] != TIMERS:
            self._until(self._heap[0][0], MARKET)
        for slot in self.slots.values():
            if slot.lost is not None:
                slot.blind += self.state.now - slot.lost
        self.host.stopped()
        self.keeper.close()

    def _until(self, now: int, rank: int) -> None:
        """Take what is due before (now, rank)."""
        heap = self._heap
        while heap and heap[0][:2] < (now, rank):
            at, _, _, call, values = heapq.heappop(heap)
            self.state.now = max(self.state.now, at)
            call(*values)

    def _push(self, at: int, rank: int, call: Callable[..., None], *values: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (max(at, self.state.now), rank, self._number, call, values))

    def _update(self, ts: int, update: BookUpdate) -> None:
        key = update.instrument
        slot = self.slots.get(key)
        if slot is None:
            return
        self.counts["L2"] += 1
        book, venue = slot.book, self.venue
        bids, asks = book.grid.levels(update.bids), book.grid.levels(update.asks)
        market = venue.active.get(key)
        if market is None:
            book.change(update.is_snapshot, bids, asks, ts)
        else:
            at = update.ts_event or ts
            venue.arrive(key, at)
            displayed, was = (venue.before(key) if key in venue.active else []), book.is_continuous
            book.change(update.is_snapshot, bids, asks, ts)
            venue.told_again(key, "buy", bids, update.is_snapshot)
            venue.told_again(key, "sell", asks, update.is_snapshot)
            venue.after(key, displayed, update.is_snapshot, was, at)
            if venue.answers:
                self._answers()
        best_bid, best_ask = book.book.bids.best(), book.book.asks.best()
        best = best_bid, best_ask, book.book.bids.sizes.get(best_bid), book.book.asks.sizes.get(best_ask)  # type: ignore[arg-type]
        is_new = best != slot.best
        if slot.lost is not None and book.is_continuous:
            self._found(key, slot)
        elif self.host.is_warming:
            # A book that was there already, but stale or crossed then, may be live only now.
            self.host.warm(key)
        if is_new and book.is_continuous:
            if best[:2] != slot.best[:2]:
                self.breaker.quote(key, best_bid, best_ask)  # type: ignore[arg-type]
                if self.state.halted is not None:
                    self._tell_halt()
            slot.best = best
            for one in slot.quotes:
                if one.is_running:
                    book.now = self.state.now
                    self.host.call(one, "on_quote", book)
        for one in slot.books:
            if one.is_running:
                book.now = self.state.now
                self.host.call(one, "on_book", book)

    def _trade(self, ts: int, trade: Trade) -> None:
        slot = self.slots.get(trade.instrument)
        if slot is None:
            return
        self.counts["TRADES"] += 1
        grid = slot.book.grid
        ticks, lots = grid.ticks(trade.price), grid.lots(trade.size)
        if ticks is not None and lots:
            if trade.instrument in self.venue.active:
                at = trade.ts_event or ts
                self.venue.arrive(trade.instrument, at)
                self.venue.trade_print(trade.instrument, trade.side, ticks, lots, at, trade.trade_id)
                if self.venue.answers:
                    self._answers()
            self.volume[trade.instrument, ts // MINUTE] += lots
        for one in slot.trades:
            if one.is_running:
                self.host.call(one, "on_trade", trade)

    def _coverage(self, ts: int, row: Coverage) -> None:
        slot = self.slots.get(row.instrument)
        if slot is None or row.stream != "L2":
            return
        self.counts["COVERAGE"] += 1
        was = slot.book.is_continuous
        slot.book.cover(row)
        if not was and slot.book.is_continuous:
            self._found(row.instrument, slot)
        if was and not slot.book.is_continuous:
            self.connected[row.instrument] = False
            slot.lost = self.state.now
            slot.losses += 1
            slot.best = (None, None, None, None)
            self.breaker.gap(row.instrument)
            self._write("gap", {"ts": self.state.now, "instrument": row.instrument, "state": row.state, "cause": row.cause})
            for one in self.host.hosted.values():
                if one.is_running and row.instrument in one.plan.instruments:
                    self.host.call(one, "on_disconnect", row.instrument)

    def _nothing(self, ts: int, record: None) -> None:
        """Only the time went on."""

    def _found(self, key: str, slot: MarketSlot) -> None:
        """The book is there, for the first time or again."""
        assert slot.lost is not None
        slot.blind += self.state.now - slot.lost
        slot.lost = None
        self.connected[key] = True
        self.host.warm(key)

    def _instrument(self, ts: int, found: Instrument) -> None:
        slot = self.slots.get(found.key)
        if slot is not None:
            self.counts["INSTRUMENTS"] += 1
            slot.tradeable.status, slot.tradeable.expiry, slot.tradeable.known = found.status, found.expiry, ts

    def confirm(self, ts: int) -> None:
        """The catalogue is known to be as it was: whoever records looks at it every hour and writes what changed."""
        for slot in self.slots.values():
            if slot.tradeable.known is not None:
                slot.tradeable.known = max(slot.tradeable.known, ts)

    def _funding(self, ts: int, row: Funding) -> None:
        slot = self.slots.get(row.instrument)
        if slot is None:
            return
        self.counts["FUNDING"] += 1
        before = slot.funding
        slot.funding = row
        if before is not None and before.ts_next is not None and ts >= before.ts_next and row.ts_next != before.ts_next:
            self._fund(row.instrument, slot, before)

    def _fund(self, key: str, slot: MarketSlot, row: Funding) -> None:
        """Pay what the positions cost at the time that the row named."""
        mark = self.state.mark(key)
        grid = slot.tradeable.grid
        for (strategy, name), position in list(self.keeper.ledger.positions.items()):
            if name != key or not position.quantity:
                continue
            if mark is None or row.unit not in ("fraction", "percent", "absolute"):
                self.unknown_funding.add(key)
                continue
            rate = Decimal(repr(row.rate)) / (100 if row.unit == "percent" else 1)
            worth = position.quantity * grid.multiplier if row.unit == "absolute" else grid.notional(position.quantity, mark)
            paid = worth * rate
            amount = -paid if grid.settle == grid.quote else -paid / mark
            self.keeper.ledger.fund(self.state.now, strategy, key, amount)

    def _answers(self) -> None:
        """Put what the venue said among the events."""
        found = self.venue.answers
        for ts, event in found:
            self._push(ts, ORDERS, self._answered, event)
        found.clear()

    def _answer_by(self, ts: int, key: str) -> None:
        """Whatever the market does, something sent is answered by `ts`."""
        self._push(ts, ORDERS, self._arrived, key)

    def _arrived(self, key: str) -> None:
        self.venue.arrive(key, self.state.now)
        self._answers()

    def _answered(self, event: OrderEvent) -> None:
        self.desk.answer(event)
        changed, self.desk.changed = self.desk.changed, []
        for order, fill in changed:
            one = self.host.hosted[order.strategy]
            if fill is not None:
                for seconds in MARKOUTS if fill.liquidity == "maker" else ():
                    self._push(self.state.now + seconds * SECOND, TIMERS, self._markout, fill.number, seconds, order.instrument)
                if not self.slots[order.instrument].tradeable.grid.is_spot and self.slots[order.instrument].funding is None:
                    self.unknown_funding.add(order.instrument)
                if one.is_running:
                    self.host.call(one, "on_fill", fill)
            if one.is_running:
                self.host.call(one, "on_order", order)
        if self.state.halted is not None:
            self._tell_halt()

    def _markout(self, number: int, seconds: int, key: str) -> None:
        book = self.slots[key].book
        book.now = self.state.now
        self.markouts.append((number, seconds, self.state.mark(key) if book.is_continuous else None))

    def _set_timer(self, strategy: str, at: int, name: str) -> None:
        self._push(at, TIMERS, self._timer, strategy, name)

    def _timer(self, strategy: str, name: str) -> None:
        one = self.host.hosted[strategy]
        if one.is_running:
            self.host.call(one, "on_timer", name)

    def _tell_halt(self) -> None:
        if not self._is_halted:
            self._is_halted = True
            self._write("halt", {"ts": self.state.now, "why": self.state.halted})
            for one in self.host.hosted.values():
                self.desk.handle(one.plan.name, [cancel_all(reason="halted")])
            self.host.tell("on_trading_disabled", self.state.halted)

    def blind(self) -> dict[str, Blind]:
        """By instrument, how long its book was not there."""
        return {key: Blind(slot.blind, slot.losses) for key, slot in self.slots.items()}
