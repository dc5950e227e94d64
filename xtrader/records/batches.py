"""Batches: what the journal holds and sinks are fed with, many records of one stream as columns.

The rule: a batch is data only, and can be read without any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from xtrader.model.instrument import Instrument
from xtrader.model.market import SIDES, Coverage

NULL = -(2**63)
"""Stands for None in int64 columns."""

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Indexes: TypeAlias = npt.NDArray[np.int32]

TRADE_SIDES = SIDES
"""What the small ints of `Trades.side` mean."""


class Session(msgspec.Struct, frozen=True):
    """What must be known to read the batches that follow. Comes before all others, and again when a recorder starts.

    `venues` is exchange -> facts about it ("environment", "depth_window"); `instruments` are the latest known.
    """

    ts: int
    collector: str
    venues: Mapping[str, Mapping[str, str]]
    instruments: Sequence[Instrument]


class Instruments(msgspec.Struct, frozen=True):
    """Instruments that were told; `ts` is when the batch was made, int nanoseconds UTC."""

    ts: int
    rows: Sequence[Instrument]


class Coverages(msgspec.Struct, frozen=True):
    """Coverage rows; `ts` is when they were written."""

    ts: int
    rows: Sequence[Coverage]


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


class Trades(msgspec.Struct, frozen=True):
    """n trades as (n,) columns. `ts_event` holds NULL for None, `side` indexes TRADE_SIDES, `instrument` indexes `keys`."""

    ts: int
    keys: Sequence[str]
    instrument: Indexes
    ts_event: Ints
    ts_recv: Ints
    side: npt.NDArray[np.uint8]
    price: Floats
    size: Floats
    trade_id: Sequence[str]


Batch: TypeAlias = Session | Instruments | Coverages | Updates | Trades
