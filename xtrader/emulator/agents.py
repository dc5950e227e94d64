"""Agents that trade one instrument in a real order book: limit, cancel and market orders round a drifting fair price.

Its one rule: everything follows from the seed. How often it is looked at, or how fast the machine is, changes nothing.
"""

from __future__ import annotations

from math import log
from random import Random
from typing import NamedTuple

from xtrader.emulator.matching import OrderBook


class Flow(NamedTuple):
    """How an instrument trades: `resting` orders a side, spread over `width` ticks; per batch `operations` limit and cancel
    orders and `prints` trade prints on average; orders of about `size` lots; `interval` simulated seconds a batch."""

    price: int
    size: int
    resting: int
    width: int
    operations: float
    prints: float
    interval: float


class Fill(NamedTuple):
    """One match as the venue numbers it. `age` is how many milliseconds before the end of its batch it happened."""

    number: int
    order: int
    price: int
    lots: int
    is_buy: bool
    age: int


class Print(NamedTuple):
    """The fills of one taker order at one price: numbers `first` to `last`."""

    first: int
    last: int
    price: int
    lots: int
    is_buy: bool
    age: int


class Batch(NamedTuple):
    """What one interval did: the fills in order, the touched levels as (price, lots; 0 = gone), how many touches it took."""

    fills: list[Fill]
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    touches: int


def prints(fills: list[Fill]) -> list[Print]:
    """Join the neighbouring fills of one taker order at one price."""
    joined: list[Print] = []
    first = last = None
    lots = 0
    for fill in fills:
        if first is not None and last is not None and (fill.order != first.order or fill.price != first.price):
            joined.append(Print(first.number, last.number, first.price, lots, first.is_buy, first.age))
            first = None
        if first is None:
            first, lots = fill, 0
        last = fill
        lots += fill.lots
    if first is not None and last is not None:
        joined.append(Print(first.number, last.number, first.price, lots, first.is_buy, first.age))
    return joined


class EmulatedMarket:
    """One instrument's order flow, batch by batch.

    `begin()` may carry out the first half of a batch early, for a look at the book between two batches; `step()` finishes the
    batch. The orders are the same either way.
    """

    def __init__(self, seed: str, flow: Flow) -> None:
        self.book = OrderBook()
        self.flow = flow
        self._rng = Random(seed)
        self._fair = float(flow.price)
        self._credit = 0.0
        self._orders = 0
        self._number = self._rng.randrange(10**8, 10**9)
        self._live: list[int] = []
        self._plan: list[bool] = []
        self._done = 0
        self._fills: list[Fill] = []
        while len(self.book.homes) < 2 * flow.resting:
            self._place()
        self.book.bids.drain()
        self.book.asks.drain()

    @property
    def fair(self) -> float:
        """The price in ticks round which the agents trade."""
        return self._fair

    def begin(self) -> None:
        """Carry out the first half of the coming batch, unless that was done."""
        if not self._plan:
            self._prepare()
            self._run(max(1, len(self._plan) // 2))

    def step(self) -> Batch:
        """Finish the batch and return what it did."""
        if not self._plan:
            self._prepare()
        self._run(len(self._plan))
        book = self.book
        touches = book.touches
        batch = Batch(self._fills, book.bids.drain(), book.asks.drain(), touches)
        self._plan = []
        self._done = 0
        self._fills = []
        return batch

    def _prepare(self) -> None:
        rng, flow = self._rng, self.flow
        self._fair += int(5 * rng.random()) - 2 + (flow.price - self._fair) * 1e-4
        self._credit += flow.prints * 2 * rng.random()
        quiet = max(1, round(flow.operations * (0.5 + rng.random())))
        plan = [False] * quiet
        for _ in range(int(self._credit)):
            plan.insert(int(rng.random() * (len(plan) + 1)), True)
        self._plan = plan

    def _run(self, until: int) -> None:
        usual = 2 * self.flow.resting
        while self._done < until:
            if self._plan[self._done]:
                self._trade()
            elif self._rng.random() * 2 * usual >= len(self.book.homes):
                self._place()
            else:
                self._cancel()
            self._done += 1

    def _lots(self) -> int:
        return 1 + int(-log(1.0 - self._rng.random()) * self.flow.size)

    def _place(self) -> None:
        """A limit order that rests: most of them near the fair price, some far away."""
        random = self._rng.random
        book = self.book
        is_buy = random() < 0.5
        distance = 1 + int(self.flow.width * random() ** 3)
        if is_buy:
            best = book.asks.best()
            price = int(self._fair) - distance
            price = price if best is None else min(price, best - 1)
        else:
            best = book.bids.best()
            price = int(self._fair) + distance
            price = price if best is None else max(price, best + 1)
        if price > 0:
            self._orders += 1
            book.limit(self._orders, is_buy, price, self._lots())
            self._live.append(self._orders)

    def _cancel(self) -> None:
        """Cancel any resting order; orders that were filled meanwhile are weeded out on the way."""
        live = self._live
        while live:
            index = int(self._rng.random() * len(live))
            order = live[index]
            live[index] = live[-1]
            live.pop()
            if self.book.cancel(order):
                return

    def _trade(self) -> None:
        """A taker that leans towards the fair price: a market order, or one in four times a limit order whose remainder rests."""
        book = self.book
        bid, ask = book.bids.best(), book.asks.best()
        if bid is None or ask is None:
            return
        lean = 0.3 if 2 * self._fair > bid + ask else -0.3
        is_buy = self._rng.random() < 0.5 + lean
        self._orders += 1
        if self._rng.random() < 0.25:
            matches = book.limit(self._orders, is_buy, ask if is_buy else bid, 3 * self._lots())
            self._live.append(self._orders)
        else:
            matches = book.market(is_buy, self._lots())
        age = int(1000 * self.flow.interval * (1 - self._done / len(self._plan)))
        last = None
        for match in matches:
            self._number += 1
            self._fills.append(Fill(self._number, self._orders, match.price, match.lots, is_buy, age))
            if match.price != last:
                self._credit -= 1
                last = match.price
