"""The live end of a recording: what is in the journal and not in files yet.

The rule: the cursor is read first, then the journal's files are opened, then the cursor is looked at again. If it stands still,
the open files hold everything above it, whatever the recorder deletes afterwards; the manifest, read later, lists everything
below it; and what it lists above is left to the journal. So nothing is there twice and nothing is missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from xtrader.errors import StorageError
from xtrader.model.streams import STREAMS, SUBSCRIBED
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.frames import JournalFrame, Segment, read_frame, read_open_segment, segments
from xtrader.records.batches import Batch, RareBatch
from xtrader.records.schemas import rare_table
from xtrader.sinks.buffers import DayTable, StreamBuffers

SINK: Final = "parquet"
ATTEMPTS: Final = 20
BUFFER_BYTES: Final = 32 << 20


class TailRows(NamedTuple):
    """What a tail holds of the streams and instruments that were asked for: tables in order by (stream, instrument key), of the
    files' columns. `alive` is the time up to which all that was received is in the journal, 0 if that is not known."""

    tables: dict[tuple[str, str], list[Any]]
    alive: int


class Tail:
    """A journal as it was at one instant. Use it by `with`."""

    def __init__(self, start: int, files: list[tuple[Segment, int]]) -> None:
        self.start = start
        """Journal offset below which everything is in parts."""
        self._files = files

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._files)

    @property
    def collector(self) -> str:
        """Who wrote it; empty for a journal without a whole frame. Raises OSError, ConfigError for a newer format."""
        for segment, descriptor in reversed(self._files):
            first = read_frame(descriptor, segment.base, segment.base, segment.end)
            if first is not None:
                payload = codec.read_payload(first.payload)
                if payload.kind == codec.META:
                    return codec.read_meta(payload).collector
        return ""

    def read(self, start: int, streams: Collection[str], keys: Collection[str] | None = None) -> TailRows:
        """The rows of `streams` from offset `start` on, of all instruments or of `keys`. Damaged stretches are left out, as they
        are from the files: the next start of the recorder declares them. Raises OSError, ConfigError for a newer format."""
        buffers = StreamBuffers()
        tables: dict[tuple[str, str], list[Any]] = {}
        alive = 0
        kinds = {STREAMS[stream].frame for stream in streams}
        for payload in self._payloads(start):
            if payload.flags & codec.WHOLE:
                alive = max(alive, payload.time)
            if payload.kind in kinds and (batch := codec.read_batch(payload)) is not None:
                buffers.add(_storable(batch))
                if buffers.bytes >= BUFFER_BYTES:
                    _collect(tables, buffers.drain(), keys)
        _collect(tables, buffers.drain(), keys)
        return TailRows(tables, alive)

    def span(self, start: int) -> tuple[int, int] | None:
        """The first and the last time (int ns) at which anything of a subscription was written from offset `start` on; None if
        nothing was. Raises as `read`."""
        kinds = {STREAMS[stream].frame for stream in SUBSCRIBED}
        times = [payload.time for payload in self._payloads(start) if payload.kind in kinds]
        return (min(times), max(times)) if times else None

    @property
    def written(self) -> float:
        """When the journal was written to, seconds since the epoch; a running recorder does at least once a second."""
        return max((os.fstat(descriptor).st_mtime for _, descriptor in self._files), default=0.0)

    def _payloads(self, start: int) -> Iterator[Payload]:
        for segment, descriptor in self._files:
            for item in read_open_segment(descriptor, segment.base, max(start, segment.base), segment.end):
                if isinstance(item, JournalFrame):
                    yield codec.read_payload(item.payload)


def pin(journal: Path) -> Tail | None:
    """Hold on to the journal's end; None if there is no journal. Raises StorageError if it never stands still."""
    for _ in range(ATTEMPTS):
        files: list[tuple[Segment, int]] = []
        try:
            cursor = read_cursor(journal, SINK) or 0
            found = [segment for segment in segments(journal) if segment.end > cursor]
            for segment in found:
                files.append((segment, os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)))
            if (read_cursor(journal, SINK) or 0) == cursor:
                oldest = found[0].base if found else 0
                return Tail(max(cursor, oldest), files)
        except (FileNotFoundError, NotADirectoryError):
            if not journal.is_dir():
                return None
        _close(files)
    raise StorageError(journal, "the recorder moves on faster than the journal can be opened")


def _close(files: list[tuple[Segment, int]]) -> None:
    for _, descriptor in files:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    files.clear()


def _collect(tables: dict[tuple[str, str], list[Any]], found: Iterator[tuple[str, DayTable]], keys: Collection[str] | None) -> None:
    for stream, piece in found:
        if keys is None or piece.key in keys:
            tables.setdefault((stream, piece.key), []).append(piece.table)


def _storable(batch: Batch) -> Batch:
    """A batch without the records of a rare stream that no column can hold: a sink sets them aside."""
    if not isinstance(batch, RareBatch):
        return batch
    try:
        rare_table(batch.stream, [0] * len(batch), batch.rows)
    except (ValueError, OverflowError, TypeError):
        kept = [row for row in batch.rows if len(batch) > 1 and len(_storable(replace(batch, rows=[row])))]
        return replace(batch, rows=kept)
    return batch
