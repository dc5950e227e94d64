"""One instrument's book as a trader may use it: whole ticks and lots, and a state that gates every price.

The rule: whoever asks for a price while the book is anything but live gets None. It is live where coverage says so, a snapshot
came since the last gap, it is not crossed, and its last message is no older than `max_age`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar, cast

from xtrader.model import analytics
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage

if TYPE_CHECKING:
    from xtrader.trading.model.grid import Grid

BOOK_STATES: Final = ("live", "syncing", "gap", "stale", "crossed")
MAX_AGE: Final = 1_000_000_000
"""Nanoseconds after its last message for which a book is believed, unless the limits say otherwise."""
T = TypeVar("T")


class InstrumentBook:
    """Bids and asks of one instrument in ticks and lots. `now` is the time at which it is looked at, int nanoseconds: whoever
    hands it out sets it."""

    __slots__ = ("_covered", "_has_snapshot", "_is_open", "_mark", "book", "grid", "max_age", "messages", "now", "ts")

    def __init__(self, grid: Grid, max_age: int = MAX_AGE) -> None:
        self.grid = grid
        self.max_age = max_age
        self.book = Book()
        self.now = 0
        self.ts = 0
        """When its last message was known."""
        self.messages = 0
        self._covered = "syncing"
        self._has_snapshot = False
        self._is_open = False
        self._mark: Decimal | None = None

    def cover(self, row: Coverage) -> None:
        """Hear what is known of the stream L2 from now on: a gap forgets the book until the next snapshot."""
        if row.ts_to is not None:
            return
        if row.state != "live":
            self._mark = self.mark
            self._has_snapshot = False
        self._covered = row.state
        self._is_open = self._has_snapshot and row.state == "live"

    def apply(self, update: BookUpdate, ts: int) -> None:
        """Apply one message, known at `ts` (int ns). Changes without the snapshot that they belong to are left out."""
        self.change(update.is_snapshot, self.grid.levels(update.bids), self.grid.levels(update.asks), ts)

    def change(self, is_snapshot: bool, bids: list[tuple[int, int]], asks: list[tuple[int, int]], ts: int) -> None:
        """As `apply`, with levels of (ticks, lots)."""
        book = self.book
        if is_snapshot:
            book.bids.replace(bids)
            book.asks.replace(asks)
            self._has_snapshot = True
            self._is_open = self._covered == "live"
        elif self._has_snapshot:
            book.bids.apply(bids)
            book.asks.apply(asks)
        self.ts = ts
        self.messages += 1

    @property
    def instrument(self) -> str:
        """The instrument's key."""
        return self.grid.key

    def price(self, ticks: int) -> Decimal:
        """The price of so many ticks."""
        return self.grid.price(ticks)

    def round_price(self, price: Decimal, side: str) -> Decimal:
        """The price of an order on the grid: bids ("buy") down, asks up."""
        return self.grid.round_price(price, side)

    def round_size(self, size: Decimal) -> Decimal:
        """The size without what is no whole lot."""
        return self.grid.round_size(size)

    @property
    def is_continuous(self) -> bool:
        """Whether every change since the last snapshot is in it: what a venue's queue is followed by, however old it is."""
        return self._is_open

    @property
    def state(self) -> str:
        """One of BOOK_STATES, at `now`."""
        if not self._is_open:
            return self._covered if self._covered != "live" else "syncing"
        if self.book.crossed():
            return "crossed"
        return "stale" if self.now - self.ts > self.max_age else "live"

    @property
    def best_bid(self) -> int | None:
        """The best bid in ticks."""
        return cast("int | None", self.book.bids.best()) if self.state == "live" else None

    @property
    def best_ask(self) -> int | None:
        """The best ask in ticks."""
        return cast("int | None", self.book.asks.best()) if self.state == "live" else None

    @property
    def bid(self) -> Decimal | None:
        """The best bid."""
        ticks = self.best_bid
        return None if ticks is None else self.grid.tick * ticks

    @property
    def ask(self) -> Decimal | None:
        """The best ask."""
        ticks = self.best_ask
        return None if ticks is None else self.grid.tick * ticks

    @property
    def bid_size(self) -> Decimal | None:
        """The size at the best bid."""
        ticks = self.best_bid
        return None if ticks is None else self.grid.size(self.lots_at("buy", ticks))

    @property
    def ask_size(self) -> Decimal | None:
        """The size at the best ask."""
        ticks = self.best_ask
        return None if ticks is None else self.grid.size(self.lots_at("sell", ticks))

    @property
    def mid(self) -> Decimal | None:
        """(best bid + best ask) / 2."""
        if self.state != "live":
            return None
        bid, ask = self.book.bids.best(), self.book.asks.best()
        return None if bid is None or ask is None else self.grid.tick * (cast("int", bid) + cast("int", ask)) / 2

    @property
    def mark(self) -> Decimal | None:
        """The last mid that there was, however old: what a position is valued at. None if there never was one."""
        if not self._has_snapshot:
            return self._mark
        bid, ask = self.book.bids.best(), self.book.asks.best()
        return self._mark if bid is None or ask is None else self.grid.tick * (cast("int", bid) + cast("int", ask)) / 2

    @property
    def spread_bps(self) -> Decimal | None:
        """(best ask - best bid) / mid x 10,000."""
        mid = self.mid
        if not mid:
            return None
        return (self.ask - self.bid) / mid * 10_000  # type: ignore[operator]

    def vwap(self, side: str, quantity: Decimal) -> Decimal | None:
        """The average price that an order of this side ("buy" takes asks) and quantity would be filled at; None if the book has
        less."""
        if not quantity.is_finite() or quantity <= 0:
            return None
        lots = quantity / self.grid.lot
        left, paid = lots, Decimal(0)
        for ticks, size in self.levels("sell" if side == "buy" else "buy"):
            part = min(left, Decimal(size))
            paid += part * ticks
            left -= part
            if not left:
                return self.grid.tick * paid / lots
        return None

    def imbalance(self, levels: int = 5) -> float | None:
        """-100 (all asks) to +100 (all bids): the sizes of the best levels of the sides against each other."""
        found = self._live(lambda: analytics.imbalance(analytics.sides(self.book, levels), levels))
        return None if found is None else 100.0 * found

    def liquidity(self, bps: float) -> tuple[Decimal, Decimal] | None:
        """(size of bids, size of asks) no further than `bps` from the mid."""
        found = self._live(lambda: analytics.depth_within(analytics.sides(self.book), bps))
        return None if found is None else (self.grid.size(round(found[0])), self.grid.size(round(found[1])))

    def levels(self, side: str, n: int | None = None) -> list[tuple[int, int]]:
        """(ticks, lots) of the bids ("buy") or asks ("sell"), best first; empty unless the book is live."""
        if self.state != "live":
            return []
        return cast("list[tuple[int, int]]", (self.book.bids if side == "buy" else self.book.asks).levels(n))

    def lots_at(self, side: str, ticks: int) -> int:
        """What is displayed at a price, whatever the state."""
        return cast("int", (self.book.bids if side == "buy" else self.book.asks).sizes.get(ticks, 0))

    def _live(self, ask: Callable[[], T]) -> T | None:
        return ask() if self.state == "live" else None
