"""Batches: what the journal holds and sinks are fed with, many records of one stream as columns.

The rule: a batch is data only, and can be read without any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from xtrader.errors import UnknownKind
from xtrader.model.instrument import Instrument

NULL = -(2**63)
"""Stands for None in int64 columns."""

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Indexes: TypeAlias = npt.NDArray[np.int32]


class Session(msgspec.Struct, frozen=True):
    """What must be known to read the batches that follow. Comes before all others, and again when a recorder starts.

    `venues` is exchange -> facts about it ("environment", "depth_window"); `instruments` are the latest known.
    """

    ts: int
    collector: str
    venues: Mapping[str, Mapping[str, str]]
    instruments: Sequence[Instrument]

    def __len__(self) -> int:
        return 0


class RareBatch(msgspec.Struct, frozen=True):
    """Records of a rare stream, as they are; `ts` is when they were written, int nanoseconds UTC."""

    ts: int
    stream: str
    rows: Sequence[Any]

    def __len__(self) -> int:
        return len(self.rows)


class Updates(msgspec.Struct, frozen=True):
    """n book messages with all their levels: (n,) columns, and `levels` of shape (levels, 2): price, size.

    Message i owns `counts[i]` rows of `levels`, in order; the first `bids[i]` of them are bids, the others asks.
    `ts_event`, `sequence` and `prev_sequence` hold NULL for None. `instrument` indexes `keys`.
    """

    ts: int
    keys: Sequence[str]
    instrument: Indexes
    ts_event: Ints
    ts_recv: Ints
    sequence: Ints
    prev_sequence: Ints
    is_snapshot: npt.NDArray[np.uint8]
    bids: Indexes
    counts: Indexes
    levels: Floats

    def __len__(self) -> int:
        return len(self.ts_recv)


class FlatBatch(msgspec.Struct, frozen=True):
    """n records of a hot flat stream as (n,) `columns`, by their names in the table of streams. A word is its place among the words
    of its column; texts are lists of str. NULL stands for None among times and ints, NaN among floats. `instrument` indexes `keys`.
    """

    ts: int
    stream: str
    keys: Sequence[str]
    instrument: Indexes
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.instrument)


Batch: TypeAlias = Session | RareBatch | Updates | FlatBatch


def picked(batch: Batch, places: Sequence[int]) -> Batch:
    """A batch of some of its records, in their order."""
    match batch:
        case RareBatch():
            return msgspec.structs.replace(batch, rows=[batch.rows[place] for place in places])
        case FlatBatch():
            columns = {name: _rows_of(column, places) for name, column in batch.columns.items()}
            return msgspec.structs.replace(batch, instrument=_rows_of(batch.instrument, places), columns=columns)
        case Updates():
            names = ("instrument", "ts_event", "ts_recv", "sequence", "prev_sequence", "is_snapshot", "bids", "counts")
            ends = np.cumsum(batch.counts, dtype=np.int64)
            levels = [batch.levels[ends[place] - batch.counts[place] : ends[place]] for place in places]
            joined = np.concatenate([np.zeros((0, 2)), *levels])
            return msgspec.structs.replace(batch, **_columns(batch, places, names), levels=joined)
        case Session():
            return batch
        case _:
            raise UnknownKind(batch)


def _columns(batch: Batch, places: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    return {name: _rows_of(getattr(batch, name), places) for name in names}


def _rows_of(column: Any, places: Sequence[int]) -> Any:
    return [column[place] for place in places] if isinstance(column, list) else column[list(places)]
