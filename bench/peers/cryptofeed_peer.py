"""cryptofeed, 3.0.1 and 2.4.1, as a process in its own environment: `python -m bench.peers.cryptofeed_peer TASK`.

| mode | what runs behind cryptofeed's feed handler (under uvloop) |
|---|---|
| null | callbacks that count messages |
| best | the same, and best bid and ask of its book after each update |
| columns | a callback that appends each level to column lists and writes Parquet row groups from them |
| dicts | the usual callback: a dict for each level, lists of dicts to Parquet |
| questdb | its own QuestDB backend with `overflow="block"`, so that nothing is dropped (top 10 levels, its default) |
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

import cryptofeed
from cryptofeed import FeedHandler
from cryptofeed.defines import ASK, BID, L2_BOOK, TRADES
from cryptofeed.exchanges import OKX, BinanceFutures, Deribit

from bench import task
from bench.task import Answer, Task

MODERN = not hasattr(cryptofeed.feedhandler, "setup_signal_handlers")
"""3.x; 2.x ends by the exception that its signal handlers raise."""
FEEDS = {"BINANCE_FUTURES": BinanceFutures, "OKX_SWAP": OKX, "DERIBIT": Deribit}
SYMBOLS = {"BINANCE_FUTURES": "BTC-USDT-PERP", "OKX_SWAP": "BTC-USDT-PERP", "DERIBIT": "BTC-USD-PERP"}
ROWS = 131_072
"""Rows of a Parquet row group."""
SCHEMA_L2 = ("timestamp", "receipt_timestamp", "sequence", "is_snapshot", "side", "price", "size")
SCHEMA_TRADES = ("timestamp", "receipt_timestamp", "id", "side", "price", "size")


class Null:
    """Counts messages; asks the feed handler to stop once all have come."""

    def __init__(self, asked: Task) -> None:
        self.books = self.trades = 0
        self.left = asked.books + asked.trades
        self.book: Any = None
        self.stop = lambda: None

    async def on_book(self, book: Any, receipt_timestamp: float) -> None:
        self.books += 1
        self.book = book
        self.came()

    async def on_trade(self, trade: Any, receipt_timestamp: float) -> None:
        self.trades += 1
        self.came()

    def came(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.stop()

    def close(self) -> None:
        pass

    def answer(self) -> Answer:
        if self.book is None:
            return Answer(self.books, self.trades)
        bids, asks = self.book.book.bids.to_dict(), self.book.book.asks.to_dict()
        sides = ([(float(price), float(size)) for price, size in side.items()] for side in (bids, asks))
        return Answer(self.books, self.trades, None, *sides)


class Best(Null):
    """Best bid and ask after each update."""

    async def on_book(self, book: Any, receipt_timestamp: float) -> None:
        bids, asks = book.book.bids, book.book.asks
        if len(bids) and len(asks):
            bids.index(0)
            asks.index(0)
        await super().on_book(book, receipt_timestamp)


def rows_of(book: Any) -> list[tuple[str, Any]]:
    """(side, levels) of what changed, or of the whole book for a snapshot."""
    if book.delta is None:
        return [("bid", book.book.bids.to_dict().items()), ("ask", book.book.asks.to_dict().items())]
    return [("bid", book.delta[BID]), ("ask", book.delta[ASK])]


class Columns(Null):
    """Levels and trades in column lists; a row group is written when they are long enough."""

    def __init__(self, asked: Task) -> None:
        super().__init__(asked)
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.pa = pa
        text = pa.dictionary(pa.int32(), pa.string())
        l2 = [pa.float64(), pa.float64(), pa.int64(), pa.bool_(), text, pa.float64(), pa.float64()]
        trades = [pa.float64(), pa.float64(), pa.string(), text, pa.float64(), pa.float64()]
        self.schemas = {
            "L2": pa.schema(list(zip(SCHEMA_L2, l2, strict=True))),
            "TRADES": pa.schema(list(zip(SCHEMA_TRADES, trades, strict=True))),
        }
        self.writers = {
            name: pq.ParquetWriter(Path(asked.directory) / f"{name}.parquet", schema, compression="zstd")
            for name, schema in self.schemas.items()
        }
        self.rows: dict[str, Any] = {}
        self.begin("L2")
        self.begin("TRADES")

    def begin(self, name: str) -> None:
        self.rows[name] = [[] for _ in self.schemas[name]]

    def table(self, name: str) -> Any:
        return self.pa.table(self.rows[name], schema=self.schemas[name])

    def size(self, name: str) -> int:
        return len(self.rows[name][0])

    def flush(self, name: str) -> None:
        self.writers[name].write_table(self.table(name))
        self.begin(name)

    async def on_book(self, book: Any, receipt_timestamp: float) -> None:
        timestamps, receipts, sequences, snapshots, sides, prices, sizes = self.rows["L2"]
        for side, levels in rows_of(book):
            for price, size in levels:
                prices.append(float(price))
                sizes.append(float(size))
            added = len(levels)
            timestamps += [book.timestamp] * added
            receipts += [receipt_timestamp] * added
            sequences += [int(book.sequence_number)] * added
            snapshots += [book.delta is None] * added
            sides += [side] * added
        if len(prices) >= ROWS:
            self.flush("L2")
        await super().on_book(book, receipt_timestamp)

    async def on_trade(self, trade: Any, receipt_timestamp: float) -> None:
        row = (trade.timestamp, receipt_timestamp, trade.id, trade.side, float(trade.price), float(trade.amount))
        for column, value in zip(self.rows["TRADES"], row, strict=True):
            column.append(value)
        if self.size("TRADES") >= ROWS:
            self.flush("TRADES")
        await super().on_trade(trade, receipt_timestamp)

    def close(self) -> None:
        for name, writer in self.writers.items():
            if self.size(name):
                self.flush(name)
            writer.close()


class Dicts(Columns):
    """A dict for each row."""

    def begin(self, name: str) -> None:
        self.rows[name] = []

    def table(self, name: str) -> Any:
        return self.pa.Table.from_pylist(self.rows[name], schema=self.schemas[name])

    def size(self, name: str) -> int:
        return len(self.rows[name])

    async def on_book(self, book: Any, receipt_timestamp: float) -> None:
        rows = self.rows["L2"]
        for side, levels in rows_of(book):
            for price, size in levels:
                rows.append(
                    {
                        "timestamp": book.timestamp,
                        "receipt_timestamp": receipt_timestamp,
                        "sequence": int(book.sequence_number),
                        "is_snapshot": book.delta is None,
                        "side": side,
                        "price": float(price),
                        "size": float(size),
                    }
                )
        if len(rows) >= ROWS:
            self.flush("L2")
        await Null.on_book(self, book, receipt_timestamp)

    async def on_trade(self, trade: Any, receipt_timestamp: float) -> None:
        row = (trade.timestamp, receipt_timestamp, trade.id, trade.side, float(trade.price), float(trade.amount))
        self.rows["TRADES"].append(dict(zip(SCHEMA_TRADES, row, strict=True)))
        if self.size("TRADES") >= ROWS:
            self.flush("TRADES")
        await Null.on_trade(self, trade, receipt_timestamp)


def callbacks(asked: Task, counting: Null) -> dict[str, Any]:
    """What cryptofeed calls."""
    wanted: dict[str, Any] = {L2_BOOK: [counting.on_book]}
    if asked.trades:
        wanted[TRADES] = [counting.on_trade]
    if asked.mode == "questdb":
        from cryptofeed.backends.quest import BookQuest, TradeQuest

        options: dict[str, Any] = {"host": "127.0.0.1", "port": asked.questdb_port, "overflow": "block", "flush_deadline": 60.0}
        wanted[L2_BOOK].insert(0, BookQuest(**options))
        if asked.trades:
            wanted[TRADES].insert(0, TradeQuest(**options))
    return wanted


def point(feed: Any, asked: Task) -> None:
    """Let the feed's class use the benchmark's server."""
    for endpoint in feed.websocket_endpoints:
        old = endpoint.address
        path = "/" + old.split("/", 3)[3] if old.count("/") > 2 else ""
        endpoint.address = endpoint.sandbox = asked.ws + path
    for endpoint in feed.rest_endpoints:
        endpoint.address = endpoint.sandbox = asked.rest


def main() -> None:
    """Run until all has come."""
    asked = task.read()
    logging.disable(logging.WARNING)
    counting = {"null": Null, "best": Best, "columns": Columns, "dicts": Dicts, "questdb": Null}[asked.mode](asked)
    feed = FEEDS[asked.exchange]
    point(feed, asked)
    handler = FeedHandler(config={"uvloop": True, "log": {"disabled": True}})
    wanted = callbacks(asked, counting)
    options: dict[str, Any] = {"depth_interval": "100ms"} if asked.exchange == "BINANCE_FUTURES" else {}
    if MODERN:
        options["shutdown_timeout"] = 90.0
    else:
        # 2.x looks the instruments up when the feed is made, and expects that a loop was set.
        feed.symbols(refresh=True)
        asyncio.set_event_loop(asyncio.get_event_loop_policy().new_event_loop())
    handler.add_feed(feed(symbols=[SYMBOLS[asked.exchange]], channels=list(wanted), callbacks=wanted, **options))
    counting.stop = handler.request_stop if MODERN else (lambda: os.kill(os.getpid(), signal.SIGTERM))
    handler.run()
    counting.close()
    answer = counting.answer()
    if MODERN and asked.mode == "questdb":
        stats = handler.backend_stats()
        answer.extra = {"backends": {key: {name: vars(one) for name, one in value.items()} for key, value in stats.items()}}
    task.say(answer)


if __name__ == "__main__":
    main()
