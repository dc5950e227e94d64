"""Batches of the journal as rows of the tables.

The rule: a row is a function of the journal alone, so a row that is sent again is the same row, under the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from questdb import TimestampNanos

from xtrader.sinks.base import NULL, TRADE_SIDES, Coverages, Instruments, Ints, Trades, Updates
from xtrader.sinks.questdb.depth import Depth
from xtrader.sinks.questdb.digests import digest, trade_digests, update_digests


class Row(NamedTuple):
    """One row as the client takes it: its time in nanoseconds, symbols, and the other columns that are not null."""

    ts: int
    symbols: dict[str, str | None]
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one table, kept as columns; `ts` (nanoseconds) and `digest` of shape (n,). `rows(first, last)` makes the rows
    from `first` until before `last`, the same ones each time."""

    ts: Ints
    digest: Ints
    rows: Callable[[int, int], Iterator[Row]]

    def __len__(self) -> int:
        return len(self.ts)

    def held(self) -> Ints:
        """Times and digests, shape (n, 2)."""
        return np.column_stack((self.ts, self.digest))


def times(batch: Trades | Updates) -> Ints:
    """The designated timestamp: the venue's time, or that of receipt where it gives none; shape (n,)."""
    return np.where(batch.ts_event == NULL, batch.ts_recv, batch.ts_event)


def trade_block(batch: Trades, collector: str) -> Block:
    """A row per trade."""
    names = [[{**pair, "side": side, "collector": collector} for side in TRADE_SIDES] for pair in _symbols(batch.keys)]
    ts, digests = times(batch), trade_digests(batch)
    columns = (ts, digests, batch.instrument, batch.side, batch.price, batch.size, batch.ts_event, batch.ts_recv)

    def rows(first: int, last: int) -> Iterator[Row]:
        picked = (column[first:last].tolist() for column in columns)
        for at, number, instrument, side, price, size, ts_event, ts_recv, trade_id in zip(
            *picked, batch.trade_id[first:last], strict=True
        ):
            received = TimestampNanos(ts_recv)
            values = {"trade_id": trade_id, "price": price, "size": size, "digest": number, "ts_recv": received}
            if ts_event != NULL:
                values["ts_event"] = TimestampNanos(ts_event)
            yield Row(at, names[instrument][side], values)

    return Block(ts, digests, rows)


def update_block(batch: Updates, collector: str, depth: Depth) -> Block:
    """A row per book message. `depth` is brought up to date; the best prices in a row are those after
    it, and null for an instrument whose book is not known."""
    names = [{**pair, "collector": collector} for pair in _symbols(batch.keys)]
    ts, digests = times(batch), update_digests(batch)
    levels = np.ascontiguousarray(batch.levels.T)
    ends = np.cumsum(batch.counts, dtype=np.int64)
    starts = ends - batch.counts
    heads = (ts, digests, batch.instrument, batch.is_snapshot.astype(bool), starts, starts + batch.bids, ends)
    columns = (*heads, batch.sequence, batch.prev_sequence, batch.ts_event, batch.ts_recv)
    bests = depth.take(batch)

    def rows(first: int, last: int) -> Iterator[Row]:
        picked = (column[first:last].tolist() for column in columns)
        for at, number, instrument, snapshot, start, middle, end, sequence, prev, ts_event, ts_recv, best in zip(
            *picked, bests[first:last], strict=True
        ):
            values = {
                "ts_recv": TimestampNanos(ts_recv),
                "is_snapshot": snapshot,
                "bids": levels[:, start:middle],
                "asks": levels[:, middle:end],
                "digest": number,
            }
            if ts_event != NULL:
                values["ts_event"] = TimestampNanos(ts_event)
            if sequence != NULL:
                values["sequence"] = sequence
            if prev != NULL:
                values["prev_sequence"] = prev
            if best is not None:
                bid, ask = best
                if bid is not None:
                    values["bid_price"], values["bid_size"] = bid
                if ask is not None:
                    values["ask_price"], values["ask_size"] = ask
            yield Row(at, names[instrument], values)

    return Block(ts, digests, rows)


def coverage_block(batch: Coverages, collector: str) -> Block:
    """A row per coverage row; these are a collector's own, so its name is in the digest."""
    made = []
    for row in batch.rows:
        number = digest(collector.encode(), b"\0", msgspec.json.encode(row))
        names = {**_symbols([row.instrument])[0], "covers": row.stream, "state": row.state, "cause": row.cause}
        values: dict[str, Any] = {"ts_from": TimestampNanos(row.ts_from), "detail": row.detail, "digest": number}
        if row.ts_to is not None:
            values["ts_to"] = TimestampNanos(row.ts_to)
        made.append(Row(batch.ts, names | {"collector": collector}, values))
    return _block(made)


def instrument_block(batch: Instruments, collector: str) -> Block:
    """A row per instrument that was told, at the time when the venue said so."""
    made = []
    for row in batch.rows:
        number = digest(msgspec.json.encode(row))
        found: Mapping[str, Any] = msgspec.structs.asdict(row)
        names: dict[str, str | None] = {"exchange": row.exchange, "instrument": row.symbol, "kind": row.kind, "source": row.source}
        values = {
            name: value
            for name, value in found.items()
            if value is not None and name not in ("exchange", "symbol", "kind", "source", "expiry", "ts")
        }
        values |= {"ts_recv": TimestampNanos(batch.ts), "digest": number}
        if row.expiry is not None:
            values["expiry"] = TimestampNanos(row.expiry)
        made.append(Row(row.ts or batch.ts, names | {"collector": collector}, values))
    return _block(made)


def _block(rows: Sequence[Row]) -> Block:
    ts = np.array([row.ts for row in rows], np.int64)
    return Block(ts, np.array([row.columns["digest"] for row in rows], np.int64), lambda first, last: iter(rows[first:last]))


def _symbols(keys: Sequence[str]) -> list[dict[str, str | None]]:
    return [{"exchange": exchange, "instrument": symbol} for exchange, _, symbol in (key.partition("@") for key in keys)]
