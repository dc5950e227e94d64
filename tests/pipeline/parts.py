"""Reading finished parts back into records, in the order of the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Trade


def part_paths(directory: Path, stream: str) -> list[Path]:
    """Finished parts of a stream, by instrument, then in journal order."""
    return sorted(
        directory.glob(f"stream={stream}/*/*/*/part-*.parquet"), key=lambda path: (path.parts[-3], path.name, path.parts[-2])
    )


def manifest(directory: Path, collector: str = "c1") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "_manifest" / f"{collector}.jsonl").read_text().splitlines()]


def key_of(path: Path) -> str:
    exchange, instrument = (unquote(part.partition("=")[2]) for part in path.parts[-4:-2])
    return f"{exchange}@{instrument}"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a part, times as int nanoseconds; page checksums are checked."""
    table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    columns = [
        column.cast(pa.int64())
        if pa.types.is_timestamp(column.type)
        else column.cast(pa.string())
        if pa.types.is_dictionary(column.type)
        else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names).to_pylist()


def read_updates(directory: Path) -> list[BookUpdate]:
    found = []
    for path in part_paths(directory, "L2"):
        bids: list[tuple[float, float]] = []
        asks: list[tuple[float, float]] = []
        for row in rows_of(path):
            if row["side"] is not None:
                (bids if row["side"] == "bid" else asks).append((row["price"], row["size"]))
            if row["is_last"]:
                found.append(
                    BookUpdate(
                        key_of(path), row["is_snapshot"], bids, asks, row["sequence"], row["prev_sequence"], row["ts_event"],
                        row["ts_recv"],
                    )
                )  # fmt: skip
                bids, asks = [], []
        assert not bids
        assert not asks
    return found


def read_trades(directory: Path) -> list[Trade]:
    return [
        Trade(key_of(path), row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"], row["ts_recv"])
        for path in part_paths(directory, "TRADES")
        for row in rows_of(path)
    ]


def read_coverages(directory: Path) -> list[Coverage]:
    return [
        Coverage(key_of(path), *(row[name] for name in ("covers", *Coverage.__struct_fields__[2:])))
        for path in part_paths(directory, "COVERAGE")
        for row in rows_of(path)
    ]


def read_instruments(directory: Path) -> list[Instrument]:
    found = []
    for path in part_paths(directory, "INSTRUMENTS"):
        exchange, symbol = key_of(path).split("@")
        for row in rows_of(path):
            row.pop("ts_recv")
            found.append(Instrument(exchange=exchange, symbol=symbol, **row))
    return found
