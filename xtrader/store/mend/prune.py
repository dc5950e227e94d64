"""The oldest parts of a recording taken away, once they are proven, and are in the object store if they go to one.

The rule: what cannot be proven stays, and everything after it; that something was taken away is durable before anything is. Killed
at any instant, the next run removes what was left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xtrader.durable import sync_directory
from xtrader.errors import ConfigError
from xtrader.model.streams import RARE
from xtrader.sinks.bounds import Bounds, names_of
from xtrader.sinks.manifest import ManifestLine, collector_of
from xtrader.sinks.uploaded import UploadProgress, progress_of
from xtrader.store.prove.parallel import each
from xtrader.store.prove.recording_files import AT_ONCE, BucketFiles, RecordingFiles
from xtrader.store.prove.verify import check, cut
from xtrader.store.prove.verify_lists import ListedPart, Lists, require_whole
from xtrader.store.read.times import stamp
from xtrader.venues.base import Rules


class Keeps(NamedTuple):
    """Why a part stays, and with it everything later."""

    line: ManifestLine
    why: str


class Plan(NamedTuple):
    """What would be, or was, taken away: all parts of which the last row is older than `before` (int ns). `left` are files that an
    interrupted run had taken out and not removed. `keeps` says what stays though it is old enough, the oldest first."""

    before: int
    lines: Sequence[ManifestLine]
    left: Sequence[str]
    keeps: Sequence[Keeps]

    @property
    def bytes(self) -> int:
        return sum(line.bytes for line in self.lines)


def plan(
    files: RecordingFiles,
    before: int,
    rules: Callable[[str], Rules | None],
    *,
    uploaded: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Prove what is older than `before` (int ns), and say what of it can go. With `uploaded`, only what is in an object store; of a
    collector that uploads that holds in any case. Raises ConfigError if the lists are damaged, SinkRetry if a store does not
    answer, OSError."""
    lists = files.read_lists()
    require_whole(lists)
    old = [one for one in lists.parts if one.line.stream not in RARE and (one.line.last_ts_recv or 0) < before]
    keeps = [*_not_proven(files, lists, old, rules, workers, progress)]
    if not isinstance(files, BucketFiles):
        keeps += _not_uploaded(files.root, old, uploaded)
    keeps.sort(key=lambda one: one.line.last_ts_recv or 0)
    if keeps:
        before = min(before, keeps[0].line.last_ts_recv or 0)
    going = [one.line for one in old if (one.line.last_ts_recv or 0) < before]
    return Plan(before, going, _left(files, lists), keeps)


def prune(files: RecordingFiles, found: Plan, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Take away what a plan says. Raises OSError, SinkRetry."""
    if not found.lines and not found.left:
        return
    with files.alone():
        if found.lines:
            _state(files, Bounds(begins=found.before))
        paths = [*found.left, *(line.path for line in found.lines)]
        sizes = {line.path: line.bytes for line in found.lines}
        done = 0
        for path in _removed(files, paths):
            done += sizes.get(path, 0)
            progress(done, found.bytes)


def _state(files: RecordingFiles, bounds: Bounds) -> None:
    for name in names_of(bounds):
        if isinstance(files, BucketFiles):
            files.bucket.put(name, b"")
        else:
            (files.root / name).touch()
            sync_directory((files.root / name).parent)


def _removed(files: RecordingFiles, paths: Sequence[str]) -> Iterator[str]:
    """Remove files, and the directories that become empty; each path when it is gone."""
    if isinstance(files, BucketFiles):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for path, _ in zip(paths, pool.map(files.bucket.remove, paths), strict=True):
                yield path
        return
    for path in paths:
        (files.root / path).unlink(missing_ok=True)
        yield path
    for directory in sorted({(files.root / path).parent for path in paths}):
        _remove_upwards(directory, files.root)


def _remove_upwards(directory: Path, root: Path) -> None:
    while directory != root:
        try:
            directory.rmdir()
        except OSError:
            sync_directory(directory)
            return
        directory = directory.parent


def _left(files: RecordingFiles, lists: Lists) -> list[str]:
    """Files that were taken out of force by an earlier run and are there still."""
    return [name for name in files.names() if name in lists.pruned]


def _not_proven(
    files: RecordingFiles,
    lists: Lists,
    old: Sequence[ListedPart],
    rules: Callable[[str], Rules | None],
    workers: int,
    progress: Callable[[int, int], None],
) -> Iterator[Keeps]:
    """The first part of each subscription in which something is damaged."""
    lines = {one.line.path: one.line for one in old}
    told = [one for one in lists.parts if one.line.stream in RARE]
    units = [unit for unit in cut([*old, *told], rules) if unit.stream not in RARE]
    total = sum(unit.bytes for unit in units)
    done = 0
    for unit, verified in each(partial(check, files), units, workers):
        damage = [one for one in verified.findings if one.level == "damage"]
        broken = [lines[one.file] for one in damage if one.file in lines] or [one.line for one in unit.parts if damage]
        for line in sorted(broken, key=lambda line: line.last_ts_recv or 0)[:1]:
            yield Keeps(line, f"is not proven: {damage[0].what}")
        done += unit.bytes
        progress(done, total)


def _not_uploaded(root: Path, old: Sequence[ListedPart], uploaded: bool) -> Iterator[Keeps]:
    """The parts that an object store should have and does not."""
    from xtrader.sinks.bucket import Bucket

    known: dict[str, UploadProgress | None] = {}
    sizes: dict[str, Mapping[str, int]] = {}
    for one in old:
        collector, line = collector_of(one.list), one.line
        if collector not in known:
            known[collector] = progress_of(root, collector)
        told = known[collector]
        if told is None:
            if uploaded:
                yield Keeps(line, f"is not uploaded: nothing that collector '{collector}' recorded here is")
        elif line.last_offset > told.offset:
            yield Keeps(line, f"is not uploaded to {told.url} yet")
        else:
            if told.url not in sizes:
                sizes[told.url] = {each.path: each.size for each in Bucket(told.url).objects()}
            if not _is_held(line, sizes[told.url]):
                yield Keeps(line, f"is not in {told.url}, though it was uploaded")


def _is_held(line: ManifestLine, sizes: Mapping[str, int]) -> bool:
    """Whether a store has a part, or all those that it was merged from."""
    if sizes.get(line.path) == line.bytes:
        return True
    return bool(line.replaces) and all(path in sizes for path in line.replaces)


def require_old_enough(before: int, now: int, least: int) -> None:
    """Raises ConfigError for a time that a recorder may still be at work on: later than `least` nanoseconds ago."""
    if before > now - least:
        raise ConfigError(f"--older-than leaves nothing untouched after {stamp(before)}: give at least 1h")
