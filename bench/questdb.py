"""What the QuestDB sink costs in front of a real server, and what an outage does: `python -m bench.questdb`.

Half of the messages are trades, half books: of 33 levels for the cost, an emulated venue's for the outage. Everything is
delivered, every row is counted at the end.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import psutil

from bench.soak import symbols
from tests.sinks.questdb.server import Server
from xtrader.clock import SystemClock
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.delivery import Delivery
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.records.batches import FlatBatch, Updates
from xtrader.sinks.questdb import sink as questdb
from xtrader.sinks.questdb.conf import target

KEY = "BINANCE_FUTURES@BTCUSDT"
LEVELS = 33
TABLES = ("trades", "book_updates")
EXCHANGE = "BINANCE_FUTURES"
INSTRUMENTS = 20
WARM = 30.0
FRESH = 2.0
"""A backlog is drained when the newest row is not older than so many seconds."""


def message(number: int, now: int) -> Record:
    """The message with this number, as of `now`."""
    if number % 2:
        return Trade(KEY, str(number), "buy", 60_000.0 + number % 100, 0.5, now - 1_000_000, now)
    chosen = random.Random(number % 64)
    bids = [(60_000.0 - chosen.randrange(2000) / 10, chosen.randrange(100) / 8) for _ in range(LEVELS // 2)]
    asks = [(60_001.0 + chosen.randrange(2000) / 10, chosen.randrange(100) / 8) for _ in range(LEVELS - LEVELS // 2)]
    return BookUpdate(KEY, number == 0, bids, asks, number, number - 2 if number else None, now - 1_000_000, now)


def write(journal: Journal, batcher: Batcher, rows: list[Record]) -> int:
    """Rows into the journal, durably; its new end."""
    for row in rows:
        batcher.add(row)
    journal.append(batcher.flush())
    return journal.commit()


def cost(server: Server, directory: Path, count: int) -> None:
    """CPU per message of the journal and of the sink, and of the server; messages a second of the sink's one process."""
    clock = SystemClock()
    journal = open_journal(directory / "journal", "bench", clock, {})
    batcher = Batcher()
    writing = 0.0
    for start in range(0, count, 1000):
        now = clock.now()
        rows = [message(number, now + number) for number in range(start, min(count, start + 1000))]
        began = time.process_time()
        end = write(journal, batcher, rows)
        writing += time.process_time() - began
    journal.append([codec.text_entry(codec.MARK, {})])
    end = journal.commit()
    options = target(server.variables() | {"QUESTDB_TABLE_PREFIX": "cost_"})
    sink = questdb.QuestdbSink(options, directory / "state", directory / "refused.jsonl")
    delivery = Delivery(directory / "journal", sink, Rotation(questdb.COMMIT_SECONDS, questdb.COMMIT_BYTES), lambda _: None)
    spent, wall, theirs = time.process_time(), time.perf_counter(), cpu(psutil.Process(server.pid))
    delivery.open()
    delivery.advance(end)
    spent, wall, theirs = time.process_time() - spent, time.perf_counter() - wall, cpu(psutil.Process(server.pid)) - theirs
    server.settle()
    found = shown(server, "cost_")
    delivery.close()
    journal.close()
    print(f"journal: {1e6 * writing / count:.1f} us of CPU a message, durable commits of 1,000")
    print(
        f"sink:    {1e6 * spent / count:.1f} us of CPU a message ({count / spent:,.0f} a CPU second), {count / wall:,.0f} a second"
    )
    print(f"server:  {1e6 * theirs / count:.1f} us of CPU a message; rows found {found:,} of {count:,}")


