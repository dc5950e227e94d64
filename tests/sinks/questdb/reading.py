"""Reads the tables back into records, by SQL alone."""

from __future__ import annotations

from typing import Any

from tests.sinks.questdb.server import Server
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade

TIMES = ("ts", "ts_event", "ts_recv", "ts_from", "ts_to", "expiry")
NOT_IN_THE_TABLE = ("exchange", "symbol", "expiry", "ts")
INSTRUMENT = [name for name in Instrument.__struct_fields__ if name not in NOT_IN_THE_TABLE]


def rows(server: Server, table: str, order: str = "ts, ts_recv", where: str = "") -> list[dict[str, Any]]:
    """Rows of a table, times as int nanoseconds."""
    server.settle()
    columns = [row[0] for row in server.sql(f"SELECT \"column\" FROM table_columns('{table}')")]
    picked = ", ".join(f"{name}::long {name}" if name in TIMES else name for name in columns)
    condition = f"WHERE {where}" if where else ""
    found = server.sql(f"SELECT {picked} FROM '{table}' {condition} ORDER BY {order}")
    return [dict(zip(columns, row, strict=True)) for row in found]


def trades(server: Server, prefix: str = "") -> list[Trade]:
    return [
        Trade(key(row), row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"], row["ts_recv"])
        for row in rows(server, prefix + "trades")
    ]


def updates(server: Server, prefix: str = "") -> list[BookUpdate]:
    return [
        BookUpdate(
            key(row),
            row["is_snapshot"],
            levels(row["bids"]),
            levels(row["asks"]),
            row["sequence"],
            row["prev_sequence"],
            row["ts_event"],
            row["ts_recv"],
        )
        for row in rows(server, prefix + "book_updates")
    ]


def coverages(server: Server, prefix: str = "") -> list[Coverage]:
    return [
        Coverage(
            key(row),
            *(row[name] for name in ("covers", "state", "cause", "ts_from", "ts_to")),
            row["detail"] or "",
            *(row[name] for name in ("ids_from", "ids_to", "depth")),
        )
        for row in rows(server, prefix + "coverage", "ts, ts_from")
    ]


def instruments(server: Server, prefix: str = "") -> list[Instrument]:
    return [
        Instrument(
            exchange=row["exchange"],
            symbol=row["instrument"],
            expiry=row["expiry"],
            ts=row["ts"],
            **{name: row[name] for name in INSTRUMENT},
        )
        for row in rows(server, prefix + "instruments")
    ]


def everything(server: Server, prefix: str = "") -> list[Record]:
    found: list[Record] = []
    for table, read in (("trades", trades), ("book_updates", updates), ("coverage", coverages), ("instruments", instruments)):
        if server.exists(prefix + table):
            found += read(server, prefix)
    return found


def key(row: dict[str, Any]) -> str:
    return f"{row['exchange']}@{row['instrument']}"


def levels(pair: list[list[float]] | None) -> list[tuple[float, float]]:
    return list(zip(*pair, strict=True)) if pair else []
