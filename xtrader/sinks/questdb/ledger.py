"""What was delivered, by table and minute, to be compared with what the server shows.

The rule: an acknowledgement is not the proof; a minute is proven when every row that was sent for it can be counted there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import structlog

from xtrader.errors import SinkRetry
from xtrader.records.batches import Ints
from xtrader.sinks.questdb.sql import Server
from xtrader.sinks.questdb.ttl import Keep, keep_of

MINUTE: Final = 60 * 10**9
OPEN_MINUTES: Final = 2
"""The newest minutes of a table are kept after a proof: more rows may come for them."""

log = structlog.get_logger("xtrader.sinks")


class Ledger:
    """Digests of delivered rows, by table and minute of `ts`. Memory: 8 bytes a row since the last proof."""

    def __init__(self) -> None:
        self.rows = 0
        """Rows held."""
        self.dropped: dict[str, int] = {}
        """How many rows were sent that their tables did not keep, by the table and its TTL, in words."""
        self._parts: dict[str, list[Ints]] = {}

    def add(self, table: str, held: Ints) -> None:
        """Times and digests of rows that the server has acknowledged, shape (n, 2)."""
        if len(held):
            self._parts.setdefault(table, []).append(held)
        self.rows += len(held)

    def clear(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self.rows = 0

    def prove(self, server: Server, prefix: str) -> None:
        """Compare; what is proven and closed is forgotten, and what was older than its table keeps is counted. Raises SinkRetry
        that names the first minute that lacks rows."""
        for table, parts in self._parts.items():
            held = np.concatenate(parts)
            dropped, ttl = _prove(server, prefix + table, held)
            if len(dropped):
                where = f"table {prefix}{table} (TTL {ttl})"
                self.dropped[where] = self.dropped.get(where, 0) + len(dropped)
                log.warning(
                    "rows_too_old", table=prefix + table, ttl=ttl, rows=len(dropped), about="the table drops them on arrival"
                )
                held = held[~np.isin(held[:, 1], dropped)]
            if not len(held):
                self._parts[table] = [held]
                continue
            newest = int(held[:, 0].max()) // MINUTE * MINUTE - (OPEN_MINUTES - 1) * MINUTE
            self._parts[table] = [held[held[:, 0] >= newest]]
        self.rows = sum(len(part) for parts in self._parts.values() for part in parts)


def distinct(held: Ints) -> Ints:
    """Rows by time and digest, each once."""
    held = held[np.lexsort((held[:, 1], held[:, 0]))]
    found: Ints = held[np.append(True, (held[1:] != held[:-1]).any(axis=1))]
    return found


def _prove(server: Server, table: str, held: Ints) -> tuple[Ints, str]:
    """The digests of rows that are missing because the table is not to keep any that old, and its TTL. Raises SinkRetry for all
    others that are."""
    if not len(held):
        return np.zeros(0, np.int64), ""
    keep: Keep | None = None
    dropped = [np.zeros(0, np.int64)]
    number = held[:, 0] // MINUTE
    order = np.argsort(number, kind="stable")
    minutes, starts = np.unique(number[order], return_index=True)
    ends = [*starts[1:].tolist(), len(held)]
    shown = _shown(server, table, int(minutes[0]), int(minutes[-1]) + 1)
    for minute, start, end in zip(minutes.tolist(), starts.tolist(), ends, strict=True):
        digests = held[order[start:end], 1]
        if shown.get(minute) == (end - start, int(digests.sum())):
            continue
        # What was sent twice is there once, and others may have sent rows for this minute.
        lacking = np.setdiff1d(digests, _digests(server, table, minute))
        if not len(lacking):
            continue
        keep = keep or keep_of(server, table)
        if keep is None or minute * MINUTE >= keep.since:
            raise SinkRetry(f"table {table} lacks {len(lacking)} of the {end - start} rows sent for {_text(minute * MINUTE)}")
        dropped.append(lacking)
    return np.concatenate(dropped), "" if keep is None else keep.ttl


def _shown(server: Server, table: str, first: int, last: int) -> dict[int, tuple[int, int]]:
    """Minute -> how many rows it has and the sum of their digests, which wraps as numpy's does."""
    minute = "timestamp_floor('m', ts)"
    query = f"SELECT {minute} m, count(), sum(digest) FROM '{table}' WHERE {_range(first, last)} GROUP BY m"
    return {_minute(text): (int(count), int(total)) for text, count, total in server.rows(query)}


def _digests(server: Server, table: str, minute: int) -> Ints:
    rows = server.rows(f"SELECT digest FROM '{table}' WHERE {_range(minute, minute + 1)}")
    return np.array([row[0] for row in rows], np.int64)


def _range(first: int, last: int) -> str:
    return f"ts >= '{_text(first * MINUTE)}' AND ts < '{_text(last * MINUTE)}'"


def _minute(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64)) // MINUTE


def _text(ns: int) -> str:
    return f"{np.datetime64(ns, 'ns')}Z"
