"""Redundant: several connections that carry the same subscriptions, recorded as one. Each event is handed on once.

Rule: losing a connection is no gap as long as another one goes on where the recording stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

import msgspec

from xtrader.errors import UnknownKind
from xtrader.feed.merge import Member, Merged, Put
from xtrader.feed.merge_books import BookMember, MergedBook
from xtrader.feed.merge_latest import MergedLatest
from xtrader.feed.merge_trades import MergedTrades, TradeMember
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Flat, MarketRecord, Trade
from xtrader.model.streams import BY_RECORD, STREAMS
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Link, MarketSession
from xtrader.venues.machine.trades import SeenTrades

BookOf = Callable[[str], Book | None]


def copies(link: Link, connections: int) -> list[Link]:
    """The link, and as many more like it as make `connections`; their names differ."""
    return [link, *(msgspec.structs.replace(link, name=f"{link.name}-{n}") for n in range(2, connections + 1))]


class Redundant:
    """`books` give the live book of an instrument key, one for each connection. Bounded: see `merge.HELD`."""

    def __init__(self, subscriptions: Iterable[Subscription], books: Sequence[BookOf], put: Put) -> None:
        self._books: dict[str, MergedBook] = {}
        self._trades: dict[str, MergedTrades] = {}
        self._latest: dict[tuple[str, str], MergedLatest] = {}
        for one in subscriptions:
            if one.stream == "L2":
                self._books[one.key] = MergedBook(one.key, [partial(book, one.key) for book in books], put)
            elif one.stream == "TRADES":
                self._trades[one.key] = MergedTrades(one.key, len(books), put)
            elif one.stream in STREAMS and STREAMS[one.stream].merge == "latest":
                self._latest[one.stream, one.key] = MergedLatest(one.key, STREAMS[one.stream], len(books), put)
            else:
                raise UnknownKind(one.stream)

    def resume(self, number: int, session: MarketSession) -> None:
        """The connection `number` was the only one until now: what it said is stored."""
        trades = session.resume()
        for subscription, seen in session.activity.items():
            self.of(subscription).resume(number, seen.state, seen.ts_acked or seen.ts_last)
            book = session.book(subscription.key)
            if subscription.stream == "TRADES":
                self._trades[subscription.key].begin(number, trades.get(subscription.key), seen.ts_last)
            elif (subscription.stream, subscription.key) in self._latest:
                self._latest[subscription.stream, subscription.key].begin(seen.ts_last)
            elif book is not None:
                self._books[subscription.key].own(number, book.sequence, seen.ts_last, seen.depth)

    def join(self, book: BookOf) -> None:
        """There is one connection more; `book` gives its live books."""
        for key, part in self._books.items():
            part.members.append(BookMember(partial(book, key)))
        for tape in self._trades.values():
            tape.members.append(TradeMember())
        for values in self._latest.values():
            values.members.append(Member())

    def seen(self) -> dict[str, SeenTrades]:
        """Instrument key -> the trades that are stored, to hand to the next session."""
        return {key: seen for key, part in self._trades.items() if (seen := part.seen()) is not None}

    def take(self, number: int, record: MarketRecord | Coverage) -> None:
        """Take a record of the connection `number`."""
        if type(record) is BookUpdate:
            self._books[record.instrument].take(number, record)
        elif type(record) is Trade:
            self._trades[record.instrument].take(number, record)
        elif type(record) is Coverage:
            self._merged(record.stream, record.instrument).cover(number, record)
        else:
            stream = BY_RECORD.get(type(record))
            values = None if stream is None else self._latest.get((stream.name, record.instrument))
            if values is None:
                raise UnknownKind(record)
            values.take(cast(Flat, record))

    def linked(self, number: int) -> bool:
        """True if the connection `number` alone could go on without a hole, wherever another one is live."""
        books = all(part.linked(number) for part in self._books.values() if part.covered(without=number))
        return books and all(part.linked(number) for part in self._trades.values() if part.covered(without=number))

    def of(self, subscription: Subscription) -> Merged[BookMember] | Merged[TradeMember] | MergedLatest:
        """How a subscription stands over all connections."""
        return self._merged(subscription.stream, subscription.key)

    def stored_book(self, key: str) -> Book | None:
        """The book of an instrument key at its last stored state; None while no connection has it at that."""
        return self._books[key].stored()

    def _merged(self, stream: str, key: str) -> Merged[BookMember] | Merged[TradeMember] | MergedLatest:
        if stream == "L2":
            return self._books[key]
        if stream == "TRADES":
            return self._trades[key]
        if (stream, key) in self._latest:
            return self._latest[stream, key]
        raise UnknownKind(stream)
