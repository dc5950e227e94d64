"""Book: one instrument's order book, kept up to date level by level, with its best prices always at hand."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from xtrader.model.market import BookUpdate, Level


class Side:
    """One side of a book: sizes by price, and a lazily cleaned heap that yields the best price.

    `sign` is -1 for bids (the highest price is best) and +1 for asks. Setting a level costs a dict store, a new level a heap
    push more; finding the best is O(1) until the best level itself goes away. Prices that went away stay in the heap until
    they reach its top or make up more than half of it, so memory is linear in the number of levels.
    """

    __slots__ = ("_heap", "sign", "sizes")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[float, float] = {}
        self._heap: list[float] = []

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget everything and hold `levels`."""
        self.sizes = {price: size for price, size in levels if size}
        self._rebuild()

    def apply(self, levels: Iterable[Level]) -> None:
        """Set absolute sizes; 0 removes; removing an absent level is normal."""
        sizes = self.sizes
        sign = self.sign
        heap = self._heap
        for price, size in levels:
            if size:
                if price not in sizes:
                    heappush(heap, sign * price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
        if len(heap) > 2 * len(sizes) + 64:
            self._rebuild()

    def best(self) -> float | None:
        """The best price, None for an empty side."""
        heap = self._heap
        sizes = self.sizes
        sign = self.sign
        while heap:
            price = sign * heap[0]
            if price in sizes:
                return price
            heappop(heap)
        return None

    def levels(self, n: int | None = None) -> list[Level]:
        """(price, size), best first; all of them or the best `n`."""
        prices = sorted(self.sizes, reverse=self.sign < 0)
        return [(price, self.sizes[price]) for price in prices[:n]]

    def _rebuild(self) -> None:
        self._heap = [self.sign * price for price in self.sizes]
        heapify(self._heap)


class Book:
    """Bids and asks of one instrument as the venue's messages left them."""

    __slots__ = ("asks", "bids", "sequence")

    def __init__(self) -> None:
        self.bids = Side(-1)
        self.asks = Side(+1)
        self.sequence: int | None = None

    def apply(self, update: BookUpdate) -> None:
        """Apply one message in order; a snapshot replaces the book."""
        if update.is_snapshot:
            self.bids.replace(update.bids)
            self.asks.replace(update.asks)
        else:
            self.bids.apply(update.bids)
            self.asks.apply(update.asks)
        self.sequence = update.sequence

    def crossed(self) -> bool:
        """True if the best bid is at or above the best ask."""
        bid = self.bids.best()
        ask = self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def best(self) -> tuple[Level | None, Level | None]:
        """((bid price, size), (ask price, size)); None for an empty side."""
        bid = self.bids.best()
        ask = self.asks.best()
        return (
            None if bid is None else (bid, self.bids.sizes[bid]),
            None if ask is None else (ask, self.asks.sizes[ask]),
        )