def outage(server: Server, directory: Path, seconds: float, rate: int) -> None:
    """The recorder and an emulated venue as processes; the server is down for a while, messages come all the time."""
    venue, given = emulated(rate)
    given["XTRADER_HTTP"] = "off"
    given |= server.variables() | {"QUESTDB_TABLE_PREFIX": "outage_", "XTRADER_CACHE_DIRECTORY": str(directory / "cache")}
    wanted = ",".join(f"{stream}:{EXCHANGE}@{symbol}" for symbol in symbols(EXCHANGE, INSTRUMENTS) for stream in ("L2", "TRADES"))
    flags = ["--subscriptions", wanted, "--output-directory", str(directory), "--sink", "questdb"]
    with (directory / "log").open("wb") as log:
        recorder = subprocess.Popen([sys.executable, "-m", "xtrader", *flags], env={**os.environ, **given}, stdout=log, stderr=log)
    processes = {"venue": psutil.Process(venue.pid), "recorder": psutil.Process(recorder.pid)}
    try:
        time.sleep(WARM)
        processes["sink"] = processes["recorder"].children()[0]
        watched("before", processes, WARM)
        server.stop()
        watched("server down", processes, seconds)
        server.start()
        server.settle()
        back, given_before = time.monotonic(), requests(server)
        while requests(server) == given_before:
            time.sleep(0.1)
        print(f"server back: the sink had looked again after {time.monotonic() - back:.1f} s")
        processes["server"] = psutil.Process(server.pid)
        began, first = time.monotonic(), shown(server, "outage_")
        spent = {name: cpu(one) for name, one in processes.items()}
        while age(server) > FRESH:
            time.sleep(0.2)
        took, drained = time.monotonic() - began, shown(server, "outage_") - first
        cores = ", ".join(f"{name} {(cpu(one) - spent[name]) / took:.2f}" for name, one in processes.items())
        print(
            f"drained {drained:,} rows in {took:.1f} s beside live data: {drained / took / rate:.1f}x the live rate; cores: {cores}"
        )
        watched("after", processes, WARM)
    finally:
        recorder.terminate()
        code = recorder.wait(180)
        venue.terminate()
    kept, found = journaled(directory / ".journal"), shown(server, "outage_")
    print(f"exit code {code}; rows in the journal {kept:,}, found in the tables {found:,}; lost {kept - found:,}")


def emulated(rate: int) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A venue as a process, and the variables that lead to it."""
    command = [sys.executable, "-m", "xtrader.emulator", EXCHANGE, "--rate", str(rate), "--instruments", str(INSTRUMENTS)]
    venue = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert venue.stdout is not None
    lines = [venue.stdout.readline().strip().removeprefix("export ") for _ in range(2)]
    return venue, {name: value for name, _, value in (line.partition("=") for line in lines)}


def watched(phase: str, processes: Mapping[str, psutil.Process], seconds: float) -> None:
    """Sleep; say what memory (their own pages alone: USS) and CPU the recorder's processes took meanwhile."""
    deadline = time.monotonic() + seconds
    spent = {name: cpu(one) for name, one in processes.items()}
    samples: dict[str, list[int]] = {name: [] for name in ("recorder", "sink")}
    while time.monotonic() < deadline:
        time.sleep(2)
        for name, kept in samples.items():
            kept.append(processes[name].memory_full_info().uss >> 20)
    parts = []
    for name, kept in samples.items():
        fifth = max(1, len(kept) // 5)
        parts.append(f"{name} {median(kept[:fifth])} -> {median(kept[-fifth:])} MiB (most {max(kept)})")
    cores = ", ".join(f"{name} {(cpu(one) - spent[name]) / seconds:.2f}" for name, one in processes.items() if name != "server")
    print(f"{phase}, {seconds:.0f} s: {', '.join(parts)}; cores: {cores}", flush=True)


def requests(server: Server) -> int:
    """How many transactions the tables have taken."""
    return int(server.sql("SELECT sum(sequencerTxn) FROM wal_tables() WHERE name LIKE 'outage_%'")[0][0])


def age(server: Server) -> float:
    """Seconds since the newest row was received."""
    newest = max(int(row[0]) for table in TABLES for row in server.sql(f"SELECT ts_recv::long FROM 'outage_{table}' LIMIT -1"))
    return time.time() - newest / 1e9


def journaled(directory: Path) -> int:
    """Rows of trades and book messages in a journal, each distinct one once."""
    rows = 0
    for item in read_frames(directory, segments(directory)[0].base):
        assert not isinstance(item, Damaged)
        batch = codec.read_batch(codec.read_payload(item.payload))
        if isinstance(batch, FlatBatch | Updates):
            rows += len(batch)
    return rows


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def shown(server: Server, prefix: str) -> int:
    """Rows in both tables."""
    return sum(int(server.sql(f"SELECT count() FROM '{prefix}{table}'")[0][0]) for table in TABLES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--outage", type=float, default=60.0, help="seconds; 0: none")
    parser.add_argument("--rate", type=int, default=5000, help="messages a second during the outage")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name) / "root")
        server.start()
        try:
            if given.messages:
                cost(server, Path(name) / "cost", given.messages)
            if given.outage:
                (Path(name) / "outage").mkdir()
                outage(server, Path(name) / "outage", given.outage, given.rate)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
