"""Whether what the server has acknowledged is becoming visible: suspended and lagging tables.

The rule: a table that the server suspended for a fault of its own is resumed; one that a person suspended is left alone and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xtrader.sinks.questdb.sql import Server
from xtrader.sinks.questdb.table_definitions import COLUMNS


class TableStates(NamedTuple):
    """`shown`: table -> number of its last acknowledged transaction and of its last visible one. `suspended`: table -> why;
    nothing must be sent to these, it would be acknowledged and not be there."""

    shown: dict[str, tuple[int, int]]
    suspended: dict[str, str]


def standing(server: Server, prefix: str) -> TableStates:
    """How the tables stand. Raises SinkRetry."""
    names = {prefix + table: table for table in COLUMNS}
    found = TableStates({}, {})
    query = "SELECT name, suspended, sequencerTxn, writerTxn, errorTag, errorMessage FROM wal_tables()"
    for name, is_suspended, given, visible, tag, message in server.rows(query):
        if name not in names:
            continue
        if not is_suspended:
            found.shown[names[name]] = (int(given), int(visible))
            continue
        why = f"{tag}: {message}" if tag else f"ALTER TABLE '{name}' RESUME WAL ends it"
        found.suspended[names[name]] = f"table {name} is suspended ({why})"
        if tag:
            server.rows(f"ALTER TABLE '{name}' RESUME WAL")
    return found


def lagging(before: Mapping[str, tuple[int, int]], now: Mapping[str, tuple[int, int]]) -> str:
    """Which tables do not show yet all that was acknowledged at `before`; empty if none."""
    late = {name: given - now[name][1] for name, (given, _) in before.items() if name in now and now[name][1] < given}
    return "; ".join(f"table {name} lags by {count} transactions" for name, count in late.items())
