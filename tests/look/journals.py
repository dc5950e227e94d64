"""Journals written record by record, as a recorder writes them, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from xtrader.clock import SECOND
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline import codec, frames
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.journal import Journal, open_journal

KEY = "OKX_SWAP@BTC-USDT-SWAP"
OTHER = "OKX_SWAP@ETH-USDT-SWAP"
NOW = 1_795_219_200 * SECOND
INSTRUMENT = Instrument(
    exchange="OKX_SWAP",
    symbol="BTC-USDT-SWAP",
    alias="BTCUSDT",
    kind="perpetual",
    base="BTC",
    quote="USDT",
    tick_size=0.1,
    contract_size=0.01,
    contract_unit="BTC",
)


class HandClock:
    """Stands where it was put."""

    def __init__(self, now: int = NOW) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time


class Scribe:
    """Writes groups of records into a journal."""

    def __init__(self, journal: Journal, clock: HandClock) -> None:
        self.journal = journal
        self.clock = clock

    def write(self, *records: Record) -> None:
        """One group, a tenth of a second after the one before."""
        self.clock.time += SECOND // 10
        batcher = Batcher()
        for record in records:
            batcher.add(record)
        self.journal.append(batcher.flush())

    def alive(self) -> None:
        """A frame that says only that the recorder lives."""
        self.clock.time += SECOND
        self.journal.append([codec.text_entry(codec.ALIVE, {})])

    def cover(self, state: str, cause: str, *, key: str = KEY, stream: str = "L2", before: Coverage | None = None) -> Coverage:
        """A row that opens an interval now, after the close of the one before."""
        row = Coverage(key, stream, state, cause, self.clock.time, None)
        closed = [] if before is None else [Coverage(key, stream, before.state, before.cause, before.ts_from, row.ts_from)]
        self.write(*closed, row)
        return row


@contextmanager
def scribe(directory: Path, clock: HandClock | None = None, segment_bytes: int = 1 << 20) -> Iterator[Scribe]:
    clock = clock or HandClock()
    journal = open_journal(directory, "c1", clock, {}, segment_bytes=segment_bytes)
    try:
        yield Scribe(journal, clock)
    finally:
        journal.close()


def snapshot(sequence: int = 1, key: str = KEY, *, shift: float = 0.0) -> BookUpdate:
    bids = [(100.0 + shift - level / 10, 1.0 + level) for level in range(20)]
    asks = [(100.1 + shift + level / 10, 2.0 + level) for level in range(20)]
    return BookUpdate(key, True, bids, asks, sequence, None, NOW, NOW + sequence)


def deltas(count: int, first: int = 2, key: str = KEY, seed: int = 1) -> list[BookUpdate]:
    """A chain of changes near the best prices."""
    random = Random(seed)
    made = []
    for sequence in range(first, first + count):
        bids = [(100.0 - random.randrange(30) / 10, random.choice([0.0, 1.5, 2.5])) for _ in range(random.randrange(4))]
        asks = [(100.1 + random.randrange(30) / 10, random.choice([0.0, 1.5, 2.5])) for _ in range(random.randrange(4))]
        made.append(BookUpdate(key, False, bids, asks, sequence, sequence - 1, NOW, NOW + sequence))
    return made


def trade(number: int, key: str = KEY) -> Trade:
    return Trade(key, str(number), "buy" if number % 2 else "sell", 100.0 + number / 10, number / 4, NOW, NOW + number)


def built(updates: list[BookUpdate]) -> Book:
    book = Book()
    for update in updates:
        book.apply(update)
    return book


def nothing(collector: str, live: Coverage, ts: int) -> Book | None:
    """A recording without files."""
    return None


def never(collector: str, live: Coverage, ts: int) -> Book | None:
    raise AssertionError("the journal has all that the book needs")


def frames_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets of all frames that are read from now on."""
    read: list[int] = []
    read_frame = frames.read_frame

    def reading(descriptor: int, base: int, offset: int, end: int) -> frames.JournalFrame | None:
        found = read_frame(descriptor, base, offset, end)
        if found is not None:
            read.append(offset)
        return found

    monkeypatch.setattr(frames, "read_frame", reading)
    return read


def spoil(directory: Path, offset: int) -> None:
    """Damage the frame at an offset of a journal."""
    segment = next(one for one in frames.segments(directory) if one.base <= offset < one.end)
    with segment.path.open("r+b") as file:
        file.seek(offset - segment.base + 40)
        file.write(b"\xff\xff\xff\xff")
