"""Parts that take the place of others: written, read back, named, listed, and only then are the others removed.

The rule: each step is durable before the next, so that killed at any instant every row is in force once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from xtrader.durable import sync_directory, sync_file
from xtrader.records.schemas import SCHEMAS
from xtrader.sinks.described import CUT, metadata_of, place_of, read_groups
from xtrader.sinks.manifest import ELSEWHERE, ManifestLine, elsewhere_of, elsewhere_text, list_merged
from xtrader.sinks.parts import PartWriter
from xtrader.sinks.unfinished import Unfinished
from xtrader.store.mend.clear_unfinished import WRITER
from xtrader.store.prove.digest import RowDigest
from xtrader.store.prove.verify_parts import changed

GROUP_ROWS: Final = 262_144
"""Row groups are filled up to about so many rows; whole groups only, so a message is never cut."""
LEVEL: Final = 3
_OWN: Final = ("compression", "schema_version", "software", ELSEWHERE)


def require_unchanged(root: Path, lines: Sequence[ManifestLine]) -> None:
    """Raise ValueError if a part is not what was listed."""
    for line in lines:
        what = changed(root, line)
        if what is not None:
            raise ValueError(f"{line.path} {what}")


def replace_parts(
    root: Path,
    collector: str,
    lines: Sequence[ManifestLine],
    tables: Iterator[Any],
    spans: Sequence[tuple[int, int]] = (),
) -> ManifestLine:
    """Make one part of `tables` that takes the place of `lines`, parts of one directory in the order of the journal. `spans` are
    times of which rows were left out, as another collector has them; a single part then gets a name of its own. Raises one of
    UNREADABLE; the parts stay then."""
    first, last = lines[0], lines[-1]
    place = place_of(first.path)
    if place is None:
        raise ValueError(f"{first.path} is not the path of a part")
    facts = {name: value for name, value in metadata_of(root / last.path).items() if is_fact(name)}
    if elsewhere := elsewhere_text([*spans, *(span for line in lines for span in elsewhere_of(line.settings))]):
        facts[ELSEWHERE] = elsewhere
    name, temporary = f"part-{collector}-{first.first_offset:020d}", Unfinished(root, WRITER).new()
    kind = _Cut if len(lines) == 1 else PartWriter
    part = kind(root, first.stream, first.instrument, place.date, name, SCHEMAS[first.stream], facts, LEVEL, temporary)
    try:
        if isinstance(part, _Cut):
            while (root / part.path(last.last_offset)).exists():
                part.number += 1
        wanted = RowDigest()
        for table in _joined(tables, wanted):
            part.write(table)
        part.finish()
        sync_file(part.temporary)
        result = RowDigest()
        for table in read_groups(part.temporary, first.stream):
            result.add(table)
        if result.value() != wanted.value():
            raise ValueError("the rows read back are not those that were written")
    except BaseException:
        part.abandon()
        raise
    told = [row for line in lines for row in line.coverage]
    made = part.publish(first.first_offset, last.last_offset, told, [line.path for line in lines])
    sync_directory(root / part.directory)
    list_merged(root, collector, made)
    for line in lines:
        (root / line.path).unlink()
    sync_directory(root / part.directory)
    return made


def is_fact(name: str) -> bool:
    """Whether metadata of this name says how a part was recorded."""
    return name not in _OWN and not name.startswith(("first_", "last_"))


class _Cut(PartWriter):
    """A part that takes the place of a single one; `number` counts those of one place."""

    number = 1

    def path(self, last: int) -> Path:
        path = super().path(last)
        return path.with_name(f"{path.stem}{CUT}{self.number if self.number > 1 else ''}.parquet")


def _joined(tables: Iterator[Any], digest: RowDigest) -> Iterator[Any]:
    """The rows in tables of GROUP_ROWS rows or a table more."""
    waiting: list[Any] = []
    for table in tables:
        digest.add(table)
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= GROUP_ROWS:
            yield pa.concat_tables(waiting).unify_dictionaries().combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).unify_dictionaries().combine_chunks()
