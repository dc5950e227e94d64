"""An order book that matches by price, then by time, in integer ticks and lots. Its one rule: it is never crossed."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple


class Match(NamedTuple):
    """One resting order hit by an incoming one; `lots` changed hands at `price` ticks."""

    maker: int
    price: int
    lots: int


class OrderSide:
    """One side of the book: a queue of orders per price, and the prices in order.

    `keys` are `sign * price`, ascending, so that the best price is always the last one: `sign` is +1 for bids, -1 for asks.
    """

    __slots__ = ("changed", "keys", "queues", "sign", "totals", "touches")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.queues: dict[int, dict[int, int]] = {}
        self.totals: dict[int, int] = {}
        self.changed: dict[int, None] = {}
        self.touches = 0

    def best(self) -> int | None:
        """The best price in ticks, None for an empty side."""
        return self.sign * self.keys[-1] if self.keys else None

    def top(self, count: int) -> list[tuple[int, int]]:
        """(price, lots) of the best `count` levels, best first."""
        sign, totals = self.sign, self.totals
        return [(sign * key, totals[sign * key]) for key in reversed(self.keys[-count:])]

    def rest(self, order: int, price: int, lots: int) -> None:
        """Put an order at the end of its price's queue."""
        queue = self.queues.get(price)
        if queue is None:
            insort(self.keys, self.sign * price)
            self.queues[price] = {order: lots}
            self.totals[price] = lots
        else:
            queue[order] = lots
            self.totals[price] += lots
        self._touch(price)

    def remove(self, order: int, price: int) -> int:
        """Take a resting order out; returns its lots."""
        queue = self.queues[price]
        lots = queue.pop(order)
        self._shrink(price, queue, lots)
        return lots

    def match(self, lots: int, limit: int | None, homes: dict[int, tuple[OrderSide, int]]) -> list[Match]:
        """Hit the best orders for up to `lots`, no worse than `limit` ticks; filled orders leave `homes`."""
        matches: list[Match] = []
        floor = None if limit is None else self.sign * limit
        while lots and self.keys and (floor is None or self.keys[-1] >= floor):
            price = self.sign * self.keys[-1]
            queue = self.queues[price]
            maker = next(iter(queue))
            resting = queue[maker]
            taken = min(resting, lots)
            if taken == resting:
                del queue[maker], homes[maker]
            else:
                queue[maker] = resting - taken
            self._shrink(price, queue, taken)
            lots -= taken
            matches.append(Match(maker, price, taken))
        return matches

    def drain(self) -> list[tuple[int, int]]:
        """(price, lots) of every level touched since the last call, in the order of the first touch; 0 lots = gone."""
        changes = [(price, self.totals.get(price, 0)) for price in self.changed]
        self.changed = {}
        self.touches = 0
        return changes

    def _shrink(self, price: int, queue: dict[int, int], lots: int) -> None:
        if queue:
            self.totals[price] -= lots
        else:
            del self.queues[price], self.totals[price]
            del self.keys[bisect_left(self.keys, self.sign * price)]
        self._touch(price)

    def _touch(self, price: int) -> None:
        self.changed[price] = None
        self.touches += 1


class OrderBook:
    """Both sides, and where each resting order is."""

    __slots__ = ("asks", "bids", "homes")

    def __init__(self) -> None:
        self.bids = OrderSide(+1)
        self.asks = OrderSide(-1)
        self.homes: dict[int, tuple[OrderSide, int]] = {}

    def limit(self, order: int, is_buy: bool, price: int, lots: int) -> list[Match]:
        """Match what crosses `price`, let the remainder rest."""
        own, other = (self.bids, self.asks) if is_buy else (self.asks, self.bids)
        matches = other.match(lots, price, self.homes)
        remainder = lots - sum([match.lots for match in matches]) if matches else lots
        if remainder:
            own.rest(order, price, remainder)
            self.homes[order] = (own, price)
        return matches

    def market(self, is_buy: bool, lots: int) -> list[Match]:
        """Match at any price; what finds nobody is void."""
        return (self.asks if is_buy else self.bids).match(lots, None, self.homes)

    def cancel(self, order: int) -> int:
        """Take a resting order out; returns its lots, 0 if it does not rest (any more)."""
        home = self.homes.pop(order, None)
        if home is None:
            return 0
        side, price = home
        return side.remove(order, price)

    @property
    def touches(self) -> int:
        """How many changes of a level there were since both sides were drained."""
        return self.bids.touches + self.asks.touches
