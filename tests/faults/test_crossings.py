"""Books that cross several times in a row: what is recorded is what the raw frames say, and never crossed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.faults.oracle import Books, judge
from tests.faults.raw_books import states
from tests.faults.world import VENUES, Plan, record
from xtrader.emulator.faults import parse
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage


@pytest.mark.parametrize("times", [3, 40])
@pytest.mark.parametrize("exchange", VENUES)
def test_every_recorded_state_is_one_of_the_raw_frames_and_none_is_crossed(exchange: str, times: int, tmp_path: Path) -> None:
    crossings = parse(f"crossings:L2:{exchange}:after=5,times={times}")
    outcome = record(Plan(faults=[crossings], venues=[exchange], instruments=1, raw=tmp_path))
    assert judge(outcome) == []
    said: dict[int, list[Books]] = defaultdict(list)
    crossed = 0
    for number, (bids, asks) in states(tmp_path, exchange):
        said[number].append((dict(bids), dict(asks)))
        crossed += bool(bids and asks) and max(bids) >= min(asks)
    assert crossed >= times
    book = Book()
    for row in outcome.records:
        if isinstance(row, BookUpdate):
            book.apply(row)
            assert (book.bids.sizes, book.asks.sizes) in said[row.sequence or 0]
            assert not book.crossed()
    gaps = [row for row in outcome.records if isinstance(row, Coverage) and (row.state, row.cause) == ("gap", "crossed")]
    assert gaps
