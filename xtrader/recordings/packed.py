"""Bytes of a file, unpacked if it is gzip or zstd. One rule: of a file that was torn and written on, every whole piece is read.

A recorder that was killed leaves a piece without an end. If it writes on in the same file, the next piece begins inside of what the
torn one claims: unpacked as one stream, that would give noise that looks like text. So where a piece does not come to its own end,
the file is searched for the head of the next one, and the torn one is read up to there.
"""

from __future__ import annotations

import contextlib
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa

from xtrader.errors import ConfigError

_READ = 64 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_HEAD = re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04]", re.DOTALL)
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_HEAD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_HEAD = 16
"""More bytes than a head that is searched for has."""


class Cut(NamedTuple):
    """Here the bytes of a piece end before their end; what follows, if anything does, is another piece."""

    why: str


def chunks(path: Path) -> Iterator[bytes | Cut]:
    """The unpacked bytes of a file, and where some of them are missing. Raises ConfigError if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            head = _at(file, 0, 4)
            if head.startswith(_GZIP):
                yield from _gzip(file, size)
            elif head == _ZSTD:
                yield from _zstd(file, size)
            else:
                yield from _pieces(file, 0, size)
    except OSError as error:
        raise ConfigError(f"cannot read the recording {path}: {error.strerror or error}") from error


def _at(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _pieces(file: IO[bytes], start: int, stop: int) -> Iterator[bytes]:
    while start < stop and (piece := _at(file, start, min(_READ, stop - start))):
        start += len(piece)
        yield piece


def _heads(file: IO[bytes], head: re.Pattern[bytes], start: int, size: int) -> Iterator[int]:
    """Where a head may stand, from `start` on."""
    while start < size:
        piece = _at(file, start, _READ + _HEAD)
        for match in head.finditer(piece):
            if match.start() < _READ:
                yield start + match.start()
        start += _READ


def _gzip(file: IO[bytes], size: int) -> Iterator[bytes | Cut]:
    start = 0
    while start < size:
        stop = _member_end(file, start, size)
        yield from _member(file, start, stop)
        start = stop


def _member_end(file: IO[bytes], start: int, size: int) -> int:
    """Where the next member begins; the end of the file if none does. A head that stands inside a whole member is none."""
    if next(_heads(file, _GZIP_HEAD, start + 1, size), None) is None:
        return size
    unpack = zlib.decompressobj(31)
    position = start
    try:
        for piece in _pieces(file, start, size):
            unpack.decompress(piece)
            position += len(piece)
            if unpack.eof:
                return next(_heads(file, _GZIP_HEAD, position - len(unpack.unused_data), size), size)
    except zlib.error:
        pass
    return next((head for head in _heads(file, _GZIP_HEAD, start + 1, size) if _opens(file, head)), size)


def _opens(file: IO[bytes], start: int) -> bool:
    """True if something can be unpacked from here on."""
    try:
        return bool(zlib.decompressobj(31).decompress(_at(file, start, _READ)))
    except zlib.error:
        return False


def _member(file: IO[bytes], start: int, stop: int) -> Iterator[bytes | Cut]:
    """One member. All that can be unpacked before an error is given, byte by byte if need be."""
    unpack = zlib.decompressobj(31)
    for piece in _pieces(file, start, stop):
        if unpack.eof:
            if piece.strip(b"\0"):
                yield Cut("what follows its end is not packed")
                return
            continue
        before = unpack.copy()
        try:
            yield unpack.decompress(piece)
        except zlib.error as error:
            yield _before_error(before, piece)
            yield Cut(str(error))
            return
        if unpack.unused_data.strip(b"\0"):
            yield Cut("what follows its end is not packed")
            return
    if not unpack.eof:
        yield Cut("it ends before its end")


def _before_error(unpack: zlib._Decompress, piece: bytes) -> bytes:
    """What can be unpacked of a piece before its error comes."""
    out = bytearray()
    with contextlib.suppress(zlib.error):
        for at in range(len(piece)):
            out += unpack.decompress(piece[at : at + 1])
    return bytes(out)


def _zstd(file: IO[bytes], size: int) -> Iterator[bytes | Cut]:
    start = 0
    while start < size:
        end = _frame_end(file, start, size)
        heads = _heads(file, _ZSTD_HEAD, start + 4, size)
        stop = end if end is not None else next((head for head in heads if _is_frame(file, head, size)), size)
        yield from _frame(file, start, stop)
        start = stop


def _frame_end(file: IO[bytes], start: int, size: int) -> int | None:
    """Where a frame ends, by its own lengths; None if it is torn: then no frame, and not the file's end, is there."""
    head = _at(file, start, _HEAD)
    if head[1:4] == b"\x2a\x4d\x18":
        position = start + 8 + int.from_bytes(head[4:8], "little")
    elif head[:4] == _ZSTD and len(head) > 4:
        flags = head[4]
        is_single = flags >> 5 & 1
        position = start + 5 + (not is_single) + (0, 1, 2, 4)[flags & 3] + (is_single, 2, 4, 8)[flags >> 6]
        is_last = False
        while not is_last:
            block = _at(file, position, 3)
            if len(block) < 3:
                return None
            word = int.from_bytes(block, "little")
            is_last, kind, length = bool(word & 1), word >> 1 & 3, word >> 3
            if kind == 3:
                return None
            position += 3 + (1 if kind == 1 else length)
        position += 4 * (flags >> 2 & 1)
    else:
        return None
    return position if position == size or _ZSTD_HEAD.match(_at(file, position, 4)) else None


def _is_frame(file: IO[bytes], start: int, size: int) -> bool:
    """True if a frame that is whole begins here, or one that the file's end cuts off."""
    if _frame_end(file, start, size) is not None:
        return True
    return any(isinstance(chunk, bytes) and chunk for chunk in _frame(file, start, size))


def _frame(file: IO[bytes], start: int, stop: int) -> Iterator[bytes | Cut]:
    try:
        with pa.CompressedInputStream(pa.PythonFile(_Slice(file, start, stop), "r"), "zstd") as unpacked:
            while chunk := unpacked.read(_READ):
                yield chunk
    except OSError as error:
        yield Cut(str(error))


class _Slice(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self._file = file
        self._start = start
        self._stop = stop

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._stop - self._start
        data = _at(self._file, self._start, left if size < 0 else min(size, left))
        self._start += len(data)
        return data
