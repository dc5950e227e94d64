"""Book: one instrument's order book, kept up to date level by level, with its best prices always at hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from heapq import nlargest, nsmallest
from math import inf

from xtrader.model.market import BookUpdate, Level

NEAR = 16
NEAR_MOST = 128
"""Prices of a side that are kept apart for being near its best: so many at first, and at most, those that went away included."""


class BookSide(ABC):
    """One side of a book: sizes by price, and its best price always at hand.

    Setting a level costs a dict store, and a set's more if its price is near the best. Only when the best level goes away are
    those near it looked through, and all levels only when none of those is left. `_near` holds every price of the side from
    `_edge` to the best, and some that went away; no price is better than `_top`.
    """

    __slots__ = ("_edge", "_near", "_top", "sizes")
    _sign = 0
    """-1 for bids (the highest price is best), +1 for asks."""

    def __init__(self) -> None:
        self.sizes: dict[float, float] = {}
        self._near: set[float] = set()
        self._edge: float
        self._top: float
        self._forget()

    def replace(self, levels: Iterable[Level]) -> None:
        """Forget everything and hold `levels`."""
        self.sizes = {price: size for price, size in levels if size}
        self._forget()
        if self.sizes:
            self._survey()

    @abstractmethod
    def apply(self, levels: Iterable[Level]) -> None:
        """Set absolute sizes; 0 removes; removing an absent level is normal."""

    def best(self) -> float | None:
        """The best price, None for an empty side."""
        sizes = self.sizes
        if self._top in sizes:
            return self._top
        if not sizes:
            self._forget()
            return None
        self._near = {price for price in self._near if price in sizes}
        if self._near:
            self._top = max(self._near) if self._sign < 0 else min(self._near)
        else:
            self._survey()
        return self._top

    def levels(self, n: int | None = None) -> list[Level]:
        """(price, size), best first; all of them or the best `n`."""
        prices = sorted(self.sizes, reverse=self._sign < 0)
        return [(price, self.sizes[price]) for price in prices[:n]]

    def _forget(self) -> None:
        self._near = set()
        self._edge = self._top = self._sign * inf

    def _survey(self) -> None:
        """Find the best prices among all."""
        best = nlargest(NEAR, self.sizes) if self._sign < 0 else nsmallest(NEAR, self.sizes)
        self._near = set(best)
        self._top = best[0]
        self._edge = best[-1] if len(best) < len(self.sizes) else self._sign * inf

    def _narrow(self) -> None:
        """Let go of near prices that went away, and of those that are least near."""
        near = sorted((price for price in self._near if price in self.sizes), reverse=self._sign < 0)
        if len(near) > NEAR:
            del near[NEAR:]
            self._edge = near[-1]
        self._near = set(near)


class Bids(BookSide):
    """The highest price is best. A loop for each side, and prices far from the best left alone: 30 % less than one for both."""

    __slots__ = ()
    _sign = -1

    def apply(self, levels: Iterable[Level]) -> None:
        sizes = self.sizes
        remove = sizes.pop
        near = self._near
        edge = self._edge
        for price, size in levels:
            if size:
                sizes[price] = size
                if price >= edge:
                    near.add(price)
                    if price > self._top:
                        self._top = price
            else:
                remove(price, None)
        if len(near) > NEAR_MOST:
            self._narrow()


class Asks(BookSide):
    """The lowest price is best."""

    __slots__ = ()
    _sign = +1

    def apply(self, levels: Iterable[Level]) -> None:
        sizes = self.sizes
        remove = sizes.pop
        near = self._near
        edge = self._edge
        for price, size in levels:
            if size:
                sizes[price] = size
                if price <= edge:
                    near.add(price)
                    if price < self._top:
                        self._top = price
            else:
                remove(price, None)
        if len(near) > NEAR_MOST:
            self._narrow()


NAMES = ("bid", "ask")


class Book:
    """Bids and asks of one instrument as the venue's messages left them.

    `depth` is how many levels a side the snapshot that it began with was asked for: what lies beyond them is there only as far as
    it has changed since. None where the venue gives all levels, or if it is not known.
    """

    __slots__ = ("asks", "bids", "depth", "sequence")

    def __init__(self) -> None:
        self.bids = Bids()
        self.asks = Asks()
        self.sequence: int | None = None
        self.depth: int | None = None

    def apply(self, update: BookUpdate) -> None:
        """Apply one message in order; a snapshot replaces the book."""
        if update.is_snapshot:
            self.bids.replace(update.bids)
            self.asks.replace(update.asks)
        else:
            self.bids.apply(update.bids)
            self.asks.apply(update.asks)
        self.sequence = update.sequence

    def __repr__(self) -> str:
        bid, ask = (
            f"no {name}" if best is None else f"{best[1]:g} at {best[0]:.12g}"
            for name, best in zip(NAMES, self.best(), strict=True)
        )
        deep = "" if self.depth is None else f", snapshot of {self.depth:,} levels a side"
        count = f"{len(self.bids.sizes):,} and {len(self.asks.sizes):,} levels"
        return f"<Book {bid} | {ask}; {count}, sequence {self.sequence}{deep}>"

    def __len__(self) -> int:
        """How many levels both sides have."""
        return len(self.bids.sizes) + len(self.asks.sizes)

    def __bool__(self) -> bool:
        """True, whatever is in it."""
        return True

    def crossed(self) -> bool:
        """True if the best bid is at or above the best ask."""
        bids, asks = self.bids, self.asks
        if bids._top < asks._top:
            # No price is better than these, whether they are still there or not.
            return False
        best_bid, best_ask = bids.best(), asks.best()
        return best_bid is not None and best_ask is not None and best_bid >= best_ask

    def best(self) -> tuple[Level | None, Level | None]:
        """((bid price, size), (ask price, size)); None for an empty side."""
        bid = self.bids.best()
        ask = self.asks.best()
        return (
            None if bid is None else (bid, self.bids.sizes[bid]),
            None if ask is None else (ask, self.asks.sizes[ask]),
        )
