"""Two connections recorded as one: each event once, by number and not by luck, and a gap row only where neither of them covers."""

from __future__ import annotations

from bisect import bisect
from collections import Counter, deque
from functools import partial

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from xtrader.clock import SECOND
from xtrader.feed.redundant import Redundant
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.machine.trades import TradeChain

BOOK = Subscription("L2", "X", "B")
TAPE = Subscription("TRADES", "X", "B")
MS = 1_000_000
Sides = tuple[dict[float, float], dict[float, float]]
NEVER = 1 << 60
which = st.integers(0, 1)


class Wire:
    """One connection to the venue: what is on its way, and how it stands. `since` is the first number that it will ever show."""

    def __init__(self) -> None:
        self.state = "down"
        self.book: Book | None = None
        self.on_its_way: deque[BookUpdate | Trade] = deque()
        self.sent = 0
        """Version of the venue's book, or number of the trade, up to which it was sent."""
        self.since = 0
        self.shown = 0
        """Version, or number, that was delivered last."""


class Merging(RuleBasedStateMachine):
    """What both state machines share. `now` moves by a millisecond a step, so that nobody runs out of patience."""

    subscription: Subscription

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000 * MS
        self.wires = [Wire(), Wire()]
        self.gaps: list[Coverage] = []
        self.open = ""
        books = [partial(lambda key, wire: wire.book, wire=wire) for wire in self.wires]
        self.merged = Redundant([self.subscription], books, self.put)
        for number in (0, 1):
            self.cover(number, "syncing", None)

    def put(self, record: Trade | BookUpdate | Coverage) -> None:
        if isinstance(record, Coverage):
            self.open = record.state if record.ts_to is None else ""
            if record.state == "gap":
                self.gaps.append(record)
        elif isinstance(record, Trade):
            self.stored_trade(record)
        else:
            self.stored_update(record)

    def stored_trade(self, trade: Trade) -> None: ...

    def stored_update(self, update: BookUpdate) -> None: ...

    def cover(self, number: int, state: str, since: int | None, detail: str = "") -> None:
        """A row of a connection: an open one, or (with `since`) a closed gap up to now."""
        one = self.subscription
        row = Coverage(one.key, one.stream, state, "disconnect", since or self.now, None if since is None else self.now, detail)
        self.merged.take(number, row)

    def covering(self, *, without: int) -> bool:
        """Whether the other connection goes on where the recording stands."""
        other = self.wires[1 - without]
        return other.state == "live" and other.since <= self.stored()

    def stored(self) -> int:
        """Version, or number, of what was stored last."""
        raise NotImplementedError

    @rule(number=which)
    def cut(self, number: int) -> None:
        wire = self.wires[number]
        if wire.state == "down":
            return
        self.now += MS
        covered, gaps = wire.state != "live" or self.covering(without=number), len(self.gaps)
        wire.state, wire.book = "down", None
        wire.on_its_way.clear()
        self.cover(number, "gap", None)
        self.cover(number, "syncing", None)
        assert not covered or len(self.gaps) == gaps or self.open == "syncing"

    @invariant()
    def a_subscription_that_is_live_somewhere_is_told_as_live(self) -> None:
        assert (self.open == "live") == any(wire.state == "live" for wire in self.wires)


