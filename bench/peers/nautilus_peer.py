"""nautilus_trader 2.0.0rc7 (Rust core) as a process in its own environment: `python -m bench.peers.nautilus_peer TASK`.

| mode | what runs in a LiveNode with one data client |
|---|---|
| managed | a Python actor that takes deltas and trades, the node keeping the book |
| best | the same, best bid and ask of the node's book after each update |
| feather | the same as managed, and its streaming writer to Feather files |
| promoted | the same, promoted to its Parquet catalogue at the close |

Its websocket client takes only certificates that a public authority has signed, so it gets a plain socket.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import BinanceDataClientConfig, BinanceDataClientFactory, BinanceProductType
from nautilus_trader.adapters.okx import OKXDataClientConfig, OKXDataClientFactory, OKXInstrumentType
from nautilus_trader.common import DataActor, Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveNodeBuilder, LiveNodeConfig
from nautilus_trader.model import BookType, InstrumentId, TraderId
from nautilus_trader.persistence import DataCatalogConfig, StreamingConfig

from bench import task
from bench.task import Answer, Task

INSTRUMENTS = {"BINANCE_FUTURES": "BTCUSDT-PERP.BINANCE", "OKX_SWAP": "BTC-USDT-SWAP.OKX"}


def client(asked: Task) -> tuple[Any, Any]:
    """The venue's factory and configuration, at the benchmark's addresses."""
    if asked.exchange == "OKX_SWAP":
        public, business = f"{asked.ws}/ws/v5/public", f"{asked.ws}/ws/v5/business"
        return OKXDataClientFactory(), OKXDataClientConfig(
            instrument_types=[OKXInstrumentType.SWAP],
            base_url_http=asked.rest,
            base_url_ws_public=public,
            base_url_ws_business=business,
        )
    return BinanceDataClientFactory(), BinanceDataClientConfig(
        product_type=BinanceProductType.USD_M, base_url_http=asked.rest, base_url_ws=f"{asked.ws}/ws"
    )


class Counting(DataActor):
    """Counts what it is given; stops the node once all has come."""

    def begin(self, asked: Task) -> None:
        """What to wait for."""
        self.asked = asked
        self.instrument = InstrumentId.from_str(INSTRUMENTS[asked.exchange])
        self.books = self.trades = 0
        self.left = asked.books + asked.trades
        self.stop_node: Any = None

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.instrument, BookType.L2_MBP, managed=True)
        if self.asked.trades:
            self.subscribe_trades(self.instrument)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        self.came()

    def on_trade(self, trade: Any) -> None:
        self.trades += 1
        self.came()

    def came(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop_node()


class Best(Counting):
    """Best bid and ask after each update."""

    def on_book_deltas(self, deltas: Any) -> None:
        book = self.cache.order_book(self.instrument)
        book.best_bid_price()
        book.best_ask_price()
        super().on_book_deltas(deltas)


def main() -> None:
    """Run until all has come."""
    asked = task.read()
    streaming = None
    if asked.mode in ("feather", "promoted"):
        path = f"{asked.directory}/catalog"
        promoted = DataCatalogConfig(path) if asked.mode == "promoted" else None
        streaming = StreamingConfig(path, catalog=promoted, promote_on_close=promoted is not None, flush_interval_ms=1000)
    quiet = LoggerConfig(stdout_level=LogLevel.ERROR)
    config = LiveNodeConfig(
        environment=Environment.LIVE,
        trader_id=TraderId("BENCH-001"),
        logging=quiet,
        streaming=streaming,
        delay_post_stop_secs=0.2,
    )
    node = LiveNodeBuilder.from_config("BENCH", config).add_data_client(None, *client(asked)).build()
    actor = (Best if asked.mode == "best" else Counting)()
    actor.begin(asked)
    actor.stop_node = node.handle().stop
    node.add_actor(actor)
    node.run()
    book = node.cache.order_book(actor.instrument)
    node.dispose()
    sides: list[dict[Decimal, Decimal]] = [book.bids_to_dict(), book.asks_to_dict()] if book is not None else [{}, {}]
    bids, asks = ([(float(price), float(size)) for price, size in side.items()] for side in sides)
    task.say(Answer(actor.books, actor.trades, None, bids, asks))


if __name__ == "__main__":
    main()
