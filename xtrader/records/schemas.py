"""The columns of the Parquet files, and how batches become tables of them.

The rule: rows keep the order in which they came; nothing is filled in, so None stays null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage
from xtrader.records.batches import NULL, TRADE_SIDES, Floats, Ints

SCHEMA_VERSION: Final = 2
"""2: COVERAGE has `ids_from`, `ids_to` and `depth`. A version only adds columns at the end, so older files are read as well."""

_TIME = pa.timestamp("ns", tz="UTC")
_WORD = pa.dictionary(pa.int8(), pa.string())
_TEXT = pa.dictionary(pa.int32(), pa.string())

L2: Final = pa.schema(
    [
        ("ts_event", _TIME),
        ("ts_recv", _TIME),
        ("sequence", pa.int64()),
        ("prev_sequence", pa.int64()),
        ("is_snapshot", pa.bool_()),
        ("is_last", pa.bool_()),
        ("side", _WORD),
        ("price", pa.float64()),
        ("size", pa.float64()),
    ]
)
TRADES: Final = pa.schema(
    [
        ("ts_event", _TIME),
        ("ts_recv", _TIME),
        ("trade_id", pa.string()),
        ("side", _WORD),
        ("price", pa.float64()),
        ("size", pa.float64()),
    ]
)
COVERAGE: Final = pa.schema(
    [
        ("ts_recv", _TIME),
        ("covers", _TEXT),
        ("state", _TEXT),
        ("cause", _TEXT),
        ("ts_from", _TIME),
        ("ts_to", _TIME),
        ("detail", pa.string()),
        ("ids_from", pa.int64()),
        ("ids_to", pa.int64()),
        ("depth", pa.int64()),
    ]
)
INSTRUMENTS: Final = pa.schema(
    [
        ("ts_recv", _TIME),
        ("alias", _TEXT),
        ("kind", _TEXT),
        ("base", _TEXT),
        ("quote", _TEXT),
        ("settle", _TEXT),
        ("tick_size", pa.float64()),
        ("lot_size", pa.float64()),
        ("min_size", pa.float64()),
        ("contract_size", pa.float64()),
        ("contract_unit", _TEXT),
        ("is_inverse", pa.bool_()),
        ("expiry", _TIME),
        ("strike", pa.float64()),
        ("option_type", _TEXT),
        ("status", _TEXT),
        ("source", _TEXT),
        ("ts", _TIME),
    ]
)
SCHEMAS: Final = {"L2": L2, "TRADES": TRADES, "COVERAGE": COVERAGE, "INSTRUMENTS": INSTRUMENTS}
_ADDED: Final = {"COVERAGE": 3}
"""How many of a stream's last columns older versions lack."""

_FILLED: Final = {
    "L2": ("ts_recv", "is_snapshot", "is_last"),
    "TRADES": ("ts_recv", "trade_id", "side", "price", "size"),
    "COVERAGE": ("ts_recv", "covers", "state", "cause", "ts_from", "detail"),
    "INSTRUMENTS": ("ts_recv", "alias", "kind", "ts"),
}
"""The columns that have a value in each row."""

_BOOK_SIDES = pa.array(["bid", "ask"])
_TRADE_SIDES = pa.array(TRADE_SIDES)


def is_known(schema: Any, stream: str) -> bool:
    """Whether a file of `stream` has the columns of this version or of an older one."""
    if stream not in SCHEMAS:
        return False
    known = SCHEMAS[stream]
    older = pa.schema(list(known)[: len(known) - _ADDED.get(stream, 0)])
    return bool(schema.equals(known, check_metadata=False) or schema.equals(older, check_metadata=False))


def lacking(table: Any, stream: str) -> str | None:
    """The first column of a table read from a file of `stream` that has nulls and must not; None if there is none."""
    must = (name for name in table.column_names if name in _FILLED[stream])
    return next((name for name in must if table[name].null_count), None)


