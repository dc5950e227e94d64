"""Two connections recorded as one: each event once, by number and not by luck, and a gap row only where neither of them covers."""

from __future__ import annotations

from bisect import bisect
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.venues.speakers import SPEAKERS
from xtrader.clock import SECOND
from xtrader.feed.redundant import Redundant
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output
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


def test_numbers_that_began_anew_on_one_connection_only_are_not_taken_for_the_old_ones() -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    book = Book()
    book.sequence = 105
    merged = Redundant([BOOK], [lambda key: book, lambda key: book], stored.append)

    def update(number: int, sequence: int, previous: int | None) -> None:
        merged.take(number, BookUpdate(BOOK.key, previous is None, [], [], sequence, previous, None, MS))

    for number in (0, 1):
        update(number, 100, None)
        merged.take(number, Coverage(BOOK.key, "L2", "live", "start", MS, None))
    for sequence, previous in ((60, 100), (99, 60), (105, 99)):
        update(1, sequence, previous)
    merged.take(0, Coverage(BOOK.key, "L2", "gap", "disconnect", MS, None))
    assert [(r.state, r.ts_to is None) for r in stored if isinstance(r, Coverage)] == [
        ("live", True),
        ("gap", False),
        ("live", True),
    ]
    assert isinstance(stored[-1], BookUpdate)
    assert (stored[-1].is_snapshot, stored[-1].sequence) == (True, 105)


class TwoBooks:
    """The book of two connections, recorded as one, by hand."""

    def __init__(self) -> None:
        self.live: list[Book | None] = [None, None]
        self.stored: list[Trade | BookUpdate | Coverage] = []
        self.merged = Redundant([BOOK], [lambda key: self.live[0], lambda key: self.live[1]], self.stored.append)
        self.now = MS

    def snapshot(self, number: int, sequence: int, second: float | None, *bids: float) -> None:
        self.live[number] = Book()
        self.take(number, sequence, None, second, *bids)
        self.merged.take(number, Coverage(BOOK.key, "L2", "live", "start", self.now, None))

    def take(self, number: int, sequence: int, previous: int | None, second: float | None, *bids: float) -> None:
        """A message with the venue's time and the prices of its bids; a snapshot if it follows nothing."""
        self.now += MS
        ts = None if second is None else int(second * SECOND)
        update = BookUpdate(BOOK.key, previous is None, [(price, 1.0) for price in bids], [], sequence, previous, ts, self.now)
        book = self.live[number]
        assert book is not None
        book.apply(update)
        self.merged.take(number, update)

    def drop(self, number: int) -> None:
        self.now += MS
        self.live[number] = None
        self.merged.take(number, Coverage(BOOK.key, "L2", "gap", "disconnect", self.now, None))

    @property
    def gaps(self) -> int:
        return sum(isinstance(record, Coverage) and record.state == "gap" for record in self.stored)

    @property
    def bids(self) -> set[float]:
        """What a reader of the recording holds."""
        book = Book()
        for record in self.stored:
            if isinstance(record, BookUpdate):
                assert record.is_snapshot or record.prev_sequence == book.sequence
                book.apply(record)
        return set(book.bids.sizes)


@pytest.mark.parametrize("second", [20, None])
@pytest.mark.parametrize("sequence", [61, 40])
def test_a_snapshot_of_after_a_new_beginning_does_not_follow_what_was_stored_before_it(sequence: int, second: float | None) -> None:
    two = TwoBooks()
    two.snapshot(0, 61, 10, 1)
    two.snapshot(1, sequence, second, 2)
    two.drop(0)
    assert two.gaps == 1
    two.take(1, 62, sequence, 21, 3)
    assert two.bids == {2, 3}


def test_a_snapshot_of_after_a_new_beginning_that_the_old_numbers_reach_does_not_follow_them() -> None:
    two = TwoBooks()
    two.snapshot(0, 100, 10, 1)
    two.snapshot(1, 200, 20, 2)
    two.take(0, 250, 100, 11)
    two.drop(0)
    assert (two.gaps, two.bids) == (1, {2})


