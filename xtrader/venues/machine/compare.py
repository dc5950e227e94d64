"""Comparing a book with what its venue answers by REST. One rule: levels are compared as far as both have them."""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.model.book import Book
from xtrader.model.market import Level


def differs(book: Book | None, bids: Sequence[Level], asks: Sequence[Level], depth: int) -> bool:
    """True if the best `depth` levels of a side are not those of the answer, best first, or if there is no book."""
    if book is None:
        return True
    return book.bids.levels(depth) != list(bids[:depth]) or book.asks.levels(depth) != list(asks[:depth])
