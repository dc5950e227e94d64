"""One number for a stream of rows, however it is cut into tables, row groups and files.

The rule: equal digests mean equal values, equal nulls and the same order in every column.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class RowDigest:
    """Takes tables of one schema in order; `rows` counts them."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Column] = {}

    def add(self, table: Any) -> None:
        """Take the next rows."""
        self.rows += table.num_rows
        for name in table.column_names:
            self._columns.setdefault(name, _Column()).add(table[name])

    def value(self) -> str:
        """The digest of all rows so far, hexadecimal."""
        whole = hashlib.blake2b(str(self.rows).encode())
        for name, column in self._columns.items():
            whole.update(name.encode() + b"\0" + column.value())
        return whole.hexdigest()


class _Column:
    """Validity, lengths and bytes of one column, each its own stream, so that cuts leave no trace."""

    def __init__(self) -> None:
        self._streams = tuple(hashlib.blake2b() for _ in range(3))

    def add(self, values: Any) -> None:
        valid, lengths, content = self._streams
        valid.update(values.is_valid().to_numpy(zero_copy_only=False).tobytes())
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.cast(kind.value_type), kind.value_type
        for chunk in values.chunks:
            if pa.types.is_string(kind):
                filled = pc.fill_null(chunk, "")
                lengths.update(pc.binary_length(filled).to_numpy(zero_copy_only=False).tobytes())
                content.update(_text(filled))
            elif pa.types.is_boolean(kind):
                content.update(pc.fill_null(chunk, False).to_numpy(zero_copy_only=False).tobytes())
            else:
                number = pa.int64() if pa.types.is_timestamp(kind) else kind
                content.update(np.ascontiguousarray(pc.fill_null(chunk.cast(number), 0).to_numpy()).tobytes())

    def value(self) -> bytes:
        return b"".join(stream.digest() for stream in self._streams)


def _text(values: Any) -> memoryview:
    """The bytes of a string array without nulls, one after the other."""
    _, offsets, content = values.buffers()
    if content is None or not len(values):
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return memoryview(content)[ends[0] : ends[-1]]
