"""Answers of the data set as files that other programs read: CSV, plain or compressed, and Parquet.

The rule: a file is there whole or not at all; a number is written with as many digits as it needs to be read back the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from xtrader.errors import ConfigError, StorageError
from xtrader.store.read.answer import Answer

ENDINGS: Final = (".csv", ".csv.gz", ".parquet")
_MICROSECOND: Final = 1000


def ending_of(path: Path) -> str:
    """What a file of this name is. Raises ConfigError."""
    found = next((one for one in ENDINGS if path.name.lower().endswith(one)), None)
    if found is None:
        raise ConfigError(f"'{path}' ends in none of {', '.join(ENDINGS)}")
    return found


def write_table(answer: Answer, path: Path, progress: Callable[[Any], None] = lambda table: None) -> int:
    """Write an answer, and return how many rows it has; `progress` gets each table when it is written. Raises ConfigError for
    another ending, StorageError."""
    ending = ending_of(path)
    temporary = path.with_name(f".{path.name}.tmp")
    rows = 0
    try:
        with _writer(temporary, ending, _plain(answer.schema)) as write:
            for table in answer.tables():
                write(_as_plain(table))
                rows += table.num_rows
                progress(table)
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StorageError) or error.errno is None:
            raise
        raise StorageError(path, error.strerror or error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return rows


@contextmanager
def _writer(path: Path, ending: str, schema: Any) -> Iterator[Callable[[Any], None]]:
    if ending == ".parquet":
        with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as parquet:
            yield parquet.write_table
        return
    compression = "gzip" if ending == ".csv.gz" else None
    with pa.output_stream(str(path), compression=compression) as file, pa_csv.CSVWriter(file, schema) as text:
        yield text.write_table


def _plain(schema: Any) -> Any:
    """The same schema with words as text."""
    return pa.schema([(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in schema])


def flat_books(answer: Answer, depth: int, size: str = "size") -> Answer:
    """Books at a cadence with a column for each price and size of `depth` levels instead of lists, best first: `asks[0].price,
    asks[0].<size>, bids[0].price, bids[0].<size>, asks[1].price, …`; null where there is no such level, or no book."""
    names = [(side, level, what) for level in range(depth) for side in ("ask", "bid") for what in ("price", "size")]
    heads = [answer.schema.field(name) for name in ("ts", "sequence")]
    labels = {"price": "price", "size": size}
    schema = pa.schema([*heads, *((f"{side}s[{level}].{labels[what]}", pa.float64()) for side, level, what in names)])

    def read() -> Iterator[Any]:
        for table in answer.tables():
            lists = {(side, what): table[f"{side}_{what}s"].to_pylist() for side in ("ask", "bid") for what in ("price", "size")}
            columns = [
                pa.array([None if row is None or len(row) <= level else row[level] for row in lists[side, what]], pa.float64())
                for side, level, what in names
            ]
            yield pa.Table.from_arrays([table["ts"].combine_chunks(), table["sequence"].combine_chunks(), *columns], schema=schema)

    return Answer(schema, read)


def _as_plain(table: Any) -> Any:
    return table.cast(_plain(table.schema))


def tardis(answer: Answer, stream: str) -> Answer:
    """Trades or book updates with the columns and units of tardis.dev's CSV files (`trades`, `incremental_book_L2`): times in
    microseconds, the venue's own where it gave one. Book messages without levels have no row. Raises ConfigError for other
    streams."""
    if stream not in ("TRADES", "L2"):
        raise ConfigError(f"tardis.dev has no such file for {stream}: only TRADES and L2 can be written in its columns")
    middle = (
        [("id", pa.string()), ("side", pa.string())]
        if stream == "TRADES"
        else [("is_snapshot", pa.string()), ("side", pa.string())]
    )
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("exchange", "symbol")),
            *((name, pa.int64()) for name in ("timestamp", "local_timestamp")),
            *middle,
            *((name, pa.float64()) for name in ("price", "amount")),
        ]
    )

    def read() -> Iterator[Any]:
        for table in answer.tables():
            filled = table.filter(table["price"].is_valid())
            if filled.num_rows:
                yield _tardis_rows(filled, stream, schema)

    return Answer(schema, read)


def _tardis_rows(table: Any, stream: str, schema: Any) -> Any:
    recv, event = (table[name].cast(pa.int64()) for name in ("ts_recv", "ts_event"))
    times = [pc.divide(one, _MICROSECOND) for one in (pc.coalesce(event, recv), recv)]
    words = [table[name].cast(pa.string()) for name in ("exchange", "instrument", "side")]
    second = table["trade_id"] if stream == "TRADES" else pc.if_else(table["is_snapshot"], "true", "false")
    columns = [*words[:2], *times, second, words[2], table["price"], table["size"]]
    return pa.Table.from_arrays([column.combine_chunks() for column in columns], schema=schema)
