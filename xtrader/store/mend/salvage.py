"""The rows of a broken part that can still be believed, and the part that takes its place.

The rule: a row group counts if all its pages match their checksums and its messages are whole; coverage rows that are gone are
taken from what the lists say of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from xtrader.durable import sync_directory, sync_file
from xtrader.model.market import Coverage
from xtrader.model.streams import SUBSCRIBED
from xtrader.records.schemas import SCHEMAS, is_known, lacking, rare_table, widened
from xtrader.sinks.described import SALVAGED, UNREADABLE, describe, metadata_of, place_of
from xtrader.sinks.manifest import ManifestLine, coverage_of
from xtrader.sinks.parts import PartWriter
from xtrader.sinks.unfinished import Unfinished
from xtrader.store.mend.clear_unfinished import WRITER
from xtrader.store.prove.proofs import proof
from xtrader.store.prove.verify import ALL_LIVE, UNKNOWN
from xtrader.store.prove.verify_parts import date_differs
from xtrader.store.read.coverage_fold import CoverageRow, rows_of

LEVEL: Final = 3
_DERIVED: Final = ("compression", "schema_version", "software")


def rescue(root: Path, line: ManifestLine, others: Sequence[ManifestLine]) -> list[Any]:
    """What can be believed of a part that is not what was listed, or is not there, as tables of whole messages in order. `others`
    are all parts in force."""
    place = place_of(line.path)
    date = "" if place is None else place.date
    tables = [table for table in _groups(root / line.path, line.stream) if _is_sound(table, line, date)]
    if line.stream == "COVERAGE":
        told = _told(line, others, tables)
        is_whole = told.num_rows == line.rows
        if told.num_rows and (is_whole or not tables) and not date_differs(told, date, line.stream):
            return [told]
        # Rows are in the order in which they were written.
        tables = [table.take(pc.sort_indices(table, sort_keys=[("ts_recv", "ascending")])) for table in tables]
    return tables


def gap_table(rows: Sequence[tuple[str, int, int, str]]) -> Any:
    """Coverage rows of lost parts: (covers, ts_from, ts_to, path) of each."""
    gaps = [Coverage("", covers, "gap", "storage", start, end, f"damaged: {path}") for covers, start, end, path in rows]
    return rare_table("COVERAGE", [gap.ts_from for gap in gaps], gaps)


def rewritten(root: Path, line: ManifestLine, collector: str, tables: Sequence[Any], replaces: Sequence[str]) -> ManifestLine:
    """Publish tables as the part that takes the place of `line`, and return what is to be listed."""
    place = place_of(line.path)
    if place is None:
        raise ValueError(f"{line.path} is not the path of a part")
    facts = {"collector": collector, "instrument_key": line.instrument, **line.settings, **_facts(root / line.path)}
    facts = {name: value for name, value in facts.items() if name not in _DERIVED}
    name = f"part-{collector}-{line.first_offset:020d}"
    schema = SCHEMAS[line.stream]
    temporary = Unfinished(root, WRITER).new()
    part = _Salvaged(root, line.stream, line.instrument, place.date, name, schema, facts, LEVEL, temporary)
    while (root / part.path(line.last_offset)).exists() or str(part.path(line.last_offset)) in replaces:
        part.number += 1
    for table in tables:
        part.write(table.cast(schema))
    part.finish()
    sync_file(part.temporary)
    made = part.publish(line.first_offset, line.last_offset, line.coverage, replaces)
    sync_directory((root / made.path).parent)
    return describe(root, made.path, made.coverage, made.replaces)


class _Salvaged(PartWriter):
    """A part whose name says that it was made by a repair; `number` counts those of one place."""

    number = 1

    def path(self, last: int) -> Path:
        path = super().path(last)
        return path.with_name(f"{path.stem}{SALVAGED}{self.number if self.number > 1 else ''}.parquet")


def _groups(path: Path, stream: str) -> Iterator[Any]:
    """The row groups that can be read; none of a file without its footer."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not is_known(file.schema_arrow, stream):
                return
            for group in range(file.num_row_groups):
                try:
                    yield widened(file.read_row_group(group), stream, SCHEMAS[stream].names)
                except UNREADABLE:
                    continue
    except UNREADABLE:
        return


def _is_sound(table: Any, line: ManifestLine, date: str) -> bool:
    """Whether the rows are whole messages of that day."""
    wrong: list[str] = []
    if not table.num_rows or lacking(table, line.stream) is not None:
        return False
    if (proven := proof(line.stream, line.instrument, UNKNOWN, ALL_LIVE, wrong.append)) is not None:
        proven.check(table)
    return not wrong and not date_differs(table, date, line.stream)


def _told(line: ManifestLine, others: Sequence[ManifestLine], tables: Sequence[Any]) -> Any:
    """The coverage rows that the lines of other parts of the same stretch of the journal tell, with the details that can still be
    read from the part. Each part of a stream, of whatever day, tells all of the stretch; a row may be there twice."""
    beside = {
        other.stream: other
        for other in others
        if other.instrument == line.instrument
        and other.stream in SUBSCRIBED
        and (other.first_offset, other.last_offset) == (line.first_offset, line.last_offset)
    }
    found = [row for stream in sorted(beside) for row in coverage_of(beside[stream])]
    read = [row for table in tables for row in rows_of(table, line.path)]
    details = {_without_detail(line.instrument, row): row.detail for row in read}
    rows = [replace(row, detail=details.get(row, "")) for row in found]
    first, last = line.first_ts_recv or 0, line.last_ts_recv or 0
    written = [min(max(row.ts_from if row.ts_to is None else row.ts_to, first), last) for row in rows]
    return rare_table("COVERAGE", written, rows)


def _without_detail(key: str, row: CoverageRow) -> Coverage:
    times = row.ts_from, row.ts_to
    return Coverage(key, row.covers, row.state, row.cause, *times, "", row.ids_from, row.ids_to, row.depth)


def _facts(path: Path) -> dict[str, str]:
    """What a part's own metadata says of its instrument and venue, if it can still be read."""
    try:
        facts = metadata_of(path)
    except UNREADABLE:
        return {}
    return {name: value for name, value in facts.items() if not name.startswith(("first_", "last_"))}
