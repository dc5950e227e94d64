"""Rows of merged streams back into the records that they were made of, in the order in which they were received.

The rule: a message comes out whole and once, and what was received first comes first; what was received at the same time comes in
the order of the table of streams: books before trades.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from xtrader.clock import FOREVER
from xtrader.model.market import BookUpdate, Level, MarketRecord
from xtrader.model.streams import STREAMS, Column
from xtrader.records.batches import Ints
from xtrader.records.message_rows import cut, whole_messages
from xtrader.records.objects import made
from xtrader.store.read.merge_rows import known_at
from xtrader.store.read.scan import times

_NUMBERS: Final = ("time", "int", "float", "bool")
RUN_ROWS: Final = 8192
"""About so many rows are objects at a time: they are handed out while they are still in the processor's cache."""


class Run(NamedTuple):
    """When each of some records is known, in order, and the records. These are made one by one as they are taken: lists that
    live on until others are there cost more in garbage collections than in the making."""

    known: Ints
    records: Iterator[Any]


def records(streams: Mapping[str, Iterator[Any]]) -> Iterator[MarketRecord]:
    """The records of hot streams, by name: tables with labels and all columns."""
    names = [name for name in STREAMS if name in streams]
    found = [_Stream(_updates(streams[name]) if name == "L2" else _flat(name, streams[name])) for name in names]
    while found := [stream for stream in found if stream.fill()]:
        # What is still to come of a stream is not earlier than the last record that it has shown. At the same time, those of an
        # earlier stream of the table go first.
        ends = [stream.last for stream in found]
        pieces = [
            stream.take(min(ends), "left" if min(ends[:place], default=FOREVER) == min(ends) else "right")
            for place, stream in enumerate(found)
        ]
        yield from pieces[0].records if len(pieces) == 1 else _in_order(pieces)


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


def _in_order(pieces: Sequence[Run]) -> Iterator[Any]:
    order = np.argsort(np.concatenate([piece.known for piece in pieces]), kind="stable")
    source = np.repeat(np.arange(len(pieces)), [len(piece.known) for piece in pieces])
    return map(next, map([piece.records for piece in pieces].__getitem__, source[order].tolist()))


def _flat(stream: str, tables: Iterator[pa.Table]) -> Iterator[Run]:
    latest = 0
    for table in tables:
        known = known_at(times(table), latest)
        latest = int(known[-1])
        for start in range(0, len(known), RUN_ROWS):
            run = table.slice(start, RUN_ROWS).combine_chunks()
            values = {column.name: _plain(column, run[column.name]) for column in STREAMS[stream].columns}
            yield Run(known[start : start + RUN_ROWS], made(stream, _keys(run), values))


def _plain(column: Column, values: pa.ChunkedArray) -> list[Any]:
    """A column of a table without chunks, as the record has its values."""
    match column.kind:
        case "time" | "int":
            found = values.cast(pa.int64())
        case "word":
            one = values.chunk(0)
            words: list[Any] = np.array(one.dictionary.to_pylist(), object)[one.indices.to_numpy()].tolist()
            return words
        case _:
            found = values
    plain: list[Any] = found.to_pylist() if found.null_count or column.kind not in _NUMBERS else found.to_numpy().tolist()
    return plain


def _updates(tables: Iterator[pa.Table]) -> Iterator[Run]:
    latest = 0
    for whole, ends in whole_messages(tables):
        known = known_at(times(whole), latest)
        latest = int(known[-1])
        start = 0
        while len(ends):
            count = max(1, int(np.searchsorted(ends, start + RUN_ROWS, "right")))
            stop = int(ends[count - 1])
            run = whole.slice(start, stop - start).combine_chunks()
            yield Run(known[ends[:count] - 1], _messages(run, ends[:count] - start))
            start, ends = stop, ends[count:]


def _messages(table: pa.Table, ends: Ints) -> Iterator[BookUpdate]:
    """The messages of whole rows; message i ends before row `ends[i]`."""
    codes = table["side"].chunk(0).indices
    is_empty = codes.is_null().to_numpy(zero_copy_only=False) if codes.null_count else None
    found = cut(ends, codes.fill_null(0).to_numpy(), is_empty)
    heads = table.take(pa.array(found.starts))
    levels: list[Level] = list(zip(*(table[name].to_numpy().tolist() for name in ("price", "size")), strict=True))
    places = [each.tolist() for each in found]
    sides = (map(levels.__getitem__, map(slice, low, high)) for low, high in pairwise(places))
    numbers = (_numbers(heads, name) for name in ("sequence", "prev_sequence", "ts_event"))
    return map(BookUpdate, _keys(heads), heads["is_snapshot"].to_pylist(), *sides, *numbers, times(heads).tolist())


def _keys(table: pa.Table) -> list[str]:
    exchange, symbol = (table[name].combine_chunks() for name in ("exchange", "instrument"))
    words = len(symbol.dictionary)
    pairs, places = np.unique(exchange.indices.to_numpy() * np.int64(words) + symbol.indices.to_numpy(), return_inverse=True)
    keys = [f"{exchange.dictionary[pair // words]}@{symbol.dictionary[pair % words]}" for pair in pairs.tolist()]
    return keys * len(places) if len(keys) == 1 else [keys[place] for place in places.tolist()]


def _numbers(table: pa.Table, name: str) -> list[int | None]:
    """A column of int64 or times, None for null."""
    column = table[name].cast(pa.int64())
    found: list[int | None] = column.to_pylist() if column.null_count else column.to_numpy().tolist()
    return found
