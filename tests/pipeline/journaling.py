"""A journal whose clock the test moves, and records that go into it."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.numbered import DAY_START
from xtrader.model.instrument import Instrument
from xtrader.model.market import Record
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