def test_a_snapshot_of_before_a_new_beginning_is_not_followed_by_what_came_after_it() -> None:
    two = TwoBooks()
    two.snapshot(0, 100, 20, 1)
    two.snapshot(1, 90, 10, 2)
    two.drop(0)
    assert (two.gaps, two.bids) == (1, {2})


def test_a_connection_that_lags_behind_a_new_beginning_does_not_go_on_from_after_it() -> None:
    two = TwoBooks()
    for number in (0, 1):
        two.snapshot(number, 100, 10, 1)
    two.take(0, 60, 100, 20)
    two.take(0, 150, 60, 21, 2)
    two.take(1, 101, 100, 10.1, 3)
    two.drop(0)
    assert (two.gaps, two.bids) == (1, {1, 3})


def test_messages_of_a_connection_that_began_anew_first_go_on_once_the_other_one_began_anew_too() -> None:
    two = TwoBooks()
    two.snapshot(0, 100, 10, 1)
    two.snapshot(1, 60, 20, 1)
    two.take(1, 61, 60, 20.1, 2)
    two.take(0, 60, 100, 20)
    two.drop(0)
    assert (two.gaps, two.bids) == (0, {1, 2})


@pytest.mark.parametrize("second", [1000, None])
def test_the_same_book_at_the_same_number_is_the_same_state_however_new_the_snapshot_is(second: float | None) -> None:
    two = TwoBooks()
    two.snapshot(0, 100, 10, 1)
    two.snapshot(1, 100, second, 1)
    two.drop(0)
    two.take(1, 101, 100, 1001, 2)
    assert (two.gaps, two.bids) == (0, {1, 2})


def test_a_snapshot_without_a_time_is_placed_by_the_message_that_follows_it() -> None:
    two = TwoBooks()
    two.snapshot(0, 100, None, 1)
    two.take(0, 101, 100, 10, 2)
    two.snapshot(1, 99, None, 1)
    two.take(1, 101, 99, 10, 2)
    two.drop(0)
    two.take(1, 102, 101, 10.1, 3)
    assert (two.gaps, two.bids) == (0, {1, 2, 3})


@pytest.mark.parametrize("subscription", [BOOK, TAPE])
def test_a_connection_that_hangs_is_passed_after_seconds_and_holds_no_memory(subscription: Subscription) -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    book = Book()
    merged = Redundant([subscription], [lambda key: book, lambda key: book], stored.append)

    def take(number: int, at: int, ts: int) -> None:
        book.sequence = at
        if subscription is TAPE:
            merged.take(number, Trade(TAPE.key, str(at), "buy", 1.0, 1.0, None, ts, at))
        else:
            merged.take(number, BookUpdate(BOOK.key, False, [], [], at, at - 1, None, ts))

    for number, at in ((0, 100), (1, 103)):
        if subscription is BOOK:
            merged.take(number, BookUpdate(BOOK.key, True, [], [], at, None, None, 0))
        merged.take(number, Coverage(subscription.key, subscription.stream, "live", "start", 0, None))
        if subscription is TAPE:
            take(number, at, 0)
    for n in range(1, 60_000):
        take(1, 103 + n, n * MS)
    part = merged.of(subscription)
    assert max(len(member.held) for member in part.members) <= 10_000
    gaps = [r for r in stored if isinstance(r, Coverage) and r.state == "gap"]
    assert len(gaps) == 1
    assert gaps[0].ts_from == 0
    last = stored[-1]
    assert isinstance(last, Trade | BookUpdate)
    assert last.sequence is not None
    assert last.sequence > 60_000


