"""Rows of merged streams back into the records that they were made of, in the order in which they were received.

The rule: a message comes out whole and once, and what was received first comes first; of what was received at the same time, book
messages come before trades.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from xtrader.model.market import BookUpdate, Level, Trade
from xtrader.sinks.base import Ints
from xtrader.store.merge import known_at
from xtrader.store.scan import times


def records(streams: Mapping[str, Iterator[Any]]) -> Iterator[BookUpdate | Trade]:
    """The records of both streams, "L2" and "TRADES": tables with labels and all columns."""
    updates = _updates(streams.get("L2", iter(())))
    trades = _trades(streams.get("TRADES", iter(())))
    found: Iterator[tuple[int, BookUpdate | Trade]] = heapq.merge(updates, trades, key=itemgetter(0))
    return (record for _, record in found)


def _trades(tables: Iterator[Any]) -> Iterator[tuple[int, Trade]]:
    latest = 0
    for table in tables:
        recv = times(table)
        known = known_at(recv, latest)
        latest = int(known[-1])
        columns = (_keys(table), *_values(table, "trade_id", "side", "price", "size"), _integers(table, "ts_event"), recv.tolist())
        for when, *values in zip(known.tolist(), *columns, strict=True):
            yield when, Trade(*values)


def _updates(tables: Iterator[Any]) -> Iterator[tuple[int, BookUpdate]]:
    latest = 0
    rest: Any = None
    for table in tables:
        whole = table if rest is None else pa.concat_tables([rest, table])
        ends: Ints = np.flatnonzero(whole["is_last"].to_numpy()) + 1
        stop = int(ends[-1]) if len(ends) else 0
        rest = whole.slice(stop) if stop < whole.num_rows else None
        if stop:
            found = whole.slice(0, stop)
            known = known_at(times(found), latest)
            latest = int(known[-1])
            yield from zip(known[ends - 1].tolist(), _messages(found, ends), strict=True)


def _messages(table: Any, ends: Ints) -> Iterator[BookUpdate]:
    """The messages of whole rows; message i ends before row `ends[i]`."""
    starts = np.concatenate([[0], ends[:-1]])
    heads = table.take(pa.array(starts))
    words = _values(heads, "is_snapshot", "sequence", "prev_sequence")
    columns = (_keys(heads), *words, _integers(heads, "ts_event"), times(heads).tolist())
    codes = table["side"].combine_chunks().indices
    sides = codes.fill_null(-1).to_numpy()
    asks = np.concatenate([[0], np.cumsum(sides != 0)])
    middles = ends - (asks[ends] - asks[starts])
    levels: list[Level] = list(zip(*_values(table, "price", "size"), strict=True))
    places = zip(starts.tolist(), middles.tolist(), ends.tolist(), strict=True)
    for key, is_snapshot, sequence, prev_sequence, ts_event, ts_recv, (start, middle, end) in zip(*columns, places, strict=True):
        if sides[start] < 0:
            yield BookUpdate(key, is_snapshot, [], [], sequence, prev_sequence, ts_event, ts_recv)
        else:
            bids, asks_ = levels[start:middle], levels[middle:end]
            yield BookUpdate(key, is_snapshot, bids, asks_, sequence, prev_sequence, ts_event, ts_recv)


def _keys(table: Any) -> list[str]:
    return [f"{exchange}@{symbol}" for exchange, symbol in zip(*_values(table, "exchange", "instrument"), strict=True)]


def _values(table: Any, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _integers(table: Any, name: str) -> list[int | None]:
    found: list[int | None] = table[name].cast(pa.int64()).to_pylist()
    return found
