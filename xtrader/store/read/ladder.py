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
from xtrader.records.batches import Floats, Ints
from xtrader.records.schemas import L2, words_of

Places = npt.NDArray[np.intp]
COLUMNS: Final = ("ts_recv", "sequence", "is_snapshot", "is_last", "side", "price", "size")


class Levels(NamedTuple):
    """One side, best first: (n,) prices and (n,) sizes."""

    prices: Floats
    sizes: Floats


class Ladder:
    """The book of one instrument. `begin` hands it a block of L2 rows (whole messages or not), `advance` applies its rows.

    `_prices` are all n prices of the block and of the book before it, ascending. `_sizes` has a place for each of them as a bid, n
    for them as asks (0: not in the book), and a last one for rows without a level; `_places` is the place of each row.
    """

    def __init__(self) -> None:
        self.ready = False
        """A snapshot has been applied."""
        self._prices: Floats = np.zeros(0)
        self._sizes: Floats = np.zeros(1)
        self._places: Places = np.zeros(0, np.intp)
        self._new: Floats = np.zeros(0)
        self._table: Any = None
        self._position = 0
        self._snapshots: Places = np.zeros(0, np.intp)
        self._inside = False

    def begin(self, table: pa.Table) -> None:
        """Take the next block; the one before must have been applied to its end. `table` has the columns COLUMNS."""
        columns = table.combine_chunks()
        # Prices repeat: told apart by their hashes, few are left to be sorted and looked up.
        words = columns["price"].chunk(0).dictionary_encode()
        bids = self._widen(words.dictionary.to_numpy())[pc.fill_null(words.indices, -1).to_numpy()]
        is_ask = pc.fill_null(columns["side"].chunk(0).indices, 0).to_numpy().astype(np.intp)
        self._places = bids + is_ask * len(self._prices)
        self._new = columns["size"].chunk(0).to_numpy(zero_copy_only=False)
        is_last = columns["is_last"].to_numpy()
        firsts = np.concatenate([[not self._inside], is_last[:-1]])
        self._inside = not is_last[-1]
        self._snapshots = np.flatnonzero(columns["is_snapshot"].to_numpy() & firsts)
        self._table = table
        self._position = 0

    def _widen(self, prices: Floats) -> Places:
        """Make room for prices beside those in the book. The place of each as a bid, and at the end that for no level."""
        old = self._sizes[:-1].reshape(2, -1)
        alive = np.flatnonzero(old.any(axis=0))
        every = np.unique(np.concatenate([self._prices[alive], prices]))
        sizes = np.zeros(2 * len(every) + 1)
        sizes[:-1].reshape(2, -1)[:, np.searchsorted(every, self._prices[alive])] = old[:, alive]
        self._prices, self._sizes = every, sizes
        return np.append(np.searchsorted(every, prices), 2 * len(every))

    def advance(self, stop: int) -> None:
        """Apply the block's rows up to `stop`, exclusive: the end of a message."""
        if stop <= self._position:
            return
        low, high = np.searchsorted(self._snapshots, (self._position, stop))
        if high > low:
            self._position = int(self._snapshots[high - 1])
            self._sizes[:] = 0
            self.ready = True
        # Of rows with one place the last one counts.
        self._sizes[self._places[self._position : stop]] = self._new[self._position : stop]
        self._position = stop
        self._last = self._table.slice(stop - 1, 1)

    @property
    def sequence(self) -> int | None:
        """The venue's number of the last message applied."""
        found: int | None = self._last["sequence"][0].as_py()
        return found

    def sides(self, depth: int | None = None) -> tuple[Levels, Levels]:
        """(bids, asks), best first."""
        bids, asks = self._sizes[:-1].reshape(2, -1)
        found = np.flatnonzero(bids)[::-1][:depth], np.flatnonzero(asks)[:depth]
        return Levels(self._prices[found[0]], bids[found[0]]), Levels(self._prices[found[1]], asks[found[1]])

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
            "side": pa.DictionaryArray.from_arrays(pa.array(is_ask, mask=mask), words_of("L2")["side"]),
            "price": pa.array(np.concatenate([bids.prices, asks.prices]) if count else np.zeros(1), mask=mask),
            "size": pa.array(np.concatenate([bids.sizes, asks.sizes]) if count else np.zeros(1), mask=mask),
        }
        return pa.Table.from_arrays([columns[name] for name in L2.names], schema=L2)


def cut(known: Ints, ts: int) -> int:
    """How many rows were known at `ts`."""
    return int(np.searchsorted(known, ts, side="right"))