class Two:
    """The trades of two live connections, recorded as one."""

    def __init__(self) -> None:
        self.stored: list[Trade | BookUpdate | Coverage] = []
        self.merged = Redundant([TAPE], [lambda key: None, lambda key: None], self.stored.append)
        self.now = MS
        self.chains = [TradeChain(TAPE.key, "start", Counter(), None) for _ in range(2)]
        for number in (0, 1):
            self.merged.take(number, Coverage(TAPE.key, "TRADES", "live", "start", self.now, None))

    def take(self, number: int, *trades: int, late: int = 0) -> None:
        """Trades with their numbers as seconds of their time, and what the connection's session says of them."""
        for at in trades:
            self.now += MS
            ts = (at + late) * 1000 * MS
            for row in self.chains[number].check(at, at, ts, self.now) or ():
                self.merged.take(number, row)
            self.merged.take(number, Trade(TAPE.key, str(at), "buy", 1.0, 1.0, ts, self.now, at))

    def drop(self, number: int) -> None:
        self.now += MS
        self.merged.take(number, Coverage(TAPE.key, "TRADES", "gap", "disconnect", self.now, None))

    @property
    def numbers(self) -> list[int | None]:
        return [record.sequence for record in self.stored if isinstance(record, Trade)]

    @property
    def told(self) -> list[tuple[str, int | None, int | None]]:
        """What is said of missing numbers, and the gaps without any."""
        rows = [record for record in self.stored if isinstance(record, Coverage) and record.ts_to is not None]
        return [(row.cause, row.ids_from, row.ids_to) for row in rows]


def test_a_late_trade_is_no_hole_while_the_other_connection_brings_it_too() -> None:
    two = Two()
    two.take(1, 99)
    two.take(0, 100, 102, 101, 103)
    two.take(1, 100, 101, 102, 103)
    assert (two.numbers, two.told) == ([99, 100, 101, 102, 103], [])


def test_a_late_trade_fills_the_hole_that_no_connection_covers() -> None:
    two = Two()
    two.drop(1)
    two.take(0, 100, 103, 102)
    assert (two.numbers, two.told) == ([100, 103, 102], [("venue_gap", 101, 102), ("filled", 102, 102)])


def test_what_one_connection_missed_is_filled_by_the_other_one_long_after() -> None:
    two = Two()
    two.take(0, 100, 105)
    two.take(1, 98, 99, 100, 101, 102, 103, 104, 105, 106)
    assert sorted(two.numbers, key=str) == sorted(range(98, 107), key=str)
    assert two.told == [("venue_gap", 101, 104), *(("filled", n, n) for n in (98, 99, 101, 102, 103, 104))]


def test_the_connection_that_is_first_does_not_decide_what_was_before_it() -> None:
    two = Two()
    two.take(0, 105)
    two.take(1, 103, 104, 105, 106)
    assert (two.numbers, two.told) == ([105, 103, 104, 106], [("filled", 103, 103), ("filled", 104, 104)])


def test_a_hole_ends_where_the_first_trade_is_that_any_connection_holds() -> None:
    two = Two()
    two.take(0, 100)
    two.take(1, 100)
    two.take(1, 104, 105)
    two.take(0, 108)
    assert (two.numbers, two.told) == ([100, 104, 105], [("disconnect", 101, 103)]), "the other one may still bring 106"
    two.drop(1)
    assert (two.numbers[3:], two.told[1:]) == ([108], [("disconnect", 106, 107)])


def test_a_connection_that_is_seconds_behind_after_a_reconnect_doubles_nothing() -> None:
    two = Two()
    two.take(0, *range(900, 1001))
    two.drop(1)
    two.chains[1] = TradeChain(TAPE.key, "disconnect", Counter(), None)
    two.merged.take(1, Coverage(TAPE.key, "TRADES", "live", "disconnect", two.now, None))
    two.take(1, *range(976, 1011))
    assert (two.numbers, two.told) == (list(range(900, 1011)), [])


def test_a_connection_without_a_trade_yet_does_not_count_the_old_way_after_the_other_one_began_anew() -> None:
    two = Two()
    two.take(0, 500)
    two.take(0, 1, late=600)
    two.drop(0)
    two.take(1, 2, 3, late=600)
    assert two.numbers == [500, 1, 2, 3]


def test_a_connection_that_was_silent_does_not_bring_trades_of_before_the_venue_began_anew() -> None:
    two = Two()
    two.take(0, 500)
    two.take(0, 1, late=600)
    two.take(1, 501, 502)
    two.take(0, 2, late=600)
    two.take(1, 2, 3, late=600)
    assert (two.numbers, two.told) == ([500, 1, 2, 3], [("venue_gap", None, None)])


