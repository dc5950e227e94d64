"""Parquet parts: files that appear whole, once, under a name that says what they hold.

The rule is the order: unfinished file, close, fsync, rename, fsync of the directory, manifest line. A part that is there under
its final name is never touched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import xtrader
from xtrader.durable import make_directory, refuse_links
from xtrader.records.schemas import SCHEMA_VERSION
from xtrader.sinks.manifest import ManifestLine, Told

_RANGED = ("ts_recv", "ts_event")
_DICTIONARY_BYTES = 256 << 10
"""A column that has more distinct values than fit is written plainly from there on. With this, the statistics of those columns only
that a reader can leave row groups out by, and more values a step than pyarrow takes by itself, encoding costs a fifth less."""
_AT_ONCE = 16_384
_NO_SETTINGS = ("schema_version", "software", "collector", "instrument_key", "instrument")


def partition(stream: str, key: str, date: str) -> Path:
    """The directory of a part, relative to the data directory; values percent-encoded."""
    exchange, _, symbol = key.partition("@")
    parts = (("stream", stream), ("exchange", exchange), ("instrument", symbol), ("date", date))
    return Path(*(f"{name}={quote(value, safe='')}" for name, value in parts))


def settings_of(facts: Mapping[str, str]) -> dict[str, str]:
    """What of a part's metadata (names without `xtrader.`) says how it was recorded: environment, depth window, compression."""
    return {name: value for name, value in facts.items() if name not in _NO_SETTINGS and not name.startswith(("first_", "last_"))}


class PartWriter:
    """One part in the making: the file `temporary`, on the file system of `root`, until it gets its final name."""

    def __init__(
        self,
        root: Path,
        stream: str,
        key: str,
        date: str,
        name: str,
        schema: Any,
        metadata: Mapping[str, str],
        level: int,
        temporary: Path,
    ) -> None:
        self.directory = partition(stream, key, date)
        self.stream = stream
        self.key = key
        self.temporary = temporary
        self.rows = 0
        self.ranges: dict[str, tuple[int, int]] = {}
        self._root = root
        self._name = name
        facts = {"compression": f"zstd {level}", "schema_version": str(SCHEMA_VERSION), "software": xtrader.__version__, **metadata}
        self._settings = settings_of(facts)
        self._writer: Any = pq.ParquetWriter(
            self.temporary,
            schema.with_metadata({f"xtrader.{name}": value for name, value in facts.items()}),
            compression="zstd",
            compression_level=level,
            use_dictionary=[field.name for field in schema if _repeats(field.type)],
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            write_statistics=[field.name for field in schema if _is_ranged(field.type)],
            write_batch_size=_AT_ONCE,
            write_page_checksum=True,
        )

    def write(self, table: Any) -> None:
        """Append a table as one row group."""
        self._writer.write_table(table, row_group_size=table.num_rows)
        self.rows += table.num_rows
        for name in _RANGED:
            if name in table.column_names:
                self._widen(name, pc.min_max(table[name].cast("int64")).as_py())
        if "sequence" in table.column_names:
            known = table["sequence"].drop_null()
            if len(known):
                first = self.ranges.get("sequence", (known[0].as_py(), 0))[0]
                self.ranges["sequence"] = (first, known[-1].as_py())

    def finish(self) -> None:
        """Close the temporary file; nothing if that was done before."""
        if self._writer is None:
            return
        facts = {
            f"xtrader.{end}_{name}": str(value)
            for name, ends in self.ranges.items()
            for end, value in zip(("first", "last"), ends, strict=True)
        }
        self._writer.add_key_value_metadata(facts)
        self._writer.close()
        self._writer = None  # Even a closed one holds on to 20 kB.

    def path(self, last: int) -> Path:
        """The final name, relative to the data directory."""
        return self.directory / f"{self._name}-{last:020d}.parquet"

    def publish(self, first: int, last: int, coverage: Iterable[Told] = (), replaces: Iterable[str] = ()) -> ManifestLine:
        """Give the finished and synced file its final name; a file that has it already is kept and this one dropped. The name
        is durable once its directory, which is made if need be, is synced."""
        path = self.path(last)
        final = self._root / path
        refuse_links(self._root, path.parent)
        make_directory(final.parent)
        if final.exists() and not final.is_symlink():
            self.temporary.unlink()
        else:
            os.rename(self.temporary, final)
        with final.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        none = (None, None)
        recv, event, sequence = (self.ranges.get(name, none) for name in ("ts_recv", "ts_event", "sequence"))
        return ManifestLine(
            path=str(path),
            stream=self.stream,
            instrument=self.key,
            rows=self.rows,
            bytes=final.stat().st_size,
            sha256=digest,
            first_ts_recv=recv[0],
            last_ts_recv=recv[1],
            first_ts_event=event[0],
            last_ts_event=event[1],
            first_sequence=sequence[0],
            last_sequence=sequence[1],
            first_offset=first,
            last_offset=last,
            schema_version=SCHEMA_VERSION,
            software=xtrader.__version__,
            settings=self._settings,
            coverage=tuple(coverage),
            replaces=tuple(replaces),
        )

    def _widen(self, name: str, found: Mapping[str, int | None]) -> None:
        low, high = found["min"], found["max"]
        if low is not None and high is not None:
            before = self.ranges.get(name, (low, high))
            self.ranges[name] = (min(low, before[0]), max(high, before[1]))

    def abandon(self) -> None:
        """Remove the temporary file, whatever state it is in."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self.temporary.unlink(missing_ok=True)


def _repeats(kind: Any) -> bool:
    """Whether a dictionary makes the column smaller: words, prices and sizes. Times and sequences are smaller without."""
    return bool(pa.types.is_dictionary(kind) or pa.types.is_floating(kind))


def _is_ranged(kind: Any) -> bool:
    """Whether readers look for a range of the column: times and sequences."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_integer(kind))
