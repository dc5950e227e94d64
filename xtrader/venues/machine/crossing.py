"""Crossing: when a book that its venue's messages left crossed is asked for anew.

One rule: requests are rationed, truth is not. What is crossed is a gap however long it has to wait for its new snapshot.
"""

from __future__ import annotations

from xtrader.model.book import Book

SECOND = 1_000_000_000
STEADY = 60 * SECOND
"""A book that was not asked for because of a crossing for so long, and the last wait, is asked for at once again."""


class Ration:
    """At once; a book that crosses again 1, 2, 4 … seconds after it was last asked for, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most * SECOND
        self._asked: int | None = None
        self._wait = 0

    def due(self, ts: int) -> int:
        """When a book that is crossed at `ts` (int ns) may be asked for: `ts` or later."""
        if self._asked is None or ts - self._asked > STEADY + self._wait:
            return ts
        return max(ts, self._asked + self._wait)

    def asked(self, ts: int) -> None:
        """It was asked for at `ts`."""
        is_again = self._asked is not None and ts - self._asked <= STEADY + self._wait
        self._wait = min(max(2 * self._wait, SECOND), self._most) if is_again else SECOND
        self._asked = ts


def told(book: Book) -> str:
    """What a person is told of a crossed book."""
    return f"crossed book: bid {book.bids.best()} >= ask {book.asks.best()}"
