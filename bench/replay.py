"""Rows a second that come back from Parquet, beside a plain pyarrow scan of the same files, and the memory that it takes.

`python -m bench.replay [--millions 4] [--rounds 3]`. One instrument, book updates of 8 levels each. Every figure is from a process
of its own, over a recording of the given length and over one of four times that length; memory is the process's peak (resident)
above what it held before the first row.
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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import xtrader
from xtrader.clock import MILLISECOND
from xtrader.model.market import Coverage
from xtrader.sinks.base import Coverages, Session, Updates
from xtrader.sinks.parquet import ParquetSink

KEY = "OKX_SWAP@BTC-USDT-SWAP"
START = 1_795_219_200_000_000_000
LEVELS = 8
BATCH = 4096
PART_ROWS = 4_000_000


def make(directory: Path, rows: int) -> None:
    """A recording of `rows` level rows: a price that wanders, sizes round it that change and vanish."""
    rng = np.random.default_rng(1)
    sink = ParquetSink(directory, "bench")
    sink.open(0)
    sink.write(Session(START, "bench", {}, []))
    sink.write(Coverages(START, [Coverage(KEY, "L2", "live", "start", START, None)]))
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
        messages += BATCH
        if (messages - committed) * LEVELS >= PART_ROWS:
            sink.commit(committed, messages)
            committed = messages
    end = START + messages * 5 * MILLISECOND
    sink.write(Coverages(end, [Coverage(KEY, "L2", "live", "start", START, end)]))
    sink.commit(committed, messages + 1)
    sink.close()


def plain(directory: Path) -> int:
    """What pyarrow needs for the same rows, the same columns and the same checks."""
    rows = 0
    for path in sorted(directory.glob("stream=L2/**/*.parquet")):
        with pq.ParquetFile(path, pre_buffer=True, page_checksum_verification=True) as file:
            rows += sum(batch.num_rows for batch in file.iter_batches(262_144))
    return rows


def columns(directory: Path) -> int:
    return sum(table.num_rows for table in xtrader.open(directory).book_updates(KEY).tables())


def records(directory: Path) -> int:
    """As objects, one message after the other."""
    return LEVELS * sum(1 for _ in xtrader.open(directory).replay(KEY))


def books(directory: Path) -> int:
    """The rows behind a book every second."""
    taken = sum(table.num_rows for table in xtrader.open(directory).books(KEY, every="1s", depth=10).tables())
    return taken * 200 * LEVELS


WAYS: dict[str, Callable[[Path], int]] = {
    "pyarrow scan": plain,
    "replay, columns": columns,
    "replay, records": records,
    "books, 1s": books,
}


def measured(way: str, directory: Path) -> tuple[float, float]:
    """(rows a second, MiB) of one way in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(way, directory, theirs))
    process.start()
    rate, memory = ours.recv()
    process.join()
    return rate, memory


def peak() -> float:
    """The most memory that this program ever held, in MiB; `ru_maxrss` would count what the parent held at the fork."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _measure(way: str, directory: Path, answer: multiprocessing.connection.Connection) -> None:
    before = peak()
    began = time.perf_counter()
    rows = WAYS[way](directory)
    taken = time.perf_counter() - began
    answer.send((rows / taken, peak() - before))


def main() -> None:
    """Print the table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, default=4, help="rows of the shorter recording, in millions")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result: dict[str, object] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    result["python"] = platform.python_version()
    print(f"{'way':<18}{'rows/s':>14}{'rows/s x4':>14}{'MiB':>8}{'MiB x4':>8}")
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary:
        short, long = Path(temporary) / "short", Path(temporary) / "long"
        make(short, int(arguments.millions * 1e6))
        make(long, int(arguments.millions * 4e6))
        for way in WAYS:
            found = [[measured(way, directory) for _ in range(arguments.rounds)] for directory in (short, long)]
            rates = [statistics.median(rate for rate, _ in one) for one in found]
            memory = [max(peak for _, peak in one) for one in found]
            print(f"{way:<18}{rates[0]:>14,.0f}{rates[1]:>14,.0f}{memory[0]:>8.0f}{memory[1]:>8.0f}")
            result[way] = {"rows_per_second": rates, "peak_mib": memory}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
