"""Channels: books, trades, and all subscriptions of one connection to a venue that sends its own snapshots and a chain of numbers.

One rule: what a message means is told by its number alone; see `channel` for what is common to all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from xtrader.errors import UnknownKind
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Flat, Trade
from xtrader.model.streams import STREAMS
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Activity, Output
from xtrader.venues.machine.channel import SECOND, Ask, Channel
from xtrader.venues.machine.crossing import Ration, told
from xtrader.venues.machine.trades import Names, SeenTrades, TradeChain

LATE = 300 * SECOND
"""How much older than the venue's latest value the last one that came may be."""
LONGEST_RATION = 256
"""Seconds between two resyncs of a book that stays crossed: each takes two requests of an hour's few hundred."""


class BookChannel(Channel):
    """L2 of one instrument. `book` is None until the venue's snapshot came, `sequence` the number of its last message.

    While `is_crossed` the book is not trusted: its chain goes on unrecorded until the venue uncrosses it or sends a snapshot.
    """

    def __init__(self, subscription: Subscription, cause: str, counts: Counter[str], ask: Ask) -> None:
        super().__init__(subscription, cause, counts, ask)
        self.book: Book | None = None
        self.sequence: int | None = None
        self.is_crossed = False
        self._previous: int | None = None
        self._ration = Ration(LONGEST_RATION)
        self._is_renewed = False
        """The subscription was made anew while the chain went on: what comes before the next snapshot may not be all."""

    def take(self, update: BookUpdate) -> Sequence[Output]:
        """What one message means, by the rule that each delta names the state it follows; a snapshot is taken at any time.

        Exact repetitions of the last message and deltas that come before the snapshot are counted and dropped.
        """
        activity = self.activity
        activity.ts_last = update.ts_recv
        if update.is_snapshot:
            return self._snapshot(update)
        book = self.book
        if book is None:
            self._counts["skipped"] += 1
            self.unexpected(update.ts_recv)
            return ()
        if update.prev_sequence != self.sequence:
            return self._off_chain(update)
        book.apply(update)
        self.sequence = update.sequence
        self._previous = update.prev_sequence
        if self.is_crossed or book.crossed():
            return self._take_crossed(update, book)
        activity.messages += 1
        self.ts_good = update.ts_recv
        return (update,)

    def acked(self, ts_recv: int) -> list[Output]:
        if self.book is not None and len(self._requests) > 1:
            # Its snapshot was that of an earlier request; that of this one follows.
            self._is_renewed = True
        return super().acked(ts_recv)

    def lose(self, cause: str, detail: str, ts_recv: int) -> list[Output]:
        self._forget()
        return super().lose(cause, detail, ts_recv)

    def reject(self, words: str, ts_recv: int) -> list[Output]:
        self._forget()
        return super().reject(words, ts_recv)

    def gone(self, since: int, words: str, now: int) -> list[Output]:
        self._forget()
        return super().gone(since, words, now)

    def _forget(self) -> None:
        self.book = self.sequence = self._previous = None
        self.is_crossed = self._is_renewed = False

    def _snapshot(self, update: BookUpdate) -> Sequence[Output]:
        was_live = self.book is not None and not self.is_crossed
        ts_from = self.ts_good if self._is_renewed and was_live else update.ts_recv
        self._is_renewed = False
        book = self.book = Book()
        book.apply(update)
        self.sequence = update.sequence
        self._previous = None
        if book.crossed():
            self._ask_at = None
            return self._cross(book, ts_from, update.ts_recv)
        if was_live and ts_from == update.ts_recv:
            self._record_snapshot(update)
            return (update,)
        between: list[Output] = []
        if was_live:
            between.append(self._row("gap", ts_from, update.ts_recv, "subscribed anew while it was live"))
        return [*between, *self._begin(update)]

    def _begin(self, snapshot: BookUpdate) -> list[Output]:
        """The book is in sync from this message on."""
        self.is_crossed = False
        self._record_snapshot(snapshot)
        return [snapshot, *self.live(snapshot.ts_recv)]

    def _record_snapshot(self, snapshot: BookUpdate) -> None:
        self.activity.messages += 1
        self._counts["snapshots"] += 1
        self.ts_good = snapshot.ts_recv

    def _off_chain(self, update: BookUpdate) -> Sequence[Output]:
        if update.sequence == self.sequence and update.prev_sequence == self._previous:
            self._counts["duplicates"] += 1
            return ()
        self._counts["breaks"] += 1
        return self.lose(
            "venue_gap", f"expected a message after {self.sequence}, got one after {update.prev_sequence}", update.ts_recv
        )

    def _take_crossed(self, update: BookUpdate, book: Book) -> Sequence[Output]:
        """The book was crossed before this message, or is after it."""
        if book.crossed():
            return self._cross(book, update.ts_recv, update.ts_recv)
        ask_at = None if self._is_renewed else self._ask_at
        sides = (book.bids.levels(), book.asks.levels())
        out = self._begin(BookUpdate(self.key, True, *sides, self.sequence, None, update.ts_event, update.ts_recv))
        # What is crossed may have been wrong before, and may be still: the resync that is due is made all the same.
        self._ask_at = ask_at
        return out

    def _cross(self, book: Book, ts_from: int, ts_recv: int) -> list[Output]:
        """The book is crossed after a message: a gap from `ts_from` on, and a resync as soon as its ration allows."""
        self._counts["crossed"] += 1
        self.ts_good = ts_recv
        out: list[Output] = []
        if not self.is_crossed:
            self.is_crossed = True
            self.cause = "crossed"
            self.activity.state = "syncing"
            self._live_since = self._suspected = None
            out.append(self._row("gap", ts_from, None, told(book)))
        elif self._is_renewed or self._ask_at is not None:
            return out
        self._ask_at = self._ration.due(ts_recv)
        return out + (self._ask_again(ts_recv) if self._ask_at <= ts_recv else [])

    def _ask_again(self, now: int) -> list[Output]:
        if self.book is not None:
            self._is_renewed = True
            self._ration.asked(now)
        return super()._ask_again(now)


