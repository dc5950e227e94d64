"""Recordings of venues that misbehave: a book at any time is the true one or refused, and `verify` finds holes and no damage.

XTRADER_TEST_FAULTY_DAYS sets how many recordings there are, XTRADER_TEST_FAULTY_DAY replays the one of a seed.
"""

from __future__ import annotations

import os
import random
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import xtrader
from tests.faults.oracle import ALTERED, Books, change, timeline
from tests.faults.world import Outcome, Plan
from tests.faults.world import record as run
from tests.store.recordings import record
from tests.store.test_book import sides
from xtrader.emulator.faults import Fault, Target, draw
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import BookEvent
from xtrader.errors import NotCovered
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.model.subscription import Subscription
from xtrader.store.verify import verify
from xtrader.venues import rules

DAYS = int(os.environ.get("XTRADER_TEST_FAULTY_DAYS", "3"))
ONE = os.environ.get("XTRADER_TEST_FAULTY_DAY")
SEEDS = [int(ONE)] if ONE else list(range(1, DAYS + 1))
TIMES = int(os.environ.get("XTRADER_TEST_BOOK_TIMES", "60"))
"""Random times for each recording."""
BOOK_FAULTS = (
    *("lost", "duplicate", "reorder", "crossed", "undeleted", "silent", "malformed", "truncated", "seq_reset", "burst", "freeze"),
    *("close_1006", "notice", "half_open", "slow_snapshot", "stale_snapshot", "rest_5xx", "rest_garbage", "delisted"),
)


def faulty(seed: int) -> Outcome:
    def drawn(emulator: Emulator) -> list[Fault]:
        targets = [Target(name, tuple(made.boards), made.cannot) for name, made in emulator.venues.items()]
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
    report = verify(tmp_path, rules, 1)
    assert [found for found in report.findings if found.level == "damage"] == []
    assert report.exit_code == (1 if any(isinstance(row, Coverage) and row.state == "gap" for row in outcome.records) else 0)
    dataset = xtrader.open(tmp_path)
    chance = random.Random(seed)
    answered = 0
    books = [subscription for subscription in outcome.subscriptions if subscription.stream == "L2"]
    for subscription in books:
        true = published(outcome, subscription)
        altered = {
            fault.number for _, fault in outcome.faults if fault.fault in ALTERED and fault.symbol == subscription.instrument
        }
        spans = timeline(outcome, subscription)
        messages = [row for row in outcome.records if isinstance(row, BookUpdate) and row.instrument == subscription.key]
        known: list[int] = []
        for row in messages:
            known.append(max([row.ts_recv, *known[-1:]]))
        for _ in range(-(-TIMES // len(books))):
            ts = chance.choice((chance.choice(known) - chance.randint(0, 1), chance.randrange(known[0], outcome.ended)))
            is_live = any(one.state == "live" and one.start <= ts < one.end for one in spans)
            in_gap = any(one.state == "gap" and one.start <= ts < one.end for one in spans)
            try:
                book = dataset.book_at(subscription.key, ts)
            except NotCovered:
                assert not is_live or in_gap, f"{subscription} refused at {ts}, XTRADER_TEST_FAULTY_DAY={seed}"
                continue
            assert is_live
            assert not in_gap
            count = bisect_right(known, ts)
            assert book.sequence == messages[count - 1].sequence
            # The number of a snapshot by REST may lie between those of two messages.
            if book.sequence in true and not since_snapshot(messages[:count]) & altered:
                assert sides(book) in true[book.sequence], f"{subscription} at {ts}, XTRADER_TEST_FAULTY_DAY={seed}"
                answered += 1
    assert answered > TIMES // 3


def published(outcome: Outcome, subscription: Subscription) -> dict[int | None, list[Books]]:
    """The true books after each number; a venue that counts anew has several for one."""
    found: dict[int | None, list[Books]] = {}
    book: Books = ({}, {})
    for _, event in outcome.events:
        if isinstance(event, BookEvent) and (event.exchange, event.symbol) == (subscription.exchange, subscription.instrument):
            for side, levels in zip(book, (event.bids, event.asks), strict=True):
                change(side, ((float(price), float(size)) for price, size in levels))
            found.setdefault(event.sequence, []).append((dict(book[0]), dict(book[1])))
    return found


def since_snapshot(messages: list[BookUpdate]) -> set[int | None]:
    """The numbers of the messages that made a book."""
    start = max((place for place, row in enumerate(messages) if row.is_snapshot), default=0)
    return {row.sequence for row in messages[start:]}
