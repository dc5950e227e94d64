"""Inputs from a running recorder: its journal is followed from now on, without a lock and without disturbing it.

The rule: it begins with the books as the recording has them, and takes each record once. What the journal no longer has when it is
read is a gap, never a jump: the books are lost, and found again as the recording has them then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from xtrader.clock import SECOND, Clock
from xtrader.errors import NotCovered
from xtrader.model.market import BookUpdate, Coverage
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.follow import FellBehind, Track, tracks
from xtrader.pipeline.frames import Damaged
from xtrader.pipeline.wake import Waker
from xtrader.records.objects import records
from xtrader.trading.model.inputs import Input

if TYPE_CHECKING:
    from xtrader.store.read.dataset import Dataset

IDLE: Final = 0.05
"""Seconds after which the engine hears the time, where nothing is written."""


class JournalInputs:
    """Iterate once; it ends when `stopping` says so. `lost` is how often the journal was too far ahead, or damaged."""

    def __init__(self, recording: Dataset, journal: Path, keys: Sequence[str], clock: Clock, stopping: Callable[[], bool]) -> None:
        self._recording = recording
        self._journal = journal
        self._keys = frozenset(keys)
        self._clock = clock
        self._stopping = stopping
        self._ts = self._now = 0
        self.lost = 0

    def __iter__(self) -> Iterator[Input]:
        while not self._stopping():
            # What was written before belongs to the books that it begins with.
            try:
                followed = tracks(self._journal)
                for track in followed:
                    for _ in track.payloads():
                        pass
                yield from self._begin(followed)
                yield from self._follow(followed)
            except FellBehind:
                self.lost += 1
                yield from self._gap("overflow", "the journal was ahead of its reader")

    def _begin(self, followed: Sequence[Track]) -> Iterator[Input]:
        """What is open, and the books as of the last moment of which everything is in the journal."""
        for track in followed:
            at = track.state.alive
            for (key, stream), row in sorted(track.state.open.items()):
                if key not in self._keys:
                    continue
                yield self._input(at, Coverage(key, stream, row.state, row.cause, row.ts_from, None, row.detail, depth=row.depth))
                if stream == "L2" and row.state == "live":
                    try:
                        book = self._recording.book_at(key, at - 1)
                    except NotCovered:
                        continue
                    bids, asks = book.bids.levels(), book.asks.levels()
                    yield self._input(at, BookUpdate(key, True, bids, asks, book.sequence, None, None, at))

    def _follow(self, followed: Sequence[Track]) -> Iterator[Input]:
        waker = Waker([track.journal for track in followed])
        while not self._stopping():
            some = False
            for payload in chain.from_iterable(track.payloads() for track in followed):
                for record in self._records(payload):
                    some = True
                    yield record
            if not some:
                yield self._input(0, None)
                waker.wait(IDLE)

    def _records(self, payload: Payload | Damaged) -> Iterator[Input]:
        if isinstance(payload, Damaged):
            self.lost += 1
            yield from self._gap("storage", "the journal is damaged")
            return
        if payload.kind in (codec.META, codec.MARK, codec.ALIVE):
            return
        batch = codec.read_batch(payload)
        for record in () if batch is None else records(batch):
            key = getattr(record, "instrument", None) or getattr(record, "key", "")
            if key in self._keys:
                yield self._input(_known(record), record)

    def _gap(self, cause: str, detail: str) -> Iterator[Input]:
        now = self._clock.now()
        for key in sorted(self._keys):
            yield self._input(now, Coverage(key, "L2", "gap", cause, now, None, detail))

    def _input(self, ts: int, record: Any) -> Input:
        self._ts = max(self._ts, ts)
        self._now = max(self._now, self._clock.now())
        return Input(self._ts, self._now, record)


def _known(record: Any) -> int:
    """When a record was received; what is no market record is known when it is read."""
    known: int = getattr(record, "ts_recv", 0)
    return known


def is_running(journal: Path, clock: Clock) -> bool:
    """Whether a recorder wrote the journal within the last ten seconds. Raises ConfigError if there is no journal."""
    latest = 0
    for track in tracks(journal):
        while track.read_on():
            pass
        latest = max(latest, track.state.alive)
    return clock.now() - latest < 10 * SECOND
