"""Recorded sessions (cryptofeed's raw text) fed straight to a session."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from xtrader.model.book import Book
from xtrader.model.market import BookUpdate


def frames(path: Path) -> Iterator[tuple[bytes, int]]:
    """(payload, ts_recv in ns) of every received message."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            stamp, separator, payload = line.rstrip("\n").partition(": ")
            if separator and stamp[:1].isdigit():
                yield payload.encode(), int(float(stamp) * 1_000_000_000)


def rebuilt(updates: list[BookUpdate]) -> Book:
    """The book that a reader of the records makes of them."""
    book = Book()
    for update in updates:
        book.apply(update)
    return book
