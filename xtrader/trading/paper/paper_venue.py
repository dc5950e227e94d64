"""The paper venue: fills orders by the recorded market, in whole ticks and lots, and rather too late than too early.

The rule: an order is filled by prints at or through its price as far as they exceed what was before it, by a quote that crosses it,
or, where it takes, by the displayed book. One print is one budget for all own orders; what was taken of a level stays taken until
the level is told again; while the book is in a gap nothing fills.

The venue's clock is `ts_event` of the market's records where they have one. Its answers are OrderEvents with the time at which
they are known; nothing of this can reach a real venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from xtrader.errors import UnknownKind
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.model.order_state import OrderEvent, WorkingOrder
from xtrader.trading.paper.queue_position import Forward, QueuePlace
from xtrader.trading.paper.venue_rules import Delays
from xtrader.trading.risk.gate import Approved


class VenueAnswer(NamedTuple):
    """What the venue says, and when it is known at the soonest (int ns)."""

    ts: int
    event: OrderEvent


class Arrival(NamedTuple):
    """Something on its way to the venue: a new order, a cancel (`lots` 0), or a new order for one that is there (`replaced`)."""

    ts: int
    number: int
    response: int
    order: WorkingOrder
    kind: str
    replaced: WorkingOrder | None = None
    filled: int = 0
    """What of the replaced order was filled when this was decided."""


class Resting:
    """One order in the venue's book, and its place in the queue."""

    __slots__ = ("leaves", "number", "order", "place", "response")

    def __init__(self, order: WorkingOrder, leaves: int, place: QueuePlace, number: int, response: int) -> None:
        self.order = order
        self.leaves = leaves
        self.place = place
        self.number = number
        self.response = response


class PaperMarket:
    """One instrument's side of the venue."""

    __slots__ = ("arrivals", "book", "filled", "position", "resting", "taken")

    def __init__(self, book: InstrumentBook) -> None:
        self.book = book
        self.arrivals: list[Arrival] = []
        self.resting: list[Resting] = []
        self.taken: dict[tuple[str, int], int] = {}
        self.position = 0
        self.filled: dict[int, int] = {}


