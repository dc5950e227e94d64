"""One instrument of a running recorder, through its journal: book, trades, and whether they are the present ones.

The rule: a book is called live only while coverage says so and the recorder has just written; everything else has its own word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from xtrader.clock import SECOND
from xtrader.look.picture import Picture, StreamState
from xtrader.look.statistics import News
from xtrader.model.analytics import BPS, sides
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, Level, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.follow import FellBehind, Track, instruments, tracks
from xtrader.pipeline.frames import Damaged
from xtrader.pipeline.wake import Waker
from xtrader.records.batches import NULL, FlatBatch, Updates, picked
from xtrader.records.objects import records

STALLED: Final = 4 * SECOND
"""Nanoseconds without a frame after which a recorder, which writes one at least every second, has stalled."""
TRADES_KEPT: Final = 256
_NO_LOSS: Final = ("start", "clock_step")
"""Causes of an interval that began without a loss before it."""

Seed = Callable[[str, Coverage, int], Book | None]
"""(collector, the open row of a live book, time) -> that book as the collector's files have it by then, None if they do not."""


FromRecorder = Callable[[Path, str], Book | None]
"""(journal, instrument key) -> the book as the recorder of that journal has it, which the journal has too; None if it cannot be
asked."""


class _Message(NamedTuple):
    is_snapshot: bool
    bids: list[Level]
    asks: list[Level]
    sequence: int | None
    ts_event: int | None
    ts_recv: int


class _Changes:
    """What the book messages of an instrument since the head of a file add up to, where the book at the head is not known: the last
    size of each price. `whole` says that there was a snapshot, `damaged` that something is lost since."""

    def __init__(self, key: str) -> None:
        self.live: Coverage | None = None
        """The row that was open at the head."""
        self.whole = self.damaged = False
        self.last: _Message | None = None
        self._key = key
        self._headed = False
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}

    def take(self, payload: Payload | Damaged) -> None:
        """One frame more."""
        if isinstance(payload, Damaged):
            self.damaged = True
        elif payload.kind == codec.META and not self._headed:
            self.live = next(
                (row for row in codec.read_meta(payload).open if (row.instrument, row.stream) == (self._key, "L2")), None
            )
        elif payload.kind == codec.L2:
            for message in _messages(payload, self._key):
                self._add(message)
        self._headed = True

    def put_on(self, book: Book) -> None:
        """Make of the book at the head the one after the last message."""
        book.bids.apply(list(self._bids.items()))
        book.asks.apply(list(self._asks.items()))
        if self.last is not None:
            book.sequence = self.last.sequence

    def _add(self, message: _Message) -> None:
        if message.is_snapshot:
            self._bids, self._asks = {}, {}
            self.whole, self.damaged = True, False
        self._bids.update(message.bids)
        self._asks.update(message.asks)
        self.last = message


