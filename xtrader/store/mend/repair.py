"""What can be saved of a damaged recording: lists made again from the files, broken parts set aside and replaced by what is whole.

The rule: nothing is thrown away, and nothing is passed off as proven: what is broken is kept in `_damaged/`, and the time of every
part that is not as it was written becomes a gap of cause `storage`.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from xtrader.durable import free_path, make_directory, replace_file, sync_directory
from xtrader.errors import ConfigError
from xtrader.model.streams import SUBSCRIBED
from xtrader.sinks.described import UNREADABLE, describe, first_line, misled, place_of, read_groups
from xtrader.sinks.manifest import COMPACTED, DIRECTORY, ManifestLine, collector_of, list_files, list_merged, sealed
from xtrader.sinks.mending import ASIDE as ASIDE
from xtrader.sinks.unfinished import Unfinished
from xtrader.store.mend.clear_unfinished import WRITER, remove_unfinished
from xtrader.store.mend.salvage import gap_table, rescue, rewritten
from xtrader.store.prove.lock import alone
from xtrader.store.prove.verify_lists import ListedPart, files_below, is_running, read_list, read_lists
from xtrader.store.prove.verify_parts import changed

PATIENCE: Final = 3.0
"""Seconds that the processes of a killed recorder may take to end."""
COVERAGE: Final = "COVERAGE"


class Repaired(NamedTuple):
    """Sentences: what was done, and what is lost."""

    done: Sequence[str]
    lost: Sequence[str]


class Loss(NamedTuple):
    """A loss that coverage must tell: a part's place and its time, int ns."""

    collector: str
    line: ManifestLine
    ts_from: int
    ts_to: int


def repair(root: Path) -> Repaired:
    """Repair a recording that no recorder writes to. A second run finds nothing to do. Raises OSError, ConfigError."""
    with alone(root):
        collectors = {collector_of(path.name) for path in list_files(root)}
        for collector in sorted(collectors):
            if not _stopped(root, collector):
                raise ConfigError(f"a recorder of collector '{collector}' writes to {root}: stop it first")
        done: list[str] = []
        lost: list[str] = []
        if count := remove_unfinished(root):
            done.append(f"files that were never finished: {count} removed")
        _set_foreign_aside(root, done)
        _rebuild_lists(root, done, lost)
        gaps = _replace_broken(root, done, lost)
        _tell_gaps(root, gaps)
        Unfinished(root, WRITER).clear()
        return Repaired(done, lost)


def _stopped(root: Path, collector: str) -> bool:
    """Whether nobody writes this collector's parts; one that was killed a moment ago has a little time to go."""
    deadline = time.monotonic() + PATIENCE
    while is_running(root, collector):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _set_foreign_aside(root: Path, done: list[str]) -> None:
    for path in files_below(root):
        is_foreign = place_of(path) is None and not path.rpartition("/")[2].startswith(".")
        if is_foreign or misled(root, path) is not None:
            _set_aside(root, path)
            done.append(f"{path} is no part of the recording: it is in {ASIDE} now")


def _rebuild_lists(root: Path, done: list[str], lost: list[str]) -> None:
    """Write lists that are damaged or incomplete again: lines whose seal or file proves them, and the files that have none."""
    kept: dict[str, list[ManifestLine]] = {}
    damaged: set[str] = set()
    read = {path.relative_to(root).as_posix(): read_list(root, path) for path in list_files(root)}
    replaced = {path for listed, _ in read.values() for one in listed for path in one.line.replaces}
    for name, (listed, findings) in read.items():
        if findings:
            damaged.add(name)
        believed = (_believed(root, one, replaced, lost) for one in listed)
        kept[name] = [line for line in believed if line is not None]
    damaged |= {finding.file for finding in read_lists(root).findings}
    known = {path for lines in kept.values() for line in lines for path in (line.path, *line.replaces)}
    for file in files_below(root):
        place = place_of(file)
        if place is None or file in known:
            continue
        beside = (line for lines in kept.values() for line in lines if line.path.rpartition("/")[0] == file.rpartition("/")[0])
        inside = [line.path for line in beside if place.holds(line.first_offset, line.last_offset)]
        is_made_of_them = len(inside) >= (1 if place.is_cut else 2)
        if is_made_of_them and all((root / path).exists() for path in inside):
            continue  # Left by a `compact` that was interrupted: the next one removes it.
        replaces = tuple(inside) if is_made_of_them else ()
        name = f"{DIRECTORY}/{place.collector}{COMPACTED if replaces else '.jsonl'}"
        damaged.add(name)
        try:
            kept.setdefault(name, []).append(describe(root, file, replaces=replaces))
        except UNREADABLE as error:
            _set_aside(root, file)
            lost.append(f"{file} was in no list and cannot be read ({first_line(error)}): it is in {ASIDE} now")
    for name in sorted(damaged):
        _write_list(root, name, kept.get(name, []))
        done.append(f"{name} was made again: {len(kept.get(name, []))} parts")


def _believed(root: Path, one: ListedPart, replaced: set[str], lost: list[str]) -> ManifestLine | None:
    """A line that its seal proves, or that is made again from its file; None if there is neither."""
    if one.is_proven or one.line.path in replaced:
        return one.line
    if not (root / one.line.path).exists():
        lost.append(f"{one.line.path} is not there, and its line in {one.list} is damaged too")
        return None
    try:
        return describe(root, one.line.path, one.line.coverage, one.line.replaces)
    except UNREADABLE:
        return None


