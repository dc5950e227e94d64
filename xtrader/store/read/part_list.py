"""Where a recording lies, and the finished parts that its manifests list.

The rule: a part counts if it is in force (see the manifest); files that no list knows are not looked at.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import fs as arrow_fs

from xtrader.clock import FOREVER
from xtrader.errors import ConfigError, DamagedFile
from xtrader.sinks.bounds import Bounds, bounds_of
from xtrader.sinks.described import first_line, misled
from xtrader.sinks.manifest import COMPACTED, DIRECTORY, ListLine, ManifestLine, collector_of, elsewhere_of, is_path, read_lines

JOURNAL = ".journal"
WORKERS = "worker-*"
READS_AT_ONCE = 16
"""Lists, or pieces of lists: an object store answers many at once as fast as one."""


class Part(NamedTuple):
    """One finished file. `ts_first` and `ts_last` bound its rows' `ts_recv` (int ns); `path` is within the place's file system.
    Parts of one collector, stream and instrument sort into the order in which their rows were written."""

    first_offset: int
    path: str
    stream: str
    key: str
    ts_first: int
    ts_last: int
    last_offset: int


class CollectorParts(NamedTuple):
    """One collector's parts in force by (stream, instrument key), in order. `ts_last` is the latest time in any of them,
    `merged_to` the journal offset below which parts were merged with others: never more than the lists hold. `elsewhere` are the
    times [from, to) of which other collectors have the rows instead."""

    parts: dict[tuple[str, str], list[Part]]
    ts_last: int
    merged_to: int
    elsewhere: dict[tuple[str, str], list[tuple[int, int]]]


class PartRows(NamedTuple):
    """Some rows of a file, `rows` from row `first` on."""

    path: str
    first: int
    rows: int


class PartList:
    """One directory: local, or on any file system that pyarrow or fsspec can reach."""

    def __init__(self, where: str | Path, filesystem: Any = None, journal: Path | None = None) -> None:
        self.filesystem, self.root, local = _located(where, filesystem)
        self.is_local = isinstance(self.filesystem, arrow_fs.LocalFileSystem)
        self.name = str(where)
        self.journal = journal if journal is not None or local is None else local / JOURNAL
        self.kept: dict[str, Any] = {}
        """Parts that were read before and are worth keeping, by path: they never change."""
        self._lock = threading.Lock()
        self._read: dict[str, tuple[tuple[int, object], list[ManifestLine]]] = {}
        self._listed: tuple[object, dict[str, CollectorParts]] = (None, {})

    def listed(self) -> dict[str, CollectorParts]:
        """Collector -> its parts, as the lists have them now. Raises OSError."""
        where = f"{self.root}/{DIRECTORY}"
        try:
            found = self.filesystem.get_file_info(arrow_fs.FileSelector(where, allow_not_found=True, recursive=True))
        except OSError as error:
            raise DamagedFile(where, f"cannot be read: {first_line(error)}") from error
        infos = [info for info in found if info.base_name.endswith(".jsonl")]
        bounds = bounds_of(info.base_name for info in found)
        if not infos and self.is_local and any(Path(self.root).glob("stream=*/*/*/*/part-*.parquet")):
            raise DamagedFile(where, "holds no list of the parts that are there: `xtrader repair` makes it again")
        # Lists of merged parts first: whatever they have merged, the other lists, read later, have had before.
        infos.sort(key=lambda info: (not self._list(info).endswith(COMPACTED), info.path))
        state = bounds, [(info.path, info.size, info.mtime_ns) for info in infos]
        with self._lock:
            if self._listed[0] != state:
                lists: dict[str, list[ManifestLine]] = {}
                with ThreadPoolExecutor(READS_AT_ONCE) as pool:
                    for info, lines in zip(infos, pool.map(self._lines, infos), strict=True):
                        lists.setdefault(self._list(info), []).extend(lines)
                self._listed = state, self._collected(lists, bounds)
            return self._listed[1]

    def _list(self, info: Any) -> str:
        """The name of the list that a file holds, or holds a piece of (see the manifest on object stores)."""
        name, _, piece = str(info.path).rpartition(f"/{DIRECTORY}/")[2].partition("/")
        return f"{name}.jsonl" if piece else name

    def merged(self, path: str) -> PartRows | None:
        """Where the rows of a part are by now; None if it was not merged with others, or not all of its rows are there. Raises
        OSError, also where rows of it are another collector's now."""
        self.listed()
        with self._lock:
            lines = {line.path: line for _, found in self._read.values() for line in found}
        holders = {replaced: line for line in lines.values() for replaced in line.replaces}
        name = path.removeprefix(f"{self.root}/")
        if name not in lines or name not in holders:
            return None
        first, rows = 0, lines[name].rows
        while name in holders:
            whole = holders[name]
            counts = [lines[one].rows if one in lines else FOREVER for one in whole.replaces]
            if sum(counts) != whole.rows:
                if elsewhere_of(whole.settings):
                    what = "was changed by `compact` while it was being read, as another collector has some of its rows: ask again"
                    raise DamagedFile(path, what)
                return None
            first += sum(counts[: whole.replaces.index(name)])
            name = whole.path
        return PartRows(f"{self.root}/{name}", first, rows)

    def _lines(self, info: Any) -> list[ManifestLine]:
        state = (info.size, info.mtime_ns)
        known = self._read.get(info.path)
        if known is None or known[0] != state:
            if info.type != arrow_fs.FileType.File:
                raise DamagedFile(info.path, "is not a file")
            try:
                with self.filesystem.open_input_stream(info.path) as file:
                    text = file.read()
            except OSError as error:
                raise DamagedFile(info.path, f"cannot be read: {first_line(error)}") from error
            lines = [_line(info.path, one) for one in read_lines(text)]
            known = self._read[info.path] = state, lines
        return known[1]

    def check(self, path: str) -> None:
        """Raises DamagedFile for a path of a part that leads out of a local recording."""
        if self.is_local:
            wrong = misled(Path(self.root), path.removeprefix(f"{self.root}/"))
            if wrong is not None:
                raise DamagedFile(path, wrong)

    def _collected(self, lists: dict[str, list[ManifestLine]], bounds: Bounds) -> dict[str, CollectorParts]:
        replaced = {path for lines in lists.values() for line in lines for path in line.replaces}
        replaced |= {line.path for lines in lists.values() for line in lines if not bounds.keep(line.stream, line.last_ts_recv)}
        parts: dict[str, dict[tuple[str, str], list[Part]]] = {}
        merged: dict[str, int] = {}
        elsewhere: dict[str, dict[tuple[str, str], list[tuple[int, int]]]] = {}
        for name, lines in lists.items():
            collector = collector_of(name)
            own = parts.setdefault(collector, {})
            for line in lines:
                if name.endswith(COMPACTED):
                    merged[collector] = max(merged.get(collector, 0), line.last_offset)
                if line.path not in replaced and (spans := elsewhere_of(line.settings)):
                    elsewhere.setdefault(collector, {}).setdefault((line.stream, line.instrument), []).extend(spans)
                if line.path not in replaced and line.first_ts_recv is not None and line.last_ts_recv is not None:
                    where, times = (line.stream, line.instrument), (line.first_ts_recv, line.last_ts_recv)
                    part = Part(line.first_offset, f"{self.root}/{line.path}", *where, *times, line.last_offset)
                    own.setdefault(where, []).append(part)
        return {
            collector: CollectorParts(
                {where: sorted(set(found)) for where, found in own.items()},
                max((part.ts_last for found in own.values() for part in found), default=0),
                merged.get(collector, 0),
                elsewhere.get(collector, {}),
            )
            for collector, own in parts.items()
        }

    def journals(self) -> list[Path]:
        """The directories that may hold a live end: one, and one for each process where several record."""
        return [] if self.journal is None else [self.journal, *sorted(self.journal.glob(WORKERS))]

    def exists(self) -> bool:
        """True if something was recorded here."""
        try:
            found = self.filesystem.get_file_info(f"{self.root}/{DIRECTORY}").type != arrow_fs.FileType.NotFound
        except OSError as error:
            raise DamagedFile(self.name, f"cannot be read: {first_line(error)}") from error
        return bool(found or (self.journal is not None and self.journal.is_dir()))


