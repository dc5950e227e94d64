"""Many streams of tables into one, in the order in which things were received.

The rule: within a stream the order of recording stands. Where a time in it runs backwards (book updates that waited for their
snapshot), the row counts as received when the one before it was. Memory: a block or two of each stream.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.clock import FOREVER, SECOND
from xtrader.model.streams import STREAMS
from xtrader.records.batches import Ints
from xtrader.store.read.scan import ALWAYS, BATCH_ROWS, Window, scan, times
from xtrader.store.read.view import Source

MEMORY: Final = 600 * SECOND
"""Nanoseconds for which a row is remembered: as far apart as two collectors may receive the same one."""


def known_at(recv: Ints, before: int = -(2**63)) -> Ints:
    """When each row was known: the largest `ts_recv` so far, `before` being the one of the rows that came earlier."""
    return np.maximum(np.maximum.accumulate(recv), before)


def merged(streams: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """One stream of tables of all, ordered by the time at which their rows were known; `ts_recv` must be among the columns.

    Rows of one stream that were known at the same time (the levels of a message) stay together.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    heads = [_Head(stream) for stream in streams]
    while True:
        for head in heads:
            if head.table is None:
                head.pull()
        limit = min((head.last for head in heads), default=FOREVER)
        taken = [piece for head in heads if (piece := head.take(limit)) is not None]
        if taken:
            yield _sorted(taken)
        elif limit == FOREVER:
            return
        for head in heads:
            if head.last == limit and limit != FOREVER:
                head.pull()
        heads = [head for head in heads if head.table is not None or head.last != FOREVER]


class _Head:
    """The next rows of a stream. `last` is the time before which it is complete: that of its last row, FOREVER at its end."""

    def __init__(self, stream: Iterator[Any]) -> None:
        self.table: pa.Table | None = None
        self.last = -FOREVER
        self._stream = stream
        self._known: Ints = np.zeros(0, np.int64)
        self._latest = -(2**63)

    def pull(self) -> None:
        """Take the next table from the stream."""
        table = next(self._stream, None)
        if table is None:
            self.last = FOREVER
            return
        known = known_at(times(table), self._latest)
        self.last = self._latest = int(known[-1])
        self.table = table if self.table is None else pa.concat_tables([self.table, table])
        self._known = np.concatenate([self._known, known])

    def take(self, limit: int) -> tuple[Any, Ints] | None:
        """The rows known before `limit`, and when; all that is left where the limit is FOREVER."""
        if self.table is None:
            return None
        count = len(self._known) if limit == FOREVER else int(np.searchsorted(self._known, limit))
        if not count:
            return None
        piece = self.table.slice(0, count), self._known[:count]
        self.table = self.table.slice(count) if count < len(self._known) else None
        self._known = self._known[count:]
        return piece


def _sorted(pieces: list[tuple[Any, Ints]]) -> Any:
    if len(pieces) == 1:
        return pieces[0][0]
    order = np.argsort(np.concatenate([known for _, known in pieces]), kind="stable")
    return pa.concat_tables([table for table, _ in pieces]).take(pa.array(order))


def distinct(sources: Sequence[Source], columns: Sequence[str], window: Window, batch_rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """Rows of a flat stream of one instrument from several collectors, each one once: the first time it was received."""
    if not sources:
        return
    identity = STREAMS[sources[0].stream].identity
    needed = [*columns, *(name for name in (*identity, "ts_recv") if name not in columns)]
    # What was received first before the window is not new within it.
    earlier = window._replace(start=max(window.start - MEMORY, ALWAYS.start))
    streams = [scan(source, needed, earlier, batch_rows) for source in sources]
    for table in without_repetitions(merged(streams), identity):
        inside = times(table) >= window.start
        if inside.any():
            yield (table if inside.all() else table.filter(pa.array(inside))).select(columns)


def without_repetitions(tables: Iterator[pa.Table], identity: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of one instrument from several collectors, each one once: the first time it was received.

    The columns of their `identity` and `ts_recv` must be there. A row is remembered for MEMORY.
    """
    seen: dict[tuple[Any, ...], int] = {}
    for table in tables:
        recv = times(table)
        _forget(seen, int(recv[0]) - MEMORY)
        fresh: npt.NDArray[np.bool_] = np.ones(len(recv), bool)
        for row, one in enumerate(zip(*(plain(table[name]) for name in identity), strict=True)):
            if one in seen:
                fresh[row] = False
            else:
                seen[one] = int(recv[row])
        if fresh.any():
            yield table if fresh.all() else table.filter(pa.array(fresh))


def plain(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column, times as int ns."""
    found: list[Any] = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return found


def _forget(seen: dict[tuple[Any, ...], int], before: int) -> None:
    """Drop what was received before that time; the dictionary is in the order of receipt."""
    old = list(itertools.takewhile(lambda one: seen[one] < before, seen))
    for one in old:
        del seen[one]
