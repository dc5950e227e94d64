"""Reads recordings back as a user would, with nothing of xtrader: plain pyarrow over hive partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

if TYPE_CHECKING:
    from xtrader.emulator.truth import Truth


@dataclass
class Message:
    """One stored book message."""

    sequence: int | None
    prev_sequence: int | None
    is_snapshot: bool
    ts_event: int | None
    ts_recv: int
    bids: list[tuple[float, float]] = field(default_factory=list)
    asks: list[tuple[float, float]] = field(default_factory=list)


def rows(directory: Path, stream: str, exchange: str | None = None, instrument: str | None = None) -> Any:
    """The rows of a stream in the order of the files' names; times as int ns."""
    root = directory / f"stream={stream}"
    if not root.exists():
        return pa.table({})
    paths = sorted(
        str(path)
        for path in root.rglob("*.parquet")
        if (exchange is None or f"exchange={exchange}" in path.parts)
        and (instrument is None or f"instrument={instrument}" in path.parts)
    )
    if not paths:
        return pa.table({})
    paths.sort(key=lambda path: (Path(path).name, path))
    table = pa.concat_tables([ds.dataset(path).to_table() for path in paths], promote_options="default")
    for index, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(index, column.name, table[column.name].cast("int64"))
    return table


def messages(directory: Path, exchange: str, instrument: str) -> Iterator[Message]:
    """The book messages of an instrument in the order in which they apply."""
    table = rows(directory, "L2", exchange, instrument)
    if not table.num_rows:
        return
    current: Message | None = None
    for row in table.to_pylist():
        if current is None:
            current = Message(row["sequence"], row["prev_sequence"], row["is_snapshot"], row["ts_event"], row["ts_recv"])
        if row["side"] is not None:
            (current.bids if row["side"] == "bid" else current.asks).append((row["price"], row["size"]))
        if row["is_last"]:
            yield current
            current = None
    assert current is None, "the last message has no last row"


@dataclass
class Book:
    """The twenty lines that anybody would write."""

    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)

    def apply(self, message: Message) -> None:
        for side, levels in ((self.bids, message.bids), (self.asks, message.asks)):
            if message.is_snapshot:
                side.clear()
            for price, size in levels:
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)


def coverage(directory: Path, exchange: str, instrument: str, covers: str) -> list[dict[str, Any]]:
    """The coverage rows of one subscription in the order in which they were written."""
    table = rows(directory, "COVERAGE", exchange, instrument)
    return [row for row in table.to_pylist() if row["covers"] == covers] if table.num_rows else []


def gaps(directory: Path, *but: str) -> list[dict[str, Any]]:
    """Every closed or open gap row whose cause is none of `but`."""
    table = rows(directory, "COVERAGE")
    if not table.num_rows:
        return []
    chosen = table.filter(pc.equal(table["state"].cast("string"), "gap"))
    return [row for row in chosen.to_pylist() if row["cause"] not in but]


def check_trades(data: Path, truth: Truth, exchange: str, symbol: str) -> int:
    """The stored trades are an unbroken stretch of the true ones, equal in every field; how many."""
    stored = [
        (row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"])
        for row in rows(data, "TRADES", exchange, symbol).to_pylist()
    ]
    true = [(t.id, t.side, float(t.price), float(t.size), t.ts * 10**6) for t in truth.trades(exchange, symbol)]
    first = true.index(stored[0])
    assert stored == true[first : first + len(stored)]
    return len(stored)


def check_books(data: Path, truth: Truth, exchange: str, symbol: str) -> int:
    """After every stored message the book is the true one at that sequence, as deep as the snapshot reached; how many."""
    true: dict[int, tuple[dict[float, float], dict[float, float]]] = {}
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for event in truth.books(exchange, symbol):
        for side, levels in ((bids, event.bids), (asks, event.asks)):
            for price, size in levels:
                if float(size):
                    side[float(price)] = float(size)
                else:
                    side.pop(float(price), None)
        true[event.sequence] = (dict(bids), dict(asks))
    book = Book()
    stored = list(messages(data, exchange, symbol))
    for message in stored:
        book.apply(message)
        if message.sequence in true:
            assert (book.bids, book.asks) == true[message.sequence]
    assert sum(message.sequence in true for message in stored) >= len(stored) - 1
    deltas = [message for message in stored if not message.is_snapshot]
    assert all(after.prev_sequence == before.sequence for before, after in pairwise(deltas))
    return len(stored)
