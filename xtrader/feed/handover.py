"""Handover: two connections carry the same subscriptions for a moment; every record is kept once, and nothing falls between.

A book changes hands where the new connection's messages reach beyond the old one's last, trades by their numbers: the new
connection's are held until the old one has recorded beyond the first of them.
"""

from __future__ import annotations

import asyncio

from xtrader.clock import SECOND, Clock
from xtrader.feed.conversation import Conversation
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.venues.base import Activity

PATIENCE = 60
"""Seconds for the new connection to prove itself."""
BUSY = 10
"""A stream that had a message in so many seconds on average must have one on the new connection too."""
HELD = 500_000
"""Records held at the most; a replacement that cannot be proven by then is given up."""


class Handover:
    """Holds what the new connection says until it is proven."""

    def __init__(self, old: Conversation, clock: Clock) -> None:
        self._old = old
        self._clock = clock
        self._held: list[Trade | BookUpdate | Coverage] = []
        self._first_trade: dict[str, int] = {}
        self._books: dict[str, int] = {}
        self._trades: dict[str, int] = {}

    def hold(self, record: Trade | BookUpdate | Coverage) -> None:
        """Keep a record of the new connection for later."""
        self._held.append(record)
        if type(record) is Trade and record.sequence is not None:
            self._first_trade.setdefault(record.instrument, record.sequence)

    async def proven(self, fresh: Conversation, task: asyncio.Task[None], old_task: asyncio.Task[None]) -> bool:
        """True once the new connection delivers all that the old one does and their trades overlap.

        If the old connection dies meanwhile, an answering new one is as good as there is: the trades between them may be lost,
        and the rows say so.
        """
        deadline = self._clock.monotonic() + PATIENCE * SECOND
        while not task.done() and len(self._held) < HELD and self._clock.monotonic() < deadline:
            if old_task.done():
                return fresh.all_ready.is_set()
            if fresh.all_ready.is_set() and self._delivers(fresh) and self._overlaps():
                return True
            await asyncio.sleep(0.02)
        return False

    def release(self) -> list[Trade | BookUpdate | Coverage]:
        """Take over now: what was held and the old connection has not recorded, in order. `wanted` judges what comes after."""
        self._books = {
            key: book.sequence
            for key in {held.instrument for held in self._held if type(held) is BookUpdate}
            if (book := self._old.session.book(key)) is not None and book.sequence is not None
        }
        self._trades = dict(self._old.session.resume())
        held, self._held = self._held, []
        # That the new connection came into sync says nothing new: the subscription has been live all along.
        told = (record for record in held if type(record) is not Coverage or record.state == "gap")
        return [record for record in told if self.wanted(record)]

    def wanted(self, record: Trade | BookUpdate | Coverage) -> bool:
        """False for what the old connection has recorded already.

        Of a book, the first message to be recorded is the one that follows the old connection's last; where the two cut the
        same changes into different messages, the one whose range reaches beyond it: sizes are absolute, so nothing is applied
        twice.
        """
        if isinstance(record, Coverage) or record.sequence is None:
            return True
        reached = self._books if isinstance(record, BookUpdate) else self._trades
        if record.instrument in reached:
            if record.sequence <= reached[record.instrument]:
                return False
            del reached[record.instrument]
        return True

    @property
    def is_over(self) -> bool:
        """Every instrument of the new connection is beyond what the old one recorded."""
        return not self._books and not self._trades

    def _delivers(self, fresh: Conversation) -> bool:
        now = self._clock.now()
        since = max((now - self._old.opened_at) / SECOND, 1.0)

        def busy(seen: Activity) -> bool:
            return seen.messages > 0 and since / seen.messages < BUSY

        return all(
            fresh.session.activity[subscription].messages > 0
            for subscription, seen in self._old.session.activity.items()
            if busy(seen) and subscription in fresh.session.activity
        )

    def _overlaps(self) -> bool:
        recorded = self._old.session.resume()
        return all(recorded.get(key, first) >= first for key, first in self._first_trade.items())
