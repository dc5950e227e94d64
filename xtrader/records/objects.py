"""Batches back into the records that they were made of.

The rule: record for record what was put into the journal, but for the fields that are not stored (`Trade.sequence`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from xtrader.errors import UnknownKind
from xtrader.model.market import BookUpdate, Record
from xtrader.model.streams import STREAMS, Column
from xtrader.records.batches import NULL, Batch, FlatBatch, RareBatch, Session, Updates


def records(batch: Batch) -> Iterator[Record]:
    """The records of a batch, in order; none of a Session."""
    match batch:
        case Updates():
            yield from _updates(batch)
        case FlatBatch():
            keys = [batch.keys[place] for place in batch.instrument.tolist()]
            values = {column.name: plain(column, batch.columns[column.name]) for column in STREAMS[batch.stream].columns}
            yield from made(batch.stream, keys, values)
        case RareBatch():
            yield from batch.rows
        case Session():
            return
        case _:
            raise UnknownKind(batch)


def made(stream: str, keys: Sequence[str], values: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """The records of a hot flat stream, one by one as they are taken, of the keys of their instruments and the values by column."""
    one = STREAMS[stream]
    by_field = {one.key: keys, **{column.source: values[column.name] for column in one.columns}}
    fields = [name for name in one.record.__struct_fields__ if name in by_field]
    return map(one.record, *(by_field[name] for name in fields))


def plain(column: Column, values: Any) -> Sequence[Any]:
    """A column of a FlatBatch as the record has its values."""
    if isinstance(values, list):
        return values
    found: list[Any] = values.tolist()
    match column.kind:
        case "time" | "int":
            return found if column.filled else [None if value == NULL else value for value in found]
        case "float":
            return found if column.filled else [None if math.isnan(value) else value for value in found]
        case "word":
            return [column.words[place] for place in found]
        case "bool":
            return [bool(value) for value in found]
        case _:
            raise UnknownKind(column.kind)


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


def _optional(value: int) -> int | None:
    return None if value == NULL else value
