"""Batches back into the records that they were made of.

The rule: record for record what was put into the journal, but for what is not stored (`Trade.sequence`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from xtrader.errors import UnknownKind
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.records.batches import NULL, TRADE_SIDES, Batch, Coverages, Instruments, Session, Trades, Updates


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
