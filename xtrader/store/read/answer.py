"""An answer of the data set: rows that are read when they are asked for, in the shape that the user wants them in.

The rule: the recording was looked at when the question was asked; whenever and however often the rows are read, they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb
    import pandas  # type: ignore[import-untyped]
    import polars


class Answer:
    """Rows of one schema. Whatever speaks Arrow's C stream interface (`polars.DataFrame(rows)`, `pyarrow.table(rows)`) takes it as
    it is."""

    def __init__(self, schema: Any, read: Callable[[], Iterator[Any]]) -> None:
        self.schema = schema
        """A pyarrow.Schema."""
        self._read = read

    def tables(self) -> Iterator[Any]:
        """One pyarrow.Table after another, none of them empty; memory is that of a few. Raises OSError."""
        return self._read()

    def to_arrow(self) -> Any:
        """All rows as a pyarrow.Table."""
        tables = list(self.tables())
        return pa.concat_tables(tables).unify_dictionaries() if tables else self.schema.empty_table()

    def to_reader(self) -> Any:
        """All rows as a pyarrow.RecordBatchReader, read as it is read."""
        return pa.RecordBatchReader.from_batches(self.schema, (batch for table in self.tables() for batch in table.to_batches()))

    def to_pandas(self) -> pandas.DataFrame:
        """All rows as a pandas.DataFrame of pandas' Arrow types, so that nulls stay nulls and integers integers."""
        import pandas

        return self.to_arrow().to_pandas(types_mapper=pandas.ArrowDtype)

    def to_polars(self) -> polars.DataFrame:
        """All rows as a polars.DataFrame."""
        import polars

        return polars.DataFrame(polars.from_arrow(self.to_arrow()))

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """All rows as a relation of a DuckDB connection (by default the module's own).."""
        import duckdb

        return (connection or duckdb).from_arrow(self.to_arrow())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_reader().__arrow_c_stream__(requested_schema)