def _line(path: str, listed: ListLine) -> ManifestLine:
    """Raises DamagedFile for what is no line of a list: its part would be left out of every answer in silence."""
    line, number = listed.line, listed.number
    if line is None:
        raise DamagedFile(path, f"is damaged in line {number}: see `xtrader verify`, then `xtrader repair`")
    if not all(map(is_path, (line.path, *line.replaces))):
        raise DamagedFile(path, f"lists '{line.path}' in line {number}, which is not the path of a part")
    if line.first_offset > line.last_offset or (line.first_ts_recv or 0) > (line.last_ts_recv or 0):
        raise DamagedFile(path, f"says of '{line.path}' in line {number} that it ends before it begins")
    return line


def _located(where: str | Path, filesystem: Any) -> tuple[Any, str, Path | None]:
    """The file system, the path within it, and the local directory if it is one. Raises ConfigError."""
    if filesystem is not None:
        return _as_arrow(filesystem), str(where).rstrip("/"), None
    if "://" not in str(where):
        path = Path(where).expanduser().absolute()
        return arrow_fs.LocalFileSystem(), str(path), path
    try:
        found, path_text = arrow_fs.FileSystem.from_uri(str(where))
    except pa.ArrowInvalid as error:
        found, path_text = _by_obstore(str(where)) or _by_fsspec(str(where), error)
    local = Path(path_text) if isinstance(found, arrow_fs.LocalFileSystem) else None
    return found, path_text.rstrip("/"), local


def _by_obstore(url: str) -> tuple[Any, str] | None:
    """What recordings are uploaded by, for the kind of store that pyarrow has no name for."""
    scheme, _, path = url.partition("://")
    if scheme != "az" or find_spec("obstore") is None:
        return None
    from xtrader.sinks.bucket import file_system

    return _as_arrow(file_system(scheme)), path


def _by_fsspec(url: str, error: Exception) -> tuple[Any, str]:
    scheme = url.partition("://")[0]
    try:
        import fsspec

        found, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as other:
        raise ConfigError(f"cannot read from {scheme}://: pyarrow says '{error}', fsspec says '{other}'") from None
    return _as_arrow(found), path


def _as_arrow(filesystem: Any) -> Any:
    if isinstance(filesystem, arrow_fs.FileSystem):
        return filesystem
    return arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(filesystem))