def test_a_connection_that_was_first_to_count_anew_goes_on_when_the_other_one_is_lost() -> None:
    two = Two()
    two.take(0, 500)
    two.take(1, 600, late=600)
    two.take(0, 1, late=1150)
    two.drop(0)
    two.take(1, 601, late=600)
    assert (two.numbers, two.told) == ([500, 1, 600, 601], [("venue_gap", None, None), ("disconnect", 2, 599)])


def test_what_a_silent_connection_lacks_begins_where_another_one_last_recorded() -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)

    def cover(number: int, state: str, cause: str, ts_from: int, ts_to: int | None = None) -> None:
        merged.take(number, Coverage(TAPE.key, "TRADES", state, cause, ts_from * MS, None if ts_to is None else ts_to * MS))

    cover(0, "live", "start", 0)
    cover(1, "live", "disconnect", 20)
    merged.take(0, Trade(TAPE.key, "100", "buy", 1.0, 1.0, None, 30 * MS, 100))
    cover(0, "gap", "disconnect", 31)
    cover(1, "gap", "silent", 20, 90)
    cover(1, "syncing", "silent", 90)
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from, row.ts_to) for row in gaps] == [("silent", 30 * MS, 90 * MS)]


class Pair:
    """The sessions of two connections to a venue, recorded as one. `depths` are those of their snapshots."""

    def __init__(self, exchange: str, depths: tuple[int | None, int | None] = (None, None)) -> None:
        self.speaker = SPEAKERS[exchange]
        self.subscription = Subscription("L2", exchange, self.speaker.symbol)
        link = Link(exchange, "test", "", (self.subscription,))
        self.sessions = [market(exchange, {}).session(link, "start", {}) for _ in range(2)]
        self.rows: list[Coverage] = []
        self.book = Book()
        self.merged = Redundant([self.subscription], [session.book for session in self.sessions], self.put)
        self.now, self.number = 1_790_000_000_000 * MS, 100
        self.fetches: dict[int, Fetch] = {}
        for which in range(2):
            self.carry_out(which, self.sessions[which].start(self.now))
            for text in self.speaker.hello():
                self.carry_out(which, self.sessions[which].receive(text, self.now))
        self.say()
        for which in range(2):
            text = self.speaker.snapshot(self.number, [(10, 1)], [(11, 1)], self.now // MS)
            session = self.sessions[which]
            if self.fetches:
                fetch = msgspec.structs.replace(self.fetches[which], depth=depths[which])
                self.carry_out(which, session.answer(fetch, 200, text, self.now))
            else:
                self.carry_out(which, session.receive(text, self.now))
        self.rows.clear()

    def put(self, record: Trade | BookUpdate | Coverage) -> None:
        if isinstance(record, Coverage):
            self.rows.append(record)
        elif isinstance(record, BookUpdate):
            self.book.apply(record)
            assert not self.book.crossed()

    def carry_out(self, which: int, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Fetch):
                self.fetches[which] = output
            elif isinstance(output, Trade | BookUpdate | Coverage):
                self.merged.take(which, output)

    def say(self, *bids: tuple[int, int], also: tuple[int, int] | None = None) -> None:
        """The next change on both connections; one more bid on the first."""
        self.now += 100 * MS
        self.number += 1
        for which in range(2):
            more = [] if also is None or which else [also]
            text = self.speaker.delta(self.number - 1, self.number, [*bids, *more], [], self.now // MS)
            self.carry_out(which, self.sessions[which].receive(text, self.now))


@pytest.mark.parametrize("exchange", SPEAKERS)
def test_a_book_that_is_crossed_on_one_connection_only_goes_on_from_the_other_without_a_gap(exchange: str) -> None:
    pair = Pair(exchange)
    pair.say((9, 1))
    pair.say((9, 2), also=(12, 1))
    pair.say((9, 3))
    assert pair.book.bids.sizes == {10.0: 1.0, 9.0: 3.0}
    assert pair.rows == []
    assert pair.merged.of(pair.subscription).live == 1


@pytest.mark.parametrize("exchange", SPEAKERS)
def test_a_book_that_is_crossed_on_both_connections_is_one_gap_until_one_of_them_is_uncrossed(exchange: str) -> None:
    pair = Pair(exchange)
    last = pair.now
    pair.say((12, 1))
    pair.say((9, 1))
    pair.say((12, 0))
    assert [(row.state, row.cause, row.ts_from) for row in pair.rows] == [
        ("gap", "crossed", last),
        ("live", "crossed", pair.now),
    ]
    pair.say((9, 4))
    assert pair.book.bids.sizes == {10.0: 1.0, 9.0: 4.0}
    assert len(pair.rows) == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_connection_is_known_to_have_recorded_is_live_when_both_stop(order: tuple[int, int]) -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    for number, ts in ((0, 0), (1, 50)):
        merged.take(number, Coverage(TAPE.key, "TRADES", "live", "start", ts * MS, None))
    known = (100, 50)
    for number in order:
        merged.take(number, Coverage(TAPE.key, "TRADES", "gap", "shutdown", known[number] * MS, None))
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from) for row in gaps] == [("shutdown", 100 * MS)]


