"""Parts of xtrader's own path, each as a process: `python -m bench.ours TASK`.

| mode | what runs |
|---|---|
| records | sockets -> checked books -> records, counted |
| best | the same, and best bid and ask of the live book after each update |
| journal | the same records, batched into the journal, committed as in the recorder |
| latency | the whole recorder with its Parquet sink, on another core if there is one; each record's times are the answer |
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import uvloop

from bench import task
from bench.task import Answer, Task
from xtrader.app.compose import record
from xtrader.clock import SystemClock
from xtrader.feed import fanout
from xtrader.feed.catalogue import Catalogue, body_of
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.model.subscription import parse_subscriptions
from xtrader.pipeline.codec import Entry
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.writer import Writer
from xtrader.settings.environment import load_process
from xtrader.venues import exchanges, market


class Counts:
    """Takes records; `done` is set once all have come."""

    def __init__(self, asked: Task) -> None:
        self.books = self.trades = 0
        self.levels = 0
        self.left = asked.books + asked.trades
        self.done = asyncio.Event()

    def take(self, record: Record | Coverage) -> None:
        kind = type(record)
        if kind is BookUpdate:
            self.books += 1
            self.levels += len(record.bids) + len(record.asks)  # type: ignore[union-attr]
        elif kind is Trade:
            self.trades += 1
        else:
            return
        self.left -= 1
        if not self.left:
            self.done.set()


async def feed(asked: Task, put: Callable[[Record], None], counts: Counts, started: Callable[[Feed], None]) -> Book | None:
    """Run the feed until all has come; the book at the end."""
    clock = SystemClock()
    options = {f"XTRADER_{asked.exchange}_WS_URL": asked.ws, f"XTRADER_{asked.exchange}_REST_URL": asked.rest}
    subscriptions = parse_subscriptions(asked.subscriptions, exchanges())
    markets = {asked.exchange: market(asked.exchange, options)}
    async with Rest(clock) as rest:
        found = await Catalogue(Path(asked.directory) / "cache", body_of(rest.get), clock).look_up(markets, subscriptions)
        running = Feed(markets, found.subscriptions, rest=rest, clock=clock, put=put)
        started(running)
        work = asyncio.create_task(running.run())
        await counts.done.wait()
        books = [book for one in found.subscriptions if (book := running.book(one.key)) is not None]
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return books[0] if books else None


async def records(asked: Task) -> Answer:
    """Nothing behind the feed."""
    counts = Counts(asked)
    return _answer(counts, await feed(asked, counts.take, counts, lambda running: None))


async def best(asked: Task) -> Answer:
    """Best bid and ask after each update, from the live book of the session."""
    counts = Counts(asked)
    feeds: list[Feed] = []
    asked_for = 0

    def put(record: Record) -> None:
        nonlocal asked_for
        if type(record) is BookUpdate:
            for keeper in feeds[0].keepers:
                session = keeper.current.session if keeper.current is not None else None
                book = session.book(record.instrument) if session is not None else None
                if book is not None:
                    book.best()
                    asked_for += 1
                    break
        counts.take(record)

    answer = _answer(counts, await feed(asked, put, counts, feeds.append))
    assert asked_for >= counts.books - 1, f"best prices after {asked_for} of {counts.books} updates"
    return answer


async def journal(asked: Task) -> Answer:
    """The records go into the journal; its rows are the answer."""
    counts = Counts(asked)
    clock = SystemClock()
    kept = open_journal(Path(asked.directory) / "journal", "bench", clock, {asked.exchange: {}})
    writer = Writer(kept, clock)

    def put(record: Record) -> None:
        writer.put(record)
        counts.take(record)

    writing = asyncio.create_task(writer.run())
    await feed(asked, put, counts, lambda running: None)
    await writer.close()
    await writing
    kept.close()
    return Answer()


def latency(asked: Task) -> Answer:
    """The recorder, as its command runs it, with what sees every record inside the process. Times are wall ns.

    `extra` has, for books and trades, when a record was read from the socket, handed on, and in the journal.
    """
    counts = Counts(asked)
    records: list[tuple[bool, int, int]] = []
    appended: list[tuple[int, int]] = []
    append = Journal.append

    def timed(kept: Journal, entries: Sequence[Entry]) -> int:
        end = append(kept, entries)
        appended.append((len(records), time.time_ns()))
        return end

    def handed_on(record: Record) -> None:
        kind = type(record)
        if kind is BookUpdate or kind is Trade:
            records.append((kind is Trade, record.ts_recv, time.time_ns()))  # type: ignore[union-attr]
            counts.left -= 1
            if not counts.left:
                os.kill(os.getpid(), signal.SIGTERM)
            elif len(records) == 1:
                _apart()

    Journal.append = timed  # type: ignore[method-assign, assignment]
    # What measures is heard to the end, also where other work on the machine makes it seem slow.
    fanout.SHARE = 1.0  # type: ignore[misc]
    settings = load_process({"subscriptions": asked.subscriptions, "output_directory": f"{asked.directory}/data"})
    code = record(settings, [handed_on])
    assert code == 0, f"the recorder ended with {code}"
    times: dict[str, list[tuple[int, int, int]]] = {"books": [], "trades": []}
    batches = iter(appended)
    until, when = next(batches)
    for index, (is_trade, read, handed) in enumerate(records):
        while index >= until:
            until, when = next(batches)
        times["trades" if is_trade else "books"].append((read, handed, when))
    return Answer(extra=dict(times))


def _apart() -> None:
    """Put the sink's process on the other cores."""
    mine = os.sched_getaffinity(0)
    others = set(range(os.cpu_count() or 1)) - mine
    for child in psutil.Process().children():
        if others:
            os.sched_setaffinity(child.pid, others)


def _answer(counts: Counts, book: Book | None) -> Answer:
    bids, asks = (list(side.sizes.items()) for side in (book.bids, book.asks)) if book is not None else ([], [])
    return Answer(counts.books, counts.trades, counts.levels, bids, asks)


if __name__ == "__main__":
    told = task.read()
    if told.mode == "latency":
        task.say(latency(told))
    else:
        task.say(uvloop.run({"records": records, "best": best, "journal": journal}[told.mode](told)))
