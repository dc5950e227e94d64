"""Rows a second that come back from Parquet, beside a plain pyarrow scan of the same files, and the memory that it takes.

`python -m bench.replay [--millions 4] [--rounds 3]`. One instrument: book messages of 8 levels, a row for each level, and as many
trades as messages. Every figure is from a process of its own, over a recording of the given length and over one of four times that
length. CPU is what the process used, all threads together: on a machine that does other things too, rows a CPU second say more
than rows a second. Memory is the process's peak (resident) above what it held before the first row, in a slower process whose
allocators give back at once what was freed: the usual ones keep some, and the more the longer they run (the last column).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing.connection
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq

import xtrader
from xtrader.clock import MILLISECOND
from xtrader.model.market import Coverage
from xtrader.records.batches import FlatBatch, RareBatch, Session, Updates
from xtrader.sinks.parquet.sink import ParquetSink

KEY = "OKX_SWAP@BTC-USDT-SWAP"
START = 1_795_219_200_000_000_000
LEVELS = 8
BATCH = 4096
PART_ROWS = 4_000_000
GIVING_BACK = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Variables with which what is freed goes back to the system at once (glibc)."""


def make(directory: Path, rows: int) -> None:
    """A recording of `rows` level rows: a price that wanders, sizes round it that change and vanish, and trades at it."""
    rng = np.random.default_rng(1)
    sink = ParquetSink(directory, "bench")
    sink.open(0)
    sink.write(Session(START, "bench", {}, []))
    sink.write(RareBatch(START, "COVERAGE", [Coverage(KEY, "L2", "live", "start", START, None)]))
    messages, committed, middle = 0, 0, 600_000
    while messages * LEVELS < rows:
        number = np.arange(messages, messages + BATCH)
        middles = middle + rng.integers(-1, 2, BATCH).cumsum()
        middle = int(middles[-1])
        offsets = rng.geometric(0.02, (BATCH, LEVELS)) * np.repeat([-1, 1], LEVELS // 2)
        prices = (middles[:, None] + offsets) / 10
        sizes = np.where(rng.random((BATCH, LEVELS)) < 0.3, 0, rng.integers(1, 5000, (BATCH, LEVELS)) / 100)
        ts = START + number * 5 * MILLISECOND
        sink.write(
            Updates(
                ts=int(ts[-1]),
                keys=[KEY],
                instrument=np.zeros(BATCH, np.int32),
                ts_event=ts - 3 * MILLISECOND,
                ts_recv=ts + rng.integers(0, MILLISECOND, BATCH),
                sequence=number,
                prev_sequence=number - 1,
                is_snapshot=(number == 0).astype(np.uint8),
                bids=np.full(BATCH, LEVELS // 2, np.int32),
                counts=np.full(BATCH, LEVELS, np.int32),
                levels=np.stack([prices.ravel(), sizes.ravel()], axis=1),
            )
        )
        sink.write(
            FlatBatch(
                ts=int(ts[-1]),
                stream="TRADES",
                keys=[KEY],
                instrument=np.zeros(BATCH, np.int32),
                columns={
                    "ts_event": ts - 2 * MILLISECOND,
                    "ts_recv": ts + rng.integers(0, MILLISECOND, BATCH),
                    "side": rng.integers(0, 2, BATCH).astype(np.uint8),
                    "price": middles / 10,
                    "size": rng.integers(1, 500, BATCH) / 100,
                    "trade_id": [str(9_000_000_000 + trade) for trade in number.tolist()],
                },
            )
        )
        messages += BATCH
        if (messages - committed) * LEVELS >= PART_ROWS:
            sink.commit(committed, messages)
            committed = messages
    end = START + messages * 5 * MILLISECOND
    sink.write(RareBatch(end, "COVERAGE", [Coverage(KEY, "L2", "live", "start", START, end)]))
    sink.commit(committed, messages + 1)
    sink.close()


def plain(directory: Path, stream: str) -> int:
    """What pyarrow needs for the same rows, the same columns and the same checks."""
    rows = 0
    for path in sorted(directory.glob(f"stream={stream}/**/*.parquet")):
        with pq.ParquetFile(path, pre_buffer=True, page_checksum_verification=True) as file:
            rows += sum(batch.num_rows for batch in file.iter_batches(262_144))
    return rows


def columns(directory: Path) -> int:
    return sum(table.num_rows for table in xtrader.open(directory).book_updates(KEY).tables())


def messages(directory: Path) -> int:
    """Book messages as records, one after the other: a row is a level."""
    return LEVELS * sum(1 for _ in xtrader.open(directory).replay(KEY, streams=["L2"]))


def trades(directory: Path) -> int:
    """Trades as records, one after the other: a row is a trade."""
    return sum(1 for _ in xtrader.open(directory).replay(KEY, streams=["TRADES"]))


def both(directory: Path) -> int:
    """Book messages and trades in the order in which they were received: the levels and the trades."""
    return (LEVELS + 1) * sum(1 for _ in xtrader.open(directory).replay(KEY)) // 2


def books(directory: Path) -> int:
    """The rows behind a book every second."""
    taken = sum(table.num_rows for table in xtrader.open(directory).books(KEY, every="1s", depth=10).tables())
    return taken * 200 * LEVELS


def last_book(directory: Path) -> int:
    """The rows behind the last book of all."""
    data = xtrader.open(directory)
    (live,) = data.coverage(KEY).to_arrow()["ts_to"].to_pylist()
    data.book_at(KEY, live.value - 1)
    return (live.value - START) // (5 * MILLISECOND) * LEVELS


WAYS: dict[str, Callable[[Path], int]] = {
    "pyarrow scan, book rows": partial(plain, stream="L2"),
    "pyarrow scan, trades": partial(plain, stream="TRADES"),
    "replay as columns, book rows": columns,
    "replay as records, book rows": messages,
    "replay as records, trades": trades,
    "replay as records, both": both,
    "books every second, book rows": books,
    "book_at the end, book rows": last_book,
}


class Figures(NamedTuple):
    """Of one way: rows a second, rows per CPU second, and MiB."""

    rate: float
    rate_of_cpu: float
    memory: float


def measured(way: str, directory: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Figures:
    """One way in a process of its own, started with more environment variables."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(way, directory, theirs))
    with patch.dict(os.environ, variables):
        process.start()
    figures = ours.recv()
    process.join()
    return Figures(*figures)


def peak() -> float:
    """The most memory that this program ever held, in MiB; `ru_maxrss` would count what the parent held at the fork."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _measure(way: str, directory: Path, answer: multiprocessing.connection.Connection) -> None:
    before = peak()
    began, began_cpu = time.perf_counter(), time.process_time()
    rows = WAYS[way](directory)
    taken, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    answer.send(Figures(rows / taken, rows / cpu, peak() - before))


def main() -> None:
    """Print the table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, default=4, help="rows of the shorter recording, in millions")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result: dict[str, object] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    result["python"] = platform.python_version()
    print(f"{'way':<30}{'rows/s':>12}{'rows/s x4':>12}{'rows/CPU s':>12}{'MiB':>6}{'MiB x4':>8}{'kept x4':>9}")
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary:
        short, long = Path(temporary) / "short", Path(temporary) / "long"
        make(short, int(arguments.millions * 1e6))
        make(long, int(arguments.millions * 4e6))
        for way in WAYS:
            found = [[measured(way, directory) for _ in range(arguments.rounds)] for directory in (short, long)]
            rates = [statistics.median(one.rate for one in of) for of in found]
            of_cpu = statistics.median(one.rate_of_cpu for one in found[1])
            held = [measured(way, directory, GIVING_BACK).memory for directory in (short, long)]
            kept = max(one.memory for one in found[1])
            print(
                f"{way:<30}{rates[0]:>12,.0f}{rates[1]:>12,.0f}{of_cpu:>12,.0f}{held[0]:>6.0f}{held[1]:>8.0f}{kept:>9.0f}",
                flush=True,
            )
            result[way] = {"rows_per_second": rates, "rows_per_cpu_second": of_cpu, "peak_mib": held, "peak_mib_as_usual": kept}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