class LiveBook:
    """One instrument. `poll` takes what was written since, `picture` shows the sum.

    It begins at the head of the journal's newest file. If no snapshot was written since, the recorder is asked for the book
    (`from_recorder`), else the nearest one before is looked for, file by file, and at last `seed` is asked for the book on which
    the changes in the journal stand. No frame is read twice.
    """

    def __init__(
        self,
        directory: Path,
        key: str,
        seed: Seed | None,
        found: Sequence[Track] = (),
        from_recorder: FromRecorder = lambda journal, key: None,
    ) -> None:
        """`directory` is the recorder's journal directory, `found` its journals if `key` was looked up in them. Without `seed`, a
        book is only looked for in the newest file. Raises ConfigError if there is no journal, OSError."""
        self.key = key
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        """The newest trades, newest first."""
        self.news = News()
        """What the last `poll` brought."""
        self._directory = directory
        self._seed = seed
        self._from_recorder = from_recorder
        self._waker: Waker | None = None
        self._begin(found)
        self.news = News()

    def instruments(self) -> list[Instrument]:
        """All that the recorder knows."""
        return instruments(self._tracks)

    def alive(self, stream: str) -> int:
        """The time up to which all that was received of a stream was taken, int nanoseconds UTC."""
        return self._track(stream).state.alive

    def poll(self) -> None:
        """Take what was written since the last call. Raises OSError, ConfigError for a newer format."""
        self.news = News()
        try:
            for track in self._tracks:
                for payload in track.payloads():
                    self._take(payload, track)
        except FellBehind:
            before = self.alive("TRADES")
            self._begin()
            trades = [trade for trade in self.news.trades if trade.ts_recv > before]
            self.news = News(trades=trades, spreads=[(before, None)])

    def wait(self) -> None:
        """Wait until the recorder has written something, or it is time to look whether it still does: not for long (see Waker)."""
        if self._waker is None:
            # What was written since the last `poll` told nobody: so it is time to look now.
            self._waker = Waker([track.journal for track in self._tracks])
        else:
            self._waker.wait()

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

    def standing(self, stream: str, now: int) -> StreamState:
        """What is known of a stream at wall time `now`."""
        state = self._track(stream).state
        row = state.open.get((self.key, stream))
        if row is None:
            return StreamState("absent", detail="it is not subscribed")
        if row.cause == "shutdown":
            return StreamState("stopped", row.cause, row.ts_from, row.detail)
        if now - state.alive > STALLED:
            return StreamState("stalled", "", state.alive, "the recorder is not writing")
        if stream == "L2" and row.state == "live":
            if self._broken:
                return StreamState("gap", "storage", self._broken, "the journal is damaged; waiting for the next snapshot")
            if self._book is None:
                return StreamState("syncing", row.cause, row.ts_from, "no snapshot yet")
        return StreamState(row.state, row.cause, row.ts_from, row.detail, row.depth)

    def subscribed(self, stream: str = "L2") -> list[str]:
        """The keys of the instruments of which the recorder has the stream now, sorted."""
        return sorted({key for track in self._tracks for key, one in track.state.open if one == stream})

    def _track(self, stream: str) -> Track:
        """The journal in which the stream is now: of those in which it ever was, the one that was written to last."""
        return max(self._tracks, key=lambda track: ((self.key, stream) in track.state.open, track.state.alive))

    def _begin(self, found: Sequence[Track] = ()) -> None:
        """Forget everything, and take what the journals hold; `found` are the journals if nothing was taken from them yet."""
        while True:
            try:
                self._tracks = found or tracks(self._directory)
                self._waker = None
                self._book: Book | None = None
                self._broken = 0
                self._ts_event: int | None = None
                self._ts_recv: int | None = None
                self._gaps: set[tuple[str, int]] = set()
                self.trades.clear()
                self.news = News()
                every = {track: self._begin_track(track) for track in self._tracks}
                track = self._track("L2")
                self._find_book(track, every[track])
                return
            except FellBehind:
                found = ()

    def _begin_track(self, track: Track) -> _Changes:
        """Take what a journal's newest file holds; of the book only the changes, which are not on a book yet."""
        changes = _Changes(self.key)
        for payload in track.payloads():
            changes.take(payload)
            if not isinstance(payload, Damaged):
                self._take_rows(payload)
        return changes

    def _find_book(self, track: Track, newest: _Changes) -> None:
        """Build the book on the nearest snapshot; `newest` are the changes in the newest file of its journal."""
        row = track.state.open.get((self.key, "L2"))
        seed = self._seed if row is not None and row.state == "live" else None
        if seed is not None and not newest.whole and (now := self._from_recorder(track.journal, self.key)) is not None:
            self._book = now
            if newest.last is not None:
                self._ts_event, self._ts_recv = newest.last.ts_event, newest.last.ts_recv
            # What was written until it answered is in that book already; as sizes are absolute, it comes out the same.
            for payload in track.payloads():
                self._take(payload, track)
            return
        every = [newest]
        earlier = iter(()) if seed is None else track.earlier()
        while not (every[-1].whole or every[-1].damaged) and (file := next(earlier, None)) is not None:
            every.append(_Changes(self.key))
            for payload in file:
                every[-1].take(payload)
        oldest = every[-1]
        if oldest.damaged:
            self._broken = track.state.alive
        elif oldest.whole:
            self._book = Book()
        elif seed is not None and oldest.live is not None and oldest.live.state == "live":
            # The last moment of which everything is known: all that was received before `alive` is in the journal. Files may have
            # some of the changes already; as sizes are absolute, they come out the same.
            self._book = seed(track.state.collector, oldest.live, track.state.alive - 1)
        if self._book is not None:
            for changes in reversed(every):
                changes.put_on(self._book)
                if changes.last is not None:
                    self._ts_event, self._ts_recv = changes.last.ts_event, changes.last.ts_recv

    def _take(self, payload: Payload | Damaged, track: Track) -> None:
        if isinstance(payload, Damaged):
            if (self.key, "L2") in track.state.open:
                self._book = None
                self._broken = track.state.alive
                self._tell(Coverage(self.key, "L2", "gap", "storage", self._broken, None))
            return
        self._take_rows(payload)
        if payload.kind == codec.L2:
            for message in _messages(payload, self.key):
                self._take_message(message)

    def _take_rows(self, payload: Payload) -> None:
        """All but the book."""
        if payload.kind == codec.COVERAGE:
            for row in codec.read_coverages(payload):
                if row.instrument == self.key:
                    self._tell(row)
        elif payload.kind == codec.META:
            # What was lost before is in the head of the file, and is told as an open gap only.
            self._gaps |= {(row.stream, row.ts_from) for row in codec.read_meta(payload).open if row.instrument == self.key}
        elif payload.kind == codec.TRADES:
            for trade in _trades(payload, self.key):
                self.trades.appendleft(trade)
                self.news.trades.append(trade)

    def _tell(self, row: Coverage) -> None:
        """A coverage row is news if it opens an interval, or is the only one of a gap that is over."""
        if row.stream == "L2" and row.ts_to is None and row.state != "live":
            self.news.spreads.append((row.ts_from, None))
        if row.state == "gap" and (row.stream, row.ts_from) not in self._gaps:
            self._gaps.add((row.stream, row.ts_from))
            self.news.gaps.append(row)
        if row.stream == "L2" and row.ts_to is None and row.state == "live" and row.cause not in _NO_LOSS:
            self.news.resyncs += 1

    def _take_message(self, message: _Message) -> None:
        if message.is_snapshot:
            self._book = Book()
            self._broken = 0
        book = self._book
        if book is None:
            return
        book.bids.apply(message.bids)
        book.asks.apply(message.asks)
        book.sequence = message.sequence
        self._ts_event, self._ts_recv = message.ts_event, message.ts_recv
        self.news.updates += 1
        self.news.spreads.append((message.ts_recv, _spread(book)))


