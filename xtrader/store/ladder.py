"""Books from level rows, a block of rows at a time.

The rule: a ladder holds what the rows applied so far left, level for level; a snapshot clears it first.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xtrader.model.book import Book
from xtrader.sinks.base import Floats, Ints
from xtrader.sinks.schemas import L2
from xtrader.store.scan import SIDES

Places = npt.NDArray[np.intp]
COLUMNS: Final = ("ts_recv", "sequence", "is_snapshot", "is_last", "side", "price", "size")


class Levels(NamedTuple):
    """One side, best first: (n,) prices and (n,) sizes."""

    prices: Floats
    sizes: Floats


class _Side:
    """One side: every price of the current block in ascending order, its size beside it (0: not in the book)."""

    def __init__(self, is_bid: bool) -> None:
        self._is_bid = is_bid
        self._prices: Floats = np.zeros(0)
        self._sizes: Floats = np.zeros(0)
        self._rows: Places = np.zeros(0, np.intp)
        self._places: Places = np.zeros(0, np.intp)
        self._new: Floats = np.zeros(0)

    def begin(self, rows: Places, prices: Floats, sizes: Floats) -> None:
        """Take the next block: the rows of this side, (n,) each."""
        alive = self._sizes != 0
        every = np.unique(np.concatenate([self._prices[alive], prices]))
        kept = np.zeros(len(every))
        kept[np.searchsorted(every, self._prices[alive])] = self._sizes[alive]
        self._prices, self._sizes = every, kept
        self._rows, self._places, self._new = rows, np.searchsorted(every, prices), sizes

    def clear(self) -> None:
        self._sizes[:] = 0

    def apply(self, start: int, stop: int) -> None:
        """Apply rows [start, stop) of the block."""
        low, high = np.searchsorted(self._rows, (start, stop))
        self._sizes[self._places[low:high]] = self._new[low:high]

    def levels(self, depth: int | None = None) -> Levels:
        """All levels or the best `depth`."""
        found = np.flatnonzero(self._sizes)
        if self._is_bid:
            found = found[::-1]
        found = found[:depth]
        return Levels(self._prices[found], self._sizes[found])


class Ladder:
    """The book of one instrument. `begin` hands it a block of L2 rows (whole messages or not), `advance` applies its rows."""

    def __init__(self) -> None:
        self.ready = False
        """A snapshot has been applied."""
        self._bids = _Side(True)
        self._asks = _Side(False)
        self._table: Any = None
        self._position = 0
        self._snapshots: Places = np.zeros(0, np.intp)
        self._inside = False

    def begin(self, table: Any) -> None:
        """Take the next block; the one before must have been applied to its end. `table` has the columns COLUMNS."""
        side = table["side"].combine_chunks()
        codes = pc.fill_null(side.indices, -1).to_numpy()
        prices, sizes = (table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in ("price", "size"))
        for code, book_side in enumerate((self._bids, self._asks)):
            rows = np.flatnonzero(codes == code)
            book_side.begin(rows, prices[rows], sizes[rows])
        is_last = table["is_last"].to_numpy()
        firsts = np.concatenate([[not self._inside], is_last[:-1]])
        self._inside = not is_last[-1]
        self._snapshots = np.flatnonzero(table["is_snapshot"].to_numpy() & firsts)
        self._table = table
        self._position = 0

    def advance(self, stop: int) -> None:
        """Apply the block's rows up to `stop`, exclusive: the end of a message."""
        if stop <= self._position:
            return
        low, high = np.searchsorted(self._snapshots, (self._position, stop))
        if high > low:
            self._position = int(self._snapshots[high - 1])
            self._bids.clear()
            self._asks.clear()
            self.ready = True
        self._bids.apply(self._position, stop)
        self._asks.apply(self._position, stop)
        self._position = stop
        self._last = self._table.slice(stop - 1, 1)

    @property
    def sequence(self) -> int | None:
        """The venue's number of the last message applied."""
        found: int | None = self._last["sequence"][0].as_py()
        return found

    def sides(self, depth: int | None = None) -> tuple[Levels, Levels]:
        """(bids, asks), best first."""
        return self._bids.levels(depth), self._asks.levels(depth)

    def book(self) -> Book:
        """The same as the model's book."""
        book = Book()
        for side, levels in zip((book.bids, book.asks), self.sides(), strict=True):
            side.replace(zip(levels.prices.tolist(), levels.sizes.tolist(), strict=True))
        book.sequence = self.sequence
        return book

    def snapshot(self, ts_recv: int) -> Any:
        """The book as rows of one snapshot message, said to be received at `ts_recv`. Needs all columns of L2 in the blocks."""
        bids, asks = self.sides()
        count = len(bids.prices) + len(asks.prices)
        rows = max(count, 1)
        mask = None if count else np.ones(1, bool)
        places = np.arange(rows)
        is_ask = (places >= len(bids.prices)).astype(np.int8)
        columns: dict[str, Any] = {
            "ts_event": pa.repeat(self._last["ts_event"][0], rows),
            "ts_recv": pa.array(np.full(rows, ts_recv)).cast(L2.field("ts_recv").type),
            "sequence": pa.repeat(self._last["sequence"][0], rows),
            "prev_sequence": pa.nulls(rows, pa.int64()),
            "is_snapshot": pa.array(np.ones(rows, bool)),
            "is_last": pa.array(places == rows - 1),
            "side": pa.DictionaryArray.from_arrays(pa.array(is_ask, mask=mask), SIDES["L2"]),
            "price": pa.array(np.concatenate([bids.prices, asks.prices]) if count else np.zeros(1), mask=mask),
            "size": pa.array(np.concatenate([bids.sizes, asks.sizes]) if count else np.zeros(1), mask=mask),
        }
        return pa.Table.from_arrays([columns[name] for name in L2.names], schema=L2)


def cut(known: Ints, ts: int) -> int:
    """How many rows were known at `ts`."""
    return int(np.searchsorted(known, ts, side="right"))
