"""Books that their venue's messages leave crossed: a gap until the venue uncrosses them or a snapshot comes, on every venue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.speakers import SPEAKERS, Level
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output

S = 1_000_000_000
T0 = 1_790_000_000 * S
CROSSING: tuple[list[Level], list[Level]] = ([(12, 1)], [])
UNCROSSING: tuple[list[Level], list[Level]] = ([(12, 0)], [])
CALM: tuple[list[Level], list[Level]] = ([(10, 2)], [])
SOUND: tuple[list[Level], list[Level]] = ([(10, 1), (9, 1)], [(11, 1), (13, 1)])


class Venue:
    """A venue that says one book message after the other, a session that hears them, and what a reader of its records knows."""

    def __init__(self, name: str) -> None:
        self.speaker = SPEAKERS[name]
        subscription = Subscription("L2", self.speaker.exchange, self.speaker.symbol)
        self.key = subscription.key
        self.session = market(name, {}).session(Link(name, "test", "", (subscription,)), "start", {})
        self.number = 100
        self.now = T0
        self.fetch: Fetch | None = None
        self.asked: list[int] = []
        self.rows: list[BookUpdate] = []
        self.covers: list[Coverage] = []
        self.is_live = False
        self.recorded = Book()
        self.take(self.session.start(self.now))
        for text in self.speaker.hello():
            self.take(self.session.receive(text, self.now))
        self.say(([(9, 1)], []), after=0)
        self.snapshot(SOUND)

    def take(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if self.speaker.asks_for_book(output):
                self.asked.append(self.now)
                self.fetch = output if isinstance(output, Fetch) else self.fetch
            elif isinstance(output, BookUpdate):
                self.rows.append(output)
                self.recorded.apply(output)
                assert not self.recorded.crossed(), "a crossed book is never recorded"
            elif isinstance(output, Coverage):
                self.covers.append(output)
                self.is_live = output.state == "live" or (output.ts_to is not None and self.is_live)

    def say(self, levels: tuple[list[Level], list[Level]], after: float = 1.0) -> None:
        """The next change, `after` so many seconds."""
        self.now += round(after * S)
        self.number += 1
        self.take(self.session.receive(self.speaker.delta(self.number - 1, self.number, *levels, self.now // 10**6), self.now))

    def snapshot(self, levels: tuple[Sequence[Level], Sequence[Level]], after: float = 0.0) -> None:
        """The book as it is after the last change, as the answer to the request or in the stream."""
        self.now += round(after * S)
        text = self.speaker.snapshot(self.number, *levels, self.now // 10**6)
        if self.fetch is None:
            self.take(self.session.receive(text, self.now))
        else:
            fetch, self.fetch = self.fetch, None
            self.take(self.session.answer(fetch, 200, text, self.now))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += S
            self.take(self.session.idle(self.now))

    def told(self) -> list[tuple[str, str, int, int | None]]:
        return [(row.state, row.cause, row.ts_from, row.ts_to) for row in self.covers]


@pytest.fixture(params=SPEAKERS)
def venue(request: pytest.FixtureRequest) -> Venue:
    made = Venue(request.param)
    assert made.is_live
    made.asked.clear()
    made.covers.clear()
    made.rows.clear()
    return made


def test_a_crossed_book_is_a_gap_from_the_message_that_crosses_to_the_snapshot(venue: Venue) -> None:
    venue.say(CROSSING)
    crossed = venue.now
    assert venue.session.book(venue.key) is None
    assert venue.asked == [crossed]
    venue.say(CALM)
    venue.say(([], [(14, 1)]))
    assert venue.rows == []
    assert venue.told() == [("gap", "crossed", crossed, None)]
    venue.snapshot(SOUND, after=0.5)
    assert venue.told() == [("gap", "crossed", crossed, None), ("live", "crossed", venue.now, None)]
    assert [row.sequence for row in venue.rows if row.is_snapshot] == [venue.number]
    assert {row.sequence for row in venue.rows} == {venue.number}
    venue.say(CALM)
    assert (venue.rows[-1].is_snapshot, venue.rows[-1].sequence) == (False, venue.number)
    assert venue.session.counts["crossed"] == 3


def test_a_book_that_its_venue_uncrosses_is_live_and_recorded_whole_from_that_message_on(venue: Venue) -> None:
    venue.say(CROSSING)
    crossed = venue.now
    venue.say(UNCROSSING, after=0.1)
    assert venue.told() == [("gap", "crossed", crossed, None), ("live", "crossed", venue.now, None)]
    (row,) = venue.rows
    assert (row.is_snapshot, row.sequence, row.ts_recv) == (True, venue.number, venue.now)
    assert (row.bids, row.asks) == ([(10.0, 1.0), (9.0, 1.0)], [(11.0, 1.0), (13.0, 1.0)])
    assert venue.session.book(venue.key) is not None
    venue.say(CALM)
    assert [(row.prev_sequence, row.sequence) for row in venue.rows[1:]] == [(venue.number - 1, venue.number)]


def test_a_book_that_crosses_again_and_again_is_asked_for_after_one_two_and_four_seconds(venue: Venue) -> None:
    begin = venue.now
    for _ in range(5):
        venue.say(CROSSING, after=0.01)
        for _ in range(20):
            if venue.asked and venue.asked[-1] == venue.now:
                break
            venue.wait(1)
        venue.snapshot(SOUND)
        assert venue.is_live
    waits = [round((later - earlier) / S) for earlier, later in zip(venue.asked, venue.asked[1:], strict=False)]
    assert waits == [1, 2, 4, 8]
    for _ in range(9):
        venue.say(CALM, after=10)
    venue.say(CROSSING)
    assert venue.asked[-1] == venue.now
    gaps = [row for row in venue.covers if row.state == "gap"]
    assert len(gaps) == 6
    assert {row.cause for row in gaps} == {"crossed"}
    assert begin < gaps[0].ts_from


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_a_snapshot_that_is_crossed_itself_is_not_live(venue: Venue, seconds: float) -> None:
    venue.say(CROSSING)
    crossed = venue.now
    venue.snapshot(([(12, 1)], [(11, 1)]), after=seconds)
    assert venue.told() == [("gap", "crossed", crossed, None)]
    assert venue.rows == []
    venue.say(UNCROSSING)
    assert venue.is_live
    assert not venue.recorded.crossed()


def test_the_first_snapshot_of_a_book_may_be_crossed_and_is_no_beginning() -> None:
    for name in SPEAKERS:
        made = Venue(name)
        session = market(name, {}).session(Link(name, "test", "", (Subscription("L2", name, made.speaker.symbol),)), "start", {})
        made.session, made.is_live, made.recorded, made.fetch = session, False, Book(), None
        made.covers.clear()
        made.take(session.start(made.now))
        made.say(CALM)
        made.snapshot(([(12, 1)], [(11, 1)]))
        assert [row[:2] for row in made.told()] == [("syncing", "start"), ("gap", "crossed")]
        made.say(UNCROSSING)
        assert made.is_live


@pytest.mark.parametrize("name", ["OKX_SWAP", "DERIBIT"])
def test_what_a_new_subscription_left_out_of_an_uncrossed_book_is_a_gap(name: str) -> None:
    venue = Venue(name)
    venue.covers.clear()
    venue.say(CROSSING)
    venue.say(UNCROSSING)
    last = venue.now
    venue.snapshot(SOUND, after=0.3)
    assert venue.told()[2:] == [("gap", "crossed", last, venue.now), ("live", "crossed", venue.now, None)]


MESSAGES = st.lists(st.tuples(st.sampled_from("ba"), st.integers(8, 14), st.integers(0, 2)), min_size=1, max_size=3)
STEPS = st.lists(st.one_of(MESSAGES, st.just("snapshot"), st.integers(1, 3)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SPEAKERS)), STEPS)
def test_what_is_live_is_the_venues_book_and_never_crossed(name: str, steps: list[str | int | list[tuple[str, int, int]]]) -> None:
    venue = Venue(name)
    true = Book()
    true.apply(BookUpdate("", True, [(10.0, 1.0), (9.0, 1.0)], [(11.0, 1.0), (13.0, 1.0)], 0, None, 0, 0))
    for step in steps:
        if isinstance(step, int):
            venue.wait(step)
        elif step == "snapshot":
            if isinstance(venue.fetch, Fetch) or name in ("OKX_SWAP", "DERIBIT"):
                sides = [[(int(price), int(size)) for price, size in side.levels()] for side in (true.bids, true.asks)]
                venue.snapshot((sides[0], sides[1]))
        else:
            bids, asks = ([(price, size) for side, price, size in step if side == wanted] for wanted in "ba")
            venue.say((bids, asks))
            for side, levels in ((true.bids, bids), (true.asks, asks)):
                side.apply([(float(price), float(size)) for price, size in levels])
        assert venue.is_live == (not true.crossed()) == (venue.session.book(venue.key) is not None)
        if venue.is_live:
            assert (venue.recorded.bids.sizes, venue.recorded.asks.sizes) == (true.bids.sizes, true.asks.sizes)
