"""Batches of the journal as rows of the tables.

The rule: a row is a function of the journal alone, so a row that is sent again is the same row, under the same digest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from questdb import TimestampNanos

from xtrader.model.book import Book
from xtrader.sinks.base import NULL, TRADE_SIDES, Coverages, Instruments, Trades, Updates

_TRADE: Final = struct.Struct("<qdd")
_UPDATE: Final = struct.Struct("<qqqii")


class Row(NamedTuple):
    """One row as the client takes it: its time in nanoseconds, symbols, and the other columns that are not null."""

    ts: int
    digest: int
    symbols: dict[str, str | None]
    columns: dict[str, Any]


def digest(*parts: bytes) -> int:
    """63 bits that tell events apart whose times and instruments are equal."""
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest(), "little") >> 1


def trade_rows(batch: Trades, collector: str) -> Iterator[Row]:
    """A row per trade."""
    symbols = _symbols(batch.keys)
    columns = (batch.instrument, batch.side, batch.price, batch.size, batch.ts_event, batch.ts_recv)
    for trade_id, row in zip(batch.trade_id, zip(*(column.tolist() for column in columns), strict=True), strict=True):
        instrument, side_index, price, size, ts_event, ts_recv = row
        side = TRADE_SIDES[side_index]
        event = _TRADE.pack(ts_event, price, size)
        number = digest(batch.keys[instrument].encode(), b"\0", trade_id.encode(), b"\0", side.encode(), event)
        values: dict[str, Any] = {"trade_id": trade_id, "price": price, "size": size, "digest": number}
        values["ts_recv"] = TimestampNanos(ts_recv)
        if ts_event != NULL:
            values["ts_event"] = TimestampNanos(ts_event)
        names = {**symbols[instrument], "side": side, "collector": collector}
        yield Row(ts_recv if ts_event == NULL else ts_event, number, names, values)


def update_rows(batch: Updates, collector: str, books: dict[str, Book]) -> Iterator[Row]:
    """A row per book message. `books` are brought up to date message by message; the best prices in a row are those after
    it, and null for an instrument whose book is not known."""
    symbols = [{**names, "collector": collector} for names in _symbols(batch.keys)]
    names = [key.encode() for key in batch.keys]
    raw = np.ascontiguousarray(batch.levels).tobytes()
    arrays = np.ascontiguousarray(batch.levels.T)
    prices, sizes = arrays.tolist()
    columns = (batch.instrument, batch.is_snapshot, batch.bids, batch.counts, batch.sequence, batch.prev_sequence)
    start = 0
    for instrument, snapshot, bids, count, sequence, prev, ts_event, ts_recv in zip(
        *(column.tolist() for column in (*columns, batch.ts_event, batch.ts_recv)), strict=True
    ):
        middle, end = start + bids, start + count
        head = _UPDATE.pack(ts_event, sequence, prev, snapshot, bids)
        number = digest(names[instrument], head, raw[16 * start : 16 * end])
        values: dict[str, Any] = {
            "ts_recv": TimestampNanos(ts_recv),
            "is_snapshot": bool(snapshot),
            "bids": arrays[:, start:middle],
            "asks": arrays[:, middle:end],
            "digest": number,
        }
        if ts_event != NULL:
            values["ts_event"] = TimestampNanos(ts_event)
        if sequence != NULL:
            values["sequence"] = sequence
        if prev != NULL:
            values["prev_sequence"] = prev
        key = batch.keys[instrument]
        book = books.get(key)
        if snapshot:
            book = books[key] = Book()
        if book is not None:
            book.bids.apply(zip(prices[start:middle], sizes[start:middle], strict=True))
            book.asks.apply(zip(prices[middle:end], sizes[middle:end], strict=True))
            _add_best(values, book)
        yield Row(ts_recv if ts_event == NULL else ts_event, number, symbols[instrument], values)
        start = end


def coverage_rows(batch: Coverages, collector: str) -> Iterator[Row]:
    """A row per coverage row; these are a collector's own, so its name is in the digest."""
    for row in batch.rows:
        number = digest(collector.encode(), b"\0", msgspec.json.encode(row))
        names = {**_symbols([row.instrument])[0], "covers": row.stream, "state": row.state, "cause": row.cause}
        values: dict[str, Any] = {"ts_from": TimestampNanos(row.ts_from), "detail": row.detail, "digest": number}
        if row.ts_to is not None:
            values["ts_to"] = TimestampNanos(row.ts_to)
        yield Row(batch.ts, number, names | {"collector": collector}, values)


def instrument_rows(batch: Instruments, collector: str) -> Iterator[Row]:
    """A row per instrument that was told, at the time when the venue said so."""
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
        yield Row(row.ts or batch.ts, number, names | {"collector": collector}, values)


def _symbols(keys: Sequence[str]) -> list[dict[str, str | None]]:
    return [{"exchange": exchange, "instrument": symbol} for exchange, _, symbol in (key.partition("@") for key in keys)]


def _add_best(values: dict[str, Any], book: Book) -> None:
    bid, ask = book.best()
    if bid is not None:
        values["bid_price"], values["bid_size"] = bid
    if ask is not None:
        values["ask_price"], values["ask_size"] = ask