class PaperVenue:
    """See the module. `books` are those of the engine, which applies each record between `before` and `after`."""

    def __init__(self, books: Mapping[str, InstrumentBook], delays: Delays, forward: Forward) -> None:
        self.answers: list[VenueAnswer] = []
        """What it says; whoever reads them takes them out."""
        self.active: dict[str, PaperMarket] = {}
        """Instruments with an order or something on its way."""
        self._books = books
        self._markets: dict[str, PaperMarket] = {}
        self._delays = delays
        self._forward = forward
        self._number = 0

    def submit(self, approved: Approved, order: WorkingOrder, replaced: WorkingOrder | None = None) -> int:
        """Send an order that the gate approved, at its time; returns when its answer is known at the latest (int ns)."""
        if not isinstance(approved, Approved):
            raise TypeError("a venue takes only what the gate approved")
        kind = approved.intent.kind
        if kind not in ("NEW", "REPLACE"):
            raise UnknownKind(f"an order of an intent of kind {kind}")
        filled = 0 if replaced is None else replaced.filled
        return self._send(approved, order, kind, replaced, filled)

    def cancel(self, approved: Approved, order: WorkingOrder) -> int:
        """Send a cancel; returns when its answer is known at the latest."""
        if not isinstance(approved, Approved):
            raise TypeError("a venue takes only what the gate approved")
        return self._send(approved, order, "CANCEL")

    def queue_ahead(self, order: WorkingOrder) -> int | None:
        """Lots before an order at its price; None if it does not rest, or nobody knows."""
        market = self.active.get(order.instrument)
        found = next((one for one in market.resting if one.order is order), None) if market is not None else None
        return None if found is None else found.place.front

    def _send(
        self, approved: Approved, order: WorkingOrder, kind: str, replaced: WorkingOrder | None = None, filled: int = 0
    ) -> int:
        self._number += 1
        delay = self._delays.of(self._number, order.strategy, approved.ts)
        market = self._markets.get(order.instrument)
        if market is None:
            market = self._markets[order.instrument] = PaperMarket(self._books[order.instrument])
        self.active[order.instrument] = market
        arrival = Arrival(approved.ts + delay.entry, self._number, delay.response, order, kind, replaced, filled)
        market.arrivals.append(arrival)
        market.arrivals.sort(key=lambda one: (one.ts, one.number))
        return arrival.ts + delay.response

    def arrive(self, key: str, until: int) -> None:
        """Whatever was on its way and is there by `until`, the venue's time, is taken by the book as it is."""
        market = self.active.get(key)
        while market is not None and market.arrivals and market.arrivals[0].ts <= until:
            one = market.arrivals.pop(0)
            if one.kind == "CANCEL":
                self._cancel(market, one)
            elif one.kind == "REPLACE":
                self._replace(market, one)
            else:
                self._accept(market, one, one.order.lots)
        if market is not None and not market.arrivals and not market.resting:
            self.active.pop(key, None)

    def before(self, key: str) -> list[int]:
        """What is displayed at the prices of the resting orders before a book message is applied."""
        market = self.active[key]
        return [market.book.lots_at(one.order.side, cast("int", one.order.ticks)) for one in market.resting]

    def after(self, key: str, displayed: list[int], is_snapshot: bool, was_continuous: bool, ts: int) -> None:
        """A book message was applied: `displayed` is what `before` said, `ts` the venue's time."""
        market = self.active.get(key)
        if market is None or not market.book.is_continuous:
            return
        for one, before in zip(market.resting, displayed, strict=True):
            now = market.book.lots_at(one.order.side, cast("int", one.order.ticks))
            if is_snapshot and not was_continuous:
                one.place.resync(now)
            elif now != before or one.place.traded:
                one.place.change(before, now)
        if market.resting:
            self._crossed(market, ts)

    def told_again(self, key: str, side: str, levels: list[tuple[int, int]], is_snapshot: bool) -> None:
        """Levels that the venue told again have what they say, whatever was taken of them."""
        market = self._markets.get(key)
        if market is None or not market.taken:
            return
        if is_snapshot:
            market.taken = {place: lots for place, lots in market.taken.items() if place[0] != side}
        else:
            for ticks, _ in levels:
                market.taken.pop((side, ticks), None)

    def trade_print(self, key: str, side: str, ticks: int, lots: int, ts: int, name: str) -> None:
        """A trade of the market: `side` is the aggressor's (buy, sell, unknown), `ts` the venue's time."""
        market = self.active.get(key)
        if market is None or not market.book.is_continuous:
            return
        for own, sign in (("buy", 1), ("sell", -1)):
            if side == own:
                continue
            budget = lots
            for one in sorted(market.resting, key=lambda one: (-sign * cast("int", one.order.ticks), one.number)):
                reach = sign * (cast("int", one.order.ticks) - ticks)
                if one.order.side != own or reach < 0 or not budget:
                    continue
                excess = budget if reach > 0 else one.place.trade(budget)
                part = min(one.leaves, excess, budget)
                if part:
                    budget -= part
                    self._fill(market, one, part, cast("int", one.order.ticks), "maker", ts, name)
        market.resting = [one for one in market.resting if one.leaves]

    def _crossed(self, market: PaperMarket, ts: int) -> None:
        """Quotes of the other side at or beyond a resting order's price trade with it, as far as they are displayed."""
        for one in market.resting:
            limit = cast("int", one.order.ticks)
            for ticks, lots in self._takeable(market, one.order.side, limit):
                part = min(lots, one.leaves)
                self._take(market, one.order.side, ticks, part)
                self._fill(market, one, part, limit, "maker", ts, "quote")
                if not one.leaves:
                    break
        market.resting = [one for one in market.resting if one.leaves]

    def _takeable(self, market: PaperMarket, side: str, limit: int | None) -> list[tuple[int, int]]:
        """(ticks, lots) that an order of a side can take within its limit, without what was taken already."""
        book = market.book
        other = "sell" if side == "buy" else "buy"
        best = (book.book.asks if side == "buy" else book.book.bids).best()
        sign = 1 if side == "buy" else -1
        if best is None or (limit is not None and sign * (best - limit) > 0):
            return []
        levels = cast("list[tuple[int, int]]", (book.book.asks if side == "buy" else book.book.bids).levels())
        found = []
        for ticks, lots in levels:
            if limit is not None and sign * (ticks - limit) > 0:
                break
            left = lots - market.taken.get((other, ticks), 0)
            if left > 0:
                found.append((ticks, left))
        return found

    def _take(self, market: PaperMarket, side: str, ticks: int, lots: int) -> None:
        place = ("sell" if side == "buy" else "buy", ticks)
        market.taken[place] = market.taken.get(place, 0) + lots

    def _accept(self, market: PaperMarket, one: Arrival, lots: int) -> None:
        order, book = one.order, market.book
        order.arrival_mid = book.mark
        takeable = self._takeable(market, order.side, order.ticks) if book.is_continuous else []
        if order.is_post_only and takeable:
            self._say(one, "REJECTED", "a post-only order that would take")
            return
        if order.is_reduce_only and not self._reduces(market, order, lots):
            self._say(one, "REJECTED", "a reduce-only order that does not reduce")
            return
        if order.time_in_force == "fok" and sum(size for _, size in takeable) < lots:
            self._say(one, "EXPIRED", "the book has less than an order that is all or nothing")
            return
        self._say(one, "ACK")
        left = lots
        for ticks, size in takeable:
            part = min(size, left)
            self._take(market, order.side, ticks, part)
            left -= part
            self._book(market, order, part, ticks, "taker", one.ts, one.ts + one.response, "book")
            if not left:
                return
        if order.ticks is None or order.time_in_force != "gtc":
            self._say(one, "EXPIRED", "the rest of it was not filled at once")
            return
        displayed = book.lots_at(order.side, order.ticks) if book.is_continuous else None
        place = QueuePlace(displayed, self._forward)
        market.resting.append(Resting(order, left, place, one.number, one.response))

    def _reduces(self, market: PaperMarket, order: WorkingOrder, lots: int) -> bool:
        held = -market.position if order.side == "buy" else market.position
        return lots <= held

    def _cancel(self, market: PaperMarket, one: Arrival) -> None:
        found = next((each for each in market.resting if each.order is one.order), None)
        if found is None:
            self._say(one, "CANCEL_REJECTED", "it is not there")
            return
        market.resting.remove(found)
        self._say(one, "CANCELED")

    def _replace(self, market: PaperMarket, one: Arrival) -> None:
        found = next((each for each in market.resting if each.order is one.replaced), None)
        since = market.filled.get(one.replaced.id, 0) - one.filled if one.replaced is not None else 0
        if found is None or since >= one.order.lots:
            self._say(one, "REJECTED", "the order that it shall replace is not there")
            return
        market.resting.remove(found)
        event = OrderEvent("CANCELED", found.order.id, one.ts, detail=f"replaced by {one.order.id}")
        self.answers.append(VenueAnswer(one.ts + one.response, event))
        # What the other one was filled meanwhile is none of this one's: together they never are more than was approved.
        one.order.lots -= max(0, since)
        self._accept(market, one, one.order.lots)

    def _fill(self, market: PaperMarket, one: Resting, lots: int, ticks: int, liquidity: str, ts: int, name: str) -> None:
        one.leaves -= lots
        self._book(market, one.order, lots, ticks, liquidity, ts, ts + one.response, name)

    def _book(
        self, market: PaperMarket, order: WorkingOrder, lots: int, ticks: int, liquidity: str, ts: int, known: int, name: str
    ) -> None:
        market.position += lots if order.side == "buy" else -lots
        market.filled[order.id] = market.filled.get(order.id, 0) + lots
        self.answers.append(VenueAnswer(known, OrderEvent("FILL", order.id, ts, lots, ticks, liquidity, name)))

    def _say(self, one: Arrival, kind: str, detail: str = "") -> None:
        self.answers.append(VenueAnswer(one.ts + one.response, OrderEvent(kind, one.order.id, one.ts, detail=detail)))
