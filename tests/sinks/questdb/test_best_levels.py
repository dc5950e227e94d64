"""Best prices of a batch at once are those of a book that is kept message by message."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.numbered import KEYS
from tests.sinks.contract import batches
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.records.batches import Floats, Updates
from xtrader.sinks.questdb import best_levels
from xtrader.sinks.questdb.best_levels import PackedBooks

levels = st.lists(st.tuples(st.integers(0, 12).map(float), st.sampled_from([0.0, 0.0, 1.0, 2.0])), max_size=6)
messages = st.builds(
    BookUpdate,
    instrument=st.sampled_from(KEYS[:2]),
    is_snapshot=st.integers(0, 7).map(lambda number: number == 0),
    bids=levels,
    asks=levels,
    sequence=st.none(),
    prev_sequence=st.none(),
    ts_event=st.none(),
    ts_recv=st.just(1),
)


Best = list[float | None]
"""Bid price and size, ask price and size; None where there is none."""


def shown(found: Floats) -> list[Best]:
    return [[None if math.isnan(value) else value for value in row] for row in found.T.tolist()]


def kept(rows: list[BookUpdate]) -> tuple[list[Best], dict[str, Book]]:
    books: dict[str, Book] = {}
    found: list[Best] = []
    for row in rows:
        if row.is_snapshot:
            books[row.instrument] = Book()
        book = books.get(row.instrument)
        if book is not None:
            book.bids.apply(row.bids)
            book.asks.apply(row.asks)
        best = book.best() if book is not None else (None, None)
        found.append([value for level in best for value in (level or (None, None))])
    return found, books


@settings(deadline=None, max_examples=150)
@given(flushes=st.lists(st.lists(messages, max_size=12), max_size=4), again=st.booleans())
def test_best_prices_and_books_are_those_kept_message_by_message(flushes: list[list[BookUpdate]], again: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_levels, "NEAR", 2)
        patch.setattr(best_levels, "LOGGED", 20)
        made = PackedBooks({})
        found: list[Best] = []
        for flush in flushes:
            for batch in batches([*flush]):
                assert isinstance(batch, Updates)
                found += shown(made.take(batch, np.ascontiguousarray(batch.levels.T)))
            if again:
                made = PackedBooks(made.packed())
        expected, books = kept([row for flush in flushes for row in flush])
        assert found == expected
        sides = {key: (dict(bids), dict(asks)) for key, (bids, asks) in made.packed().items()}
        assert sides == {key: (book.bids.sizes, book.asks.sizes) for key, book in books.items()}
