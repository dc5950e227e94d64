"""What an output directory holds, read back from its Parquet files: one summary for each stream of each instrument.

Rule: only the files count, nothing that a running recorder remembers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from rich.table import Table

DAY = 86_400 * 10**9


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
    intervals: dict[tuple[str, str, int], int | None] = field(default_factory=dict)
    """(state, cause, ts_from) -> ts_to, None while open: the Coverage rows, without what follows the end of the recording."""

    @property
    def gaps(self) -> int:
        """How many intervals are known to be missing."""
        return sum(state == "gap" for state, _, _ in self.intervals)

    @property
    def covered(self) -> float | None:
        """Share of the known time in which the recording was live, None if nothing is known."""
        ends = [ts for start, end in self._spans("") for ts in (start, end)]
        if not ends or max(ends) == min(ends):
            return None
        return sum(end - start for start, end in self._spans("live")) / (max(ends) - min(ends))

    def _spans(self, state: str) -> list[tuple[int, int]]:
        now = max((ts for (_, _, start), end in self.intervals.items() for ts in (start, end or start)), default=0)
        return [(start, now if end is None else end) for (is_, _, start), end in self.intervals.items() if state in ("", is_)]


def read_contents(directory: Path) -> list[Holding]:
    """The holdings below `directory`, sorted by instrument and stream."""
    found: dict[tuple[str, str], Holding] = {}
    for path in sorted(directory.glob("stream=*/exchange=*/instrument=*/date=*/*.parquet")):
        stream, exchange, symbol, _ = (unquote(part.split("=", 1)[1]) for part in path.relative_to(directory).parts[:4])
        if stream in ("L2", "TRADES"):
            _add(_holding(found, stream, f"{exchange}@{symbol}"), path)
        elif stream == "COVERAGE":
            for covers, state, cause, start, end in _coverage(path):
                intervals = _holding(found, covers, f"{exchange}@{symbol}").intervals
                intervals[state, cause, start] = end if end is not None else intervals.get((state, cause, start))
    for one in found.values():
        one.intervals = {key: end for key, end in one.intervals.items() if end is not None or key[:2] != ("gap", "shutdown")}
    return sorted(found.values(), key=lambda one: (one.instrument, one.stream))


def draw(holdings: Sequence[Holding]) -> Table:
    """The holdings as a table for a terminal. Times are UTC."""
    from rich.table import Table
    from rich.text import Text

    days = {ns // DAY for one in holdings for ns in (one.first, one.last) if ns is not None}
    shape = "%H:%M:%S" if len(days) < 2 else "%Y-%m-%d %H:%M:%S"
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subscription", overflow="fold")
    for heading in ("msgs", "rows", "gaps", "live", "first", "last", "kB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in holdings:
        table.add_row(
            f"{one.stream}:{one.instrument}",
            f"{one.messages:,}",
            f"{one.rows:,}",
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


def _coverage(path: Path) -> Iterator[tuple[str, str, str, int, int | None]]:
    """(covers, state, cause, ts_from, ts_to) of every row."""
    with pq.ParquetFile(path) as file:
        table = file.read(columns=["covers", "state", "cause", "ts_from", "ts_to"])
    words = [table[name].to_pylist() for name in ("covers", "state", "cause")]
    times = [table[name].cast(pa.int64()).to_pylist() for name in ("ts_from", "ts_to")]
    yield from zip(*words, *times, strict=True)


def _time(ns: int | None, shape: str) -> str:
    return "" if ns is None else datetime.fromtimestamp(ns // 10**9, tz=UTC).strftime(shape)
