"""A journal whose clock the test moves, and records that go into it."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.numbered import DAY_START, trade, update
from xtrader.model.instrument import Instrument
from xtrader.model.market import Record
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.journal import Journal, open_journal

VENUES = {"OKX_SWAP": {"environment": "demo", "depth_window": "400 levels"}}


class Ticks:
    """A clock that the test moves."""

    def __init__(self, now: int = DAY_START) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time


def opened(directory: Path, clock: Ticks | None = None, segment_bytes: int = 1 << 26) -> Journal:
    return open_journal(directory, "c1", clock or Ticks(), VENUES, segment_bytes=segment_bytes)


def write(journal: Journal, *rows: Record) -> int:
    batcher = Batcher()
    for row in rows:
        batcher.add(row)
    return journal.append(batcher.flush())


BEYOND = Instrument(exchange="OKX_FUTURES", symbol="A-2286", alias="A", kind="future", expiry=9_999_999_999_999 * 10**6)
"""An instrument that expires later than int64 nanoseconds reach: what an older version journaled, and no sink can take."""
GOOD = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual", ts=DAY_START)


def poisoned(directory: Path) -> Journal:
    """A journal with records of all kinds, one of which is BEYOND."""
    journal = opened(directory)
    write(journal, *(update(number) for number in range(20)), trade(1))
    journal.append([codec.text_entry(codec.INSTRUMENTS, [GOOD, BEYOND])])
    write(journal, *(update(number) for number in range(20, 30)), trade(2))
    journal.append([codec.text_entry(codec.MARK, {})])
    return journal
