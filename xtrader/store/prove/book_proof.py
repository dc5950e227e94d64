"""The proof of one subscription's rows, part after part: does every message follow the one before, and does the book hold.

The rule: a break is damage, unless a gap row says that something is missing there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.clock import SECOND
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.records.batches import Floats, Ints
from xtrader.records.message_rows import cut
from xtrader.store.prove.coverage_map import CoverageMap
from xtrader.venues.base import Rules

BACKWARDS: Final = 10 * SECOND
"""`ts_recv` may run backwards so far where one connection takes over from another."""
MOST: Final = 20
"""Findings of one kind told of one file."""

Tell = Callable[[str], None]
Bools = npt.NDArray[np.bool_]


class Times:
    """`ts_recv` over all parts: never far backwards, and always inside what the coverage says was live."""

    def __init__(self, coverage: CoverageMap, tell: Tell) -> None:
        self._coverage = coverage
        self._tell = tell
        self._last = 0

    def check(self, ts: Ints) -> None:
        """Take the times of the next messages."""
        if not len(ts):
            return
        high = np.maximum.accumulate(np.concatenate(([self._last], ts)))
        for place in np.flatnonzero(ts < high[:-1] - BACKWARDS)[:MOST]:
            if not any(one.cause == "clock_step" for one in self._coverage.intervals):
                self._tell(f"ts_recv runs backwards by {(high[place] - ts[place]) / 1e9:.3f} s at {ts[place]}")
        self._last = int(high[-1])
        outside = np.flatnonzero(self._coverage.uncovered(ts))
        if len(outside):
            first, last = int(ts[outside].min()), int(ts[outside].max())
            self._tell(f"{len(outside)} messages from {first} to {last} are in no interval that is live")


class BookProof:
    """The messages of one book, in order. `messages`, `snapshots`, `unnumbered` count them."""

    def __init__(self, key: str, rules: Rules, coverage: CoverageMap, tell: Tell) -> None:
        self.messages = 0
        self.snapshots = 0
        self.unnumbered = 0
        self.synced: set[int] = set()
        """`ts_recv` of every snapshot."""
        self._key = key
        self._rules = rules
        self._coverage = coverage
        self._tell = tell
        self._times = Times(coverage, tell)
        self._book: Book | None = None
        self._last: int | None = None
        self._bridging = False
        self._is_unknown = False
        self._ts = 0
        self._ts_snapshot = 0

    def lost(self) -> None:
        """Rows are missing here, and that was told: whatever comes next is taken."""
        self._book = None
        self._is_unknown = True

    def check(self, table: pa.Table) -> None:
        """Take a table of whole messages."""
        is_last = _bools(table["is_last"])
        if not is_last[-1]:
            self._tell("the last message has no row with is_last")
            return
        ends = np.flatnonzero(is_last) + 1
        starts = np.concatenate(([0], ends[:-1]))
        lengths = ends - starts
        columns = {name: to_ints(table[name]) for name in ("ts_event", "ts_recv", "sequence", "prev_sequence")}
        columns["is_snapshot"] = _bools(table["is_snapshot"]).astype(np.int64)
        for name, values in columns.items():
            if not (values == np.repeat(values[starts], lengths)).all():
                self._tell(f"{name} differs between the rows of one message: its rows are not its own")
                return
        side = table["side"].combine_chunks()
        indices = side.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        words = np.array([*side.dictionary.to_pylist(), ""], object)[indices]
        price, size = (table[name].to_numpy() for name in ("price", "size"))
        if not self._well_formed(words, price, size, starts, lengths):
            return
        ts = columns["ts_recv"][starts]
        self._walk(columns, ends, (words == "ask"), (words == ""), price, size)
        self._times.check(self._effective(ts, columns["is_snapshot"][starts].astype(bool)))
        self.messages += len(ts)

    def _well_formed(self, side: npt.NDArray[Any], price: Floats, size: Floats, starts: Ints, lengths: Ints) -> bool:
        empty = side == ""
        alone = np.repeat(lengths == 1, lengths)
        if (empty & ~alone).any() or (empty != np.isnan(price)).any() or (empty != np.isnan(size)).any():
            self._tell("a row without side, price or size is in a message that has levels")
            return False
        if not np.isin(side, ("bid", "ask", "")).all() or (size < 0).any() or np.isinf(price).any() or np.isinf(size).any():
            self._tell("a level with an impossible side, price or size")
            return False
        is_ask = side == "ask"
        begins = np.zeros(len(side), bool)
        begins[starts] = True
        if (is_ask[:-1] & ~is_ask[1:] & ~begins[1:]).any():
            self._tell("a bid comes after an ask of the same message: its rows are out of order")
            return False
        return True

    def _effective(self, ts: Ints, is_snapshot: Bools) -> Ints:
        """The times at which messages took effect: changes that waited for a snapshot count from when it came."""
        from_snapshot = np.where(is_snapshot, ts, 0)
        from_snapshot[0] = max(from_snapshot[0], self._ts_snapshot)
        last = np.maximum.accumulate(np.where(is_snapshot | (np.arange(len(ts)) == 0), np.arange(len(ts)), 0))
        held = from_snapshot[last]
        self._ts_snapshot = int(held[-1])
        return np.maximum(ts, held)

    def _walk(self, columns: dict[str, Ints], ends: Ints, is_ask: Bools, empty: Bools, price: Floats, size: Floats) -> None:
        """Follow the numbers and apply the levels, message by message."""
        levels = list(zip(price.tolist(), size.tolist(), strict=True))
        found = cut(ends, is_ask, empty)
        heads = [columns[name][found.starts].tolist() for name in ("sequence", "prev_sequence", "is_snapshot", "ts_recv")]
        places = [each.tolist() for each in found]
        for start, middle, stop, sequence, previous, is_snapshot, ts in zip(*places, *heads, strict=True):
            numbers, sides = (_known(sequence), _known(previous)), (levels[start:middle], levels[middle:stop])
            update = BookUpdate(self._key, bool(is_snapshot), *sides, *numbers, None, ts)
            if update.is_snapshot:
                self._begin(update)
            elif not self._follows(update) and not self._is_unknown:
                self._break(update)
            self._is_unknown = False
            self._apply(update)

    def _begin(self, snapshot: BookUpdate) -> None:
        self.snapshots += 1
        self.synced.add(snapshot.ts_recv)
        self._book = Book()
        self._bridging = True

    def _follows(self, update: BookUpdate) -> bool:
        last, previous, own = self._last, update.prev_sequence, update.sequence
        bridging, self._bridging = self._bridging, False
        if previous is None:
            self.unnumbered += 1
            return own is None and last is None
        if last is None or previous == last:
            return last is not None
        # Sizes are absolute, so a message that begins before the last one's end and reaches beyond it repeats what is known.
        return own is not None and previous < last and (own > last or (bridging and self._rules.bridges and own == last))

    def _break(self, update: BookUpdate) -> None:
        self._book = None
        if not self._coverage.explains(min(self._ts, update.ts_recv), update.ts_recv):
            before = "nothing" if self._last is None else f"{self._last}"
            self._tell(f"the message after {update.prev_sequence} at {update.ts_recv} follows {before}, and no gap row says why")

    def _apply(self, update: BookUpdate) -> None:
        self._last = update.sequence
        self._ts = update.ts_recv
        book = self._book
        if book is None:
            return
        book.apply(update)
        if book.crossed() and not self._coverage.may_cross(max(update.ts_recv, self._ts_snapshot)):
            self._tell(f"the book is crossed after the message at {update.ts_recv}, and no gap row says so")
            self._book = None


_NULL: Final = -(2**63)


def _known(value: int) -> int | None:
    return None if value == _NULL else value


def to_ints(column: pa.ChunkedArray) -> Ints:
    """A column as int64, with the smallest number for null."""
    found: Ints = column.cast(pa.int64()).fill_null(_NULL).to_numpy()
    return found


def _bools(column: pa.ChunkedArray) -> Bools:
    found: Bools = column.to_numpy(zero_copy_only=False).astype(bool)
    return found
