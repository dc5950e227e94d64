"""A sink that keeps records: for tests, ours and those of users.

The rule: it gives back the very records that were put into the journal, but for what is not stored (`Trade.sequence`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from xtrader.errors import UnknownKind
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.sinks.base import NULL, TRADE_SIDES, Batch, Coverages, Instruments, Session, Trades, Updates


class MemorySink:
    """`records` holds what is committed, `sessions` what was told of recorders."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.rows = 0
        self.trouble = ""
        self.refused = 0
        self.records: list[Record] = []
        self.sessions: list[Session] = []
        self.commits: list[tuple[int, int]] = []
        self._pending: list[Record] = []

    def open(self, first: int) -> int:
        """See Sink."""
        return first

    def write(self, batch: Batch) -> None:
        """See Sink. Keeps everything: memory grows with the rows."""
        if isinstance(batch, Session):
            self.sessions.append(batch)
            return
        before = len(self._pending)
        self._pending.extend(records(batch))
        self.rows += len(self._pending) - before

    def commit(self, first: int, last: int) -> int:
        """See Sink. A stretch that was committed before is not taken again."""
        parts = 0
        if self._pending and (first, last) not in self.commits:
            self.records += self._pending
            self.commits.append((first, last))
            parts = 1
        self._pending = []
        return parts

    def settle(self, last: int, final: bool) -> int:
        """See Sink."""
        return last

    def abandon(self) -> None:
        """See Sink."""
        self.rows -= len(self._pending)
        self._pending = []

    def close(self) -> None:
        """See Sink."""
        self.abandon()


def records(batch: Batch) -> Iterator[Record]:
    """The records of a batch, in order; none of a Session."""
    match batch:
        case Updates():
            yield from _updates(batch)
        case Trades():
            yield from _trades(batch)
        case Coverages() | Instruments():
            yield from batch.rows
        case Session():
            return
        case _:
            raise UnknownKind(batch)


def _updates(batch: Updates) -> Iterator[BookUpdate]:
    levels = [(price, size) for price, size in batch.levels.tolist()]
    ends = [0, *np.cumsum(batch.counts).tolist()]
    columns = (batch.instrument, batch.is_snapshot, batch.bids, batch.sequence, batch.prev_sequence, batch.ts_event, batch.ts_recv)
    for (start, end), row in zip(pairwise(ends), zip(*(column.tolist() for column in columns), strict=True), strict=True):
        instrument, is_snapshot, bids, sequence, prev_sequence, ts_event, ts_recv = row
        yield BookUpdate(
            instrument=batch.keys[instrument],
            is_snapshot=bool(is_snapshot),
            bids=levels[start : start + bids],
            asks=levels[start + bids : end],
            sequence=_optional(sequence),
            prev_sequence=_optional(prev_sequence),
            ts_event=_optional(ts_event),
            ts_recv=ts_recv,
        )


def _trades(batch: Trades) -> Iterator[Trade]:
    columns = (batch.instrument, batch.side, batch.price, batch.size, batch.ts_event, batch.ts_recv)
    for trade_id, row in zip(batch.trade_id, zip(*(column.tolist() for column in columns), strict=True), strict=True):
        instrument, side, price, size, ts_event, ts_recv = row
        yield Trade(batch.keys[instrument], trade_id, TRADE_SIDES[side], price, size, _optional(ts_event), ts_recv)


def _optional(value: int) -> int | None:
    return None if value == NULL else value
