"""The tables: their columns and keys, the statements that make them, and how an existing one is compared with ours.

The rule: a key is made of the venue's own data, so what two collectors saw is one row, and no two events share a key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from xtrader.errors import ConfigError
from xtrader.model.streams import L2, STREAMS, Stream
from xtrader.sinks.questdb.sql import Server

SERVERS_OWN: Final = "timestamp"
"""What the server calls the designated timestamp of a table that it makes by itself."""
KEYS: Final = ("ts", "exchange", "instrument", "digest")
_HEAD: Final = {"ts": "TIMESTAMP_NS", "exchange": "SYMBOL", "instrument": "SYMBOL"}
_TAIL: Final = {"collector": "SYMBOL", "digest": "LONG"}
_KINDS: Final = {
    "time": "TIMESTAMP_NS",
    "int": "LONG",
    "float": "DOUBLE",
    "word": "SYMBOL",
    "label": "SYMBOL",
    "name": "VARCHAR",
    "text": "VARCHAR",
    "bool": "BOOLEAN",
}
_BOOK: Final = {
    **dict.fromkeys(("ts_event", "ts_recv"), _KINDS["time"]),
    **dict.fromkeys(("sequence", "prev_sequence"), _KINDS["int"]),
    "is_snapshot": _KINDS["bool"],
    **dict.fromkeys(("bid_price", "bid_size", "ask_price", "ask_size"), _KINDS["float"]),
    "bids": "DOUBLE[][]",
    "asks": "DOUBLE[][]",
}


def _columns_of(stream: Stream) -> Mapping[str, str]:
    """A row's own columns are not there a second time where they are its time, always."""
    own = {column.name: _KINDS[column.kind] for column in stream.columns if not (column.filled and column.name == stream.event)}
    return {**_HEAD, **(_BOOK if stream is L2 else own), **_TAIL}


COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {one.table: _columns_of(one) for one in STREAMS.values()}
PARTITIONS: Final = {one.table: one.partition for one in STREAMS.values()}


class Conflict(ConfigError):
    """A table that is there and cannot be made ours without losing something."""


class TableChange(NamedTuple):
    """What must be done to a table; `renewed` if rows that it was given before are not all in it."""

    table: str
    statement: str
    renewed: bool


def create(table: str, prefix: str = "") -> str:
    """The statement that makes a table."""
    columns = ",\n".join(f"    {name} {kind}" for name, kind in COLUMNS[table].items())
    return (
        f"CREATE TABLE IF NOT EXISTS '{prefix}{table}' (\n{columns}\n) TIMESTAMP(ts) PARTITION BY {PARTITIONS[table]} WAL\n"
        f"DEDUP UPSERT KEYS({', '.join(KEYS)})"
    )


def compare(server: Server, prefix: str) -> tuple[list[TableChange], dict[str, Conflict]]:
    """What is missing in the server's tables, nothing if they are ours; and the tables that cannot be made ours. Raises
    SinkRetry."""
    names = ", ".join(f"'{prefix}{table}'" for table in COLUMNS)
    query = f"SELECT table_name, designatedTimestamp, walEnabled, dedup FROM tables() WHERE table_name IN ({names})"
    facts = {name: rest for name, *rest in server.rows(query)}
    found: list[TableChange] = []
    conflicts: dict[str, Conflict] = {}
    for table in COLUMNS:
        try:
            found += _compare(server, prefix, table, facts.get(prefix + table))
        except Conflict as error:
            conflicts[table] = error
    return found, conflicts


def _compare(server: Server, prefix: str, table: str, facts: Sequence[Any] | None) -> list[TableChange]:
    name = prefix + table
    if facts is None:
        return [TableChange(table, create(table, prefix), renewed=True)]
    designated, wal, dedup = facts
    if designated == SERVERS_OWN:
        # A table that was dropped while rows were on their way, and made anew by the server from what the rows looked like.
        rename = f"RENAME TABLE '{name}' TO '{name}_stray_{time.time_ns()}'"
        return [TableChange(table, rename, renewed=True), TableChange(table, create(table, prefix), renewed=True)]
    if designated != "ts":
        raise Conflict(f"table {name}: the designated timestamp is {designated or 'missing'}, it must be the column ts")
    if not wal:
        raise Conflict(f"table {name} is not a WAL table")
    query = f"SELECT \"column\", type, upsertKey FROM table_columns('{name}')"
    columns = {column: (kind, bool(key)) for column, kind, key in server.rows(query)}
    found = _columns(table, name, COLUMNS[table], columns)
    if not dedup or {column for column, (_, key) in columns.items() if key} != set(KEYS):
        statement = f"ALTER TABLE '{name}' DEDUP ENABLE UPSERT KEYS({', '.join(KEYS)})"
        found.append(TableChange(table, statement, renewed=False))
    return found


def _columns(table: str, name: str, wanted: Mapping[str, str], columns: Mapping[str, tuple[str, bool]]) -> list[TableChange]:
    found = []
    for column, kind in wanted.items():
        if column not in columns:
            if column in KEYS:
                raise Conflict(f"table {name} lacks the column {column}, which is part of its key")
            found.append(TableChange(table, f"ALTER TABLE '{name}' ADD COLUMN {column} {kind}", renewed=True))
        elif columns[column][0] != kind:
            raise Conflict(f"table {name}: the column {column} is {columns[column][0]}, it must be {kind}")
    return found
