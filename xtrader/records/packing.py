"""How hot flat streams are packed: records into the bytes of rows, at the speed of the socket, and as the journal has them.

The rule: what packs one record is one function, made once for its stream by the table: no loop over columns for each record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xtrader.model.streams import STREAMS, Column, Stream
from xtrader.records.batches import NULL, FlatBatch

MAX_TEXT: Final = 1_000
"""Characters of a text."""
_WIDE: Final = {"time": ("q", "<i8"), "int": ("q", "<i8"), "float": ("d", "<f8")}
_NARROW: Final = {"word": ("i", "<i4"), "bool": ("i", "<i4")}
_JOURNAL: Final = {"time": pa.int64(), "int": pa.int64(), "float": pa.float64(), "word": pa.uint8(), "bool": pa.uint8()}

Pack = Callable[[Any], None]


class Packing:
    """The layout of one stream: rows in memory (`row_type`), columns of a frame of the journal (`schema`)."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.numbers = [column for column in stream.columns if column.kind in _JOURNAL]
        self.texts = [column for column in stream.columns if column.kind not in _JOURNAL]
        row = [(column.name, _WIDE[column.kind]) for column in self.numbers if column.kind in _WIDE]
        row += [("instrument", ("i", "<i4"))]
        row += [(column.name, _NARROW[column.kind]) for column in self.numbers if column.kind in _NARROW]
        self.row_type = np.dtype([(name, kind) for name, (_, kind) in row])
        self.schema = pa.schema(
            [
                ("instrument", pa.int32()),
                *((column.name, _JOURNAL[column.kind]) for column in self.numbers),
                *((column.name, pa.string()) for column in self.texts),
            ]
        )
        layout = struct.Struct("<" + "".join(code for _, (code, _) in row))
        self._begin: Callable[..., Pack] = _compiled(self, [name for name, _ in row], layout)

    def begin(self, on_full: Callable[[], None], most: int, checks: tuple[Any, Any, Any]) -> Packed:
        """Begin a batch of at most `most` rows. `checks` are require_key(key, index), require_text(key, text), misfit(key, why)."""
        packed = Packed(self)
        packed.pack = self._begin(packed.keys, packed.rows, packed.texts, most * self.row_type.itemsize, on_full, *checks)
        return packed

    def batch(self, ts: int, keys: list[str], columns: list[Any]) -> FlatBatch:
        """The batch of a frame's keys and Arrow columns."""
        instrument, *others = columns
        count = len(self.numbers)
        values = {column.name: array.to_numpy() for column, array in zip(self.numbers, others[:count], strict=True)}
        values |= {column.name: array.to_pylist() for column, array in zip(self.texts, others[count:], strict=True)}
        return FlatBatch(ts, self.stream.name, keys, instrument.to_numpy(), values)


class Packed:
    """Records of one stream being packed; `pack` takes one, all of it or nothing, and raises what the checks raise."""

    pack: Pack

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        self.keys: dict[str, int] = {}
        self.rows = bytearray()
        self.texts: list[list[str]] = [[] for _ in packing.texts]

    def __len__(self) -> int:
        return len(self.rows) // self.packing.row_type.itemsize

    def as_rows(self) -> Any:
        """What was packed but the texts, as a structured array."""
        return np.frombuffer(self.rows, self.packing.row_type)

    def columns(self, rows: Any) -> list[Any]:
        """The columns of a frame, in the order of the schema, as Arrow arrays; `rows` are `as_rows`."""
        narrow = {column.name for column in self.packing.numbers if column.kind in _NARROW}
        found = [pa.array(np.ascontiguousarray(rows["instrument"]))]
        for column in self.packing.numbers:
            values = rows[column.name]
            found.append(pa.array(values.astype(np.uint8) if column.name in narrow else np.ascontiguousarray(values)))
        return found + [pa.array(texts, pa.string()) for texts in self.texts]


def _compiled(packing: Packing, row: list[str], layout: struct.Struct) -> Callable[..., Pack]:
    """A function that makes the packing function of a batch, compiled from text as dataclasses do: a loop over the columns, for
    each record, costs several times as much."""
    columns = {column.name: column for column in packing.numbers}
    nullable = [column for column in packing.numbers if column.kind in _WIDE and not column.filled]
    known: dict[str, Any] = {"NULL": NULL, "NAN": float("nan"), "write": layout.pack, "error": struct.error, "LONGEST": MAX_TEXT}
    known |= {f"of_{one.name}": {word: n for n, word in enumerate(one.words)}.get for one in packing.numbers if one.words}
    values = ["index" if name == "instrument" else _value(columns[name]) for name in row]
    lines = [
        "def begin(keys, rows, texts, full, on_full, require_key, require_text, misfit):",
        "    index_of = keys.get",
        *(f"    append_{column.name} = texts[{place}].append" for place, column in enumerate(packing.texts)),
        "    def pack(record):",
        "        nonlocal rows",
        f"        key = record.{packing.stream.key}",
        "        index = index_of(key)",
        "        if index is None:",
        "            index = keys[key] = require_key(key, len(keys))",
        *(f"        {column.name} = record.{column.source}" for column in (*nullable, *packing.texts)),
    ]
    for column in packing.texts:
        lines.append(f"        if len({column.name}) > LONGEST or not {column.name}.isascii():")
        lines.append(f"            require_text(key, {column.name})")
    lines += [
        "        try:",
        f"            rows += write({', '.join(values)})",
        "        except (error, OverflowError) as problem:",
        "            raise misfit(key, problem) from problem",
        *(f"        append_{column.name}({column.name})" for column in packing.texts),
        "        if len(rows) >= full:",
        "            on_full()",
        "    return pack",
    ]
    exec("\n".join(lines), known)  # noqa: S102  # of the table's own names, no input is in it
    begin: Callable[..., Pack] = known["begin"]
    return begin


def _value(column: Column) -> str:
    if column.kind == "word":
        return f"of_{column.name}(record.{column.source}, {len(column.words) - 1})"
    if column.filled or column.kind in _NARROW:
        return f"record.{column.source}"
    return f"{'NAN' if column.kind == 'float' else 'NULL'} if {column.name} is None else {column.name}"


PACKINGS: Final = {stream.name: Packing(stream) for stream in STREAMS.values() if stream.is_hot and stream.name != "L2"}