def _write_list(root: Path, name: str, lines: Iterable[ManifestLine]) -> None:
    path = root / name
    if path.is_file() and not path.is_symlink():
        _keep_copy(root, path)
    elif os.path.lexists(path):
        _set_aside(root, name)
    unique = {line.path: line for line in lines}
    make_directory(path.parent)
    replace_file(path, sealed(sorted(unique.values(), key=lambda line: (line.last_offset, line.path))))


def _replace_broken(root: Path, done: list[str], lost: list[str]) -> list[Loss]:
    """Replace every part that is not what was listed by one with the rows that can still be believed."""
    parts = read_lists(root).parts
    broken = [one for one in parts if changed(root, one.line) is not None]
    bad = {one.line.path for one in broken}
    gaps = []
    for one in broken:
        line, collector = one.line, collector_of(one.list)
        was_there = (root / line.path).exists()
        tables = rescue(root, line, [other.line for other in parts])
        made = rewritten(root, line, collector, tables, [line.path])
        list_merged(root, collector, made)
        if was_there:
            _set_aside(root, line.path)
        what = f"{line.path} {'is broken and in ' + ASIDE + ' now' if was_there else 'is not there'}"
        done.append(f"{what}: {made.rows:,} of {line.rows:,} rows are in {made.path.rpartition('/')[2]}")
        if made.rows < line.rows:
            lost.append(f"{line.rows - made.rows:,} rows of {line.stream}:{line.instrument} that were in {line.path}")
        is_told = line.stream == COVERAGE and made.rows == line.rows
        if line.first_ts_recv is not None and line.stream != "INSTRUMENTS" and not is_told:
            later = [other.line for other in parts if other.line.path not in bad and _follows(other, one)]
            end = _next_snapshot(root, later) if line.stream == "L2" else None
            gaps.append(Loss(collector, line, line.first_ts_recv, max(end or 0, line.last_ts_recv or 0)))
    return gaps


def _follows(other: ListedPart, one: ListedPart) -> bool:
    places = [(each.line.stream, each.line.instrument, collector_of(each.list)) for each in (one, other)]
    return places[0] == places[1] and other.line.first_offset >= one.line.last_offset


def _next_snapshot(root: Path, lines: Iterable[ManifestLine]) -> int | None:
    """When the book was known again: the first snapshot's time, else the last time that there is."""
    last = None
    for line in sorted(lines, key=lambda line: (line.first_offset, line.path)):
        for table in read_groups(root / line.path, line.stream):
            found = table.filter(table["is_snapshot"])["ts_recv"]
            if len(found):
                return int(found[0].value)
        last = line.last_ts_recv
    return last


def _tell_gaps(root: Path, gaps: Sequence[Loss]) -> None:
    """Write the gap rows: into the coverage part of the same stretch of the journal, which is replaced, or into one of its own."""
    parts = read_lists(root).parts
    hosts = {one.line.path: one.line for one in parts}
    groups: dict[tuple[str, str, str], list[Loss]] = defaultdict(list)
    for gap in gaps:
        host = next((one.line.path for one in parts if _hosts(one, gap)), "")
        groups[gap.collector, host, "" if host else gap.line.path].append(gap)
    for (collector, path, _), found in groups.items():
        old = hosts.get(path)
        rows = [(covers, gap.ts_from, gap.ts_to, gap.line.path) for gap in found for covers in _covered(gap.line)]
        held = [] if old is None else list(read_groups(root / path, COVERAGE))
        replaces = [] if old is None else [path]
        model = old or _place_of_coverage(found[0].line)
        list_merged(root, collector, rewritten(root, model, collector, [*held, gap_table(rows)], replaces))
        if old is not None:
            (root / path).unlink()


def _covered(line: ManifestLine) -> Sequence[str]:
    """The streams of which a lost part says something."""
    return SUBSCRIBED if line.stream == COVERAGE else (line.stream,)


def _place_of_coverage(line: ManifestLine) -> ManifestLine:
    """A line that stands where the coverage of another one's stretch would."""
    path = line.path.replace(f"stream={line.stream}/", f"stream={COVERAGE}/", 1)
    found: ManifestLine = msgspec.structs.replace(line, stream=COVERAGE, path=path, coverage=(), replaces=())
    return found


def _hosts(one: ListedPart, gap: Loss) -> bool:
    line = one.line
    same = (line.stream, line.instrument, collector_of(one.list)) == (COVERAGE, gap.line.instrument, gap.collector)
    overlaps = line.first_offset < gap.line.last_offset and gap.line.first_offset < line.last_offset
    return same and overlaps and _date(line) == _date(gap.line)


def _date(line: ManifestLine) -> str:
    place = place_of(line.path)
    return "" if place is None else place.date


def _set_aside(root: Path, path: str) -> None:
    """Move a file below ASIDE, under its own path."""
    target = free_path(root / ASIDE / path)
    make_directory(target.parent)
    os.rename(root / path, target)
    sync_directory(target.parent)
    sync_directory((root / path).parent)


def _keep_copy(root: Path, path: Path) -> None:
    target = free_path(root / ASIDE / path.relative_to(root))
    make_directory(target.parent)
    replace_file(target, path.read_bytes())