class ConfirmedChannel(Channel):
    """A stream without a beginning: live once the venue confirmed it."""

    def acked(self, ts_recv: int) -> list[Output]:
        if self.activity.state == "live":
            self.activity.ts_acked = ts_recv
            return []
        super().acked(ts_recv)
        return self.live(ts_recv)


class LatestChannel(ConfirmedChannel):
    """Values of one instrument, of which each replaces the one before. What is missing cannot be told, but by a probe."""

    def __init__(self, subscription: Subscription, cause: str, counts: Counter[str], ask: Ask) -> None:
        super().__init__(subscription, cause, counts, ask)
        self.last: Flat | None = None

    def take(self, record: Flat) -> Sequence[Output]:
        """What one value means; one that is older than the last one, or the same, is counted and dropped."""
        self.activity.ts_last = record.ts_recv
        out: list[Output] = [] if self.activity.state == "live" else self.live(record.ts_recv)
        last, self.ts_good = self.last, record.ts_recv
        is_older = last is not None and None not in (last.ts_event, record.ts_event) and record.ts_event < last.ts_event  # type: ignore[operator]
        if is_older or (last is not None and msgspec.structs.replace(record, ts_recv=last.ts_recv) == last):  # type: ignore[type-var]
            self._counts["duplicates"] += 1
            return out
        self.last = record
        self.activity.messages += 1
        return [*out, record]


class TradesChannel(ConfirmedChannel):
    """TRADES of one instrument: live once the venue confirmed it, whole by the chain of its trade numbers."""

    def __init__(self, subscription: Subscription, cause: str, counts: Counter[str], ask: Ask, resume: SeenTrades | None) -> None:
        super().__init__(subscription, cause, counts, ask)
        self.chain = TradeChain(self.key, cause, counts, resume)
        self.names = Names(() if resume is None else resume.names)
        """Of trades that have no number."""
        self.has_numbers = True
        """Whether the venue numbers its trades; a session says if not."""

    def seen(self) -> SeenTrades | None:
        """What to hand to the next session; None before the first trade."""
        return self.names.handed_on(self.chain.seen())

    def acked(self, ts_recv: int) -> list[Output]:
        if self.cause == "silent" and not self.has_numbers and self.activity.state == "syncing":
            # It was confirmed before, and then sent nothing of what there was: without a number only a trade proves that it does.
            self.activity.ts_acked = ts_recv
            return []
        return super().acked(ts_recv)

    def resync(self, now: int) -> list[Output]:
        """Subscribed once more beside the subscription that there is: no trade is missed meanwhile."""
        self._is_kept = True
        out = super().resync(now)
        self._is_kept = False
        return out

    def live(self, ts_recv: int) -> list[Output]:
        self.chain.live(ts_recv, self.cause)
        return super().live(ts_recv)

    def take(self, trade: Trade, first: int | None) -> Sequence[Output]:
        """What one print means. It covers the numbers `first` to `trade.sequence`; without `first` only repetitions show. One that
        has no number is known by its id and time."""
        self.activity.ts_last = trade.ts_recv
        out: list[Output] = [] if self.activity.state == "live" else self.live(trade.ts_recv)
        last = trade.sequence
        if last is not None:
            rows = self.chain.check(first, last, trade.ts_event, trade.ts_recv)
            if rows is None:
                return out
            out.extend(rows)
        elif not self.names.add((trade.trade_id, trade.ts_event)):
            self._counts["duplicates"] += 1
            return out
        self.ts_good = trade.ts_recv
        self.activity.messages += 1
        if not out:
            return (trade,)
        out.append(trade)
        return out