def _messages(payload: Payload, key: str) -> Iterator[_Message]:
    batch = codec.read_batch(payload)
    if not isinstance(batch, Updates) or key not in batch.keys:
        return
    ends = np.cumsum(batch.counts)
    for row in np.flatnonzero(batch.instrument == batch.keys.index(key)).tolist():
        end = int(ends[row])
        start = end - int(batch.counts[row])
        middle = start + int(batch.bids[row])
        yield _Message(
            is_snapshot=bool(batch.is_snapshot[row]),
            bids=batch.levels[start:middle].tolist(),
            asks=batch.levels[middle:end].tolist(),
            sequence=_optional(batch.sequence[row]),
            ts_event=_optional(batch.ts_event[row]),
            ts_recv=int(batch.ts_recv[row]),
        )


def _trades(payload: Payload, key: str) -> Iterator[Trade]:
    batch = codec.read_batch(payload)
    if not isinstance(batch, FlatBatch) or key not in batch.keys:
        return
    places = np.flatnonzero(batch.instrument == batch.keys.index(key)).tolist()
    yield from (record for record in records(picked(batch, places)) if type(record) is Trade)


def _spread(book: Book) -> float | None:
    """In basis points: that of analytics.spread_bps, which would sort the whole book."""
    bid, ask = book.bids.best(), book.asks.best()
    return None if bid is None or ask is None or not bid + ask else (ask - bid) / (bid + ask) * 2 * BPS


def _optional(number: int) -> int | None:
    return None if number == NULL else int(number)
