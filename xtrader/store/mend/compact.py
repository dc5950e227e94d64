"""Many small parts into few large ones, beside a recorder that goes on.

The rule: a part is removed only after the same rows, in the same order, were read back from the disk under another name that
is durable and listed. Killed at any instant, every row is in force once; the next run removes what was left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from xtrader.clock import FOREVER, SECOND
from xtrader.durable import sync_directory, sync_file
from xtrader.records.schemas import SCHEMAS
from xtrader.sinks.described import UNREADABLE, first_line, metadata_of, place_of, read_groups
from xtrader.sinks.manifest import ManifestLine, collector_of, list_merged
from xtrader.sinks.parts import PartWriter
from xtrader.sinks.unfinished import Unfinished
from xtrader.sinks.uploaded import progress_of
from xtrader.store.mend.clear_unfinished import WRITER, remove_unfinished
from xtrader.store.prove.digest import RowDigest
from xtrader.store.prove.lock import alone
from xtrader.store.prove.verify_lists import Lists, files_below, is_running, read_lists, require_whole
from xtrader.store.prove.verify_parts import changed

HOUR: Final = 3_600 * SECOND
GROUP_ROWS: Final = 262_144
"""Row groups are filled up to about so many rows; whole groups only, so a message is never cut."""
LEVEL: Final = 3
_OWN: Final = ("compression", "schema_version", "software")


class Group(NamedTuple):
    """Parts that become one: of one collector and directory, next to each other in the order of the journal."""

    collector: str
    lines: Sequence[ManifestLine]


class Outcome(NamedTuple):
    """What was done. `problems` are sentences: groups that were left as they are, and why."""

    merged: int
    made: int
    rows: int
    bytes_before: int
    bytes_after: int
    removed: int
    """Files that an earlier, interrupted run had left."""
    problems: Sequence[str]


def compact(root: Path, every: int = HOUR, progress: Callable[[int, int], None] = lambda done, total: None) -> Outcome:
    """Merge the parts of each `every` nanoseconds of `ts_recv`, within a UTC day; `progress` is told bytes done and to do.

    Of a running recorder it takes only parts of times that are over, and never those of its last commit; of one that uploads,
    only what the object store has. What is merged here stays as it was there. Raises OSError, and
    ConfigError if the lists are damaged.
    """
    with alone(root):
        lists = read_lists(root)
        require_whole(lists)
        removed = _remove_leftovers(root, lists)
        groups = plan(root, lists, every)
        total = sum(line.bytes for group in groups for line in group.lines)
        done = merged = rows = after = 0
        problems: list[str] = []
        for group in groups:
            try:
                line = merge(root, group)
            except UNREADABLE as error:
                problems.append(f"{group.lines[0].path} and {len(group.lines) - 1} more are left as they are: {first_line(error)}")
            else:
                merged += len(group.lines)
                rows += line.rows
                after += line.bytes
            done += sum(one.bytes for one in group.lines)
            progress(done, total)
        Unfinished(root, WRITER).clear()
        return Outcome(merged, len(groups) - len(problems), rows, total, after, removed, problems)


def plan(root: Path, lists: Lists, every: int) -> list[Group]:
    """What would be merged now."""
    places: dict[tuple[str, str], list[ManifestLine]] = defaultdict(list)
    newest: dict[str, list[ManifestLine]] = defaultdict(list)
    for one in lists.parts:
        collector = collector_of(one.list)
        places[collector, one.line.path.rpartition("/")[0]].append(one.line)
        if newest[collector] and newest[collector][0].last_offset < one.line.last_offset:
            newest[collector].clear()
        if not newest[collector] or newest[collector][0].last_offset == one.line.last_offset:
            newest[collector].append(one.line)
    limits = {
        collector: min(line.first_ts_recv or 0 for line in lines) // every if is_running(root, collector) else FOREVER
        for collector, lines in newest.items()
    }
    groups = []
    for (collector, _), lines in sorted(places.items()):
        last = newest[collector][0].last_offset if limits[collector] != FOREVER else FOREVER
        uploaded = progress_of(root, collector)
        if uploaded is not None:
            last = min(last, uploaded.offset + 1)
        closed = [line for line in lines if line.last_offset < last and _window(line, every) < limits[collector]]
        closed.sort(key=lambda line: line.first_offset)
        for _, run in groupby(closed, lambda line: (_window(line, every), line.schema_version, _settings(line))):
            found = list(run)
            if len(found) > 1:
                groups.append(Group(collector, found))
    return groups


def merge(root: Path, group: Group) -> ManifestLine:
    """Make one part of a group, prove it, list it, and remove what it replaces. Raises one of UNREADABLE for parts that are not
    what was listed; all of the group stays then."""
    first, last = group.lines[0], group.lines[-1]
    for line in group.lines:
        what = changed(root, line)
        if what is not None:
            raise ValueError(f"{line.path} {what}")
    place = place_of(first.path)
    if place is None:
        raise ValueError(f"{first.path} is not the path of a part")
    facts = {name: value for name, value in metadata_of(root / last.path).items() if _is_fact(name)}
    name, temporary = f"part-{group.collector}-{first.first_offset:020d}", Unfinished(root, WRITER).new()
    part = PartWriter(root, first.stream, first.instrument, place.date, name, SCHEMAS[first.stream], facts, LEVEL, temporary)
    try:
        sources = RowDigest()
        for table in _filled(root, group.lines, sources):
            part.write(table)
        part.finish()
        sync_file(part.temporary)
        result = RowDigest()
        for table in read_groups(part.temporary, first.stream):
            result.add(table)
        if result.rows != sum(line.rows for line in group.lines) or result.value() != sources.value():
            raise ValueError("the rows read back are not those that were written")
    except BaseException:
        part.abandon()
        raise
    told = [row for line in group.lines for row in line.coverage]
    made = part.publish(first.first_offset, last.last_offset, told, [line.path for line in group.lines])
    sync_directory(root / part.directory)
    list_merged(root, group.collector, made)
    for line in group.lines:
        (root / line.path).unlink()
    sync_directory(root / part.directory)
    return made


def _filled(root: Path, lines: Sequence[ManifestLine], digest: RowDigest) -> Iterator[Any]:
    """The rows of the parts in order, in tables of GROUP_ROWS rows or a group more."""
    held: list[Any] = []
    for line in lines:
        for table in read_groups(root / line.path, line.stream):
            digest.add(table)
            held.append(table)
            if sum(one.num_rows for one in held) >= GROUP_ROWS:
                yield pa.concat_tables(held).unify_dictionaries().combine_chunks()
                held = []
    if held:
        yield pa.concat_tables(held).unify_dictionaries().combine_chunks()


def _remove_leftovers(root: Path, lists: Lists) -> int:
    """Remove what an interrupted run left: unfinished files, parts that it replaced, parts that it made and did not list."""
    unfinished = remove_unfinished(root)
    in_force = {one.line.path: one.line for one in lists.parts}
    gone = []
    for path in files_below(root):
        place = place_of(path)
        if place is not None and path not in in_force:
            directory = path.rpartition("/")[0]
            beside = [line for line in in_force.values() if line.path.rpartition("/")[0] == directory]
            if path in lists.replaced:
                holders = [line for line in beside if line.first_offset <= place.first and place.last <= line.last_offset]
                is_safe = any(changed(root, line) is None for line in holders)
            else:
                inside = [line for line in beside if place.holds(line.first_offset, line.last_offset)]
                is_safe = len(inside) > 1 and all((root / line.path).exists() for line in inside)
            if is_safe:
                gone.append(path)
    for path in gone:
        (root / path).unlink()
    for emptied in {(root / path).parent for path in gone}:
        sync_directory(emptied)
    return unfinished + len(gone)


def _window(line: ManifestLine, every: int) -> int:
    return (line.first_ts_recv or 0) // every


def _settings(line: ManifestLine) -> list[tuple[str, str]]:
    return sorted(item for item in line.settings.items() if _is_fact(item[0]))


def _is_fact(name: str) -> bool:
    return name not in _OWN and not name.startswith(("first_", "last_"))
