"""What the batcher packs comes out of the journal's entries as it went in."""

from __future__ import annotations

import pytest

from tests.pipeline.numbered import update
from xtrader.model.market import BookUpdate, Level
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.records.batches import Updates
from xtrader.sinks.memory import records

LENGTHS = (0, 1, 15, 16, 17, 300, 65_535, 65_536)
"""Where a list's head in the packed bytes changes its size, and beside it."""


def levels(count: int, first: float) -> list[Level]:
    return [(first + number, number / 7) for number in range(count)]


def with_levels(bids: list[Level], asks: list[Level]) -> BookUpdate:
    some = update(1)
    return BookUpdate(some.instrument, True, bids, asks, 2, 1, some.ts_event, some.ts_recv)


def read_back(rows: list[BookUpdate]) -> list[object]:
    batcher = Batcher()
    for row in rows:
        batcher.add(row)
    (entry,) = batcher.flush()
    payload = b"".join([codec.head(entry, 0, 1), *entry.parts])
    batch = codec.read_batch(codec.read_payload(memoryview(payload)))
    assert isinstance(batch, Updates)
    return list(records(batch))


def test_books_of_every_length_beside_each_other_come_back() -> None:
    rows = [with_levels(levels(bids, 1e5), levels(asks, 2e5)) for bids in LENGTHS for asks in LENGTHS[::-1]]
    assert read_back(rows) == rows


def test_a_batch_without_a_single_level_comes_back() -> None:
    rows = [with_levels([], [])] * 3
    assert read_back(rows) == rows


def test_numbers_that_are_no_floats_are_refused_and_never_read_as_others() -> None:
    batcher = Batcher()
    batcher.add(with_levels([(1.5, 2.5)], [(1, 2.5)]))
    batcher.add(with_levels([(1.5, 2.5)], [(2.5, 2)]))
    with pytest.raises(TypeError, match="must be floats"):
        batcher.flush()