class Channels:
    """All channels of one connection, by the venue's symbol."""

    def __init__(
        self, subscriptions: Iterable[Subscription], cause: str, resume: Mapping[str, SeenTrades], counts: Counter[str], ask: Ask
    ) -> None:
        self.books: dict[str, BookChannel] = {}
        self.trades: dict[str, TradesChannel] = {}
        self.latest: dict[tuple[str, str], LatestChannel] = {}
        """By stream and symbol."""
        self.all: list[Channel] = []
        for subscription in dict.fromkeys(subscriptions):
            if subscription.stream == "L2":
                book = self.books[subscription.instrument] = BookChannel(subscription, cause, counts, ask)
                self.all.append(book)
            elif subscription.stream == "TRADES":
                seen = resume.get(subscription.key)
                trades = self.trades[subscription.instrument] = TradesChannel(subscription, cause, counts, ask, seen)
                self.all.append(trades)
            elif subscription.stream in STREAMS and STREAMS[subscription.stream].merge == "latest":
                values = LatestChannel(subscription, cause, counts, ask)
                self.latest[subscription.stream, subscription.instrument] = values
                self.all.append(values)
            else:
                raise UnknownKind(subscription.stream)
        self.activity: dict[Subscription, Activity] = {channel.subscription: channel.activity for channel in self.all}

    def open(self, now: int) -> list[Output]:
        """The first coverage row of every channel."""
        return [channel.open(now) for channel in self.all]

    def idle(self, now: int) -> list[Output]:
        """What is due on any channel."""
        out: list[Output] = []
        for channel in self.all:
            out += channel.idle(now)
        return out

    def of(self, subscription: Subscription) -> Channel:
        """The channel of a subscription."""
        if subscription.stream == "L2":
            return self.books[subscription.instrument]
        if subscription.stream == "TRADES":
            return self.trades[subscription.instrument]
        return self.latest[subscription.stream, subscription.instrument]

    def probed(self, subscription: Subscription, asked: int, number: int, ts_event: int, now: int) -> None:
        """The answer to a probe that was put at `asked`: the venue's last number of the subscription and its time (int ns)."""
        channel = self.of(subscription)
        if asked < channel.ts_turned:
            return
        if subscription.stream == "L2":
            book = self.books[subscription.instrument]
            is_ahead = book.sequence is None or number > book.sequence
        elif subscription.stream != "TRADES":
            value = self.latest[subscription.stream, subscription.instrument].last
            known = None if value is None else value.ts_event
            is_ahead = ts_event - (channel.activity.ts_acked if known is None else known) > LATE
        else:
            trades = self.trades[subscription.instrument]
            last = trades.chain.last
            is_ahead = ts_event > trades.activity.ts_acked + SECOND if last is None else number > last
        if is_ahead:
            channel.ahead(now)

    def book(self, key: str) -> Book | None:
        """The live book of an instrument key."""
        channel = self.books.get(key.partition("@")[2])
        return None if channel is None or channel.is_crossed else channel.book

    def resume(self) -> dict[str, SeenTrades]:
        """Instrument key -> the trades seen."""
        return {channel.key: seen for channel in self.trades.values() if (seen := channel.seen()) is not None}
