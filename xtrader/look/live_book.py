"""One instrument of a running recorder, through its journal: book, trades, and whether they are the present ones.

The rule: a book is called live only while coverage says so and the recorder has just written; everything else has its own word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from xtrader.clock import SECOND
from xtrader.look.picture import Picture, Standing
from xtrader.look.statistics import News
from xtrader.model.analytics import BPS, sides
from xtrader.model.book import Book
from xtrader.model.market import Coverage, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.follow import FellBehind, Track, journals, newest
from xtrader.pipeline.frames import Damaged
from xtrader.sinks.base import NULL, TRADE_SIDES, Trades, Updates

STALLED: Final = 4 * SECOND
"""Nanoseconds without a frame after which a recorder, which writes one at least every second, has stalled."""
TRADES_KEPT: Final = 256
_NO_LOSS: Final = ("start", "clock_step")
"""Causes of an interval that began without a loss before it."""

Seed = Callable[[str, int], Book | None]
"""(instrument key, time) -> the book as the recording had it then, None if it has none; see LiveBook."""


class LiveBook:
    """One instrument. `poll` takes what was written since, `picture` shows the sum.

    It begins at the head of the journal's newest file. If no snapshot was written since, `seed` is asked for the book.
    """

    def __init__(self, directory: Path, key: str, seed: Seed) -> None:
        """`directory` is the recorder's journal directory. Raises ConfigError if there is no journal, OSError."""
        self.key = key
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        """The newest trades, newest first."""
        self.news = News()
        """What the last `poll` brought."""
        self._directory = directory
        self._seed = seed
        self._begin()
        self.news = News()

    def alive(self, stream: str) -> int:
        """The time up to which all that was received of a stream was taken, int nanoseconds UTC."""
        return self._track(stream).state.alive

    def poll(self) -> None:
        """Take what was written since the last call. Raises OSError, ConfigError for a newer format."""
        self.news = News()
        try:
            self._take()
        except FellBehind:
            before = self.alive("TRADES")
            self._begin()
            trades = [trade for trade in self.news.trades if trade.ts_recv > before]
            self.news = News(trades=trades, spreads=[(before, None)])

    def picture(self, now: int) -> Picture:
        """What is known at wall time `now`."""
        book = self._book
        return Picture(
            key=self.key,
            ts=now,
            standing=self.standing("L2", now),
            instrument=self._track("L2").state.instruments.get(self.key),
            book=None if book is None else sides(book),
            sequence=None if book is None else book.sequence,
            ts_event=self._ts_event,
            ts_recv=self._ts_recv,
            trades=tuple(self.trades),
        )

    def standing(self, stream: str, now: int) -> Standing:
        """What is known of a stream at wall time `now`."""
        state = self._track(stream).state
        row = state.open.get((self.key, stream))
        if row is None:
            return Standing("absent", detail="it is not subscribed")
        if row.cause == "shutdown":
            return Standing("stopped", row.cause, row.ts_from, row.detail)
        if now - state.alive > STALLED:
            return Standing("stalled", "", state.alive, "the recorder is not writing")
        if stream == "L2" and row.state == "live":
            if self._broken:
                return Standing("gap", "storage", self._broken, "the journal is damaged; waiting for the next snapshot")
            if self._book is None:
                return Standing("syncing", row.cause, row.ts_from, "no snapshot yet")
        return Standing(row.state, row.cause, row.ts_from, row.detail, row.depth)

    def subscribed(self, stream: str = "L2") -> list[str]:
        """The keys of the instruments of which the recorder has the stream now, sorted."""
        return sorted({key for track in self._tracks for key, one in track.state.open if one == stream})

    def _track(self, stream: str) -> Track:
        """The journal in which the stream is now: of those in which it ever was, the one that was written to last."""
        return max(self._tracks, key=lambda track: ((self.key, stream) in track.state.open, track.state.alive))

    def _begin(self) -> None:
        while True:
            try:
                heads = {journal: newest(journal) or 0 for journal in journals(self._directory)}
                self._read_from(heads, None)
                state = self._track("L2").state
                row = state.open.get((self.key, "L2"))
                if self._book is None and row is not None and row.state == "live":
                    # The last moment of which everything is known: what is live is so until `alive`, exclusive.
                    self._read_from(heads, self._seed(self.key, state.alive - 1))
                return
            except FellBehind:
                continue

    def _read_from(self, heads: Mapping[Path, int], book: Book | None) -> None:
        """Forget everything and read the journals from there, over a book of a later time: what it has already is taken again,
        and as sizes are absolute, it comes out the same."""
        self._tracks = [Track(journal, position) for journal, position in heads.items()]
        self._book = book
        self._broken = 0
        self._ts_event: int | None = None
        self._ts_recv: int | None = None
        self._gaps: set[tuple[str, int]] = set()
        self.trades.clear()
        self.news = News()
        self._take()

    def _take(self) -> None:
        for track in self._tracks:
            for payload in track.payloads():
                if not isinstance(payload, Damaged):
                    self._take_rows(payload)
                elif (self.key, "L2") in track.state.open:
                    self._book = None
                    self._broken = track.state.alive
                    self._tell(Coverage(self.key, "L2", "gap", "storage", self._broken, None))

    def _take_rows(self, payload: Payload) -> None:
        if payload.kind == codec.COVERAGE:
            for row in codec.read_coverages(payload):
                if row.instrument == self.key:
                    self._tell(row)
        if payload.kind == codec.META:
            # What was lost before is in the head of the file, and is told as an open gap only.
            self._gaps |= {(row.stream, row.ts_from) for row in codec.read_meta(payload).open if row.instrument == self.key}
        if payload.kind not in (codec.L2, codec.TRADES):
            return
        match codec.read_batch(payload):
            case Updates() as batch if self.key in batch.keys:
                self._take_updates(batch)
            case Trades() as batch if self.key in batch.keys:
                self._take_trades(batch)

    def _tell(self, row: Coverage) -> None:
        """A coverage row is news if it opens an interval, or is the only one of a gap that is over."""
        if row.stream == "L2" and row.ts_to is None and row.state != "live":
            self.news.spreads.append((row.ts_from, None))
        if row.state == "gap" and (row.stream, row.ts_from) not in self._gaps:
            self._gaps.add((row.stream, row.ts_from))
            self.news.gaps.append(row)
        if row.stream == "L2" and row.ts_to is None and row.state == "live" and row.cause not in _NO_LOSS:
            self.news.resyncs += 1

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
            self.news.updates += 1
            self.news.spreads.append((self._ts_recv, _spread(book)))

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
            self.news.trades.append(trade)


def _spread(book: Book) -> float | None:
    """In basis points: that of analytics.spread_bps, which would sort the whole book."""
    bid, ask = book.bids.best(), book.asks.best()
    return None if bid is None or ask is None or not bid + ask else (ask - bid) / (bid + ask) * 2 * BPS


def _optional(number: int) -> int | None:
    return None if number == NULL else int(number)
