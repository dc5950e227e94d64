"""Rows of merged streams back into the records that they were made of, in the order in which they were received.

The rule: a message comes out whole and once, and what was received first comes first; of what was received at the same time, book
messages come before trades.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from xtrader.model.market import BookUpdate, Level, Trade
from xtrader.records.batches import Ints
from xtrader.store.read.merge_rows import known_at
from xtrader.store.read.scan import times

RUN_ROWS: Final = 8192
"""About so many rows are objects at a time: they are handed out while they are still in the processor's cache."""


class Run(NamedTuple):
    """When each of some records is known, in order, and the records. These are made one by one as they are taken: lists that
    live on until others are there cost more in garbage collections than in the making."""

    known: Ints
    records: Iterator[Any]


def records(streams: Mapping[str, Iterator[Any]]) -> Iterator[BookUpdate | Trade]:
    """The records of both streams, "L2" and "TRADES": tables with labels and all columns."""
    books = _Stream(_updates(streams.get("L2", iter(()))))
    trades = _Stream(_trades(streams.get("TRADES", iter(()))))
    while books.fill() and trades.fill():
        # What is still to come of a stream is not earlier than the last record that it has shown.
        end_of_books, end_of_trades = books.last, trades.last
        yield from _in_order(books.take(end_of_trades, "right"), trades.take(end_of_books, "left"))
    for stream in (books, trades):
        while stream.fill():
            yield from stream.take(stream.last, "right").records


class _Stream:
    """The runs of one stream, taken from piece by piece; each piece must be used up before the next."""

    def __init__(self, runs: Iterator[Run]) -> None:
        self._runs = runs
        self._known: Ints = np.zeros(0, np.int64)
        self._records: Iterator[Any] = iter(())

    @property
    def last(self) -> int:
        """When the last record of the run is known."""
        return int(self._known[-1])

    def fill(self) -> bool:
        """Have a record, or find that there are no more."""
        if not len(self._known):
            self._known, self._records = next(self._runs, Run(self._known, self._records))
        return len(self._known) > 0

    def take(self, limit: int, side: Literal["left", "right"]) -> Run:
        """What of the run is known before `limit`; "right": also what is known at it."""
        count = int(np.searchsorted(self._known, limit, side))
        known, self._known = self._known[:count], self._known[count:]
        return Run(known, islice(self._records, count))


def _in_order(books: Run, trades: Run) -> Iterator[Any]:
    order = np.argsort(np.concatenate([books.known, trades.known]), kind="stable")
    sources = (books.records, trades.records)
    return map(next, map(sources.__getitem__, (order >= len(books.known)).tolist()))


def _trades(tables: Iterator[Any]) -> Iterator[Run]:
    latest = 0
    for table in tables:
        known = known_at(times(table), latest)
        latest = int(known[-1])
        for start in range(0, len(known), RUN_ROWS):
            run = table.slice(start, RUN_ROWS).combine_chunks()
            side = run["side"].chunk(0)
            sides = np.array(side.dictionary.to_pylist(), object)[side.indices.to_numpy()].tolist()
            values = (run[name].to_numpy().tolist() for name in ("price", "size"))
            found = map(
                Trade, _keys(run), run["trade_id"].to_pylist(), sides, *values, _numbers(run, "ts_event"), times(run).tolist()
            )
            yield Run(known[start : start + RUN_ROWS], found)


def _updates(tables: Iterator[Any]) -> Iterator[Run]:
    latest = 0
    rest: Any = None
    for table in tables:
        whole = table if rest is None else pa.concat_tables([rest, table])
        ends: Ints = np.flatnonzero(whole["is_last"].to_numpy()) + 1
        known = known_at(times(whole), latest)
        start = 0
        while len(ends):
            count = max(1, int(np.searchsorted(ends, start + RUN_ROWS, "right")))
            stop = int(ends[count - 1])
            run = whole.slice(start, stop - start).combine_chunks()
            yield Run(known[ends[:count] - 1], _messages(run, ends[:count] - start))
            start, latest, ends = stop, int(known[stop - 1]), ends[count:]
        rest = whole.slice(start) if start < whole.num_rows else None


def _messages(table: Any, ends: Ints) -> Iterator[BookUpdate]:
    """The messages of whole rows; message i ends before row `ends[i]`."""
    starts = np.concatenate([[0], ends[:-1]])
    heads = table.take(pa.array(starts))
    codes = table["side"].chunk(0).indices
    asks = np.concatenate([[0], np.cumsum(codes.fill_null(0).to_numpy())])
    # A message without levels is a row without a side: nothing is cut out for it.
    stops = ends if not codes.null_count else ends - codes.is_null().to_numpy(zero_copy_only=False)[starts]
    middles = stops - (asks[ends] - asks[starts])
    levels: list[Level] = list(zip(*(table[name].to_numpy().tolist() for name in ("price", "size")), strict=True))
    places = [each.tolist() for each in (starts, middles, stops)]
    sides = (map(levels.__getitem__, map(slice, low, high)) for low, high in pairwise(places))
    numbers = (_numbers(heads, name) for name in ("sequence", "prev_sequence", "ts_event"))
    return map(BookUpdate, _keys(heads), heads["is_snapshot"].to_pylist(), *sides, *numbers, times(heads).tolist())


def _keys(table: Any) -> list[str]:
    exchange, symbol = (table[name].combine_chunks() for name in ("exchange", "instrument"))
    words = len(symbol.dictionary)
    pairs, places = np.unique(exchange.indices.to_numpy() * np.int64(words) + symbol.indices.to_numpy(), return_inverse=True)
    keys = [f"{exchange.dictionary[pair // words]}@{symbol.dictionary[pair % words]}" for pair in pairs.tolist()]
    return keys * len(places) if len(keys) == 1 else [keys[place] for place in places.tolist()]


def _numbers(table: Any, name: str) -> list[int | None]:
    """A column of int64 or times, None for null."""
    column = table[name].cast(pa.int64())
    found: list[int | None] = column.to_pylist() if column.null_count else column.to_numpy().tolist()
    return found
