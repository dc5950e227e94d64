"""Feed: subscriptions -> links -> records. One Keeper per connection, one pace of connecting per address, one Coverage tracker."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import structlog

from xtrader.clock import MILLISECOND, Clock
from xtrader.errors import UnknownKind
from xtrader.feed.conversation import Raw
from xtrader.feed.coverage import CoverageTracker
from xtrader.feed.keep import Keeper
from xtrader.feed.pace import Pace
from xtrader.feed.redundant import Redundant, copies
from xtrader.feed.rest import Rest
from xtrader.feed.silence import Expiry, never
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, MarketRecord, Trade
from xtrader.model.streams import BY_RECORD, STREAMS
from xtrader.model.subscription import Subscription
from xtrader.ops.facts import ConnectionFacts, SubscriptionFacts
from xtrader.ops.measure import Durations
from xtrader.venues import rules
from xtrader.venues.base import Limits, Link, Market

log = structlog.get_logger("xtrader.feed")

CONNECT_SHARE = 0.8
"""Share of a venue's connection limit that is used."""
STEP = 500 * MILLISECOND
"""The wall clock against the monotonic one: a jump of this much within a second is a step."""


class RecordedLink(NamedTuple):
    """A link as it is recorded: by one Keeper, or by several and what makes one out of them."""

    keepers: list[Keeper]
    redundant: Redundant | None


class Pending(NamedTuple):
    """Why a subscription is not recorded yet: `state` syncing (it waits) or rejected, `since` (int ns UTC), `detail` for people."""

    state: str
    since: int
    detail: str


def connect_limit(limits: Limits, share: float = 1.0) -> tuple[int, float]:
    """How many connections are tried in how many seconds, if a `share` of the venue's limit is ours."""
    count = limits.connects * CONNECT_SHARE * share
    return (int(count), limits.connect_seconds) if count >= 1 else (1, limits.connect_seconds / count)


