"""A recording, or a range of it, brought from an object store into a directory, and proven to be what the store's lists say.

The rule: a file is there whole or not at all, and is listed when all are there; what is there already is not fetched again, so a
run that was interrupted goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from xtrader.clock import FOREVER
from xtrader.durable import make_directory, replace_file, sync_directory, sync_file
from xtrader.errors import ConfigError, StorageError
from xtrader.model.streams import RARE
from xtrader.sinks.bounds import Bounds, bounds_below, names_of
from xtrader.sinks.manifest import DIRECTORY, ManifestLine, sealed
from xtrader.store.prove.recording_files import AT_ONCE, BucketFiles
from xtrader.store.prove.verify_lists import ListedPart, require_whole
from xtrader.store.prove.verify_parts import changed

ORIGIN: Final = f"{DIRECTORY}/.origin"
"""Names the store that a directory is brought from."""
MARGIN: Final = 64 << 20
"""Bytes that stay free on the disk."""


class Brought(NamedTuple):
    """What was done: parts and bytes fetched, parts that were there already, and parts removed because the store merged them."""

    fetched: int
    bytes: int
    there: int
    removed: int


def sync(
    files: BucketFiles, target: Path, wanted: Bounds, progress: Callable[[int, int], None] = lambda done, total: None
) -> Brought:
    """Bring the parts that have any row of the range `wanted` into `target`, with all coverage and instruments.

    `progress` is told bytes done and to do. Raises ConfigError for a directory that holds another recording, or another range of
    this one, and where there is no room; SinkRetry if the store does not answer; StorageError for a part that did not come as its
    list says.
    """
    lists = files.read_lists()
    require_whole(lists)
    limits = Bounds(max(wanted.begins, files.bounds.begins), min(wanted.ends, files.bounds.ends))
    _require_ours(target, files.name, limits)
    parts = [one for one in lists.parts if _is_wanted(one.line, limits)]
    if not any(one.line.stream not in RARE for one in parts):
        raise ConfigError(f"'{files.name}' holds nothing of this time{_span(lists.parts)}")
    missing = [one.line for one in parts if not _is_there(target, one.line)]
    total = sum(line.bytes for line in missing)
    _require_room(target, total)
    make_directory(target / DIRECTORY)
    replace_file(target / ORIGIN, files.name.encode())
    for name in names_of(limits):
        (target / name).touch()
    done = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in pool.map(lambda line: _fetch(files, target, line), missing):
            done += line.bytes
            progress(done, total)
    for directory in {(target / line.path).parent for line in missing}:
        sync_directory(directory)
    removed = _list(target, parts)
    return Brought(len(missing), total, len(parts) - len(missing), removed)


def _is_wanted(line: ManifestLine, limits: Bounds) -> bool:
    is_early_enough = line.first_ts_recv is None or line.first_ts_recv < limits.ends
    return is_early_enough and limits.keep(line.stream, line.last_ts_recv)


def _is_there(target: Path, line: ManifestLine) -> bool:
    """Whether a part is there, byte for byte."""
    return (target / line.path).exists() and changed(target, line) is None


def _fetch(files: BucketFiles, target: Path, line: ManifestLine) -> ManifestLine:
    path = target / line.path
    make_directory(path.parent)
    if not files.bucket.fetch(line.path, path):
        raise StorageError(f"{files.name}/{line.path}", "it is listed and missing: see `xtrader verify`")
    wrong = changed(target, line)
    if wrong is not None:
        path.unlink()
        raise StorageError(f"{files.name}/{line.path}", f"it {wrong}: see `xtrader verify`")
    sync_file(path)
    return line


def _list(target: Path, parts: Sequence[ListedPart]) -> int:
    """Write the lists anew, and remove the parts that are on none of them; how many."""
    by_list: dict[str, list[ManifestLine]] = defaultdict(list)
    for one in parts:
        by_list[one.list].append(one.line)
    for name, lines in by_list.items():
        replace_file(target / name, sealed(lines))
    for path in (target / DIRECTORY).glob("*.jsonl"):
        if f"{DIRECTORY}/{path.name}" not in by_list:
            path.unlink()
    known = {one.line.path for one in parts}
    gone = [path for path in target.glob("stream=*/*/*/*/part-*.parquet") if path.relative_to(target).as_posix() not in known]
    for path in gone:
        path.unlink()
    for directory in {path.parent for path in gone} | {target / DIRECTORY}:
        sync_directory(directory)
    return len(gone)


def _require_ours(target: Path, url: str, limits: Bounds) -> None:
    origin = target / ORIGIN
    if not origin.is_file():
        if target.is_dir() and any(target.iterdir()):
            raise ConfigError(f"'{target}' is not empty, and nothing in it was brought from {url}: give an empty directory")
        return
    found = origin.read_text()
    if found != url:
        raise ConfigError(f"'{target}' holds what was brought from {found}, not from {url}: give another directory")
    if bounds_below(target) != limits:
        raise ConfigError(f"'{target}' holds another range of {url}: give another directory, or the same --from and --to")


def _require_room(target: Path, needed: int) -> None:
    above = next(path for path in (target.absolute(), *target.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(above).free
    if needed + MARGIN > free:
        raise ConfigError(f"'{target}' has room for {free / 1e6:,.0f} MB, and {needed / 1e6:,.0f} MB are to be brought")


def _span(parts: Sequence[ListedPart]) -> str:
    from xtrader.store.read.times import stamp

    first = min((one.line.first_ts_recv or FOREVER for one in parts), default=FOREVER)
    last = max((one.line.last_ts_recv or 0 for one in parts), default=0)
    return f"; it is from {stamp(first)} to {stamp(last)}" if last else ""
