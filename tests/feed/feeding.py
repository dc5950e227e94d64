"""A feed in front of the emulator, what it recorded, and the venue's truth to compare it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec

from xtrader.clock import Clock, SystemClock
from xtrader.emulator.server import Emulator
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Link, Market

PAIRS = [("BINANCE_FUTURES", "BTCUSDT"), ("BINANCE_SPOT", "BTCUSDT"), ("OKX_SWAP", "BTC-USDT-SWAP"), ("DERIBIT", "BTC-PERPETUAL")]


class ShortLived:
    """A market whose connections are to be replaced after a few seconds."""

    def __init__(self, market: Market, seconds: float) -> None:
        self._market = market
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        return [msgspec.structs.replace(link, lifetime=self._seconds) for link in self._market.links(subscriptions)]


@asynccontextmanager
async def feeding(
    markets: Mapping[str, Any], subscriptions: Sequence[Subscription], connections: int = 1, clock: Clock | None = None
) -> AsyncIterator[tuple[Feed, list[Record]]]:
    records: list[Record] = []
    clock = clock or SystemClock()
    async with Rest(clock) as rest:
        feed = Feed(markets, subscriptions, rest=rest, clock=clock, put=records.append, connections=connections)
        task = asyncio.create_task(feed.run())
        try:
            yield feed, records
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def of(exchange: str, symbol: str) -> list[Subscription]:
    return [Subscription("L2", exchange, symbol), Subscription("TRADES", exchange, symbol)]


def check_against_truth(emulator: Emulator, records: Sequence[Record], exchange: str, symbol: str) -> None:
    """Trades once each and unbroken; every book state that was passed through is a true one, and the chain holds."""
    assert emulator.truth is not None
    trades = [r.trade_id for r in records if isinstance(r, Trade)]
    true = [t.id for t in emulator.truth.trades(exchange, symbol)]
    assert trades == true[true.index(trades[0]) :][: len(trades)]
    states = {}
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for event in emulator.truth.books(exchange, symbol):
        for side, levels in ((bids, event.bids), (asks, event.asks)):
            side.update((float(price), float(size)) for price, size in levels)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        states[event.sequence] = (dict(bids), dict(asks))
    book = Book()
    updates = [r for r in records if isinstance(r, BookUpdate)]
    for update in updates:
        book.apply(update)
        if update.sequence in states:
            assert (book.bids.sizes, book.asks.sizes) == states[update.sequence]
    deltas = [update for update in updates if not update.is_snapshot]
    assert all(after.prev_sequence == before.sequence for before, after in pairwise(deltas))
