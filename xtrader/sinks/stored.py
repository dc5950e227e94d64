"""Parquet files of the recorder back as the batches that they were made of.

The rule: message for message and number for number the same, so what is delivered from files is what was delivered live.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtrader.errors import DamagedFile, UnknownKind
from xtrader.model.streams import STREAMS, Column
from xtrader.records.batches import NULL, Batch, FlatBatch, Ints, RareBatch, Updates
from xtrader.records.message_rows import cut, whole_messages
from xtrader.records.packing import PACKINGS
from xtrader.records.schemas import is_known, lacking, widened


def batches(path: str, stream: str, key: str) -> Iterator[Batch]:
    """The batches of a part of one stream and instrument, a row group at a time; page checksums are checked. Raises
    DamagedFile."""
    if stream == "L2":
        yield from (_updates(table, ends, key) for table, ends in whole_messages(_tables(path, stream)))
    elif stream in PACKINGS:
        yield from (_flat(stream, table, key) for table in _tables(path, stream))
    elif stream in STREAMS:
        for table in _tables(path, stream):
            yield from _rare(stream, table, key)
    else:
        raise UnknownKind(stream)


def _tables(path: str, stream: str) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            if not is_known(parquet.schema_arrow, stream):
                raise DamagedFile(path, f"does not have the columns of {stream}")
            for number in range(parquet.num_row_groups):
                table = parquet.read_row_group(number)
                if (name := lacking(table, stream)) is not None:
                    raise DamagedFile(path, f"is damaged: it has rows without {name}")
                yield table
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, DamagedFile):
            raise
        raise DamagedFile(path, f"cannot be read: {(str(error).splitlines() or [''])[0]}") from error


def _updates(table: Any, ends: Ints, key: str) -> Updates:
    side = table["side"].cast(pa.string())
    filled = side.is_valid().to_numpy()
    found = cut(ends, pc.fill_null(pc.equal(side, "ask"), False).to_numpy(), ~filled)
    heads = table.take(pa.array(found.starts))
    levels = np.column_stack([table[name].to_numpy()[filled] for name in ("price", "size")])
    return Updates(
        ts=int(_numbers(heads["ts_recv"])[-1]),
        keys=[key],
        instrument=np.zeros(len(ends), np.int32),
        ts_event=_numbers(heads["ts_event"]),
        ts_recv=_numbers(heads["ts_recv"]),
        sequence=_numbers(heads["sequence"]),
        prev_sequence=_numbers(heads["prev_sequence"]),
        is_snapshot=heads["is_snapshot"].to_numpy().astype(np.uint8),
        bids=(found.middles - found.starts).astype(np.int32),
        counts=(found.stops - found.starts).astype(np.int32),
        levels=levels,
    )


def _flat(stream: str, table: Any, key: str) -> FlatBatch:
    columns = {column.name: _values(column, table[column.name]) for column in STREAMS[stream].columns}
    return FlatBatch(int(columns["ts_recv"][-1]), stream, [key], np.zeros(table.num_rows, np.int32), columns)


def _values(column: Column, found: Any) -> Any:
    match column.kind:
        case "time" | "int":
            return _numbers(found)
        case "float":
            return pc.fill_null(found, math.nan).to_numpy()
        case "word":
            return pc.index_in(found.cast(pa.string()), pa.array(column.words)).to_numpy().astype(np.uint8)
        case "bool":
            return found.to_numpy().astype(np.uint8)
        case _:
            return found.to_pylist()


def _rare(stream: str, table: Any, key: str) -> Iterator[RareBatch]:
    one = STREAMS[stream]
    exchange, _, symbol = key.partition("@")
    named = {"exchange": exchange, "symbol": symbol} if one.key == "key" else {one.key: key}
    names = {column.name: column.source for column in one.columns}
    has_own = "ts_recv" in one.record.__struct_fields__
    for written, group in groupby(_rows(widened(table, stream, list(names))), key=lambda row: row["ts_recv"]):
        rows = [{names[name]: value for name, value in row.items() if has_own or name != "ts_recv"} for row in group]
        yield RareBatch(written, stream, [one.record(**named, **row) for row in rows])


def _rows(table: Any) -> list[dict[str, Any]]:
    """Plain rows, times as int nanoseconds."""
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    found: list[dict[str, Any]] = pa.Table.from_arrays(columns, names=table.column_names).to_pylist()
    return found


def _numbers(column: Any) -> Ints:
    found: Ints = pc.fill_null(column.cast(pa.int64()), NULL).to_numpy()
    return found
