"""The ladder holds what the book of the model holds, however the rows are cut into blocks."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import xtrader
from tests.store.books import KEY, sides
from tests.store.recordings import START, record
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.store.read.ladder import Ladder


def messages(chance: random.Random) -> list[BookUpdate]:
    """Changes among few prices, so that both sides use the same ones; many are empty, some are snapshots, a few of those empty."""
    found = []
    for number in range(300):
        is_snapshot = number == 0 or chance.random() < 0.05
        both = [
            [(float(price), chance.choice((0.0, 1.0, 2.5))) for price in chance.sample(range(1, 30), chance.choice((0, 0, 1, 6)))]
            for _ in range(2)
        ]
        found.append(BookUpdate(KEY, is_snapshot, *both, number, number - 1, None, START + number))
    return found


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_a_ladder_is_the_book_after_every_message(tmp_path: Path, rows: int) -> None:
    written = messages(random.Random(rows))
    table = xtrader.open(record(tmp_path, written)).book_updates(KEY).to_arrow()
    is_last = table["is_last"].to_numpy()
    book, ladder, done = Book(), Ladder(), 0
    for start in range(0, table.num_rows, rows):
        block = table.slice(start, rows)
        ladder.begin(block)
        for end in np.flatnonzero(is_last[start : start + rows]) + 1:
            book.apply(written[done])
            done += 1
            ladder.advance(int(end))
            assert sides(ladder.book()) == sides(book)
            assert ladder.book().best() == book.best()
            assert ladder.sequence == book.sequence
            assert [list(zip(*side, strict=True)) for side in ladder.sides(3)] == [book.bids.levels(3), book.asks.levels(3)]
        ladder.advance(block.num_rows)
    assert done == len(written)
