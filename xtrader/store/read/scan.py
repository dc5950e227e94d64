"""The rows of a source as Arrow tables in the order of recording, read from as few bytes as will do.

The rule: a part, a row group or a column that cannot matter is not read. What is read is checked against its page checksums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtrader.clock import FOREVER
from xtrader.errors import DamagedFile
from xtrader.model.streams import RARE
from xtrader.records.batches import Ints
from xtrader.records.schemas import SCHEMAS, is_known, lacking, widened, words_of
from xtrader.sinks.described import first_line
from xtrader.store.read.part_list import Part, PartList, PartRows
from xtrader.store.read.view import Source

BATCH_ROWS: Final = 262_144
_END: Final = object()


class Window(NamedTuple):
    """Times [start, end) of `ts_recv`, int ns."""

    start: int = -(2**63)
    end: int = 2**63 - 1


ALWAYS: Final = Window()


def times(table: pa.Table, column: str = "ts_recv") -> Ints:
    """A time column without nulls as int64 nanoseconds."""
    chunks = [chunk.view(pa.int64()).to_numpy(zero_copy_only=False) for chunk in table[column].chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate([*chunks, np.zeros(0, np.int64)])


def scan(source: Source, columns: Sequence[str], window: Window = ALWAYS, batch_rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """The rows whose `ts_recv` lies in the window, in tables of at most `batch_rows` rows; none is empty.

    Raises OSError for a file that cannot be read or is damaged.
    """
    for table in blocks(source, columns, window, batch_rows):
        recv = times(table)
        inside = (recv >= window.start) & (recv < window.end)
        if inside.all():
            yield table
        elif inside.any():
            yield table.filter(pa.array(inside))


def blocks(source: Source, columns: Sequence[str], window: Window = ALWAYS, batch_rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """The same, but whole blocks: none that could matter is left out, and their rows outside the window are there too."""
    for part in source.parts:
        if part.ts_last >= window.start and part.ts_first < window.end:
            if part.stream in RARE:
                yield _kept(source, part).select(columns)
            else:
                yield from _followed(source, part, columns, window, batch_rows)
    for table in source.tail:
        yield from (pa.Table.from_batches([batch]) for batch in table.select(columns).combine_chunks().to_batches(batch_rows))


def _kept(source: Source, part: Part) -> Any:
    """All of a part of a rare stream, read once."""
    table = source.part_list.kept.get(part.path)
    if table is None:
        blocks = list(_followed(source, part, SCHEMAS[part.stream].names, ALWAYS, BATCH_ROWS))
        table = source.part_list.kept[part.path] = pa.concat_tables(blocks) if blocks else SCHEMAS[part.stream].empty_table()
    return table


def _followed(source: Source, part: Part, columns: Sequence[str], window: Window, batch_rows: int) -> Iterator[pa.Table]:
    """The rows of a part, if it was merged with others meanwhile those of the merged one that were its own."""
    piece = PartRows(part.path, 0, FOREVER)
    done = 0
    while True:
        try:
            for read, table in _blocks(source.part_list, piece, done, part.stream, columns, window, batch_rows):
                done = read
                yield table
            return
        except OSError:
            moved = source.part_list.merged(part.path)
            if moved is None or moved.path == piece.path:
                raise
            piece = moved


def _blocks(
    part_list: PartList, piece: PartRows, done: int, stream: str, columns: Sequence[str], window: Window, batch_rows: int
) -> Iterator[tuple[int, Any]]:
    """The rows of a piece after its first `done`, in tables, each with how many are done then. Raises DamagedFile."""
    part_list.check(piece.path)
    try:
        with (
            part_list.filesystem.open_input_file(piece.path) as file,
            pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True) as parquet,
        ):
            if not is_known(parquet.schema_arrow, stream):
                raise DamagedFile(piece.path, f"does not have the columns of {stream}")
            start = -piece.first
            # One group at a time: what is fetched ahead is then a group, not the file.
            for group in range(parquet.num_row_groups):
                stop = start + parquet.metadata.row_group(group).num_rows
                if done < stop and start < piece.rows and _matters(parquet, group, window):
                    for batch in parquet.iter_batches(batch_rows, row_groups=[group], columns=list(columns)):
                        low, high = max(done - start, 0), min(piece.rows - start, batch.num_rows)
                        start += batch.num_rows
                        if low < high:
                            # The columns come in the file's order, whatever the order in which they were asked for.
                            table = widened(pa.Table.from_batches([batch.slice(low, high - low)]), stream, columns)
                            if (name := lacking(table, stream)) is not None:
                                raise DamagedFile(piece.path, f"is damaged: it has rows without {name}")
                            for column, words in words_of(stream).items():
                                table = _same_words(table, column, words) if column in columns else table
                            yield min(start, piece.rows), table
                start = stop
    except pa.ArrowException as error:
        raise DamagedFile(piece.path, f"is damaged: {first_line(error)}") from error
    except DamagedFile:
        raise
    except OSError as error:
        raise DamagedFile(piece.path, f"cannot be read: {first_line(error)}") from error


def _same_words(table: pa.Table, name: str, words: pa.Array) -> pa.Table:
    """A column of words by the same dictionary everywhere, so that tables of different files fit together as they are."""
    column = table[name].chunk(0)
    if column.dictionary.equals(words):
        return table
    indices = pc.index_in(column.dictionary, words).take(column.indices).cast(pa.int8())
    return table.set_column(table.column_names.index(name), name, pa.DictionaryArray.from_arrays(indices, words))


def _matters(parquet: Any, group: int, window: Window) -> bool:
    column = parquet.metadata.row_group(group).column(parquet.schema_arrow.get_field_index("ts_recv"))
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.max_raw >= window.start and statistics.min_raw < window.end)


def ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; the next one is read while this one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, tables, _END)
        while (table := coming.result()) is not _END:
            coming = pool.submit(next, tables, _END)
            yield table
