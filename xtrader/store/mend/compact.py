"""Many small parts into few large ones, and of rows that several collectors have one each, beside a recorder that goes on.

The rule: a part is removed only after its rows, in the same order, were read back from the disk under another name that is durable
and listed; all but those that another collector has. Killed at any instant, every row is in force once; the next run removes what
was left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from xtrader.clock import FOREVER, SECOND
from xtrader.durable import sync_directory
from xtrader.model.streams import SUBSCRIBED
from xtrader.sinks.described import UNREADABLE, first_line, place_of, read_groups
from xtrader.sinks.manifest import ManifestLine, collector_of
from xtrader.sinks.unfinished import Unfinished
from xtrader.sinks.uploaded import progress_of
from xtrader.store.mend.clear_unfinished import WRITER, remove_unfinished
from xtrader.store.mend.overlaps import LeftOut, Parts, book_cuts, row_cuts
from xtrader.store.mend.replace_parts import is_fact, replace_parts, require_unchanged
from xtrader.store.prove.lock import alone
from xtrader.store.prove.verify_lists import Lists, files_below, is_running, read_lists, require_whole
from xtrader.store.prove.verify_parts import changed
from xtrader.store.read.part_list import PartList
from xtrader.store.read.view import View

HOUR: Final = 3_600 * SECOND


class Group(NamedTuple):
    """Parts that become one: of one collector and directory, next to each other in the order of the journal."""

    collector: str
    lines: Sequence[ManifestLine]


class MergedGroup(NamedTuple):
    """A group that became one part: of how many parts and bytes, and the rows and bytes that it has."""

    merged: int
    rows: int
    bytes_before: int
    bytes_after: int


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
    repeated: int = 0
    """Rows that were left out, as another collector has the same ones."""


def compact(root: Path, every: int = HOUR, progress: Callable[[int, int], None] = lambda done, total: None) -> Outcome:
    """Merge the parts of each `every` nanoseconds of `ts_recv`, within a UTC day; then leave out what several collectors have,
    but for one of them. `progress` is told bytes done and to do.

    Of a running recorder it takes only parts of times that are over, and never those of its last commit; of one that uploads,
    only what the object store has. What is merged here stays as it was there. Raises OSError, and
    ConfigError if the lists are damaged.
    """
    with alone(root):
        lists = read_lists(root)
        require_whole(lists)
        removed = _remove_leftovers(root, lists)
        problems: list[str] = []
        made = merge_all(root, plan(root, lists, every), problems, progress)
        repeated = leave_out(root, every, problems)
        if repeated:
            # Little may be left of some parts.
            made += merge_all(root, plan(root, read_lists(root), every), problems, lambda done, total: None)
        Unfinished(root, WRITER).clear()
        merged, rows, before, after = (sum(one[place] for one in made) for place in range(4))
        return Outcome(merged, len(made), rows, before, after, removed, problems, repeated)


def merge_all(root: Path, groups: Sequence[Group], problems: list[str], progress: Callable[[int, int], None]) -> list[MergedGroup]:
    """Merge each of the groups that can be; of the others `problems` says why not."""
    found = []
    sizes = [sum(line.bytes for line in group.lines) for group in groups]
    for number, (group, size) in enumerate(zip(groups, sizes, strict=True), 1):
        try:
            line = merge(root, group)
        except UNREADABLE as error:
            problems.append(f"{group.lines[0].path} and {len(group.lines) - 1} more are left as they are: {first_line(error)}")
        else:
            found.append(MergedGroup(len(group.lines), line.rows, size, line.bytes))
        progress(sum(sizes[:number]), sum(sizes))
    return found


def plan(root: Path, lists: Lists, every: int) -> list[Group]:
    """What would be merged now."""
    groups = []
    for (collector, _), lines in sorted(closed_parts(root, lists, every).items()):
        for _, run in groupby(lines, lambda line: (_window(line, every), line.schema_version, _settings(line))):
            found = list(run)
            if len(found) > 1:
                groups.append(Group(collector, found))
    return groups


def closed_parts(root: Path, lists: Lists, every: int) -> dict[tuple[str, str], list[ManifestLine]]:
    """(collector, directory) -> its parts that no recorder may need as they are, in the order of the journal."""
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
    found = {}
    for (collector, directory), lines in places.items():
        last = newest[collector][0].last_offset if limits[collector] != FOREVER else FOREVER
        uploaded = progress_of(root, collector)
        if uploaded is not None:
            last = min(last, uploaded.offset + 1)
        closed = [line for line in lines if line.last_offset < last and _window(line, every) < limits[collector]]
        found[collector, directory] = sorted(closed, key=lambda line: line.first_offset)
    return found


def merge(root: Path, group: Group) -> ManifestLine:
    """Make one part of a group, prove it, list it, and remove what it replaces. Raises one of UNREADABLE for parts that are not
    what was listed; all of the group stays then."""
    require_unchanged(root, group.lines)
    tables = (table for line in group.lines for table in read_groups(root / line.path, line.stream))
    return replace_parts(root, group.collector, group.lines, tables)


def leave_out(root: Path, every: int, problems: list[str]) -> int:
    """Leave rows out of parts that may be changed, of which another collector has the same ones; how many rows. What cannot be read
    is told in `problems`."""
    lists = read_lists(root)
    subjects: dict[tuple[str, str], dict[str, list[ManifestLine]]] = defaultdict(lambda: defaultdict(list))
    for one in lists.parts:
        if one.line.stream in SUBSCRIBED:
            subjects[one.line.stream, one.line.instrument][collector_of(one.list)].append(one.line)
    several = {subject: lines for subject, lines in subjects.items() if len(lines) > 1}
    if not several:
        return 0
    closed = {line.path for lines in closed_parts(root, lists, every).values() for line in lines}
    part_list = PartList(root)
    count = 0
    for (stream, key), lines in sorted(several.items()):
        in_order = {name: sorted(own, key=lambda line: (line.first_offset, line.path)) for name, own in lines.items()}
        known: dict[str, bool] = {}
        parts = Parts(in_order, closed, partial(_is_whole, root, known), partial(_read, root))
        if not parts.is_one_environment:
            continue
        try:
            view = View([part_list], (stream,), lambda _, key=key: (key,), live_end=False)  # type: ignore[misc]
            cuts = book_cuts(view, key, parts) if stream == "L2" else list(row_cuts(view, stream, key, parts))
            count += sum(cut_part(root, cut) for cut in cuts)
        except UNREADABLE as error:
            problems.append(f"{stream}:{key} is left as its collectors recorded it: {first_line(error)}")
    return count


def cut_part(root: Path, cut: LeftOut) -> int:
    """Leave rows out of a part; how many. Raises one of UNREADABLE."""
    place = place_of(cut.line.path)
    if place is None:
        raise ValueError(f"{cut.line.path} is not the path of a part")
    require_unchanged(root, [cut.line])
    replace_parts(root, place.collector, [cut.line], cut.apply(_read(root, cut.line)), cut.spans)
    return cut.rows


def _read(root: Path, line: ManifestLine) -> Iterator[Any]:
    return read_groups(root / line.path, line.stream)


def _is_whole(root: Path, known: dict[str, bool], line: ManifestLine) -> bool:
    """Whether a part is what was listed; asked once."""
    if line.path not in known:
        known[line.path] = changed(root, line) is None
    return known[line.path]


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
                is_safe = len(inside) > (0 if place.is_cut else 1) and all((root / line.path).exists() for line in inside)
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
    return sorted(item for item in line.settings.items() if is_fact(item[0]))
