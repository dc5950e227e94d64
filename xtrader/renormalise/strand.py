"""What of a recording is of one subscription on one connection. One rule: it says how far it came; who delivers, Replay decides."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from xtrader.feed.merge_trades import MergedTrades
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.events import Torn
from xtrader.venues.base import MarketSession
from xtrader.venues.trades import Numbers, SeenTrades


class Lost(msgspec.Struct, frozen=True):
    """What a connection that is gone left of one subscription: since when and why it is gone, how far it came. `ts` is until when
    it is known to have been recorded, `heard` when its connection said its last."""

    ts: int
    heard: int
    detail: str
    state: str
    """Its Activity's."""
    ts_stored: int
    """`ts_recv` of its last record."""
    resume: Mapping[str, SeenTrades]
    book: Book | None


class Strand:
    """One subscription on one connection."""

    def __init__(self, subscription: Subscription, connection: str, session: MarketSession) -> None:
        self.subscription = subscription
        self.connection = connection
        self.session = session
        self.is_ready = False
        self.held: list[Trade | BookUpdate | Coverage] | None = None
        """What it said while another connection delivers the same, or until it has come as far as that one had; else None."""
        self.after: Lost | None = None
        """The connection whose place it takes once it has come as far."""
        self.merged: MergedTrades | None = None
        """Its trades with those of the connection whose place it took."""
        self.torn: Torn | None = None
        """Something that cannot be used and may have been of this subscription, as long as no number proves the contrary."""
        self.last: Trade | BookUpdate | None = None
        """The last record that was taken."""

    def is_further(self, record: Trade | BookUpdate) -> bool:
        """False for a trade that came late: what it proves was proven."""
        last = self.last
        return type(record) is not Trade or type(last) is not Trade or (record.sequence or 0) >= (last.sequence or 0)

    def seen(self) -> Mapping[str, SeenTrades]:
        """Instrument key -> the trades that are stored by now."""
        seen = None if self.merged is None else self.merged.seen()
        return self.session.resume() if seen is None else {self.subscription.key: seen}

    def has_reached(self, lost: Lost) -> bool:
        """True if it has come as far as the connection that was lost."""
        key = self.subscription.key
        if self.subscription.stream == "L2":
            book, last = self.session.book(key), None if lost.book is None else lost.book.sequence
            return last is None or (book is not None and book.sequence is not None and book.sequence >= last)
        seen, stored = self.session.resume().get(key), lost.resume.get(key)
        return stored is None or (seen is not None and (seen.last >= stored.last or Numbers(stored).restarted(seen.ts_event)))


def follows(book: Book | None, held: list[Trade | BookUpdate | Coverage]) -> int:
    """Index of the first held book message that follows on `book`, else of the last snapshot."""
    begin = len(held)
    for i, record in enumerate(held):
        if type(record) is not BookUpdate:
            continue
        if book is not None and book.sequence is not None:
            if record.prev_sequence == book.sequence:
                return i
            if record.sequence == book.sequence:
                return i + 1
        if record.is_snapshot:
            begin = i
    return begin
