"""What the QuestDB sink costs in front of a real server, and what an outage does: `python -m bench.questdb`.

Half of the messages are books of 33 levels, half trades; everything is delivered, every row is counted at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

import psutil

from tests.sinks.questdb.server import Server
from xtrader.clock import SystemClock
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.lane import Lane, LaneSpec
from xtrader.pipeline.process import LaneProcess
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.questdb import sink as questdb
from xtrader.sinks.questdb.conf import target

KEY = "BINANCE_FUTURES@BTCUSDT"
LEVELS = 33
FLUSH = 0.1


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
    lane = Lane(directory / "journal", sink, Rotation(questdb.COMMIT_SECONDS, questdb.COMMIT_BYTES), lambda _: None)
    spent, wall, theirs = time.process_time(), time.perf_counter(), server_cpu(server)
    lane.open()
    lane.advance(end)
    spent, wall, theirs = time.process_time() - spent, time.perf_counter() - wall, server_cpu(server) - theirs
    found = shown(server, "cost_")
    lane.close()
    journal.close()
    print(f"journal: {1e6 * writing / count:.1f} us of CPU a message, durable commits of 1,000")
    print(
        f"sink:    {1e6 * spent / count:.1f} us of CPU a message ({count / spent:,.0f} a CPU second), {count / wall:,.0f} a second"
    )
    print(f"server:  {1e6 * theirs / count:.1f} us of CPU a message; rows found {found:,} of {count:,}")


async def outage(server: Server, directory: Path, seconds: float, rate: int) -> None:
    """The server is down for a while; messages come all the time."""
    clock = SystemClock()
    journal = open_journal(directory / "journal", "bench", clock, {})
    options = server.variables() | {"QUESTDB_TABLE_PREFIX": "outage_"}
    spec = LaneSpec(
        str(directory / "journal"),
        {"name": "questdb", "memory": str(directory / "state"), "set_aside": str(directory / "refused.jsonl")},
        questdb.COMMIT_SECONDS,
        questdb.COMMIT_BYTES,
    )
    lane = LaneProcess(spec, journal.durable, environment={**os.environ, **options})
    running = asyncio.create_task(lane.run())
    batcher = Batcher()
    number = 0
    rss: list[int] = []

    async def live(until: float) -> None:
        """Messages at the rate until a time; looks at the sink's memory."""
        nonlocal number
        due = time.monotonic()
        while time.monotonic() < until:
            now = clock.now()
            rows = [message(number + index, now + index) for index in range(int(rate * FLUSH))]
            number += len(rows)
            lane.advance(write(journal, batcher, rows))
            if lane.pid is not None and psutil.pid_exists(lane.pid):
                rss.append(psutil.Process(lane.pid).memory_info().rss)
            due += FLUSH
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    await live(time.monotonic() + 10)
    server.stop()
    rss.clear()
    await live(time.monotonic() + seconds)
    print(f"outage of {seconds:.0f} s at {rate:,} messages a second: sink's memory {min(rss) >> 20} to {max(rss) >> 20} MiB")
    await asyncio.to_thread(server.start)
    while lane.status is None or lane.status.error:
        await live(time.monotonic() + FLUSH)
    began, behind, first, base = time.monotonic(), lane.backlog, number, journal.end
    while lane.backlog > (1 << 20):
        await live(time.monotonic() + FLUSH)
    took = time.monotonic() - began
    bytes_a_message = (journal.end - base) / max(1, number - first)
    drained = behind / bytes_a_message + number - first
    print(f"backlog of {behind >> 20} MiB drained in {took:.1f} s beside live data: {drained / took / rate:.1f}x the live rate")
    journal.append([codec.text_entry(codec.MARK, {})])
    lane.advance(journal.commit())
    await lane.finish(120)
    await running
    print(f"rows found {shown(server, 'outage_'):,} of {number:,}; lost {number - shown(server, 'outage_'):,}")
    journal.close()


def shown(server: Server, prefix: str) -> int:
    """Rows in both tables."""
    server.settle()
    return sum(int(server.sql(f"SELECT count() FROM '{prefix}{table}'")[0][0]) for table in ("trades", "book_updates"))


def server_cpu(server: Server) -> float:
    """Seconds of CPU that the server has used."""
    times = psutil.Process(server.pid).cpu_times()
    return float(times.user + times.system)


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
                asyncio.run(outage(server, Path(name) / "outage", given.outage, given.rate))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
