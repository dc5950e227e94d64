"""The journal on disk: frames in append-only segments, and how to read them back past damage.

A frame is `u32 length | u32 crc32c | u64 offset | payload`, padded with zeros to 8 bytes. The checksum covers all of it but
itself. `offset` is the frame's place in the whole journal; a segment is named by the offset at which it begins. The rule:
nothing is believed that its checksum and its offset do not both prove.
"""

from __future__ import annotations

import contextlib
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

HEADER = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")
_OFFSET = struct.Struct("<Q")
SUFFIX = ".journal"
_PADDING = bytes(8)


class JournalFrame(NamedTuple):
    """One whole frame: where it begins, where the next one does, and what is in it."""

    offset: int
    end: int
    payload: memoryview


class Damaged(NamedTuple):
    """Journal bytes [offset, end) that hold no whole frame."""

    offset: int
    end: int


class Segment(NamedTuple):
    """One file: journal offsets [base, end)."""

    base: int
    end: int
    path: Path


def framed(offset: int, parts: Sequence[bytes]) -> tuple[list[bytes], int]:
    """The buffers that make one frame at `offset`, and its whole length. `parts` are read-only buffers."""
    length = sum(len(part) for part in parts)
    padding = _PADDING[: -length % 8]
    checksum = google_crc32c.extend(google_crc32c.value(_LENGTH.pack(length)), _OFFSET.pack(offset))
    for part in parts:
        checksum = google_crc32c.extend(checksum, part)
    checksum = google_crc32c.extend(checksum, padding)
    return [HEADER.pack(length, checksum, offset), *parts, padding], HEADER.size + length + len(padding)


def segments(directory: Path) -> list[Segment]:
    """The journal's files in order, without those that are released meanwhile; raises OSError."""
    found = []
    for entry in os.scandir(directory):
        base = entry.name.removesuffix(SUFFIX)
        if base != entry.name and base.isdigit():
            with contextlib.suppress(FileNotFoundError):
                found.append(Segment(int(base), int(base) + entry.stat().st_size, Path(entry.path)))
    return sorted(found)


def segment_path(directory: Path, base: int) -> Path:
    return directory / f"{base:020d}{SUFFIX}"


def read_frames(directory: Path, start: int, limit: int | None = None) -> Iterator[JournalFrame | Damaged]:
    """Every whole frame of [start, limit) in order, and between them what is damaged; `limit` None reads to the end.

    `start` and `limit` are frame boundaries. Raises OSError.
    """
    files = segments(directory)
    first = max(0, bisect_right([segment.base for segment in files], start) - 1)
    position = start
    for segment in files[first:]:
        if limit is not None and segment.base >= limit:
            return
        if segment.end <= position:
            continue
        position = max(position, segment.base)
        end = segment.end if limit is None else min(segment.end, limit)
        yield from _read_segment(segment, position, end)
        position = end


def _read_segment(segment: Segment, start: int, end: int) -> Iterator[JournalFrame | Damaged]:
    descriptor = os.open(segment.path, os.O_RDONLY)
    try:
        yield from read_open_segment(descriptor, segment.base, start, end)
    finally:
        os.close(descriptor)


def read_open_segment(descriptor: int, base: int, start: int, end: int) -> Iterator[JournalFrame | Damaged]:
    """Every whole frame of [start, end) of the segment that begins at `base`, and what is damaged between them."""
    position = start
    while position < end:
        item = read_frame(descriptor, base, position, end) or _resync(descriptor, base, position, end)
        yield item
        position = item.end


def read_frame(descriptor: int, base: int, offset: int, end: int) -> JournalFrame | None:
    """The frame at `offset` of the segment that begins at `base`; None if no whole frame is there below `end`."""
    header = os.pread(descriptor, HEADER.size, offset - base)
    if len(header) < HEADER.size:
        return None
    length, checksum, claimed = HEADER.unpack(header)
    whole = length + -length % 8
    if claimed != offset or offset + HEADER.size + whole > end:
        return None
    body = os.pread(descriptor, whole, offset - base + HEADER.size)
    if len(body) < whole:
        return None
    proof = google_crc32c.extend(google_crc32c.value(header[:4] + header[8:]), body)
    if proof != checksum:
        return None
    return JournalFrame(offset, offset + HEADER.size + whole, memoryview(body)[:length])


def _resync(descriptor: int, base: int, start: int, end: int) -> Damaged:
    """The damage that begins at `start`: up to the next place that states its own offset and proves it, else up to `end`."""
    words = np.frombuffer(os.pread(descriptor, (end - start) // 8 * 8, start - base), np.uint64)
    stated = np.arange(start, start + 8 * len(words), 8, dtype=np.uint64)
    for index in np.flatnonzero(words[2:] == stated[1:-1]):
        candidate = int(stated[index + 1])
        if read_frame(descriptor, base, candidate, end) is not None:
            return Damaged(start, candidate)
    return Damaged(start, end)
