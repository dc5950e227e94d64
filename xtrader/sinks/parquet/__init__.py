"""Parquet files in the output directory, and in an object store if one is named: finished, checksummed and never changed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xtrader.diagnosis import Diagnosis
from xtrader.sinks.base import Sink, SinkRun, SinkSpec

SINK = "parquet"
FILES = True
CAN = ("examine",)


def spec(run: SinkRun) -> SinkSpec:
    """Where the files go, and when a new one begins."""
    arguments = {"directory": str(run.output), "upload": run.upload, "keep_local": run.keep_local}
    return SinkSpec(SINK, arguments, run.rotate_seconds, run.rotate_bytes)


def require(run: SinkRun, collector: str) -> None:
    """Raise ConfigError if another process writes as this collector, if the directory is an extract, or if parts that are still to
    be uploaded were merged into others, under other names."""
    from xtrader.sinks.bounds import require_open
    from xtrader.sinks.parquet.hold import require_free

    require_open(run.output, only_new=True)
    require_free(run.output, collector)
    if run.upload:
        from xtrader.sinks.uploaded import require_parts

        require_parts(run.output, collector, run.upload)


def examine(run: SinkRun) -> Iterator[Diagnosis]:
    """Whether the object store, where one is named, takes objects and gives them back; the directory is examined by others."""
    if run.upload:
        from xtrader.sinks.bucket import examine_store

        yield examine_store(run.upload)


def make(arguments: Mapping[str, Any], collector: str, options: Mapping[str, str]) -> Sink:
    """The sink of a `spec`."""
    directory = Path(arguments["directory"])
    if not arguments["upload"]:
        from xtrader.sinks.parquet.sink import ParquetSink

        return ParquetSink(directory, collector)
    from xtrader.sinks.object_sink import ObjectSink

    return ObjectSink(directory, collector, arguments["upload"], keep_local=arguments["keep_local"])
