"""Recordings of venues that misbehave: a book at any time is the true one or refused, and `verify` finds holes and no damage.

XTRADER_TEST_FAULTY_DAYS sets how many recordings there are, XTRADER_TEST_FAULTY_DAY replays the one of a seed.
"""

from __future__ import annotations

import os
import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

import xtrader
from tests.faults.oracle import ALTERED, Books, change, timeline
from tests.faults.world import VENUES, Outcome, Plan
from tests.faults.world import record as run
from tests.store.books import sides
from tests.store.recordings import record
from xtrader.emulator.faults import Fault, FaultTarget, draw, parse
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import FaultEvent, SnapshotEvent, TradeEvent
from xtrader.errors import NotCovered
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.model.subscription import Subscription
from xtrader.store.prove.verify import verify
from xtrader.store.read.dataset import Dataset
from xtrader.venues import rules

DAYS = int(os.environ.get("XTRADER_TEST_FAULTY_DAYS", "3"))
ONE = os.environ.get("XTRADER_TEST_FAULTY_DAY")
SEEDS = [int(ONE)] if ONE else list(range(1, DAYS + 1))
TIMES = int(os.environ.get("XTRADER_TEST_BOOK_TIMES", "60"))
"""Random times for each recording."""
Levels = list[tuple[float, float]]
Sides = tuple[Levels, Levels]
BOOK_FAULTS = (
    *("lost", "duplicate", "reorder", "crossed", "crossings", "undeleted", "silent", "malformed", "truncated"),
    *("seq_reset", "burst", "freeze"),
    *("close_1006", "notice", "half_open", "slow_snapshot", "stale_snapshot", "rest_5xx", "rest_garbage", "delisted"),
)


def faulty(seed: int) -> Outcome:
    def drawn(emulator: Emulator) -> list[Fault]:
        targets = [FaultTarget(name, tuple(made.boards), made.cannot) for name, made in emulator.venues.items()]
        return draw(f"day/{seed}", targets, 14, 60, BOOK_FAULTS)

    return run(Plan(seed=seed, instruments=1, draw=drawn, patience=25))


def ended(outcome: Outcome) -> Iterator[Record]:
    """The records, and the coverage rows of a recorder that stops."""
    still: dict[tuple[str, str], Coverage] = {}
    for row in outcome.records:
        if isinstance(row, Coverage):
            if row.ts_to is None:
                still[row.instrument, row.stream] = row
            else:
                still.pop((row.instrument, row.stream), None)
        yield row
    for row in still.values():
        yield replace(row, ts_to=outcome.ended)
        yield replace(row, state="gap", cause="shutdown", ts_from=outcome.ended, detail="")


@pytest.mark.parametrize("seed", SEEDS)
def test_books_are_true_or_refused_and_the_files_are_whole(seed: int, tmp_path: Path) -> None:
    outcome = faulty(seed)
    record(tmp_path, ended(outcome), rotate_seconds=5)
    print(f"XTRADER_TEST_FAULTY_DAY={seed}")
    check_files(outcome, tmp_path)
    assert len(check_books(outcome, xtrader.open(tmp_path), random.Random(seed))) > TIMES // 3


@pytest.mark.parametrize("exchange", VENUES)
def test_books_that_cross_in_several_messages_are_gaps_until_they_are_true_again(exchange: str, tmp_path: Path) -> None:
    outcome = run(Plan(faults=[parse(f"crossings:L2:{exchange}:after=5")], venues=[exchange], instruments=1))
    record(tmp_path, ended(outcome), rotate_seconds=5)
    check_files(outcome, tmp_path)
    found = check_books(outcome, xtrader.open(tmp_path), random.Random(exchange))
    assert not any(book.crossed() for book in found)
    assert "crossed" in {row.cause for row in outcome.records if isinstance(row, Coverage) and row.state == "gap"}


def check_files(outcome: Outcome, directory: Path) -> None:
    """`verify` finds no damage, and holes if there are any."""
    report = verify(directory, rules, 1)
    assert [found for found in report.findings if found.level == "damage"] == []
    assert report.exit_code == (1 if any(isinstance(row, Coverage) and row.state == "gap" for row in outcome.records) else 0)


