"""A venue's session and its emulated venue, joined without sockets: what either says reaches the other at once, or is lost, doubled
or swapped on the way. No venue is named here: one that exists is in every test that uses this."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

from tests.faults.time_loop import BEGIN
from xtrader.emulator.client import Client
from xtrader.emulator.server import venue
from xtrader.emulator.truth import TradeEvent, Truth
from xtrader.emulator.venue import Stage, Timers
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, MarketSession, Output, Send
from xtrader.venues.machine.trades import SeenTrades

SECOND = 1_000_000_000
STEP = 0.1
"""Seconds between two batches of the market."""


class Wire:
    """What an emulated venue takes for a client's socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.number = 1
        self.state = "open"
        self.outbox: list[bytes] = []
        self.last_sent = self.last_received = asyncio.get_running_loop().time()
        self.is_closed = False
        self.socket = SimpleNamespace(watch=None, mute="")

    def send(self, text: str | bytes) -> None:
        self.outbox.append(text.encode() if isinstance(text, str) else text)

    def close(self, code: int, reason: str) -> None:
        self.is_closed = True


def payload(frame: bytes) -> bytes:
    """What is in a text frame, or the text itself."""
    if frame[:1] != b"\x81":
        return frame
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


class Loopback:
    """One instrument's book and trades through a chain of sessions. `records` are what they made of it."""

    def __init__(self, exchange: str, seed: int, settings: dict[str, str] | None = None) -> None:
        self.random = Random(f"{exchange}/{seed}")
        self.exchange = exchange
        self.truth = Truth()
        stage = Stage(seed=seed, timers=Timers(), interval=STEP, prints=1.5, operations=6.0, truth=self.truth, epoch=BEGIN / 1e6)
        self.venue = venue(exchange, 1, stage)
        (self.board,) = self.venue.boards.values()
        self.market = market(exchange, {**(settings or {}), "DERIBIT_CLIENT_ID": "", "DERIBIT_CLIENT_SECRET": ""})
        self.subscriptions = [Subscription(stream, exchange, self.board.symbol) for stream in ("L2", "TRADES")]
        self.key = self.subscriptions[0].key
        self.records: list[Trade | BookUpdate | Coverage] = []
        self.frames: list[bytes] = []
        """All that the venue sent."""
        self.counts: Counter[str] = Counter()
        self.lines: list[tuple[MarketSession, Wire]] = []
        self.venue.begin()
        self.connect()

    @property
    def now(self) -> int:
        return BEGIN + round(asyncio.get_running_loop().time() * SECOND)

    def connect(self) -> None:
        """End the connections that there are, and begin others."""
        seen: dict[str, SeenTrades] = {}
        for session, wire in self.lines:
            seen |= session.resume()
            self.venue.clients.discard(cast(Client, wire))
            self.venue.closed(cast(Client, wire))
            self.counts += session.counts
        self.lines = []
        for link in self.market.links(self.subscriptions):
            parts = urlsplit(link.url)
            wire = Wire(f"{parts.path}?{parts.query}" if parts.query else parts.path)
            session = self.market.session(link, "disconnect" if seen else "start", seen)
            self.lines.append((session, wire))
            self.venue.clients.add(cast(Client, wire))
            self.venue.opened(cast(Client, wire))
            self.carry(session, wire, session.start(self.now))
            self.deliver()

    def of(self, stream: str) -> MarketSession:
        """The session that carries a stream."""
        return next(session for session, _ in self.lines if any(one.stream == stream for one in session.activity))

    @property
    def book(self) -> Book | None:
        return self.of("L2").book(self.key)

    def carry(self, session: MarketSession, wire: Wire, outputs: Iterable[Output]) -> None:
        """What a session wants is done, and what it has made is kept."""
        for output in outputs:
            if isinstance(output, Send):
                wire.last_received = asyncio.get_running_loop().time()
                self.venue.received(cast(Client, wire), output.payload)
            elif isinstance(output, Fetch):
                depth = {output.depth_param: str(output.depths[0][0])} if output.depths else {}
                answer = self.venue.answer(output.path, dict(output.params) | depth)
                self.carry(session, wire, session.answer(output, answer.status, answer.body, self.now))
            elif isinstance(output, Trade | BookUpdate | Coverage):
                self.records.append(output)

    def deliver(self, alter: Callable[[list[bytes]], list[bytes]] = list) -> None:
        """Hand over what the venue has sent, as `alter` leaves it, and what comes of it."""
        for session, wire in self.lines:
            wire.last_sent = asyncio.get_running_loop().time()
            texts, wire.outbox = [payload(frame) for frame in wire.outbox], []
            self.frames += texts
            for text in alter(texts):
                self.carry(session, wire, session.receive(text, self.now))
            while wire.outbox:
                texts, wire.outbox = [payload(frame) for frame in wire.outbox], []
                self.frames += texts
                for text in texts:
                    self.carry(session, wire, session.receive(text, self.now))

    async def step(self, alter: Callable[[list[bytes]], list[bytes]] = list) -> None:
        """One batch of the market."""
        await self.wait(STEP)
        self.venue.publish(self.board, self.board.market.step())
        self.deliver(alter)

    async def lose(self) -> None:
        """One batch whose messages never arrive."""
        await self.step(lambda texts: [])

    async def double(self) -> None:
        """One batch whose messages all come twice."""
        await self.step(lambda texts: [text for text in texts for _ in range(2)])

    async def swap(self) -> None:
        """Two batches, the messages of the later one first."""
        kept: dict[int, list[bytes]] = {}
        places = iter(range(len(self.lines)))

        def keep(texts: list[bytes]) -> list[bytes]:
            kept[next(places)] = texts
            return []

        await self.step(keep)
        places = iter(range(len(self.lines)))
        await self.step(lambda texts: [*texts, *kept[next(places)]])

    async def wait(self, seconds: float) -> None:
        """Let time pass; the sessions are called as they are every second."""
        before = int(asyncio.get_running_loop().time())
        await asyncio.sleep(seconds)
        loop = asyncio.get_running_loop()
        self.venue.stage.now = loop.time()
        if int(loop.time()) == before:
            return
        self.venue.idle(loop.time())
        for session, wire in self.lines:
            self.carry(session, wire, session.idle(self.now))
        self.deliver()

    async def recover(self) -> None:
        """Let the market go on until the book is in sync again, within the venue's rations."""
        for _ in range(500):
            if self.book is not None:
                return
            await self.wait(2.0)
            await self.step()
        raise AssertionError("the book does not come back")

    def stored(self) -> Iterator[Trade]:
        return (one for one in self.records if isinstance(one, Trade))

    def gaps(self, stream: str) -> list[Coverage]:
        """The rows that something of a stream is missing."""
        return [one for one in self.records if isinstance(one, Coverage) and (one.state, one.stream) == ("gap", stream)]

    def sent(self) -> list[TradeEvent]:
        """All trades that the venue published."""
        return self.truth.trades(self.exchange, self.board.symbol)

    def true_book(self) -> tuple[dict[float, float], dict[float, float]]:
        """The venue's book as far as it shows it."""
        sides = (self.board.texts(levels) for levels in self.venue.levels(self.board, self.venue.window))
        bids, asks = ({float(price): float(size) for price, size in side} for side in sides)
        return bids, asks


def sides(book: Book) -> tuple[dict[float, float], dict[float, float]]:
    return book.bids.sizes, book.asks.sizes


def names(rows: Iterable[Any]) -> list[str]:
    return [row.trade_id if isinstance(row, Trade) else row.id for row in rows]
