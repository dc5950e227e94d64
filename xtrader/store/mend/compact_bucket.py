"""Many small parts of an object store into few large ones: fetched, merged and proven here, put there, and listed.

The rule: as in a directory, a part is removed only after another one that holds its rows is there and listed. A list grows by
numbered objects that are only put where none is, so of two that merge at the same time one stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from xtrader.errors import ConfigError
from xtrader.sinks.bucket import ObjectInTheWay
from xtrader.sinks.described import UNREADABLE, first_line, place_of
from xtrader.sinks.manifest import COMPACTED, DIRECTORY, ManifestLine
from xtrader.store.mend.compact import HOUR, Group, Outcome, merge, plan
from xtrader.store.prove.recording_files import AT_ONCE, UPLOAD_SECONDS, BucketFiles
from xtrader.store.prove.verify_lists import Lists, require_whole

RESTS: Final = 24 * HOUR
"""So long ago a time must be over before its parts are merged: uploads may be late."""
MOST_BYTES: Final = 1 << 30
"""Parts are merged as long as they have no more together: a part is put in one piece, out of memory."""


def compact_bucket(
    files: BucketFiles, every: int = HOUR, progress: Callable[[int, int], None] = lambda done, total: None, now: int | None = None
) -> Outcome:
    """Merge the parts of each `every` nanoseconds of `ts_recv`, of times that were over RESTS before `now` (int ns); `progress` is
    told bytes done and to do. Raises SinkRetry if the store does not answer, ConfigError if the lists are damaged or somebody else
    merges too."""
    names = set(files.names())
    lists = files.read_lists()
    require_whole(lists)
    removed = _remove_leftovers(files, lists, names)
    until = (time.time_ns() if now is None else now) - RESTS
    over = [one for one in lists.parts if ((one.line.first_ts_recv or 0) // every + 1) * every <= until]
    groups = [piece for group in plan(files.root, lists._replace(parts=over), every) for piece in _cut(group)]
    total = sum(line.bytes for group in groups for line in group.lines)
    numbers: dict[str, int] = {}
    done = merged = made = rows = after = 0
    problems: list[str] = []
    for group in groups:
        try:
            line = _merge(files, group, numbers)
        except UNREADABLE as error:
            problems.append(f"{group.lines[0].path} and {len(group.lines) - 1} more are left as they are: {first_line(error)}")
        else:
            merged, made, rows, after = merged + len(group.lines), made + 1, rows + line.rows, after + line.bytes
        done += sum(one.bytes for one in group.lines)
        progress(done, total)
    return Outcome(merged, made, rows, total, after, removed, problems)


def _merge(files: BucketFiles, group: Group, numbers: dict[str, int]) -> ManifestLine:
    """Merge one group, and put what was made of it. `numbers` counts the objects that were added to each list."""
    name = f"{DIRECTORY}/{group.collector}{COMPACTED}"
    paths = [line.path for line in group.lines]
    with files.here(*paths):
        line = merge(files.root, group)
    made = files.root / line.path
    try:
        files.bucket.put(line.path, made.read_bytes())
        text = (files.root / name).read_bytes().splitlines(keepends=True)[-1]
        number = files.pieces(name) + numbers.get(name, 0)
        try:
            files.bucket.put(f"{name.removesuffix('.jsonl')}/{number:020d}.jsonl", text)
        except ObjectInTheWay:
            raise ConfigError(f"somebody else merges parts of {files.name} too: run this again when they have done") from None
        numbers[name] = numbers.get(name, 0) + 1
        if not files.bucket.holds(line.path, line.bytes, line.sha256):
            raise ConfigError(f"{files.name}/{line.path} was put, listed, and is not there: what it was made of stays")
    finally:
        made.unlink()
    _remove(files, paths)
    return line


def _remove(files: BucketFiles, paths: Sequence[str]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(files.bucket.remove, paths))


def _cut(group: Group) -> Iterator[Group]:
    """A group in pieces of at most MOST_BYTES."""
    run: list[ManifestLine] = []
    for line in group.lines:
        if run and sum(one.bytes for one in run) + line.bytes > MOST_BYTES:
            if len(run) > 1:
                yield Group(group.collector, run)
            run = []
        run.append(line)
    if len(run) > 1:
        yield Group(group.collector, run)


def _remove_leftovers(files: BucketFiles, lists: Lists, names: set[str]) -> int:
    """Remove what an interrupted run left: parts that it replaced, and parts that it made and did not list."""
    in_force = {one.line.path: one.line for one in lists.parts}
    gone = []
    for path in sorted(names - set(in_force) - lists.pruned):
        place = place_of(path)
        if place is None:
            continue
        beside = [line for line in in_force.values() if line.path.rpartition("/")[0] == path.rpartition("/")[0]]
        if path in lists.replaced:
            is_safe = any(
                line.path in names and line.first_offset <= place.first <= place.last <= line.last_offset for line in beside
            )
        else:
            inside = [line for line in beside if place.holds(line.first_offset, line.last_offset)]
            is_safe = len(inside) > 1 and all(line.path in names for line in inside) and files.age(path) >= UPLOAD_SECONDS
        if is_safe:
            gone.append(path)
    _remove(files, gone)
    return len(gone)
