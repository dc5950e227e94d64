"""What an output directory holds, read back from its Parquet files: one summary for each stream of each instrument.

Rule: only the files count, nothing that a running recorder remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow.parquet as pq

from xtrader.clock import DAY, SECOND
from xtrader.model.streams import SUBSCRIBED
from xtrader.sinks.described import read_groups
from xtrader.store.prove.coverage_map import CoverageMap, share
from xtrader.store.read.coverage_fold import CoverageRow, rows_of

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(slots=True)
class Holding:
    """One stream of one instrument. A message of L2 is one row per level; of trades one row. Times are int ns UTC (`ts_recv`)."""

    stream: str
    instrument: str
    messages: int = 0
    rows: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    told: list[CoverageRow] = field(default_factory=list)
    """The Coverage rows, in the order in which they were written."""

    @property
    def gaps(self) -> int:
        """How many holes there are, as `verify` counts them."""
        coverage = CoverageMap(self.told)
        return len(coverage.holes(coverage.last()))

    @property
    def synced(self) -> float | None:
        """Seconds from the start of the recording until it was live for the first time; None if it never was."""
        starts = [one.ts_from for one in CoverageMap(self.told).intervals]
        lives = [one.ts_from for one in CoverageMap(self.told).intervals if one.state == "live"]
        return (min(lives) - min(starts)) / SECOND if lives else None

    @property
    def covered(self) -> float | None:
        """Share of the known time in which the recording was live, its start left out; None if nothing is known."""
        coverage = CoverageMap(self.told)
        return share(coverage.intervals, 0, coverage.last()).part


def read_contents(directory: Path) -> list[Holding]:
    """The holdings below `directory`, sorted by instrument and stream."""
    found: dict[tuple[str, str], Holding] = {}
    for path in sorted(directory.glob("stream=*/exchange=*/instrument=*/date=*/*.parquet")):
        stream, exchange, symbol, _ = (unquote(part.split("=", 1)[1]) for part in path.relative_to(directory).parts[:4])
        if stream in SUBSCRIBED:
            _add(_holding(found, stream, f"{exchange}@{symbol}"), path)
        elif stream == "COVERAGE":
            for row in (row for table in read_groups(path, stream) for row in rows_of(table, path.name)):
                _holding(found, row.covers, f"{exchange}@{symbol}").told.append(row)
    return sorted(found.values(), key=lambda one: (one.instrument, one.stream))


def draw(holdings: Sequence[Holding]) -> Table:
    """The holdings as a table for a terminal. Times are UTC."""
    from rich.table import Table
    from rich.text import Text

    days = {ns // DAY for one in holdings for ns in (one.first, one.last) if ns is not None}
    shape = "%H:%M:%S" if len(days) < 2 else "%Y-%m-%d %H:%M:%S"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subscription", overflow="fold")
    for heading in ("msgs", "rows", "synced in", "gaps", "live", "first", "last", "kB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in holdings:
        table.add_row(
            f"{one.stream}:{one.instrument}",
            f"{one.messages:,}",
            f"{one.rows:,}",
            "never" if one.synced is None else f"{one.synced:.1f} s",
            Text(str(one.gaps), style="red" if one.gaps else ""),
            "" if one.covered is None else f"{one.covered:.1%}",
            _time(one.first, shape),
            _time(one.last, shape),
            f"{one.bytes / 1000:,.0f}",
        )
    return table


def _holding(found: dict[tuple[str, str], Holding], stream: str, instrument: str) -> Holding:
    return found.setdefault((stream, instrument), Holding(stream, instrument))


def _add(holding: Holding, path: Path) -> None:
    with pq.ParquetFile(path) as file:
        holding.rows += file.metadata.num_rows
        holding.bytes += path.stat().st_size
        if holding.stream == "L2":
            for batch in file.iter_batches(columns=["is_last"]):
                holding.messages += batch.column(0).true_count
        else:
            holding.messages += file.metadata.num_rows
        column = file.schema_arrow.get_field_index("ts_recv")
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(column).statistics
            if statistics is not None and statistics.has_min_max:
                low, high = statistics.min_raw, statistics.max_raw
                holding.first = low if holding.first is None else min(holding.first, low)
                holding.last = high if holding.last is None else max(holding.last, high)


def _time(ns: int | None, shape: str) -> str:
    return "" if ns is None else datetime.fromtimestamp(ns // 10**9, tz=UTC).strftime(shape)
