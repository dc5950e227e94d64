"""Parquet files of the recorder back as the batches that they were made of.

The rule: message for message and number for number the same, so what is delivered from files is what was delivered live.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage
from xtrader.sinks.base import NULL, TRADE_SIDES, Batch, Coverages, Floats, Instruments, Ints, Session, Trades, Updates
from xtrader.sinks.manifest import DIRECTORY, replaced_paths


def part_paths(directory: Path) -> list[Path]:
    """The parts below a directory that no other part replaced, each stream's and instrument's in the order of their writing."""
    replaced: set[str] = set()
    for manifest in (directory / DIRECTORY).glob("*.jsonl"):
        replaced |= {str(path) for path in replaced_paths(directory, manifest.stem)}
    found = [path for path in directory.glob("stream=*/*/*/*/*.parquet") if str(path.relative_to(directory)) not in replaced]
    return sorted(found, key=lambda path: (path.parts[-5:-2], path.name, path.parts[-2]))


def labelled(directory: Path) -> Iterator[tuple[str, Batch]]:
    """All batches of a recording, each with its instrument's key, all of a stream and key together; before those of a part comes
    a Session that names its collector. Raises OSError."""
    for path in part_paths(directory):
        parquet = pq.ParquetFile(path)
        key = _fact(parquet, "instrument_key")
        yield key, Session(0, _fact(parquet, "collector"), {}, [])
        yield from ((key, batch) for batch in batches(path))


def batches(path: Path) -> Iterator[Batch]:
    """A part's batches, one row group at a time; its page checksums are checked. Raises OSError."""
    parquet = pq.ParquetFile(path, page_checksum_verification=True)
    key = _fact(parquet, "instrument_key")
    stream = path.parts[-5].partition("=")[2]
    rest: Any = None
    for number in range(parquet.num_row_groups):
        table = parquet.read_row_group(number)
        if stream == "L2":
            table = table if rest is None else pa.concat_tables([rest, table])
            last = np.flatnonzero(table["is_last"].to_numpy())
            end = int(last[-1]) + 1 if len(last) else 0
            rest = table.slice(end)
            if end:
                yield _updates(table.slice(0, end), key)
        elif stream == "TRADES":
            yield _trades(table, key)
        elif stream == "COVERAGE":
            yield from _coverages(table, key)
        else:
            yield from _instruments(table, key)


def _updates(table: Any, key: str) -> Updates:
    ends = np.flatnonzero(table["is_last"].to_numpy()) + 1
    starts = np.concatenate([[0], ends[:-1]])
    side = table["side"].cast(pa.string())
    filled = side.is_valid().to_numpy()
    is_bid = pc.fill_null(pc.equal(side, "bid"), False).to_numpy()
    heads = table.take(pa.array(starts))
    levels = np.column_stack([table[name].to_numpy()[filled] for name in ("price", "size")])
    return Updates(
        ts=int(_numbers(heads["ts_recv"])[-1]),
        keys=[key],
        instrument=np.zeros(len(starts), np.int32),
        ts_event=_numbers(heads["ts_event"]),
        ts_recv=_numbers(heads["ts_recv"]),
        sequence=_numbers(heads["sequence"]),
        prev_sequence=_numbers(heads["prev_sequence"]),
        is_snapshot=heads["is_snapshot"].to_numpy().astype(np.uint8),
        bids=np.add.reduceat(is_bid, starts, dtype=np.int32),
        counts=np.add.reduceat(filled, starts, dtype=np.int32),
        levels=levels,
    )


def _trades(table: Any, key: str) -> Trades:
    sides = {side: number for number, side in enumerate(TRADE_SIDES)}
    return Trades(
        ts=int(_numbers(table["ts_recv"])[-1]),
        keys=[key],
        instrument=np.zeros(table.num_rows, np.int32),
        ts_event=_numbers(table["ts_event"]),
        ts_recv=_numbers(table["ts_recv"]),
        side=np.array([sides[side] for side in table["side"].to_pylist()], np.uint8),
        price=_floats(table["price"]),
        size=_floats(table["size"]),
        trade_id=table["trade_id"].to_pylist(),
    )


def _coverages(table: Any, key: str) -> Iterator[Coverages]:
    rows = [
        (row["ts_recv"], Coverage(key, row["covers"], row["state"], row["cause"], row["ts_from"], row["ts_to"], row["detail"]))
        for row in _rows(table)
    ]
    for written, group in groupby(rows, key=lambda row: row[0]):
        yield Coverages(written, [row for _, row in group])


def _instruments(table: Any, key: str) -> Iterator[Instruments]:
    exchange, _, symbol = key.partition("@")
    for written, group in groupby(_rows(table), key=lambda row: row.pop("ts_recv")):
        yield Instruments(written, [Instrument(exchange=exchange, symbol=symbol, **row) for row in group])


def _rows(table: Any) -> list[dict[str, Any]]:
    """Plain rows, times as int nanoseconds."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    found: list[dict[str, Any]] = pa.Table.from_arrays(columns, names=table.column_names).to_pylist()
    return found


def _numbers(column: Any) -> Ints:
    found: Ints = pc.fill_null(column.cast(pa.int64()), NULL).to_numpy()
    return found


def _floats(column: Any) -> Floats:
    found: Floats = column.to_numpy()
    return found


def _fact(parquet: Any, name: str) -> str:
    """What the metadata of a part says. Raises OSError where it says nothing."""
    value = (parquet.schema_arrow.metadata or {}).get(f"xtrader.{name}".encode())
    if value is None:
        raise OSError(f"not a part of a recording: no {name} in its metadata")
    return str(value.decode())
