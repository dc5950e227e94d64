"""The book of two connections recorded as one: when one may go on from the state that the other stored."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from tests.venues.speakers import SPEAKERS
from xtrader.clock import SECOND
from xtrader.feed.redundant import Redundant
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output

BOOK = Subscription("L2", "X", "B")
MS = 1_000_000


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
