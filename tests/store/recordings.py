"""Recordings for the tests of the store: numbered records through the real journal, delivery and sink, or into the sink alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xtrader.model.instrument import Instrument
from xtrader.model.market import Record
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.parquet.sink import ParquetSink

SECOND = 10**9
START = 1_795_219_200_000_000_000
"""2026-11-21T00:00:00Z."""


def record(directory: Path, records: Iterable[Record], collector: str = "c1", rotate_seconds: float = 900) -> Path:
    """Write records as a recorder would, in parts of `rotate_seconds` of their own time."""
    sink = ParquetSink(directory, collector, buffer_bytes=1 << 16)
    write_records(records, sink, collector, {}, Rotation(rotate_seconds, 1 << 30))
    return directory


def instrument(exchange: str, symbol: str, alias: str, ts: int = START, **facts: object) -> Instrument:
    return Instrument(exchange=exchange, symbol=symbol, alias=alias, kind="perpetual", ts=ts, **facts)  # type: ignore[arg-type]
