"""What a contender has recorded, read back from its files or from its answer, against what was sent.

The rule: a run counts only if the book at its end is the generator's; what is missing on the way is shown as lost.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.ipc
import pyarrow.parquet as pq

from bench.frames import Traffic
from bench.task import Answer
from xtrader.pipeline import codec
from xtrader.pipeline.frames import Damaged, read_frames
from xtrader.records.batches import FlatBatch, Updates


class Wrong(Exception):
    """The run does not count."""


@dataclass
class Found:
    """What there is: messages and level rows (None: not known), and the book at the end."""

    books: int | None = None
    trades: int | None = None
    levels: int | None = None
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    top: int | None = None
    """Only so many levels a side are there to be compared."""

    def apply(self, rows: Iterable[tuple[str, float, float]]) -> None:
        """Apply (side, price, size) rows."""
        for side, price, size in rows:
            book = self.bids if side == "bid" else self.asks
            if size:
                book[price] = size
            else:
                book.pop(price, None)


def lost(traffic: Traffic, found: Found) -> dict[str, int]:
    """What was sent and is not there. Raises Wrong if the book at the end is another one."""
    wanted = {"books": traffic.books, "trades": traffic.trades, "levels": traffic.levels}
    missing = {name: count - have for name, count in wanted.items() if (have := getattr(found, name)) is not None and have != count}
    for side, have, want in (("bid", found.bids, traffic.bids), ("ask", found.asks, traffic.asks)):
        if found.top is not None:
            want = dict(sorted(want.items(), reverse=side == "bid")[: found.top])
        if have != want:
            differing = len(have.items() ^ want.items())
            raise Wrong(f"the {side} side at the end differs in {differing} of {len(want)} levels; missing: {missing or 'nothing'}")
    return missing


def answered(answer: Answer) -> Found:
    """As the contender says."""
    bids, asks = ({float(price): float(size) for price, size in side or ()} for side in (answer.bids, answer.asks))
    return Found(answer.books, answer.trades, answer.levels, bids, asks)


def our_files(directory: Path) -> Found:
    """xtrader's Parquet files."""
    books = ds.dataset(directory / "data" / "stream=L2", partitioning="hive").to_table()
    found = Found(books=sum(books["is_last"].to_pylist()), levels=books.num_rows)
    found.apply(zip(*(books[name].to_pylist() for name in ("side", "price", "size")), strict=True))
    trades = directory / "data" / "stream=TRADES"
    found.trades = ds.dataset(trades, partitioning="hive").count_rows() if trades.exists() else 0
    return found


def books_in(directory: Path) -> int:
    """Book messages in xtrader's Parquet files."""
    return int(ds.dataset(directory / "data" / "stream=L2", partitioning="hive").count_rows(filter=ds.field("is_last")))


def rate_in(directory: Path, seconds: float) -> float:
    """Messages a second in xtrader's Parquet files, in the last `seconds` of what was received."""
    books, trades = (ds.dataset(directory / "data" / f"stream={stream}", partitioning="hive") for stream in ("L2", "TRADES"))
    times = books.to_table(["ts_recv"], filter=ds.field("is_last"))["ts_recv"], trades.to_table(["ts_recv"])["ts_recv"]
    received = np.sort(np.concatenate([column.to_numpy().astype(np.int64) for column in times]))
    return float(np.count_nonzero(received > received[-1] - seconds * 1e9) / seconds)


def our_journal(directory: Path) -> Found:
    """xtrader's journal."""
    found = Found(0, 0, 0)
    for item in read_frames(directory / "journal", 0):
        if isinstance(item, Damaged):
            raise Wrong(f"the journal is damaged at {item.offset}")
        batch = codec.read_batch(codec.read_payload(item.payload))
        if isinstance(batch, FlatBatch):
            found.trades = (found.trades or 0) + len(batch)
        elif isinstance(batch, Updates):
            found.books = (found.books or 0) + len(batch.counts)
            found.levels = (found.levels or 0) + len(batch.levels)
            levels = iter(batch.levels.tolist())
            for bids, count in zip(batch.bids.tolist(), batch.counts.tolist(), strict=True):
                found.apply(("bid" if index < bids else "ask", *next(levels)) for index in range(count))
    return found


def column_files(directory: Path) -> Found:
    """The Parquet files that the callbacks for cryptofeed write."""
    books = pq.read_table(directory / "L2.parquet")
    found = Found(levels=books.num_rows, trades=pq.ParquetFile(directory / "TRADES.parquet").metadata.num_rows)
    found.apply(zip(*(books[name].to_pylist() for name in ("side", "price", "size")), strict=True))
    return found


def rows_in(paths: Iterable[Path]) -> int:
    """Rows of Parquet and Feather files."""
    total = 0
    for path in paths:
        if path.suffix == ".parquet":
            total += pq.ParquetFile(path).metadata.num_rows
        elif path.stat().st_size:
            with pyarrow.ipc.open_stream(path) as reader:
                total += sum(batch.num_rows for batch in reader)
    return total


def query(port: int, sql: str) -> list[list[object]]:
    """Rows of a QuestDB server."""
    url = f"http://127.0.0.1:{port}/exec?{urllib.parse.urlencode({'query': sql, 'timings': 'false'})}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        rows: list[list[object]] = json.load(answer).get("dataset", [])
    return rows