def test_a_connection_that_never_was_live_proves_nothing_when_it_stops() -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    merged.take(0, Coverage(TAPE.key, "TRADES", "live", "start", 50 * MS, None))
    merged.take(1, Coverage(TAPE.key, "TRADES", "syncing", "start", 60 * MS, None))
    merged.take(1, Coverage(TAPE.key, "TRADES", "gap", "shutdown", 100 * MS, None))
    merged.take(0, Coverage(TAPE.key, "TRADES", "gap", "shutdown", 50 * MS, None))
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from) for row in gaps] == [("shutdown", 50 * MS)]


def tape(*rows: tuple[int, Trade | Coverage]) -> list[Trade | BookUpdate | Coverage]:
    """What is stored of what two connections of a tape said, (number, record) each."""
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    for number, row in rows:
        merged.take(number, row)
    return stored


def row(state: str, since: int, until: int | None = None, cause: str = "start") -> Coverage:
    return Coverage(TAPE.key, "TRADES", state, cause, since * MS, None if until is None else until * MS)


def a_trade(number: int, ts: int, ts_event: int | None = None) -> Trade:
    return Trade(TAPE.key, str(number), "buy", 1.0, 1.0, (ts if ts_event is None else ts_event) * MS, ts * MS, number)


def gaps_of(stored: Iterable[Trade | BookUpdate | Coverage]) -> list[tuple[str, int, int | None]]:
    gaps = [one for one in stored if isinstance(one, Coverage) and one.state == "gap"]
    return [(one.cause, one.ts_from // MS, None if one.ts_to is None else one.ts_to // MS) for one in gaps]


@pytest.mark.parametrize("heir", ["silent", "disconnect"])
def test_a_connection_that_took_over_and_brought_nothing_does_not_prove_the_silence_before_it(heir: str) -> None:
    end = row("gap", 50, 90, heir) if heir == "silent" else row("gap", 50, None, heir)
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(1, 20)),
        (1, row("live", 50, cause="disconnect")),
        (0, row("gap", 20, None, "disconnect")),
        (1, end),
        (1, row("syncing", 90, cause=heir)),
    )
    assert gaps_of(stored) == [(heir, 20, 90 if heir == "silent" else None)]


@pytest.mark.parametrize("others", [1, 2])
def test_what_a_lost_connection_had_beyond_a_hole_is_stored_when_nobody_fills_it(others: int) -> None:
    """The old one is dead and not known to be; the new one has 12, 13 and 15, and is lost before the old one is given up."""
    again = [] if others == 1 else [(1, row("syncing", 60)), (1, row("live", 60)), (1, a_trade(20, 70)), (1, row("gap", 70))]
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        *((1, a_trade(number, 10 * number - 80)) for number in (12, 13, 15)),
        (1, row("gap", 70)),
        *again,
        (0, row("gap", 20, None, "disconnect")),
    )
    numbers = [one.sequence for one in stored if isinstance(one, Trade)]
    assert numbers == [10, 12, 13, 15] + [20] * (others == 2)
    holes = [(one.ids_from, one.ids_to) for one in stored if isinstance(one, Coverage) and one.ids_from is not None]
    assert holes == [(11, 11)] + [(16, 19)] * (others == 2)
    assert gaps_of(stored)[-1] == ("disconnect", 70, None)


