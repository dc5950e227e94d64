"""The columns of the Parquet files, and how batches become tables of them.

The rule: rows keep the order in which they came; nothing is filled in, so None stays null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.model.streams import STREAMS, Column
from xtrader.records.batches import NULL, Floats, Ints

SCHEMA_VERSION: Final = 2
"""2: COVERAGE has `ids_from`, `ids_to` and `depth`. A version only adds columns at the end, so older files are read as well."""

_TIME = pa.timestamp("ns", tz="UTC")
_OFTEN = pa.dictionary(pa.int32(), pa.string())
_ARROW: Final = {
    "time": _TIME,
    "int": pa.int64(),
    "float": pa.float64(),
    "word": pa.dictionary(pa.int8(), pa.string()),
    "label": _OFTEN,
    "name": _OFTEN,
    "text": pa.string(),
    "bool": pa.bool_(),
}


def _schema(columns: Iterable[Column]) -> Any:
    return pa.schema([(column.name, _ARROW[column.kind]) for column in columns])


SCHEMAS: Final = {name: _schema(stream.columns) for name, stream in STREAMS.items()}
INSTRUMENTS, COVERAGE, L2, TRADES = (SCHEMAS[name] for name in ("INSTRUMENTS", "COVERAGE", "L2", "TRADES"))
_WORDS: Final = {
    (name, column.name): pa.array(column.words) for name, stream in STREAMS.items() for column in stream.columns if column.words
}
_OLDER: Final = {
    name: [_schema(column for column in stream.columns if column.since <= version) for version in range(1, SCHEMA_VERSION)]
    for name, stream in STREAMS.items()
}


def words_of(stream: str) -> dict[str, Any]:
    """Column -> the dictionary of its words, of the columns of a stream that have any."""
    return {column: words for (name, column), words in _WORDS.items() if name == stream}


def is_known(schema: Any, stream: str) -> bool:
    """Whether a file of `stream` has the columns of this version or of an older one."""
    return stream in SCHEMAS and any(schema.equals(known, check_metadata=False) for known in (SCHEMAS[stream], *_OLDER[stream]))


def lacking(table: Any, stream: str) -> str | None:
    """The first column of a table read from a file of `stream` that has nulls and must not; None if there is none."""
    must = {column.name for column in STREAMS[stream].columns if column.filled}
    return next((name for name in table.column_names if name in must and table[name].null_count), None)


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
            pa.DictionaryArray.from_arrays(pa.array(is_ask, mask=empty), _WORDS["L2", "side"]),
            pa.array(np.ascontiguousarray(pairs[:, 0]), mask=empty),
            pa.array(np.ascontiguousarray(pairs[:, 1]), mask=empty),
        ],
        schema=L2,
    )


def flat_table(stream: str, columns: Mapping[str, Any]) -> Any:
    """A row per record of a hot flat stream: the columns of a FlatBatch, or the same rows of each."""
    found = [_flat(stream, column, columns[column.name]) for column in STREAMS[stream].columns]
    return pa.Table.from_arrays(found, schema=SCHEMAS[stream])


def _flat(stream: str, column: Column, values: Any) -> Any:
    match column.kind:
        case "time" | "int":
            return _numbers(values).cast(_ARROW[column.kind])
        case "float":
            return pa.array(values, mask=None if column.filled else np.isnan(values))
        case "word":
            return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int8)), _WORDS[stream, column.name])
        case "bool":
            return pa.array(values.astype(bool))
        case _:
            return _column(values, _ARROW[column.kind])


def rare_table(stream: str, written: Sequence[int], rows: Sequence[Any]) -> Any:
    """A row per record of a rare stream; `written` are the times at which they were written, `ts_recv` of those without one."""
    has_own = rows and hasattr(rows[0], "ts_recv")
    found = [
        _column(
            written if column.name == "ts_recv" and not has_own else [getattr(row, column.source) for row in rows],
            _ARROW[column.kind],
        )
        for column in STREAMS[stream].columns
    ]
    return pa.Table.from_arrays(found, schema=SCHEMAS[stream])


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
