"""Watches one instrument of a running recorder through its journal: book, trades, and whether they are the present ones.

The rule: a book is called live only while coverage says so and the recorder has just written; everything else has its own word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from xtrader.clock import SECOND
from xtrader.errors import ConfigError
from xtrader.look.follow import FellBehind, Follower, head_of
from xtrader.look.picture import Picture, Standing
from xtrader.model.analytics import sides
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import Trade
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.frames import Damaged
from xtrader.pipeline.state import State
from xtrader.sinks.base import NULL, TRADE_SIDES, Trades, Updates

SINK: Final = "parquet"
STALLED: Final = 4 * SECOND
"""Nanoseconds without a frame after which a recorder, which writes one at least every second, has stalled."""
TRADES_KEPT: Final = 256
NEWEST: Final = 2**63 - 1

Seed = Callable[[str, int], Book | None]
"""(instrument key, journal offset) -> the book that the finished files below that offset leave; None if they have none."""


def no_seed(key: str, offset: int) -> Book | None:
    """For a journal that nothing was released from."""
    return None


def instruments_of(journal: Path) -> list[Instrument]:
    """All instruments that a recorder knows. Raises ConfigError if there is no journal, OSError."""
    follower = Follower(journal, _head(journal, NEWEST))
    state = State("", {})
    for group in follower.groups():
        for payload in group if not isinstance(group, Damaged) else ():
            state.take(payload)
    return list(state.instruments.values())


class Watch:
    """One instrument. `poll` takes what was written since, `picture` shows the sum."""

    def __init__(self, journal: Path, key: str, seed: Seed = no_seed) -> None:
        """Raises ConfigError if there is no journal, OSError."""
        self.key = key
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        """The newest trades, newest first."""
        self.new_trades: list[Trade] = []
        """The trades of the last `poll`, oldest first."""
        self._journal = journal
        self._seed = seed
        self._begin()

    def poll(self) -> None:
        """Take what was written since the last call. Raises OSError, ConfigError for a newer format."""
        self.new_trades.clear()
        try:
            self._take()
        except FellBehind:
            self._begin()
            self._take()

    def picture(self, now: int) -> Picture:
        """What is known at wall time `now`."""
        book = self._book
        return Picture(
            key=self.key,
            ts=now,
            standing=self.standing("L2", now),
            instrument=self._state.instruments.get(self.key),
            book=None if book is None else sides(book),
            sequence=None if book is None else book.sequence,
            ts_event=self._ts_event,
            ts_recv=self._ts_recv,
            trades=tuple(self.trades),
        )

    def standing(self, stream: str, now: int) -> Standing:
        """What is known of a stream at wall time `now`."""
        row = self._state.open.get((self.key, stream))
        if row is None:
            return Standing("absent", detail="it is not subscribed")
        if row.cause == "shutdown":
            return Standing("stopped", row.cause, row.ts_from, row.detail)
        if now - self._state.alive > STALLED:
            return Standing("stalled", "", self._state.alive, "the recorder is not writing")
        if stream == "L2" and row.state == "live":
            if self._broken:
                return Standing("gap", "storage", self._broken, "the journal is damaged; waiting for the next snapshot")
            if self._book is None:
                return Standing("syncing", row.cause, row.ts_from, "no snapshot yet")
        return Standing(row.state, row.cause, row.ts_from, row.detail)

    def subscribed(self, stream: str = "L2") -> list[str]:
        """The keys of the instruments of which the recorder has the stream now, sorted."""
        return sorted(key for key, one in self._state.open if one == stream)

    def _begin(self) -> None:
        """Forget everything and begin with the finished files, at the segment where they end."""
        self._state = State("", {})
        self._broken = 0
        self._ts_event: int | None = None
        self._ts_recv: int | None = None
        cursor = read_cursor(self._journal, SINK) or 0
        position = _head(self._journal, cursor)
        self._book = self._seed(self.key, cursor)
        # From the segment's head on, some rows are taken that the seed has already: sizes are absolute, so it comes out the same.
        self._follower = Follower(self._journal, position)

    def _take(self) -> None:
        for group in self._follower.groups():
            if isinstance(group, Damaged):
                self._book = None
                self._broken = self._state.alive
                continue
            for payload in group:
                self._state.take(payload)
                if payload.kind in (codec.L2, codec.TRADES):
                    self._take_rows(payload)

    def _take_rows(self, payload: Payload) -> None:
        match codec.read_batch(payload):
            case Updates() as batch if self.key in batch.keys:
                self._take_updates(batch)
            case Trades() as batch if self.key in batch.keys:
                self._take_trades(batch)

    def _take_updates(self, batch: Updates) -> None:
        rows = np.flatnonzero(batch.instrument == batch.keys.index(self.key))
        ends = np.cumsum(batch.counts)
        for row in rows.tolist():
            if batch.is_snapshot[row]:
                self._book = Book()
                self._broken = 0
            book = self._book
            if book is None:
                continue
            end = int(ends[row])
            start = end - int(batch.counts[row])
            middle = start + int(batch.bids[row])
            book.bids.apply(batch.levels[start:middle].tolist())
            book.asks.apply(batch.levels[middle:end].tolist())
            book.sequence = _optional(batch.sequence[row])
            self._ts_event = _optional(batch.ts_event[row])
            self._ts_recv = int(batch.ts_recv[row])

    def _take_trades(self, batch: Trades) -> None:
        for row in np.flatnonzero(batch.instrument == batch.keys.index(self.key)).tolist():
            trade = Trade(
                instrument=self.key,
                trade_id=batch.trade_id[row],
                side=TRADE_SIDES[batch.side[row]],
                price=float(batch.price[row]),
                size=float(batch.size[row]),
                ts_event=_optional(batch.ts_event[row]),
                ts_recv=int(batch.ts_recv[row]),
            )
            self.trades.appendleft(trade)
            self.new_trades.append(trade)


def _head(journal: Path, offset: int) -> int:
    position = head_of(journal, offset)
    if position is None:
        raise ConfigError(f"there is no journal of a recorder in '{journal}'")
    return position


def _optional(number: int) -> int | None:
    return None if number == NULL else int(number)
