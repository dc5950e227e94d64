"""Books to ask a data set for, and how often."""

from __future__ import annotations

import os
import random

from xtrader.model.book import Book

TIMES = int(os.environ.get("XTRADER_TEST_BOOK_TIMES", "60"))
"""Random times for each recording."""
SEED = int(os.environ.get("XTRADER_TEST_SEED", "0")) or random.randrange(1, 2**32)
KEY = "OKX_SWAP@BTC-USDT-SWAP"
Sides = tuple[dict[float, float], dict[float, float]]


def sides(book: Book) -> Sides:
    return book.bids.sizes, book.asks.sizes
