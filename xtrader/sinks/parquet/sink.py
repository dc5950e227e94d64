"""Parquet files, a directory per stream, exchange, instrument and day; whole, checksummed and never changed once they are there.

The rule: which rows are in which part, and its name, follow from the batches and the offsets alone, so a part that is made a
second time is the part that is there already.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from xtrader.durable import make_directory, refuse_links, sync_directory, sync_file
from xtrader.model.instrument import Instrument
from xtrader.model.streams import COVERAGE, INSTRUMENTS
from xtrader.records import schemas
from xtrader.records.batches import Batch, RareBatch, Session
from xtrader.sinks.buffers import DayTable, StreamBuffers
from xtrader.sinks.manifest import DIRECTORY, Manifest, Told, replaced_paths, stated
from xtrader.sinks.mending import mend_list
from xtrader.sinks.parquet.hold import hold
from xtrader.sinks.parts import PartWriter, partition
from xtrader.sinks.unfinished import HIDDEN, Unfinished

BUFFER_BYTES: Final = 32 << 20
NAME_BYTES: Final = 255
"""What Linux file systems allow for a name."""
SYNCS_AT_ONCE: Final = 16
"""File systems write many fsyncs that come together about as fast as one."""


class ParquetSink:
    """Writes the parts of one collector below `directory`; other collectors may write there too."""

    name = "parquet"

    def __init__(self, directory: Path, collector: str, *, compression_level: int = 1, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.rows = 0
        self.trouble = ""
        self.refused = 0
        self.dropped: dict[str, int] = {}
        self._directory = directory
        self._collector = collector
        self._level = compression_level
        self._buffer_bytes = buffer_bytes
        self._lists = directory / DIRECTORY
        self._manifest = Manifest(self._lists / f"{collector}.jsonl")
        self._lock = -1
        self._first = 0
        self._committed_rows = 0
        self._venues: Mapping[str, Mapping[str, str]] = {}
        self._instruments: dict[str, Instrument] = {}
        self._parts: dict[tuple[str, str, str], PartWriter] = {}
        self._told: dict[tuple[str, str], list[Told]] = {}
        self._buffers = StreamBuffers()
        self._unfinished = Unfinished(directory, collector)

    def open(self, first: int) -> int:
        """See Sink. Waits up to 10 s for another process that still writes this collector's parts, then raises ConfigError."""
        self.hold(first)
        self._manifest.open(first)
        self._remove_leftovers()
        self._first = first
        return first

    def hold(self, first: int) -> None:
        """Lock the collector's lists, and make its own whole again from journal offset `first` on. As `open`, otherwise."""
        refuse_links(self._directory, Path(DIRECTORY))
        make_directory(self._lists)
        if self._lock < 0:
            self._lock = hold(self._directory, self._collector)
        mend_list(self._directory, self._collector, first)

    def check(self, batch: Batch) -> None:
        """See Sink: makes the parts of the batch in memory."""
        buffers = StreamBuffers()
        buffers.add(batch)
        for stream, piece in buffers.drain():
            for name in partition(stream, piece.key, piece.date).parts:
                if len(name) > NAME_BYTES:
                    raise ValueError(f"the name of a directory would have {len(name)} characters: {name[:NAME_BYTES]}…")
            facts = {f"xtrader.{name}": value for name, value in self._facts(piece.key).items()}
            pq.write_table(piece.table.replace_schema_metadata(facts), pa.BufferOutputStream())

    def write(self, batch: Batch) -> None:
        """See Sink. Holds up to `buffer_bytes` of batches, then writes a row group per instrument."""
        if isinstance(batch, Session):
            self._venues = batch.venues
            self._instruments = {instrument.key: instrument for instrument in batch.instruments}
            return
        if isinstance(batch, RareBatch) and batch.stream == COVERAGE.name:
            for row in batch.rows:
                self._told.setdefault((row.stream, row.instrument), []).append(stated(row))
        elif isinstance(batch, RareBatch) and batch.stream == INSTRUMENTS.name:
            self._instruments.update((instrument.key, instrument) for instrument in batch.rows)
        self.rows += self._buffers.add(batch)
        for stream, piece in self._buffers.overflow(self._buffer_bytes):
            self._part(stream, piece).write(piece.table)

    def commit(self, first: int, last: int) -> int:
        """See Sink: finishes all parts, publishes them and lists them in the manifest."""
        at = None
        for stream, piece in self._buffers.drain():
            part = self._part(stream, piece)
            if at is not None and at is not part:
                # The pieces of a part come together. An open file costs 80 kB: a thousand instruments have two thousand.
                at.finish()
            part.write(piece.table)
            at = part
        replaced = replaced_paths(self._directory, self._collector)
        parts = []
        for part in self._parts.values():
            part.finish()
            if str(part.path(last)) in replaced:
                part.abandon()
            else:
                parts.append(part)
        with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
            list(pool.map(sync_file, [part.temporary for part in parts]))
            lines = [part.publish(first, last, self._told.get((part.stream, part.key), ())) for part in parts]
            list(pool.map(sync_directory, {self._directory / part.directory for part in parts}))
        if lines:
            self._manifest.append(lines)
        self._parts = {}
        self._told = {}
        self._unfinished.clear()
        self._first = last
        self._committed_rows = self.rows
        return len(lines)

    def settle(self, last: int, final: bool) -> int:
        """See Sink: what is committed is durable."""
        return last

    def abandon(self) -> None:
        """See Sink."""
        for part in self._parts.values():
            part.abandon()
        self._parts = {}
        self._told = {}
        self.rows = self._committed_rows
        self._buffers = StreamBuffers()
        if self._lock >= 0:
            self._remove_leftovers()

    def close(self) -> None:
        """See Sink."""
        self.abandon()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _part(self, stream: str, piece: DayTable) -> PartWriter:
        place = (stream, piece.key, piece.date)
        part = self._parts.get(place)
        if part is None:
            name = f"part-{self._collector}-{self._first:020d}"
            facts, temporary = self._facts(piece.key), self._unfinished.new()
            part = PartWriter(self._directory, *place, name, schemas.SCHEMAS[stream], facts, self._level, temporary)
            self._parts[place] = part
        return part

    def _facts(self, key: str) -> dict[str, str]:
        """What the metadata of a part says about its instrument and venue."""
        facts = {"collector": self._collector, "instrument_key": key, **self._venues.get(key.partition("@")[0], {})}
        instrument = self._instruments.get(key)
        if instrument is not None:
            facts["instrument"] = msgspec.json.encode(instrument).decode()
        return facts

    def _remove_leftovers(self) -> None:
        """Remove what a killed process left unfinished; one of an older version left it among the parts, and a list of it."""
        self._unfinished.clear()
        notes = self._lists / f".{self._collector}.open"
        with contextlib.suppress(FileNotFoundError):
            for name in notes.read_bytes().split(b"\n")[:-1]:
                path = self._directory / os.fsdecode(name)
                if HIDDEN.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            notes.unlink()