class Books(Merging):
    """A venue that cuts its changes into other messages on each connection; a number may run backwards when it begins anew.

    Messages have the time of the state that they lead to. A venue that begins to count anew is away for longer than a second: were
    it not, nothing would tell states of two counts apart where their numbers are the same by chance. Snapshots have the state's
    time, that at which they were asked for, or none, as on Binance spot.
    """

    subscription = BOOK

    def __init__(self) -> None:
        self.clock = 1000 * SECOND
        self.times = [self.clock]
        """The venue's time of each version."""
        self.begun: int | None = None
        """The first time that is known of what is stored since its numbers may have begun anew."""
        self.is_timed = False
        """The time of what is stored is known."""
        self.numbers = [100]
        self.versions: list[Sides] = [({}, {})]
        self.levels: list[tuple[int, float, float]] = [(0, 0.0, 0.0)]
        self.resets = [0]
        self.book = Book()
        self.version: int | None = None
        super().__init__()

    def stored(self) -> int:
        return -1 if self.version is None else self.version

    @rule(side=which, price=st.integers(0, 4), size=st.integers(0, 3), step=st.sampled_from([1, 2, 3, 40]))
    def change(self, side: int, price: int, size: int, step: int) -> None:
        sides = (dict(self.versions[-1][0]), dict(self.versions[-1][1]))
        level = float(price + 10 * side)
        sides[side].pop(level, None)
        if size:
            sides[side][level] = float(size)
        self.versions.append(sides)
        self.levels.append((side, level, float(size)))
        self.numbers.append(self.numbers[-1] + step)
        self.resets.append(self.resets[-1])
        self.clock += MS
        self.times.append(self.clock)

    @rule(low=st.integers(60, 90))
    def begin_anew(self, low: int) -> None:
        """The venue's numbers start again from below: one message on every connection says so, and holds nothing else."""
        if self.numbers[-1] <= low or any(wire.sent < len(self.numbers) - 1 for wire in self.wires if wire.state == "live"):
            return
        self.versions.append(self.versions[-1])
        self.levels.append((0, -1.0, 0.0))
        self.numbers.append(low)
        self.resets.append(self.resets[-1] + 1)
        self.clock += 2 * SECOND
        self.times.append(self.clock)
        for number in (0, 1):
            self.send(number)

    @rule(number=which)
    def send(self, number: int) -> None:
        """All changes since the last message of this connection become its next one."""
        wire, newest = self.wires[number], len(self.versions) - 1
        if wire.state != "live" or wire.sent == newest:
            return
        changed = self.levels[wire.sent + 1 :]
        sides = [{price: size for at, price, size in changed if at == side} for side in (0, 1)]
        bids, asks = list(sides[0].items()), list(sides[1].items())
        ids = self.numbers[newest], self.numbers[wire.sent]
        wire.on_its_way.append(BookUpdate(BOOK.key, False, bids, asks, *ids, self.times[newest], 0))
        wire.sent = newest

    @rule(number=which)
    def deliver(self, number: int) -> None:
        wire = self.wires[number]
        if not wire.on_its_way:
            return
        self.now += MS
        sent = wire.on_its_way.popleft()
        assert isinstance(sent, BookUpdate)
        update = msgspec.structs.replace(sent, ts_recv=self.now)
        assert wire.book is not None
        wire.book.apply(update)
        wire.since = min(wire.since, self.at(update.ts_event))
        gaps = len(self.gaps)
        self.merged.take(number, update)
        assert len(self.gaps) == gaps or self.resets[wire.sent], "a message tells of no loss, but where numbers began anew"

    def at(self, ts: int | None) -> int:
        """The venue's version at a time of its own."""
        assert ts is not None
        return bisect(self.times, ts) - 1

    @rule(number=which, behind=st.integers(0, 2), time=st.sampled_from(["state", "state", "asked", "none"]))
    def sync(self, number: int, behind: int, time: str) -> None:
        wire = self.wires[number]
        if wire.state == "live":
            return
        self.now += MS
        at = max(0, len(self.versions) - 1 - (0 if time == "asked" else behind))
        # Where such a snapshot belongs is told by the messages after it, if not by the books.
        wire.state, wire.book, wire.sent, wire.since = "live", Book(), at, at if time == "state" else NEVER
        bids, asks = (list(side.items()) for side in self.versions[at])
        ts = None if time == "none" else self.times[at]
        if time == "asked":
            ts = self.clock = self.clock + 30 * SECOND
        update = BookUpdate(BOOK.key, True, bids, asks, self.numbers[at], None, ts, self.now)
        wire.book.apply(update)
        self.merged.take(number, update)
        self.cover(number, "live", None)

    def covering(self, *, without: int) -> bool:
        # Whether numbers of before and after a new beginning follow each other cannot be known.
        other = self.wires[1 - without]
        if not super().covering(without=without) or not self.is_timed or self.begun is None:
            return False
        is_placed = self.times[other.since] >= self.begun - SECOND
        return is_placed and self.resets[other.since] == self.resets[-1] == self.resets[self.stored()]

    def stored_update(self, update: BookUpdate) -> None:
        is_anew = update.is_snapshot
        if update.is_snapshot:
            assert self.version is None or self.gaps, "a book begins anew only after a gap row"
            self.gaps.clear()
        else:
            assert update.prev_sequence == self.book.sequence
            is_anew = (update.sequence or 0) < (update.prev_sequence or 0)
        if is_anew or self.begun is None:
            self.begun = update.ts_event
        self.is_timed = update.ts_event is not None
        self.book.apply(update)
        held = (self.book.bids.sizes, self.book.asks.sizes)
        if update.ts_event is None:
            true = [at for at, number in enumerate(self.numbers) if number == update.sequence and self.versions[at] == held]
            assert true
            self.version = true[-1]
        else:
            self.version = self.at(update.ts_event)
            assert held == self.versions[self.version]


