"""Rows of levels cut into the book messages that they were written from.

The rule: a message is the rows up to one with `is_last`: its bids, then its asks, in the order of the venue; one without levels is
a single row without a side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.records.batches import Ints


class MessageRows(NamedTuple):
    """Where the rows of (n,) messages are: bids in [starts, middles), asks in [middles, stops)."""

    starts: Ints
    middles: Ints
    stops: Ints


def whole_messages(tables: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, Ints]]:
    """Tables of L2 rows as tables of whole messages, what is cut off at the end of one put before the next, each with the rows
    before which its messages end. Rows after the last end of all are left out."""
    rest: Any = None
    for table in tables:
        whole = table if rest is None else pa.concat_tables([rest, table])
        ends: Ints = np.flatnonzero(whole["is_last"].to_numpy()) + 1
        stop = int(ends[-1]) if len(ends) else 0
        rest = whole.slice(stop) if stop < whole.num_rows else None
        if stop:
            yield whole.slice(0, stop), ends


def cut(ends: Ints, is_ask: npt.NDArray[Any], is_empty: npt.NDArray[np.bool_] | None = None) -> MessageRows:
    """The messages that end before rows `ends`, of rows that are asks (1 or True) or not, and have no level or (by default) all
    have one."""
    starts = np.concatenate([[0], ends[:-1]])
    asks = np.concatenate([[0], np.cumsum(is_ask)])
    stops = ends if is_empty is None else ends - is_empty[starts]
    return MessageRows(starts, stops - (asks[ends] - asks[starts]), stops)
