"""The log of a run: checksummed frames, each of one row as canonical JSON, and the digest of what was decided.

The rule: rows are only appended; the digest is SHA-256 over decisions, orders and fills alone, decimals as text, so that two
runs of the same inputs have the same one on any machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from xtrader.durable import make_directory, open_new
from xtrader.errors import DamagedFile, StorageError
from xtrader.pipeline.frames import JournalFrame, framed, read_frames, segment_path

DIGESTED: Final = frozenset(("decision", "order", "fill"))
BUFFER: Final = 1 << 20
"""Bytes that are kept back in a replay before they are written."""


class RunLog:
    """Appends to a new log. With `is_live`, every row but an input is in the file when `write` returns. Raises StorageError where
    the disk does not take it."""

    def __init__(self, directory: Path, *, is_live: bool = False) -> None:
        make_directory(directory)
        self._path = segment_path(directory, 0)
        self._descriptor = open_new(self._path)
        self._encoder = msgspec.json.Encoder(order="deterministic", decimal_format="string")
        self._digest = hashlib.sha256()
        self._kept: list[bytes] = []
        self._bytes = 0
        self._offset = 0
        self._is_live = is_live

    @property
    def digest(self) -> str:
        """SHA-256 of what was decided so far."""
        return self._digest.hexdigest()

    def write(self, kind: str, row: object) -> None:
        """Append a row."""
        text = self._encoder.encode((kind, row))
        if kind in DIGESTED:
            self._digest.update(text)
            self._digest.update(b"\n")
        parts, length = framed(self._offset, [text])
        self._offset += length
        self._kept += parts
        self._bytes += length
        if (self._is_live and kind != "input") or self._bytes >= BUFFER:
            self.flush()

    def close(self) -> None:
        """Write what is left and make it durable."""
        try:
            self.flush()
            os.fsync(self._descriptor)
        except OSError as error:
            raise StorageError(self._path, error) from error
        finally:
            os.close(self._descriptor)

    def flush(self) -> None:
        """Have all rows in the file."""
        rest = memoryview(b"".join(self._kept))
        self._kept.clear()
        self._bytes = 0
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise StorageError(self._path, error) from error


def read_log(directory: Path) -> Iterator[tuple[str, Any]]:
    """(kind, row) in order, as far as the log is whole. Raises DamagedFile for damage in the middle, OSError."""
    decoder = msgspec.json.Decoder(tuple[str, Any])
    damaged: int | None = None
    for item in read_frames(directory, 0):
        if not isinstance(item, JournalFrame):
            damaged = item.offset
            continue
        if damaged is not None:
            raise DamagedFile(directory, f"is damaged at byte {damaged}")
        yield decoder.decode(item.payload)


def digest_of(directory: Path) -> str:
    """The digest of a log, reckoned again from its bytes. Raises as read_log."""
    found = hashlib.sha256()
    decoder = msgspec.json.Decoder(tuple[str, msgspec.Raw])
    for item in read_frames(directory, 0):
        if isinstance(item, JournalFrame) and decoder.decode(item.payload)[0] in DIGESTED:
            found.update(item.payload)
            found.update(b"\n")
    return found.hexdigest()


def decided(directory: Path) -> Iterator[bytes]:
    """The rows that the digest is of, as they were written, in order."""
    decoder = msgspec.json.Decoder(tuple[str, msgspec.Raw])
    for item in read_frames(directory, 0):
        if isinstance(item, JournalFrame) and decoder.decode(item.payload)[0] in DIGESTED:
            yield bytes(item.payload)