class Tapes(Merging):
    """A venue that numbers its trades; one print may stand for several numbers, and may come after later ones."""

    subscription = TAPE

    def __init__(self) -> None:
        self.last = 500
        self.number: int | None = None
        self.lowest = 0
        """The first number that was stored; what comes before it was nobody's."""
        self.numbers: set[int] = set()
        """What is stored."""
        self.missing: set[int] = set()
        """What the rows say is missing."""
        self.filling: set[int] = set()
        """What a row has just said to come late."""
        self.chains = [self.chain(), self.chain()]
        super().__init__()

    def chain(self) -> TradeChain:
        return TradeChain(TAPE.key, "disconnect", Counter(), None)

    def put(self, record: Trade | BookUpdate | Coverage) -> None:
        if isinstance(record, Coverage) and record.ids_from is not None and record.ids_to is not None:
            named = set(range(record.ids_from, record.ids_to + 1))
            if record.cause == "filled":
                self.filling |= named
                return
            assert not named & (self.numbers | self.missing), "told as missing what is stored, or twice"
            self.missing |= named
        super().put(record)

    def stored(self) -> int:
        # Before the first trade anything follows.
        return NEVER if self.number is None else self.number

    @rule(count=st.integers(1, 3), to=st.sampled_from([(0,), (1,), (0, 1), (0, 1), ()]))
    def trade(self, count: int, to: tuple[int, ...]) -> None:
        """A print that some connections get: the others have lost it, unless they are down."""
        first, self.last = self.last + 1, self.last + count
        for number, wire in enumerate(self.wires):
            if wire.state == "live" and number in to:
                text = str(self.last)
                wire.on_its_way.append(Trade(TAPE.key, text, "buy", 1.0, 1.0, self.now, 0, self.last, first))

    @rule(number=which, further=st.integers(1, 4))
    def delay(self, number: int, further: int) -> None:
        """The next message of a connection comes after some that were sent later."""
        way = self.wires[number].on_its_way
        if len(way) > further:
            sent = way.popleft()
            way.insert(further, sent)

    @rule(number=which)
    def deliver(self, number: int) -> None:
        """What the venue's session does: it tells of numbers that are missing on its connection, or come late, then the trade."""
        wire = self.wires[number]
        if not wire.on_its_way:
            return
        self.now += MS
        sent = wire.on_its_way.popleft()
        assert isinstance(sent, Trade)
        assert sent.first is not None
        assert sent.sequence is not None
        is_first = self.chains[number].last is None
        rows = self.chains[number].check(sent.first, sent.sequence, None, self.now)
        assert rows is not None
        if is_first or any(row.state == "gap" for row in rows):
            wire.since = sent.first
        for row in rows:
            self.merged.take(number, row)
        wire.shown = max(wire.shown, sent.sequence)
        self.merged.take(number, msgspec.structs.replace(sent, ts_recv=self.now))

    @rule(number=which)
    def sync(self, number: int) -> None:
        wire = self.wires[number]
        if wire.state == "live":
            return
        self.now += MS
        wire.state, wire.since, wire.shown = "live", self.last + 1, 0
        self.chains[number] = self.chain()
        self.cover(number, "live", None)

    def stored_trade(self, trade: Trade) -> None:
        assert trade.sequence is not None
        assert trade.first is not None
        named = set(range(trade.first, trade.sequence + 1))
        assert not named & self.numbers, "stored twice"
        if self.number is None:
            self.lowest = trade.first
        is_late = self.number is not None and trade.sequence < self.number
        assert self.filling == (named if is_late else set()), "no row says that it came late, or one does and it did not"
        assert is_late or not named & self.missing, "told as missing what is stored"
        self.filling.clear()
        self.missing -= named
        self.numbers |= named
        self.gaps.clear()
        self.number = max(trade.sequence, self.number or 0)

    @invariant()
    def every_number_is_stored_or_told_as_missing(self) -> None:
        if self.number is not None:
            assert set(range(self.lowest, self.number + 1)) - self.numbers == self.missing

    @invariant()
    def a_trade_that_every_connection_showed_is_stored(self) -> None:
        shown = [wire.shown for wire in self.wires if wire.state == "live" and wire.shown >= wire.since > 0]
        assert not shown or self.number is not None
        assert not shown or (self.number or 0) >= min(shown)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


TestTapes = Tapes.TestCase
TestTapes.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
