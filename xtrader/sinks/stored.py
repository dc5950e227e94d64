"""Parquet files of the recorder back as the batches that they were made of.

The rule: message for message and number for number the same, so what is delivered from files is what was delivered live.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtrader.errors import DamagedFile, UnknownKind
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage
from xtrader.records.batches import NULL, TRADE_SIDES, Batch, Coverages, Floats, Instruments, Ints, Trades, Updates
from xtrader.records.schemas import COVERAGE, is_known, lacking, widened


def batches(path: str, stream: str, key: str) -> Iterator[Batch]:
    """The batches of a part of one stream and instrument, a row group at a time; page checksums are checked. Raises
    DamagedFile."""
    rest: Any = None
    for table in _tables(path, stream):
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
        elif stream == "INSTRUMENTS":
            yield from _instruments(table, key)
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
        (row.pop("ts_recv"), Coverage(instrument=key, stream=row.pop("covers"), **row))
        for row in _rows(widened(table, "COVERAGE", COVERAGE.names))
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
