"""What of a recording is of one subscription: a strand on one connection, a braid on several at once. One rule: a braid is
merged as live connections are, by the same code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from xtrader.errors import VenueError
from xtrader.feed.redundant import Redundant
from xtrader.model.book import Book
from xtrader.model.market import Coverage, MarketRecord, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.events import Torn
from xtrader.venues.base import MarketSession
from xtrader.venues.machine.trades import SeenTrades


class Lost(msgspec.Struct, frozen=True):
    """What the last connection of a subscription left."""

    gap: Coverage | None
    """The open row that begins there if another connection comes later; None if nothing was recorded by then."""
    heard: int
    """When the connection said its last, int ns."""
    is_failed: bool
    """It ended by a message that could not be read: a loss, even if nothing comes later."""
    resume: Mapping[str, SeenTrades]
    """The trades that are stored."""


class Strand:
    """One subscription on one connection."""

    def __init__(self, subscription: Subscription, connection: str, session: MarketSession) -> None:
        self.subscription = subscription
        self.connection = connection
        self.session = session
        self.torn: Torn | None = None
        """Something that cannot be used and may have been of this subscription, as long as no number proves the contrary."""
        self.last: MarketRecord | None = None
        """The last record that came of it."""
        self.failure: VenueError | None = None
        """Its session ended by a message, and no further one has come yet."""
        self.failed_at = 0

    def is_further(self, record: MarketRecord) -> bool:
        """False for a trade that came late: what it proves was proven."""
        last = self.last
        return type(record) is not Trade or type(last) is not Trade or (record.sequence or 0) >= (last.sequence or 0)


class Braid:
    """One subscription on several connections at once: the rows that are true of all together. The seat of one that is gone is
    taken by the next."""

    def __init__(self, first: Strand) -> None:
        """So far, `first` was alone."""
        self._rows: list[MarketRecord | Coverage] = []
        self._merged = Redundant([first.subscription], [], self._rows.append)
        self._seats: list[Strand | None] = []
        self.join(first)
        self._merged.resume(0, first.session)

    def join(self, strand: Strand) -> None:
        """There is one connection more."""
        if None in self._seats:
            self._seats[self._seats.index(None)] = strand
        else:
            self._merged.join(partial(self._book, len(self._seats)))
            self._seats.append(strand)

    def leave(self, strand: Strand) -> None:
        """A connection is gone; a gap row has said so."""
        self._seats[self._seats.index(strand)] = None

    def take(self, strand: Strand, record: MarketRecord | Coverage) -> list[MarketRecord | Coverage]:
        """The rows that come of what one connection said."""
        self._merged.take(self._seats.index(strand), record)
        rows = self._rows.copy()
        self._rows.clear()
        return rows

    def seen(self) -> Mapping[str, SeenTrades]:
        """Instrument key -> the trades that are stored."""
        return self._merged.seen()

    def _book(self, seat: int, key: str) -> Book | None:
        strand = self._seats[seat]
        return None if strand is None else strand.session.book(key)
