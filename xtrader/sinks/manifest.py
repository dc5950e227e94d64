"""The manifest: which parts are finished, with what can be checked about each.

The rule: a part is listed once, after its file and its name are durable; the list is only ever appended to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from xtrader.durable import sync_directory

_BLOCK: Final = 1 << 20


class Line(msgspec.Struct, frozen=True):
    """One line of the manifest: a finished part. `first_offset` to `last_offset` (exclusive) is the stretch of the journal
    that it was made from; times are int nanoseconds UTC; path is relative to the data directory."""

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


class Manifest:
    """The list of a collector's finished parts, one JSON line each, in the order of the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()

    def open(self, first: int) -> None:
        """Cut a torn last line off, and read which parts from journal offset `first` on are listed already."""
        self._known.clear()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b") as file:
            end = _whole_lines(file)
            if end < file.seek(0, os.SEEK_END):
                file.truncate(end)
            os.fsync(file.fileno())
            for text in _lines_backwards(file, end):
                line = msgspec.json.decode(text, type=Line)
                if line.last_offset <= first:
                    break
                self._known.add(line.path)
        sync_directory(self._path.parent)

    def append(self, lines: Iterable[Line]) -> None:
        """List finished parts that are not listed yet; durable on return."""
        new = [line for line in lines if line.path not in self._known]
        text = memoryview(b"".join(msgspec.json.encode(line) + b"\n" for line in new))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            while text:
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _whole_lines(file: BinaryIO) -> int:
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


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The whole lines of a file of which `end` bytes hold nothing else, last one first."""
    rest = b""
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        first, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line)
        rest, end = first, start
    if rest:
        yield rest