def test_what_a_lost_connection_had_beyond_a_hole_is_stored_once_where_another_one_brings_it() -> None:
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        *((1, a_trade(number, 10 * number - 80)) for number in (12, 13, 15)),
        (1, row("gap", 70)),
        *((0, a_trade(number, 80)) for number in (11, 12, 13, 15, 16)),
    )
    assert [one.sequence for one in stored if isinstance(one, Trade)] == [10, 11, 12, 13, 15, 16]
    assert gaps_of(stored) == []


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_trade_waits_for_five_seconds_and_what_would_have_linked_it_fills_the_hole_later(is_lost: bool) -> None:
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        (1, a_trade(12, 40)),
        *[(1, row("gap", 50))] * is_lost,
        (0, a_trade(11, 30_040, 35)),
        (0, a_trade(12, 30_040, 40)),
        (0, a_trade(13, 30_041)),
    )
    assert [(one.sequence, one.ts_recv // MS) for one in stored if isinstance(one, Trade)] == [
        (10, 20),
        (12, 40),
        (11, 30_040),
        (13, 30_041),
    ]
    told = [(one.state, one.cause, one.ids_from) for one in stored if isinstance(one, Coverage) and one.ids_from is not None]
    assert told == [("gap", "disconnect", 11), ("live", "filled", 11)]


@pytest.mark.parametrize("exchange", SPEAKERS)
def test_a_new_connection_is_linked_though_nothing_changes_in_the_book(exchange: str) -> None:
    pair = Pair(exchange)
    old = pair.sessions[0]
    fresh = market(exchange, {}).session(Link(exchange, "test", "", (pair.subscription,)), "start", {})
    pair.sessions = [old, fresh]
    pair.merged = Redundant([pair.subscription], [old.book, fresh.book], pair.put)
    pair.merged.resume(0, old)
    pair.now += 60 * SECOND
    pair.carry_out(1, fresh.start(pair.now))
    for text in pair.speaker.hello():
        pair.carry_out(1, fresh.receive(text, pair.now))
    pair.fetches.clear()
    pair.carry_out(1, fresh.idle(pair.now + 3 * SECOND))
    assert not pair.merged.linked(1)
    text = pair.speaker.snapshot(pair.number, [(10, 1)], [(11, 1)], pair.now // MS)
    snapshot = fresh.answer(pair.fetches[1], 200, text, pair.now) if pair.fetches else fresh.receive(text, pair.now)
    pair.carry_out(1, snapshot)
    assert pair.merged.linked(1)


def test_a_deeper_book_that_takes_over_from_a_shallow_one_takes_its_place() -> None:
    pair = Pair("BINANCE_SPOT", (100, 5000))
    pair.say((9, 1))
    key = pair.subscription.key
    pair.merged.take(0, Coverage(key, "L2", "gap", "disconnect", pair.now, None))
    assert [(row.state, row.ts_from, row.depth) for row in pair.rows] == [("live", pair.now, 5000)]
    assert pair.book.bids.sizes == {10.0: 1.0, 9.0: 1.0}


def test_a_snapshot_of_the_owner_that_is_deeper_is_told_and_one_of_the_other_connection_is_not() -> None:
    pair = Pair("BINANCE_SPOT", (100, 100))
    for which in (1, 0):
        (fetch,) = (output for output in pair.sessions[which].idle(pair.now + 10**9) if isinstance(output, Fetch))
        text = pair.speaker.snapshot(pair.number, [(10, 1), (8, 1)], [(11, 1)], pair.now // MS)
        answer = pair.sessions[which].answer(msgspec.structs.replace(fetch, depth=5000), 200, text, pair.now)
        pair.carry_out(which, answer)
        assert len(pair.rows) == 1 - which
    assert [(row.state, row.depth) for row in pair.rows] == [("live", 5000)]
    assert pair.book.bids.sizes == {10.0: 1.0, 8.0: 1.0}