def widened(table: Any, stream: str, columns: Sequence[str]) -> Any:
    """`columns` of a table read from a file of `stream`, in that order; those that its version lacks are null."""
    for name in columns:
        if name not in table.column_names:
            field = SCHEMAS[stream].field(name)
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(columns)


def l2_table(
    ts_event: Ints,
    ts_recv: Ints,
    sequence: Ints,
    prev_sequence: Ints,
    is_snapshot: npt.NDArray[np.uint8],
    bids: npt.NDArray[Any],
    counts: npt.NDArray[Any],
    starts: Ints,
    levels: Floats,
) -> Any:
    """A row per level of n messages of one instrument. Message i owns `levels[starts[i] : starts[i] + counts[i]]`; without
    levels it is one row with null side, price and size. `levels` has shape (any, 2)."""
    rows = np.maximum(counts, 1)
    ends = np.cumsum(rows, dtype=np.int64)
    firsts = ends - rows
    row = np.arange(ends[-1])
    empty = None if counts.all() else np.repeat(counts == 0, rows)
    is_last = np.zeros(len(row), bool)
    is_last[ends - 1] = True
    is_ask = (row >= np.repeat(firsts + bids, rows)).astype(np.int8)
    level = row
    level += np.repeat(starts - firsts, rows)
    if empty is not None:
        level[empty] = 0
        levels = levels if len(levels) else np.zeros((1, 2))
    pairs = levels.take(level, axis=0)
    return pa.Table.from_arrays(
        [
            _numbers(ts_event, rows).cast(_TIME),
            _numbers(ts_recv, rows).cast(_TIME),
            _numbers(sequence, rows),
            _numbers(prev_sequence, rows),
            pa.array(np.repeat(is_snapshot.astype(bool), rows)),
            pa.array(is_last),
            pa.DictionaryArray.from_arrays(pa.array(is_ask, mask=empty), _BOOK_SIDES),
            pa.array(np.ascontiguousarray(pairs[:, 0]), mask=empty),
            pa.array(np.ascontiguousarray(pairs[:, 1]), mask=empty),
        ],
        schema=L2,
    )


def trades_table(
    ts_event: Ints, ts_recv: Ints, trade_id: Sequence[str], side: npt.NDArray[np.uint8], price: Floats, size: Floats
) -> Any:
    """A row per trade."""
    return pa.Table.from_arrays(
        [
            _numbers(ts_event).cast(_TIME),
            _numbers(ts_recv).cast(_TIME),
            pa.array(trade_id, pa.string()),
            pa.DictionaryArray.from_arrays(pa.array(side.astype(np.int8)), _TRADE_SIDES),
            pa.array(price),
            pa.array(size),
        ],
        schema=TRADES,
    )


def coverage_table(written: Sequence[int], rows: Sequence[Coverage]) -> Any:
    """A row per coverage row; `written` are the times at which they were written."""
    columns = {name: [getattr(row, name) for row in rows] for name in COVERAGE.names if name not in ("ts_recv", "covers")}
    return _table(COVERAGE, {"ts_recv": written, "covers": [row.stream for row in rows], **columns})


def instruments_table(written: Sequence[int], rows: Sequence[Instrument]) -> Any:
    """A row per instrument that was told."""
    names = [name for name in INSTRUMENTS.names if name != "ts_recv"]
    return _table(INSTRUMENTS, {"ts_recv": written, **{name: [getattr(row, name) for row in rows] for name in names}})


def _table(schema: Any, columns: dict[str, Sequence[Any]]) -> Any:
    return pa.Table.from_arrays([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: Sequence[Any], kind: Any) -> Any:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


def _numbers(values: Ints, times: npt.NDArray[Any] | None = None) -> Any:
    """int64 with NULL as null; each value `times` times if that is given."""
    missing = values == NULL
    mask = missing if missing.any() else None
    if times is None:
        return pa.array(values, mask=mask)
    return pa.array(np.repeat(values, times), mask=None if mask is None else np.repeat(mask, times))
