"""Books in time: none in a gap, the same from every question, and one chain out of several collectors' recordings."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest

import xtrader
from tests import reading
from tests.running import log_of, recorder, stop
from tests.store.books import KEY, SEED, TIMES, Sides, sides
from tests.store.recordings import SECOND, START, record
from tests.waiting import until
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth
from xtrader.emulator.venue import Timers
from xtrader.errors import ConfigError, NotCovered
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.store.read.dataset import Dataset

MINUTE = 60 * SECOND


class Market:
    """A book that changes every 100 ms for a minute, and what a collector makes of it."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.changes = []
        for number in range(600):
            levels = [(float(rng.randrange(1, 30)), float(rng.randrange(0, 3))) for _ in range(rng.randrange(0, 6))]
            self.changes.append((START + number * SECOND // 10, levels))
        self.books: list[Sides] = [({}, {})]
        for _, levels in self.changes:
            bids, asks = (dict(side) for side in self.books[-1])
            for price, size in levels:
                side = asks if price >= 15 else bids
                side.pop(price, None)
                if size:
                    side[price] = size
            self.books.append((bids, asks))

    def at(self, ts: int) -> Sides:
        return self.books[max(0, (ts - START) * 10 // SECOND + 1)]

    def collected(self, spans: list[tuple[float, float]], late: int = 0) -> list[Record]:
        """Records of a collector that was live in these spans of seconds and had a gap between them."""
        found: list[Record] = []
        before: int | None = None
        for low, high in spans:
            start, end = (START + int(seconds * SECOND) for seconds in (low, high))
            if before is not None:
                found += [Coverage(KEY, "L2", "gap", "disconnect", before, end_, "cut") for end_ in (None, start)]
            found.append(Coverage(KEY, "L2", "live", "start", start, None))
            bids, asks = self.at(start)
            sequence = (start - START) * 10 // SECOND
            found.append(BookUpdate(KEY, True, list(bids.items()), list(asks.items()), sequence, None, start, start))
            for number, (ts, levels) in enumerate(self.changes):
                if start < ts < end:
                    sides = [[level for level in levels if (level[0] >= 15) == is_ask] for is_ask in (False, True)]
                    found.append(BookUpdate(KEY, False, *sides, number, number - 1, ts, ts + late))
            found.append(Coverage(KEY, "L2", "live", "start", start, end))
            before = end
        return found


def test_a_book_is_refused_in_a_gap_and_the_gap_is_named(tmp_path: Path) -> None:
    market = Market(1)
    data = xtrader.open(record(tmp_path, market.collected([(1, 20), (30, 50)]), rotate_seconds=7))
    rng = random.Random(SEED)
    for ts in [START + rng.randrange(1 * SECOND, 50 * SECOND) for _ in range(100)]:
        if START + 20 * SECOND <= ts < START + 30 * SECOND:
            with pytest.raises(NotCovered) as caught:
                data.book_at(KEY, ts)
            error = caught.value
            assert (error.state, error.cause, error.ts_from, error.ts_to) == (
                "gap", "disconnect", START + 20 * SECOND, START + 30 * SECOND,
            )  # fmt: skip
        else:
            assert sides(data.book_at(KEY, ts)) == market.at(ts)
    for ts, words in (
        (START + 20 * SECOND, "gap (disconnect, cut) from 2026-11-21T00:00:20.000000000Z to 2026-11-21T00:00:30.000000000Z"),
        (START, "the recording begins later, at 2026-11-21T00:00:01"),
        (START + 50 * SECOND, "the recording ends before, at 2026-11-21T00:00:50"),
    ):
        with pytest.raises(NotCovered) as caught:
            data.book_at(KEY, ts)
        assert words in str(caught.value)


def test_books_at_a_cadence_are_the_books_at_those_times_and_null_in_a_gap(tmp_path: Path) -> None:
    market = Market(2)
    data = xtrader.open(record(tmp_path, market.collected([(1, 20), (30.05, 50)]), rotate_seconds=7))
    found = data.books(KEY, every="250ms", depth=3).to_arrow()
    times = found["ts"].cast("int64").to_pylist()
    assert times == list(range(START + SECOND, START + 50 * SECOND, SECOND // 4))
    for row in found.to_pylist():
        ts = row["ts"].value
        if START + 20 * SECOND <= ts < START + int(30.05 * SECOND):
            assert row["bid_prices"] is row["ask_sizes"] is row["sequence"] is None
            continue
        bids, asks = market.at(ts)
        best = sorted(bids.items(), reverse=True)[:3], sorted(asks.items())[:3]
        assert list(zip(row["bid_prices"], row["bid_sizes"], strict=True)) == best[0]
        assert list(zip(row["ask_prices"], row["ask_sizes"], strict=True)) == best[1]
        assert row["sequence"] == (ts - START) * 10 // SECOND
    part = data.books(KEY, every="250ms", depth=3, start=START + 3 * SECOND + 1, end=START + 40 * SECOND).to_arrow()
    assert part.equals(found.slice(times.index(START + 3 * SECOND + SECOND // 4)).slice(0, part.num_rows))
    assert part.num_rows == 147


def test_books_come_in_tables_that_are_the_shorter_the_deeper_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = xtrader.open(record(tmp_path, Market(3).collected([(1, 20)])))
    monkeypatch.setattr("xtrader.store.read.books.LEVELS_AT_ONCE", 12)
    for depth, rows in ((1, 12), (5, 2), (100, 1)):
        tables = list(data.books(KEY, depth=depth).tables())
        assert {table.num_rows for table in tables[:-1]} == {rows}
        assert sum(table.num_rows for table in tables) == 19


@pytest.mark.parametrize("seed", range(4))
def test_a_gap_of_one_collector_is_filled_by_another_and_chains_are_never_mixed(tmp_path: Path, seed: int) -> None:
    market = Market(seed)
    rng = random.Random(seed)
    collected = {"a": [(0.0, 20.0), (26.0, 40.0)], "b": [(10.0, 24.0), (30.0, 55.0)], "c": [(57.0, 59.0)]}
    for name, spans in collected.items():
        record(tmp_path, market.collected(spans), name, rotate_seconds=rng.choice((3, 900)))
    data = xtrader.open(tmp_path)
    live = [(0.0, 24.0), (26.0, 55.0), (57.0, 59.0)]
    for ts in [START + rng.randrange(59 * SECOND) for _ in range(60)]:
        if any(START + low * SECOND <= ts < START + high * SECOND for low, high in live):
            assert sides(data.book_at(KEY, ts)) == market.at(ts)
        else:
            with pytest.raises(NotCovered):
                data.book_at(KEY, ts)
    check_chain(data, market, live)


def check_chain(data: Dataset, market: Market, live: list[tuple[float, float]]) -> None:
    """The replayed messages make the true book after each of them, and between snapshots every number follows the one before."""
    book = Book()
    numbers: list[int] = []
    for message in data.replay(KEY):
        assert isinstance(message, BookUpdate)
        book.apply(message)
        assert sides(book) == market.at(message.ts_recv)
        assert message.is_snapshot or message.prev_sequence == numbers[-1]
        assert message.sequence is not None
        numbers.append(message.sequence)
    expected = {n for n in range(600) if any(low * 10 <= n < high * 10 for low, high in live)}
    assert set(numbers) == expected


def published(truth: Truth, exchange: str, symbol: str) -> dict[int, Sides]:
    """The true book at each sequence number: of its messages, and of the books that were answered between two of them."""
    found: dict[int, Sides] = {}
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for event in truth.books(exchange, symbol):
        for side, levels in ((bids, event.bids), (asks, event.asks)):
            for price, size in levels:
                side[float(price)] = float(size)
                if not float(size):
                    del side[float(price)]
        found[event.sequence] = (dict(bids), dict(asks))
    for answer in truth.snapshots(exchange, symbol):
        found.setdefault(answer.sequence, tuple({float(p): float(s) for p, s in side} for side in (answer.bids, answer.asks)))
    return found


def test_books_of_a_recording_with_cuts_are_what_the_venues_published(tmp_path: Path) -> None:
    """Connections are cut every two seconds where a venue does so, and the recorder is killed once."""
    venues = {"BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}
    wanted = ",".join(f"L2:{exchange}@{symbol}" for exchange, symbol in venues.items())
    rng = random.Random(SEED)

    async def main() -> Truth:
        async with Emulator(list(venues), instruments=1, rate=600, keep_truth=True, timers=Timers(lifetime=2)) as emulator:
            assert emulator.truth is not None
            for run, end in ((1, "kill"), (2, "stop")):
                async with recorder(tmp_path, wanted, emulator.variables) as process:
                    await until(lambda: min(live_books(tmp_path / "data", exchange) for exchange in venues) >= run, 60)  # noqa: B023
                    await asyncio.sleep(4)
                    if end == "kill":
                        process.kill()
                        await process.wait()
                    else:
                        assert await stop(process) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    data = xtrader.open(tmp_path / "data")
    answered = refused = 0
    for exchange, symbol in venues.items():
        true = published(truth, exchange, symbol)
        messages = list(reading.messages(tmp_path / "data", exchange, symbol))
        known: list[int] = []
        for message in messages:
            known.append(max([message.ts_recv, *known[-1:]]))
        spans = live_spans(tmp_path / "data", exchange, symbol)
        for ts in [rng.randrange(known[0] - SECOND, known[-1]) for _ in range(TIMES)]:
            if any(low <= ts < high for low, high in spans):
                book = data.book_at(f"{exchange}@{symbol}", ts)
                assert book.sequence == messages[bisect_right(known, ts) - 1].sequence
                assert book.sequence is not None
                assert sides(book) == true[book.sequence], f"{exchange} at {ts}, seed {SEED}"
                answered += 1
            else:
                with pytest.raises(NotCovered):
                    data.book_at(f"{exchange}@{symbol}", ts)
                refused += 1
    assert answered > TIMES
    assert refused > 0


def live_books(directory: Path, exchange: str) -> int:
    """How often a book of an exchange has become live so far."""
    try:
        rows = xtrader.open(directory).coverage(exchange=exchange).to_arrow()
    except ConfigError:
        return 0
    return sum(row["state"] == "live" for row in rows.to_pylist())


def live_spans(directory: Path, exchange: str, symbol: str) -> list[tuple[int, int]]:
    rows: list[dict[str, Any]] = reading.coverage(directory, exchange, symbol, "L2")
    return [(row["ts_from"], row["ts_to"]) for row in rows if row["state"] == "live" and row["ts_to"] is not None]
