"""Renewal: a snapshot for a book that is live already, brought up to date by what came since it was asked for.

One rule: the book goes on in the meantime; a snapshot that cannot be linked to it changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from xtrader.model.book import Book
from xtrader.model.market import BookUpdate

SECOND = 1_000_000_000
KEPT = 20 * SECOND
"""An answer is younger than its request, which takes half of this at the most."""
AGAIN = 5 * SECOND
"""Between two such snapshots, if the first cannot be linked to the book."""


class Renewal:
    """When a snapshot is to be asked for, and the changes of the live book since then, as far as the answer may need them."""

    def __init__(self) -> None:
        self.is_open = False
        """A snapshot is on its way: changes are to be kept."""
        self.is_asked = False
        """One was asked for by `ask` and not answered; it may have been for an earlier sync of the book."""
        self._at: int | None = None
        self._since: deque[BookUpdate] = deque()
        self._ahead: tuple[BookUpdate, int | None] | None = None

    def open(self, since: Iterable[BookUpdate]) -> None:
        """A snapshot is on its way, and these changes were applied since."""
        self.stop()
        self.is_open = True
        self._since.extend(since)

    def plan(self, at: int) -> None:
        """Ask at `at` (int ns), unless it is to be asked earlier."""
        self._at = at if self._at is None else min(at, self._at)

    def stop(self) -> None:
        """The book is not live any more, or has what it needs."""
        self.is_open = False
        self._at = self._ahead = None
        self._since.clear()

    def ask(self, now: int) -> bool:
        """Whether it is to be asked now; it counts as asked then."""
        if self._at is None or now < self._at or self.is_asked:
            return False
        self.is_asked = self.is_open = True
        self._at = None
        return True

    def keep(self, delta: BookUpdate) -> tuple[BookUpdate, int | None] | None:
        """Take a change that was applied; the snapshot that was ahead of the book until now, with its depth, if there is one."""
        since = self._since
        since.append(delta)
        while delta.ts_recv - since[0].ts_recv > KEPT:
            since.popleft()
        ahead = self._ahead
        if ahead is None or ahead[0].sequence is None or delta.sequence is None or ahead[0].sequence > delta.sequence:
            return None
        self._ahead = None
        return ahead

    def take(self, snapshot: BookUpdate, depth: int | None, last: int, ts: int) -> Book | None:
        """A snapshot came (at `ts`), the live book is at `last`: the snapshot's book with all changes up to there. None if it is
        not wanted, or is ahead of the book (`keep` gives it back), or cannot be linked to it and is to be asked for again."""
        if not self.is_open or snapshot.sequence is None:
            return None
        if snapshot.sequence > last:
            self._ahead = (snapshot, depth)
            return None
        book = self._brought_up(snapshot, last)
        self.stop()
        if book is None:
            self.plan(ts + AGAIN)
        return book

    def _brought_up(self, snapshot: BookUpdate, last: int) -> Book | None:
        book = Book()
        book.apply(snapshot)
        reached = snapshot.sequence
        for delta in self._since:
            if reached is None or delta.prev_sequence is None or delta.sequence is None or delta.prev_sequence > reached:
                return None
            if delta.sequence > reached:
                book.apply(delta)
                reached = delta.sequence
        return None if reached != last or book.crossed() else book
