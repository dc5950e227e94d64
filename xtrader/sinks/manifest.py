"""The manifest: which parts are finished, with what can be checked about each.

The rule: a part is listed once, after its file and its name are durable; a list is only ever appended to. Every collector has two
lists in `_manifest/`: `<collector>.jsonl`, written by its sink, and `<collector>.compacted.jsonl`, written by `compact` and
`repair`, whose lines name in `replaces` the parts whose rows they hold instead. A part is in force if it is listed and no line of
any list replaces it; a file that is replaced, or not listed, is not part of the recording, even while it is still there.
Each line ends with a seal, the CRC32 of itself and all lines before it.

In an object store, where nothing can be appended to, the list `<collector>.jsonl` is the objects `<collector>/*.jsonl`, joined in
the order of their names: one for each commit, put after the parts that it lists (see uploads.py). The seals begin anew where a
collector began a new local list.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeAlias

import msgspec

from xtrader.clock import FOREVER
from xtrader.durable import sync_directory
from xtrader.model.market import Coverage, fold_open

DIRECTORY: Final = "_manifest"
COMPACTED: Final = ".compacted.jsonl"
ELSEWHERE: Final = "elsewhere"
"""The setting of a part that says of which times rows were taken out of it, because another collector has the same ones: times
[from, to) in int ns, `FROM-TO`, comma separated."""
_BLOCK: Final = 1 << 20
_PATH: Final = re.compile(r"stream=[^/\0]+/exchange=[^/\0]+/instrument=[^/\0]*/date=[^/\0]+/part-[^/\0]+\.parquet")
_SEAL: Final = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\Z')
SEAL_BYTES: Final = len(b',"crc32":"00000000"}')

Plain: TypeAlias = tuple[str, str, int, int | None]
"""(state, cause, ts_from, ts_to): a coverage row without its detail."""


class Numbered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A coverage row without its detail that has numbers, as a Coverage has them."""

    row: Plain
    ids_from: int | None = None
    ids_to: int | None = None
    depth: int | None = None


Told: TypeAlias = Plain | Numbered
"""Rows without numbers are written as lists always wrote them, so that a line is the same text whichever version reads it."""


class ManifestLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the manifest: a finished part. `first_offset` to `last_offset` (exclusive) is the stretch of the journal
    that it was made from; times are int nanoseconds UTC; path is relative to the data directory. `settings` are those under
    which it was recorded, `coverage` the rows that were written about its subscription in the same stretch."""

    path: str
    stream: str
    instrument: str
    rows: int
    bytes: int
    sha256: str
    first_ts_recv: int | None
    last_ts_recv: int | None
    first_ts_event: int | None
    last_ts_event: int | None
    first_sequence: int | None
    last_sequence: int | None
    first_offset: int
    last_offset: int
    schema_version: int
    software: str
    settings: dict[str, str] = {}
    coverage: tuple[Told, ...] = ()
    replaces: tuple[str, ...] = ()


def seal(line: ManifestLine, before: int) -> tuple[bytes, int]:
    """The text of a line that follows one with seal `before` (0 for the first), and its own seal."""
    text = msgspec.json.encode(line)
    own = zlib.crc32(text, before)
    return text[:-1] + b',"crc32":"%08x"}\n' % own, own


def sealed(lines: Iterable[ManifestLine]) -> bytes:
    """The text of a list of these lines, in this order."""
    texts, before = [], 0
    for line in lines:
        text, before = seal(line, before)
        texts.append(text)
    return b"".join(texts)


def unseal(text: bytes) -> tuple[bytes, int | None]:
    """A line without its seal, and the seal; None for a line that was written before there were any."""
    found = _SEAL.search(text, max(0, len(text) - SEAL_BYTES))
    return (text, None) if found is None else (text[: found.start()] + b"}", int(found[1], 16))


class ListLine(NamedTuple):
    """One line of a list: its number from 1, its JSON without the seal, what that says (None: it cannot be read), its seal (None:
    written before there were any), and the seal of the line before it, 0 of the first one and None where that is not known."""

    number: int
    json: bytes
    line: ManifestLine | None
    seal: int | None
    before: int | None

    @property
    def is_proven(self) -> bool | None:
        """Whether the seal shows that this line and the one before it are as they were written; None without a seal."""
        return None if self.seal is None else self.before is not None and zlib.crc32(self.json, self.before) == self.seal


def read_lines(content: bytes, before: int | None = 0) -> Iterator[ListLine]:
    """The whole lines of a list, or of a stretch of one that follows a line of the seal `before`. What comes after the last line's
    end is a line in the making."""
    for number, text in enumerate(content.split(b"\n")[:-1], 1):
        json, own = unseal(text)
        line: ManifestLine | None = None
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            line = msgspec.json.decode(json, type=ManifestLine)
        yield ListLine(number, json, line, own, before)
        before = 0 if own is None and line is not None and before == 0 else own


def list_files(root: Path) -> list[Path]:
    """The lists below a data directory, by name."""
    return sorted((root / DIRECTORY).glob("*.jsonl"))


def collector_of(path: str) -> str:
    """The collector whose list this is."""
    return path.rpartition("/")[2].removesuffix(COMPACTED).removesuffix(".jsonl")


def in_force(lines: Iterable[ManifestLine]) -> list[ManifestLine]:
    """The lines that none of them replaces."""
    listed = list(lines)
    replaced = {path for line in listed for path in line.replaces}
    return [line for line in listed if line.path not in replaced]


def elsewhere_of(settings: Mapping[str, str]) -> list[tuple[int, int]]:
    """The times [from, to) of which rows are in another collector's parts, as the settings of a part say. Those that cannot be read
    are left out."""
    found = [span.split("-") for span in settings.get(ELSEWHERE, "").split(",")]
    return [(int(ends[0]), int(ends[1])) for ends in found if len(ends) == 2 and all(map(str.isdecimal, ends))]


def elsewhere_text(spans: Iterable[tuple[int, int]]) -> str:
    """Such times as the setting states them: sorted, those that touch joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return ",".join(f"{start}-{end}" for start, end in joined)