class Feed:
    """Records `subscriptions` (looked up), and those that are added later, from `markets` (by exchange token), each over
    `connections` connections at once.
    `put` takes the records, on the hot path. `share` is how much of the venues' limits it may use, where others record beside
    it. `relisted` hears (exchange, symbols) when a venue says that its catalogue changed. `expiry` says when an instrument (by its
    key) expires."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        subscriptions: Iterable[Subscription],
        *,
        rest: Rest,
        clock: Clock,
        put: Callable[[MarketRecord | Coverage], None],
        open_rows: Iterable[Coverage] = (),
        raw: Callable[[Link], Raw | None] = lambda link: None,
        share: float = 1.0,
        connections: int = 1,
        relisted: Callable[[str, Sequence[str]], None] = lambda exchange, symbols: None,
        expiry: Expiry = never,
    ) -> None:
        self.subscriptions = tuple(subscriptions)
        self.tracker = CoverageTracker(open_rows)
        self.keepers: list[Keeper] = []
        self.pending: Mapping[Subscription, Pending] = {}
        """Subscriptions, as the user wrote them, that are not recorded yet."""
        self._tasks: asyncio.TaskGroup | None = None
        self._markets = markets
        self._rest = rest
        self._clock = clock
        self._put = put
        self._raw = raw
        self._expiry = expiry
        self._share = share
        self._connections = connections
        self._relisted = relisted
        self._lines: list[RecordedLink] = []
        self._deepest = {exchange: None if (said := rules(exchange)) is None else said.depth for exchange in markets}
        self._gaps: defaultdict[Subscription, Counter[str]] = defaultdict(Counter)
        self._resyncs: Counter[Subscription] = Counter()
        self.handled = {exchange: Durations() for exchange in markets}
        """From the socket to the last record of a message, by exchange: of some."""
        self._last_trade: dict[str, Trade] = {}
        self._last: dict[tuple[str, str], object] = {}
        """(stream, instrument) -> its last record; of books and trades none."""
        self._messages: Counter[Subscription] = Counter()
        self._connects: dict[str, Pace] = {}

    async def run(self, cause: str = "start") -> None:
        """Record until cancelled. `cause` says why recording begins. Raises what trying again cannot help."""
        for line in self._lines:
            self._messages.update(_messages(line))
        self._lines, self.keepers = [], []
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._watch_clock())
                self._begin(tasks, self.subscriptions, cause)
        finally:
            self._tasks = None

    def add(self, subscriptions: Sequence[Subscription], open_rows: Iterable[Coverage] = ()) -> None:
        """Record these (looked up) too, over connections of their own, which touches no other. `open_rows` as for the others."""
        self.tracker.go_on(open_rows)
        new = tuple(one for one in dict.fromkeys(subscriptions) if one not in self.subscriptions)
        self.subscriptions += new
        if self._tasks is not None:
            self._begin(self._tasks, new, "start")

    @property
    def total(self) -> int:
        """How many subscriptions there are, pending ones included."""
        return len(self.subscriptions) + len(self.pending)

    def stop(self, cause: str, detail: str) -> None:
        """After `run` was cancelled: declare that nothing is recorded from here on."""
        for keeper in self.keepers:
            keeper.lost(cause, detail)

    def subscription_facts(self) -> Iterator[SubscriptionFacts]:
        """One per subscription, in the order of the links; without rates, of which one moment knows nothing."""
        for asked, why in self.pending.items():
            yield _pending_facts(asked, why)
        for line in self._lines:
            messages = _messages(line)
            for subscription in line.keepers[0].link.subscriptions:
                yield self._subscription_facts(subscription, line, messages[subscription])

    def connection_facts(self) -> Iterator[ConnectionFacts]:
        """One per connection."""
        return (keeper.facts() for keeper in self.keepers)

    def resync(self, subscription: Subscription) -> str:
        """Begin one subscription anew; what stands against it, in words, empty if it is done."""
        row = self.tracker.current(subscription.key, subscription.stream)
        if row is None or row.state != "live":
            return f"it is not live: {'syncing' if row is None else row.state}"
        for line in self._lines:
            if subscription in line.keepers[0].link.subscriptions:
                for keeper in line.keepers:
                    keeper.resync(subscription)
        return ""

    def book(self, key: str) -> Book | None:
        """The live book of an instrument key; None if there is none."""
        return next((book for keeper in self.keepers if (book := keeper.book(key)) is not None), None)

    def live(self) -> int:
        """How many subscriptions are live."""
        rows = [self.tracker.current(s.key, s.stream) for s in self.subscriptions]
        return sum(row is not None and row.state == "live" for row in rows)

    def ready(self) -> bool:
        """True if every subscription is live."""
        return bool(self.keepers) and self.live() == self.total

    def stored_book(self, key: str) -> Book | None:
        """The book of an instrument key at the last state that was recorded; None if there is none, or at no such state now."""
        subscription = Subscription("L2", *key.split("@", 1))
        row = self.tracker.current(key, "L2")
        if row is None or row.state != "live":
            return None
        line = next((one for one in self._lines if subscription in one.keepers[0].link.subscriptions), None)
        if line is None:
            return None
        return line.keepers[0].stored_book(key) if line.redundant is None else line.redundant.stored_book(key)

    def _begin(self, tasks: asyncio.TaskGroup, subscriptions: Sequence[Subscription], cause: str) -> None:
        for market in self._markets.values():
            before = sum(line.keepers[0].link.exchange == market.exchange for line in self._lines)
            for number, link in enumerate(market.links([s for s in subscriptions if s.exchange == market.exchange]), before):
                one = msgspec.structs.replace(link, name=f"{market.exchange}/{number}") if before else link
                line = self._line(market, one, cause)
                self._lines.append(line)
                self.keepers += line.keepers
                for keeper in line.keepers:
                    tasks.create_task(keeper.run(), name=keeper.link.name)

    def _line(self, market: Market, link: Link, cause: str) -> RecordedLink:
        keepers: list[Keeper] = []
        links = copies(link, self._connections)
        redundant = None
        if len(links) > 1:
            books = [lambda key, number=number: keepers[number].book(key) for number in range(len(links))]
            redundant = Redundant(link.subscriptions, books, self._record)
        for number, one in enumerate(links):
            keepers.append(
                Keeper(
                    market,
                    one,
                    cause=cause,
                    rest=self._rest,
                    clock=self._clock,
                    record=self._record if redundant is None else partial(redundant.take, number),
                    connects=self._pace(market),
                    raw=self._raw,
                    relisted=partial(self._relisted, market.exchange),
                    expiry=self._expiry,
                    handled=self.handled[market.exchange],
                )
            )
        return RecordedLink(keepers, redundant)

    def _subscription_facts(self, subscription: Subscription, line: RecordedLink, messages: int) -> SubscriptionFacts:
        now = self._clock.now()
        talks = [keeper.current for keeper in line.keepers if keeper.current is not None]
        seen = [talk.session.activity[subscription] for talk in talks]
        limits = [talk.silence_limit(subscription) for talk in talks]
        row = self.tracker.current(subscription.key, subscription.stream)
        state = "syncing" if row is None else row.state
        if seen and all(one.state == "rejected" for one in seen):
            state = "rejected"
        book = self.book(subscription.key) if subscription.stream == "L2" else None
        bid, ask = (None, None) if book is None else (book.bids.best(), book.asks.best())
        depth = row.depth if row is not None and state == "live" else None
        deepest = self._deepest[subscription.exchange]
        trade = self._last_trade.get(subscription.key)
        last = trade if subscription.stream == "TRADES" else self._last.get((subscription.stream, subscription.key))
        return SubscriptionFacts(
            name=str(subscription),
            exchange=subscription.exchange,
            stream=subscription.stream,
            instrument=subscription.instrument,
            state=state,
            since=now if row is None else row.ts_from,
            cause="start" if row is None else row.cause,
            detail="" if row is None else row.detail,
            messages=self._messages[subscription] + messages,
            rate=0.0,
            ts_last=max(keeper.ts_last(subscription) for keeper in line.keepers),
            silence_limit=max((limit for limit in limits if limit is not None), default=None),
            gaps=dict(self._gaps[subscription]),
            resyncs=self._resyncs[subscription],
            connections=tuple(keeper.link.name for keeper in line.keepers),
            connections_live=int(state == "live") if line.redundant is None else line.redundant.of(subscription).live,
            book=_health(subscription, row, book, depth, deepest),
            depth=depth,
            deepest=deepest,
            bid=bid,
            ask=ask,
            last_price=None if trade is None else trade.price,
            last_value=None if last is None else getattr(last, STREAMS[subscription.stream].value),
        )

    def _record(self, record: MarketRecord | Coverage) -> None:
        """Hand a record on; a Coverage row together with the close of the interval that it ends."""
        if type(record) is BookUpdate:
            self._put(record)
        elif type(record) is Trade:
            self._last_trade[record.instrument] = record
            self._put(record)
        elif type(record) is Coverage:
            self._cover(record)
        elif type(record) in BY_RECORD:
            self._last[BY_RECORD[type(record)].name, record.instrument] = record
            self._put(record)
        else:
            raise UnknownKind(record)

    def _cover(self, row: Coverage) -> None:
        current = self.tracker.current(row.instrument, row.stream)
        if row.state == "gap":
            if row.ts_to is None and current is not None and current.state == "gap":
                return
            self._gaps[_subscription(row)][row.cause] += 1
        elif row.state == "syncing" and current is None and row.cause != "start":
            # A session that begins is told while the gap before it is open; a gap within a session is closed already.
            self._resyncs[_subscription(row)] += 1
        for written in self.tracker.rows(row):
            self._put(written)

    def _pace(self, market: Market) -> Pace:
        address = urlsplit(market.ws_url).netloc
        if address not in self._connects:
            self._connects[address] = Pace([connect_limit(market.limits, self._share), (5, 1.0)], self._clock)
        return self._connects[address]

    async def _watch_clock(self) -> None:
        """A stepped wall clock loses no data, but what `ts_recv` means changes there: the live intervals are cut and say so."""
        while True:
            wall, steady = self._clock.now(), self._clock.monotonic()
            await asyncio.sleep(1.0)
            step = (self._clock.now() - wall) - (self._clock.monotonic() - steady)
            if abs(step) < STEP:
                continue
            log.warning("clock_step", seconds=round(step / 1e9, 3))
            for row in self.tracker.open_rows():
                if row.state == "live":
                    detail = f"the clock stepped by {step / 1e9:+.3f} s"
                    for written in self.tracker.rows(
                        msgspec.structs.replace(row, cause="clock_step", ts_from=self._clock.now(), detail=detail)
                    ):
                        self._put(written)


def _pending_facts(asked: Subscription, why: Pending) -> SubscriptionFacts:
    return SubscriptionFacts(
        name=str(asked),
        exchange=asked.exchange,
        stream=asked.stream,
        instrument=asked.instrument,
        state=why.state,
        since=why.since,
        cause="start",
        detail=why.detail,
        messages=0,
        rate=0.0,
        ts_last=0,
        silence_limit=None,
        gaps={},
        resyncs=0,
        connections=(),
        connections_live=0,
        book="syncing" if asked.stream == "L2" else "",
    )


def _subscription(row: Coverage) -> Subscription:
    return Subscription(row.stream, *row.instrument.split("@", 1))


def _health(subscription: Subscription, row: Coverage | None, book: Book | None, depth: int | None, deepest: int | None) -> str:
    """A word on how a book is, empty for other streams."""
    if subscription.stream != "L2":
        return ""
    if row is not None and (row.state, row.cause) == ("gap", "crossed"):
        return "crossed"
    if book is None:
        return "syncing"
    return "shallow" if depth is not None and deepest is not None and depth < deepest else "ok"


def _messages(line: RecordedLink) -> Counter[Subscription]:
    """Messages that were recorded per subscription since `run` began."""
    if line.redundant is None:
        return line.keepers[0].messages()
    return Counter({one: line.redundant.of(one).messages for one in line.keepers[0].link.subscriptions})
