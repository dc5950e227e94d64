"""A recording made by formula: four subscriptions over midnight, two declared gaps, many parts; nothing wrong with it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.pipeline.numbered import DAY_START
from xtrader.clock import SECOND
from xtrader.feed.coverage import CoverageTracker
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.parquet.sink import ParquetSink

OKX, BINANCE = "OKX_SWAP@BTC-USDT-SWAP", "BINANCE_SPOT@BTCUSDT"
DAY = 86_400 * SECOND
LENGTH = 300 * SECOND
BEGIN = DAY_START + DAY - LENGTH // 2
END = BEGIN + LENGTH
STEP = SECOND // 2
LOST = BEGIN + 100 * SECOND
"""Both books lose a message here."""
DOWN = BEGIN + 200 * SECOND
"""Everything is disconnected from here on for ten seconds."""
BACK = DOWN + 10 * SECOND
FACTS = {"OKX_SWAP": {"environment": "demo"}, "BINANCE_SPOT": {"environment": "demo"}}


def record(directory: Path, collector: str = "c1", seconds: float = 60.0, end: int = END) -> None:
    """Write it; a part of each stream every so many seconds."""
    write_records(records(end), ParquetSink(directory, collector), collector, FACTS, Rotation(seconds))


def records(end: int = END) -> Iterator[Record]:
    """Everything in the order of time, up to `end`."""
    tracker = CoverageTracker()
    feeds = [_Feed(key, tracker, random.Random(number)) for number, key in enumerate((OKX, BINANCE))]
    for feed in feeds:
        yield feed.instrument()
        yield from feed.opens("start", BEGIN)
    for ts in range(BEGIN + STEP, end, STEP):
        for number, feed in enumerate(feeds):
            now = ts + number * 1000
            if ts == LOST:
                yield from feed.loses(now)
            elif ts == DOWN:
                yield from feed.falls(now)
            elif ts == BACK:
                yield from feed.opens("disconnect", now)
            elif not DOWN <= ts < BACK:
                yield from feed.goes_on(now)
    for feed in feeds:
        for stream in ("L2", "TRADES"):
            yield from tracker.rows(Coverage(feed.key, stream, "gap", "shutdown", end, None))


class _Feed:
    """One instrument's book and trades."""

    def __init__(self, key: str, tracker: CoverageTracker, chance: random.Random) -> None:
        self.key = key
        self._tracker = tracker
        self._chance = chance
        self._sequence = 1000
        self._trade = 500
        self._good = BEGIN

    def instrument(self) -> Instrument:
        exchange, _, symbol = self.key.partition("@")
        return Instrument(exchange=exchange, symbol=symbol, alias="BTCUSDT", kind="perpetual", ts=BEGIN)

    def opens(self, cause: str, ts: int) -> Iterator[Record]:
        for stream in ("L2", "TRADES"):
            yield from self._tracker.rows(Coverage(self.key, stream, "syncing", cause, ts, None))
        yield self._snapshot(ts + 1)
        for stream in ("L2", "TRADES"):
            yield from self._tracker.rows(Coverage(self.key, stream, "live", cause, ts + 1, None))

    def goes_on(self, ts: int) -> Iterator[Record]:
        before = self._sequence
        self._sequence += self._chance.randint(1, 3)
        self._good = ts
        yield BookUpdate(self.key, False, self._levels(990, 5), self._levels(1001, 5), self._sequence, before, ts - 5000, ts)
        self._trade += 1
        yield Trade(self.key, str(self._trade), "buy", 1000.5, 0.25, ts - 4000, ts)

    def loses(self, ts: int) -> Iterator[Record]:
        """Messages went missing: the gap, and the book anew."""
        yield from self._tracker.rows(Coverage(self.key, "L2", "gap", "venue_gap", self._good, ts, "a message is missing"))
        yield from self._tracker.rows(Coverage(self.key, "L2", "syncing", "venue_gap", ts, None))
        self._sequence += 10
        yield self._snapshot(ts + 1)
        yield from self._tracker.rows(Coverage(self.key, "L2", "live", "venue_gap", ts + 1, None))

    def falls(self, ts: int) -> Iterator[Record]:
        for stream in ("L2", "TRADES"):
            yield from self._tracker.rows(Coverage(self.key, stream, "gap", "disconnect", self._good, None, "cut"))
        self._sequence += 100
        self._trade += 7

    def _snapshot(self, ts: int) -> BookUpdate:
        self._good = ts
        bids, asks = ([(float(price), 1.0) for price in range(low, low + 10)] for low in (990, 1001))
        return BookUpdate(self.key, True, bids, asks, self._sequence, None, None, ts)

    def _levels(self, low: int, count: int) -> list[tuple[float, float]]:
        prices = self._chance.sample(range(low, low + 10), self._chance.randint(0, count))
        return [(float(price), float(self._chance.randint(0, 4))) for price in prices]