def is_path(path: str) -> bool:
    """Whether a path that a line states can be that of a part: within the data directory, in the directories of its stream."""
    return _PATH.fullmatch(path) is not None


def lines_in_force(directory: Path) -> list[ManifestLine]:
    """Every part of the recording below `directory`, in the order of its lists. Lines that cannot be read are left out: `verify`
    tells them. Raises OSError."""
    return in_force(line for path in list_files(directory) for line in readable(path.read_bytes()))


def stated(row: Coverage) -> Told:
    """A coverage row as a line states it."""
    plain = row.state, row.cause, row.ts_from, row.ts_to
    numbers = row.ids_from, row.ids_to, row.depth
    return plain if numbers == (None, None, None) else Numbered(plain, *numbers)


def coverage_of(line: ManifestLine) -> Iterator[Coverage]:
    """The coverage rows that a line states; their details are in the COVERAGE parts only."""
    for row in line.coverage:
        if isinstance(row, Numbered):
            numbers = row.ids_from, row.ids_to, row.depth
            yield Coverage(line.instrument, line.stream, *row.row, "", *numbers)
        else:
            yield Coverage(line.instrument, line.stream, *row)


def left_open(directory: Path, collector: str) -> tuple[list[Coverage], int]:
    """The coverage rows of a collector that are open at the end of its lists, and the time (int ns) of the last row in its parts.
    Raises OSError."""
    names = [directory / DIRECTORY / f"{collector}{ending}" for ending in (".jsonl", COMPACTED)]
    lines = [line for path in names if path.is_file() for line in readable(path.read_bytes())]
    opened: dict[tuple[str, str], Coverage] = {}
    for line in sorted(in_force(lines), key=lambda line: line.last_offset):
        for row in coverage_of(line):
            fold_open(opened, row)
    return list(opened.values()), max((line.last_ts_recv or 0 for line in lines), default=0)


def replaced_paths(directory: Path, collector: str) -> set[str]:
    """The parts of a collector that were replaced by others. Raises OSError."""
    path = directory / DIRECTORY / f"{collector}{COMPACTED}"
    if not path.exists():
        return set()
    return {replaced for line in readable(path.read_bytes()) for replaced in line.replaces}


def readable(content: bytes) -> Iterator[ManifestLine]:
    """What the whole lines of a list say, without those that cannot be read."""
    return (one.line for one in read_lines(content) if one.line is not None)


def end_of(path: Path, offset: int) -> int:
    """Where in a list the last line ends that is of the journal below `offset`; 0 where there is none, or no list. Raises
    OSError."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        end = whole_lines(file)
        for text in lines_backwards(file, end):
            if any(line.last_offset <= offset for line in readable(text + b"\n")):
                return end
            end -= len(text) + 1
    return 0


def list_merged(root: Path, collector: str, line: ManifestLine) -> None:
    """Add to the list of a collector's parts that replace others; durable on return. Raises OSError."""
    manifest = Manifest(root / DIRECTORY / f"{collector}{COMPACTED}")
    manifest.open(FOREVER)
    manifest.append([line])


class Manifest:
    """The list of a collector's finished parts, one JSON line each, in the order of the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()
        self._seal: int | None = None

    def open(self, first: int) -> None:
        """Cut a torn last line off, and read which parts from journal offset `first` on are listed already. Lines that cannot be
        read are passed over."""
        self._known.clear()
        self._seal = None
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            end = whole_lines(file)
            if end < file.seek(0, os.SEEK_END):
                file.truncate(end)
            os.fsync(file.fileno())
            for text in lines_backwards(file, end):
                if self._seal is None:
                    self._seal = unseal(text)[1] or 0
                known = list(readable(text + b"\n"))
                if any(line.last_offset <= first for line in known):
                    break
                self._known.update(line.path for line in known)
        sync_directory(self._path.parent)

    def append(self, lines: Iterable[ManifestLine]) -> None:
        """List finished parts that are not listed yet; durable on return."""
        new = [line for line in lines if line.path not in self._known]
        texts = []
        for line in new:
            sealed, self._seal = seal(line, self._seal or 0)
            texts.append(sealed)
        text = memoryview(b"".join(texts))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while text:
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def whole_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def lines_backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The whole lines of a file of which `end` bytes hold nothing else, last one first, without their ends."""
    rest, end = b"", end - 1
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        first, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from reversed(lines)
        rest, end = first, start
    if end == 0:
        yield rest
