"""The columns `exchange` and `instrument`, which the files leave to their directories' names.

The rule: all tables of one answer carry the same dictionaries, so that they fit together as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xtrader.errors import ConfigError
from xtrader.records.schemas import SCHEMAS

NAMES: Final = ("exchange", "instrument")
FIELDS: Final = [pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in NAMES]


class Labels:
    """Labels of the instruments `keys`."""

    def __init__(self, keys: Collection[str]) -> None:
        pairs = [key.partition("@")[::2] for key in sorted(keys)]
        self._words = [sorted({pair[place] for pair in pairs}) for place in range(2)]
        self._dictionaries = [pa.array(words, pa.string()) for words in self._words]

    def schema(self, stream: str, columns: Sequence[str] | None = None) -> Any:
        """The schema of an answer: all columns, or those that were asked for. Raises ConfigError for one that does not exist."""
        fields = {field.name: field for field in (*FIELDS, *SCHEMAS[stream])}
        for name in columns or ():
            if name not in fields:
                raise ConfigError(f"{stream} has no column '{name}'; its columns are {', '.join(fields)}")
        return pa.schema([fields[name] for name in columns] if columns is not None else list(fields.values()))

    def put(self, key: str, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Tables of one instrument, with its labels in front."""
        for table in tables:
            schema = pa.schema([*FIELDS, *table.schema])
            yield pa.Table.from_arrays([*self.of(key, table.num_rows), *table.columns], schema=schema)

    def of(self, key: str, rows: int) -> list[Any]:
        """The two columns for so many rows of an instrument."""
        return [
            pa.DictionaryArray.from_arrays(np.full(rows, words.index(word), np.int32), dictionary)
            for word, words, dictionary in zip(key.partition("@")[::2], self._words, self._dictionaries, strict=True)
        ]
