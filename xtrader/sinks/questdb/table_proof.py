"""Whether the tables hold what a recording holds: counts and checksums by table, instrument and hour.

The rule: an hour is proven by the number of its rows and the sum of their digests; where those differ, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from xtrader.records.batches import Batch, Ints, Session
from xtrader.sinks.questdb import table_rows
from xtrader.sinks.questdb.ledger import distinct
from xtrader.sinks.questdb.sql import Server
from xtrader.sinks.questdb.ttl import Keep, keep_of

HOUR: Final = 3600 * 10**9


class Difference(NamedTuple):
    """An hour (int nanoseconds UTC) of an instrument that is not in a table as it was recorded. `lacking` rows are missing, those
    `past` the table's TTL (in words) too, but as they should. `extra` rows may be those of other collectors."""

    table: str
    key: str
    hour: int
    expected: int
    lacking: int
    extra: int
    past: int = 0
    ttl: str = ""


def differences(batches: Iterable[tuple[str, Batch]], server: Server, prefix: str = "") -> Iterator[Difference]:
    """Compare a recording's batches, each with the key of its one instrument, all of a key and kind together. Memory: 16 bytes
    a row of one instrument. Raises SinkRetry."""
    collector = ""

    def told(batch: Batch) -> bool:
        nonlocal collector
        if isinstance(batch, Session):
            collector = batch.collector
        return not isinstance(batch, Session)

    kept = ((table_rows.table(batch), key, table_rows.held(batch, collector)) for key, batch in batches if told(batch))
    for (table, key), group in groupby(kept, key=lambda one: one[:2]):
        held = distinct(np.concatenate([digests for _, _, digests in group]))
        yield from _compare(server, prefix + table, key, held)


def _compare(server: Server, table: str, key: str, held: Ints) -> Iterator[Difference]:
    shown = _shown(server, table, key)
    hours, starts = np.unique(held[:, 0] // HOUR, return_index=True)
    ends = [*starts[1:].tolist(), len(held)]
    keep: Keep | None = None
    is_known = False
    for hour, start, end in zip(hours.tolist(), starts.tolist(), ends, strict=True):
        expected = held[start:end, 1]
        if shown.get(hour) == (len(expected), int(expected.sum())):
            continue
        first, last = np.datetime64(hour * HOUR, "ns"), np.datetime64((hour + 1) * HOUR, "ns")
        query = f"SELECT digest FROM '{table}' WHERE {_of(key)} AND ts >= '{first}Z' AND ts < '{last}Z'"
        found = np.array([row[0] for row in server.rows(query)], np.int64)
        lacking = ~np.isin(expected, found)
        extra = len(found) - len(np.intersect1d(expected, found))
        if lacking.any() and not is_known:
            keep, is_known = keep_of(server, table), True
        past = 0 if keep is None else int((lacking & (held[start:end, 0] < keep.since)).sum())
        missing = int(lacking.sum()) - past
        yield Difference(
            table, key, hour * HOUR, len(expected), missing, extra, past, keep.ttl if keep is not None and past else ""
        )


def _shown(server: Server, table: str, key: str) -> Mapping[int, tuple[int, int]]:
    """Hour -> rows and the sum of their digests."""
    query = f"SELECT timestamp_floor('h', ts)::long h, count(), sum(digest) FROM '{table}' WHERE {_of(key)} GROUP BY h"
    return {int(hour) // HOUR: (int(count), int(total)) for hour, count, total in server.rows(query)}


def _of(key: str) -> str:
    exchange, _, symbol = (part.replace("'", "''") for part in key.partition("@"))
    return f"exchange = '{exchange}' AND instrument = '{symbol}'"