def check_books(outcome: Outcome, dataset: Dataset, chance: random.Random) -> list[Book]:
    """The books at TIMES random times, without those that were refused, each held against what its venue sent."""
    answered = []
    subscriptions = [subscription for subscription in outcome.subscriptions if subscription.stream == "L2"]
    for subscription in subscriptions:
        told = published(outcome, subscription)
        spans = timeline(outcome, subscription)
        messages = [row for row in outcome.records if isinstance(row, BookUpdate) and row.instrument == subscription.key]
        uncrossed = {one.start for one in spans if (one.state, one.cause) == ("live", "crossed")}
        known = list(accumulate((row.ts_recv for row in messages), max))
        for _ in range(-(-TIMES // len(subscriptions))):
            ts = chance.choice((chance.choice(known) - chance.randint(0, 1), chance.randrange(known[0], outcome.ended)))
            is_live = any(one.state == "live" and one.start <= ts < one.end for one in spans)
            in_gap = any(one.state == "gap" and one.start <= ts < one.end for one in spans)
            try:
                book = dataset.book_at(subscription.key, ts)
            except NotCovered:
                assert not is_live or in_gap, f"{subscription} refused at {ts}"
                continue
            assert is_live
            assert not in_gap
            before = messages[: bisect_right(known, ts)]
            last, *earlier = (row for row in reversed(before) if row.is_snapshot)
            is_own = last.sequence not in told.answers and last.ts_recv in uncrossed
            snapshots = [last.sequence, *(row.sequence for row in earlier if is_own)]
            assert book.sequence == before[-1].sequence
            assert any(sides(book) in told.books(snapshot, book.sequence) for snapshot in snapshots), f"{subscription} at {ts}"
            answered.append(book)
    return answered


class Message(NamedTuple):
    """One book message of a venue: bids and asks as they should have been, and as they went out."""

    number: int
    true: Sides
    sent: Sides


class Published(NamedTuple):
    """What a venue told of a book: its messages in order, and the books that it answered between two messages, by their numbers."""

    messages: list[Message]
    answers: dict[int, Sides]

    def books(self, snapshot: int, last: int) -> Iterator[Books]:
        """The book at the number `last` for somebody who took the snapshot with the number `snapshot`: the true book then, and what
        was sent after it. Numbers that were given more than once mean more than one book."""
        for start in self._places(snapshot):
            is_between = snapshot in self.answers and self.messages[start - 1].number != snapshot
            first = [self.answers[snapshot]] if is_between else [message.true for message in self.messages[:start]]
            for end in self._places(last):
                if start <= end:
                    yield book_of(first + [message.sent for message in self.messages[start:end]])

    def _places(self, number: int) -> list[int]:
        """How many messages there may have been when the number was given."""
        numbers = [message.number for message in self.messages]
        found = [place for place, one in enumerate(numbers, 1) if one == number]
        if found:
            return found
        # Between two messages; also where a venue counts anew, it may show its book before it sends a message.
        steps = enumerate(pairwise([*numbers, 2**63]), 1)
        return [place for place, (before, after) in steps if before < number < after or after < before]


def book_of(messages: list[Sides]) -> Books:
    """What a book's messages, one after the other, leave of it."""
    book: Books = ({}, {})
    for levels in messages:
        for side, changes in zip(book, levels, strict=True):
            change(side, changes)
    return book


def published(outcome: Outcome, subscription: Subscription) -> Published:
    messages: list[Message] = []
    answers = {}
    for _, event in outcome.events:
        if isinstance(event, TradeEvent) or (event.exchange, event.symbol) != (subscription.exchange, subscription.instrument):
            continue
        if isinstance(event, FaultEvent):
            if event.fault in ALTERED:
                place = max(place for place, message in enumerate(messages) if message.number == event.number)
                messages[place] = messages[place]._replace(sent=altered(event.fault, messages[place].true))
            continue
        bids, asks = ([(float(price), float(size)) for price, size in levels] for levels in (event.bids, event.asks))
        if isinstance(event, SnapshotEvent):
            answers[event.sequence] = (bids, asks)
        else:
            messages.append(Message(event.sequence, (bids, asks), (bids, asks)))
    return Published(messages, answers)


def altered(fault: str, true: Sides) -> Sides:
    """What such a fault makes of a message."""
    bids, asks = true
    if fault in ("crossed", "crossings"):
        return [*bids, (2 * max(price for price, _ in bids + asks), 1.0)], asks
    return [level for level in bids if level[1]], [level for level in asks if level[1]]
