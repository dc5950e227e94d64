"""An answer of the data set: rows that are read when they are asked for, in the shape that the user wants them in.

The rule: the recording was looked at when the question was asked; whenever and however often the rows are read, they are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb
    import pandas  # type: ignore[import-untyped]
    import polars

HEAD: Final = 10
"""Rows that a notebook shows."""


class Answer:
    """Rows of one schema. Whatever speaks Arrow's C stream interface (`polars.DataFrame(rows)`, `pyarrow.table(rows)`) takes it as
    it is."""

    def __init__(self, schema: Any, read: Callable[[], Iterator[Any]]) -> None:
        self.schema = schema
        """A pyarrow.Schema."""
        self._read = read

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema.names)

    def __repr__(self) -> str:
        return f"<xtrader answer of {len(self.columns)} columns: {', '.join(self.columns)}; len(), head() and to_…() read its rows>"

    def _repr_html_(self) -> str:
        """For notebooks: the first rows."""
        rows = self.head(HEAD)
        return f"<p>The first {len(rows)} rows of {len(self.columns)} columns</p>{rows.to_html()}"

    def __len__(self) -> int:
        """How many rows there are; reads them."""
        return sum(table.num_rows for table in self.tables())

    def __bool__(self) -> bool:
        """Whether there is any row; reads no more than the first."""
        return next(self.tables(), None) is not None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows as dictionaries, one after the other; memory is that of a few tables. Raises OSError."""
        for table in self.tables():
            for batch in table.to_batches():
                yield from batch.to_pylist()

    def head(self, rows: int = 5) -> pandas.DataFrame:
        """The first rows as a pandas.DataFrame, without reading the others."""
        found: list[Any] = []
        for table in self.tables():
            found.append(table.slice(0, rows - sum(one.num_rows for one in found)))
            if sum(one.num_rows for one in found) >= rows:
                break
        return _pandas(pa.concat_tables(found).unify_dictionaries() if found else self.schema.empty_table())

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
        """All rows as a pandas.DataFrame of pandas' Arrow types, so that nulls stay nulls, integers integers, and texts texts."""
        return _pandas(self.to_arrow())

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


def _pandas(table: Any) -> pandas.DataFrame:
    """Arrow's dictionaries are texts to whoever compares, groups and joins them in pandas."""
    import pandas

    plain = [pa.field(one.name, pa.string()) if pa.types.is_dictionary(one.type) else one for one in table.schema]
    return table.cast(pa.schema(plain)).to_pandas(types_mapper=pandas.ArrowDtype)
