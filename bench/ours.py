"""Parts of xtrader's own path, each as a process: `python -m bench.ours TASK`.

| mode | what runs |
|---|---|
| records | sockets -> checked books -> records, counted |
| best | the same, and best bid and ask of the live book after each update |
| journal | the same records, batched into the journal, committed as in the recorder |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import uvloop

from bench import task
from bench.task import Answer, Task
from xtrader.clock import SystemClock
from xtrader.feed.catalogue import Catalogue, body_of
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.model.subscription import parse_subscriptions
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.writer import Writer
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
        books = [standing.book for standing in running.standings() if standing.book is not None]
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


def _answer(counts: Counts, book: Book | None) -> Answer:
    bids, asks = (list(side.sizes.items()) for side in (book.bids, book.asks)) if book is not None else ([], [])
    return Answer(counts.books, counts.trades, counts.levels, bids, asks)


if __name__ == "__main__":
    told = task.read()
    task.say(uvloop.run({"records": records, "best": best, "journal": journal}[told.mode](told)))
