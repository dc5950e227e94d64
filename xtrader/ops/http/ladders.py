"""Live books and trades for whoever looks at the page, made by following the journal, as server-sent events.

The rule: a book is followed once, however many look at it, and only while somebody does; the recorder is asked for it once.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from xtrader.errors import XTraderError
from xtrader.ops.ask import Asking

if TYPE_CHECKING:
    from xtrader.look.live_book import LiveBook
    from xtrader.model.book import Book
    from xtrader.model.market import Coverage

BOOKS: Final = 4
"""That are followed at once."""
CLIENTS: Final = 32
PERIOD: Final = 0.25
"""Seconds between two pictures."""
LEVELS: Final = 14
TRADES: Final = 40
MS: Final = 1_000_000

log = structlog.get_logger("xtrader.http")


class Full(XTraderError):
    """As many are looking already as may."""


class Ladders:
    """Those of the recorder whose journal is in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._followed: dict[str, _Followed] = {}
        self._threads = ThreadPoolExecutor(BOOKS, "ladder")

    def follow(self, key: str) -> _Followed:
        """One more looks at a book. Raises Full."""
        if sum(one.clients for one in self._followed.values()) >= CLIENTS:
            raise Full(f"{CLIENTS} are looking at books already")
        found = self._followed.get(key)
        if found is None:
            if len(self._followed) >= BOOKS:
                raise Full(f"{BOOKS} books are looked at already: {', '.join(self._followed)}")
            found = self._followed[key] = _Followed(self._directory, key, self._threads)
        found.clients += 1
        return found

    def leave(self, followed: _Followed) -> None:
        """One looks no more."""
        followed.clients -= 1
        if not followed.clients:
            followed.end()
            self._followed.pop(followed.key, None)


class _Followed:
    def __init__(self, directory: Path, key: str, threads: ThreadPoolExecutor) -> None:
        self.key = key
        self.clients = 0
        self.text = b""
        """The newest picture."""
        self._directory = directory
        self._threads = threads
        self._new = asyncio.Condition()
        self._task = asyncio.create_task(self._run())

    async def next(self) -> bytes:
        """The next picture."""
        async with self._new:
            await self._new.wait()
        return self.text

    def end(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        live: LiveBook | None = None
        while True:
            try:
                if live is None:
                    live = await loop.run_in_executor(self._threads, _open, self._directory, self.key)
                self.text = await loop.run_in_executor(self._threads, _picture, live)
            except (OSError, XTraderError) as error:
                live = None
                self.text = msgspec.json.encode({"error": str(error) if isinstance(error, XTraderError) else "no journal"})
                await asyncio.sleep(1.0)
            async with self._new:
                self._new.notify_all()
            await asyncio.sleep(PERIOD)


def _open(directory: Path, key: str) -> LiveBook:
    from xtrader.pipeline.process_setup import leave_pandas_out

    leave_pandas_out()
    from xtrader.look.live_book import LiveBook

    def seed(collector: str, live: Coverage, ts: int) -> Book | None:
        """The recorder's own book. It may be newer than what was read of the journal: as sizes are absolute, what is read next
        makes up for that."""
        return _asked(directory, key)

    return LiveBook(directory, key, seed)


def _asked(directory: Path, key: str) -> Book | None:
    from xtrader.model.book import Book

    try:
        with Asking(directory, patience=5.0) as asking:
            told = msgspec.json.decode(asking.ask("book", instrument=key))
    except XTraderError as error:
        log.info("no_book", key=key, error=str(error))
        return None
    book = Book()
    book.bids.replace((price, size) for price, size in told["bids"])
    book.asks.replace((price, size) for price, size in told["asks"])
    book.sequence = told["sequence"]
    return book


def _picture(live: LiveBook) -> bytes:
    live.poll()
    now = time.time_ns()
    picture = live.picture(now)
    standing = picture.standing
    told: dict[str, Any] = {
        "ts": now // MS,
        "state": standing.state,
        "cause": standing.cause,
        "since": standing.since // MS,
        "detail": standing.detail,
        "sequence": picture.sequence,
        "ts_event": picture.ts_event and picture.ts_event // MS,
        "ts_recv": picture.ts_recv and picture.ts_recv // MS,
        "bids": [] if picture.book is None else list(picture.book.bids[:LEVELS]),
        "asks": [] if picture.book is None else list(picture.book.asks[:LEVELS]),
        "trades": [[one.side, one.price, one.size, one.ts_recv // MS] for one in list(picture.trades)[:TRADES]],
    }
    return msgspec.json.encode(told)
