"""Coverage rows folded into intervals.

The rule: an interval is written when it opens and again when it closes; the next one that opens ends it too. A gap in trade
numbers counts as live once every number of it came after all, and not before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec
import pyarrow as pa

FILLED: Final = "filled"
"""The cause of a row that names trade numbers which came later: it is no interval of its own."""

Ids: TypeAlias = tuple[int | None, int | None]
"""First and last of some trade numbers, both included; None where a row names none."""


class CoverageRow(msgspec.Struct, frozen=True):
    """One row as it was written, and the file that holds it ("" for a row of the journal). `covers` is the stream that it is
    about. Times are int nanoseconds UTC, `ts_to` None where the interval only opens; the numbers are those of a Coverage."""

    file: str
    covers: str
    state: str
    cause: str
    ts_from: int
    ts_to: int | None
    detail: str
    ids_from: int | None = None
    ids_to: int | None = None
    depth: int | None = None


class Interval(msgspec.Struct):
    """What was known of a stream from `ts_from` to `ts_to` (None: still so when the recording ends). Otherwise as the row that
    opened it."""

    covers: str
    state: str
    cause: str
    ts_from: int
    ts_to: int | None
    detail: str = ""
    file: str = ""
    ids_from: int | None = None
    ids_to: int | None = None
    depth: int | None = None
    is_filled: bool = False
    """A gap in trade numbers, all of which came later: its time counts as live."""
    until: int = 0
    """`ts_to`, or how far an open one is known to have gone, where who folded the rows knows that."""

    @property
    def counts(self) -> str:
        """The state that its time counts as."""
        return "live" if self.is_filled else self.state

    def end(self, now: int) -> int:
        """Where it ends; `now` (int ns) for what is open, but never before it began."""
        return max(self.ts_from, now) if self.ts_to is None else self.ts_to


class CoverageFold:
    """The intervals of one instrument as one collector saw it, of rows that are taken in the order in which they were written."""

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        """In the order in which they began to be known."""
        self.open: dict[str, Interval] = {}
        """Stream -> its interval that has not ended."""
        self.came: dict[tuple[str, int], list[Ids]] = defaultdict(list)
        """(stream, where a gap begins) -> the trade numbers missing in it that came later."""

    def take(self, row: CoverageRow) -> Interval | None:
        """Fold a row in. Returns the interval that it opens, closes or is; None for one that fills a gap."""
        if row.cause == FILLED:
            self.came[row.covers, row.ts_from].append((row.ids_from, row.ids_to))
            return None
        before = self.open.get(row.covers)
        if row.ts_to is not None and before is not None and (before.state, before.ts_from) == (row.state, row.ts_from):
            before.ts_to = row.ts_to
            return self.open.pop(row.covers)
        numbers = row.ids_from, row.ids_to, row.depth
        interval = Interval(row.covers, row.state, row.cause, row.ts_from, row.ts_to, row.detail, row.file, *numbers)
        self.intervals.append(interval)
        if row.ts_to is None:
            if before is not None:
                before.ts_to = max(before.ts_from, row.ts_from)
            self.open[row.covers] = interval
        return interval

    def fill(self) -> None:
        """Find the gaps that were filled by the rows taken so far."""
        for one in self.intervals:
            if one.state == "gap":
                one.is_filled = is_filled((one.ids_from, one.ids_to), self.came.get((one.covers, one.ts_from), ()))


def is_filled(missing: Ids, came: Iterable[Ids]) -> bool:
    """Whether all of the missing trade numbers came."""
    first, last = missing
    if first is None or last is None:
        return False
    known = sorted((low, high) for low, high in came if low is not None and high is not None)
    for low, high in known:
        if low > first:
            break
        first = max(first, high + 1)
    return first > last


def rows_of(table: pa.Table, file: str = "") -> Iterator[CoverageRow]:
    """The rows of a table of stream COVERAGE that lies in `file`."""
    words = [table[name].to_pylist() for name in ("covers", "state", "cause")]
    times = [table[name].cast(pa.int64()).to_pylist() for name in ("ts_from", "ts_to")]
    rest = [table[name].to_pylist() for name in ("detail", "ids_from", "ids_to", "depth")]
    return (CoverageRow(file, *values) for values in zip(*words, *times, *rest, strict=True))
