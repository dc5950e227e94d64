"""Which rows of a collector another one has too, as after a change of recorders: what a reader of the bare files would find twice.

The rule: a row is left out only if a collector that keeps it has the same one in parts that are what was listed, and book messages
only of times at which another collector's book is the one that counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from xtrader.model.streams import STREAMS
from xtrader.records.batches import Ints
from xtrader.sinks.described import place_of
from xtrader.sinks.manifest import ManifestLine
from xtrader.store.read.books import live_stretches
from xtrader.store.read.hand_over import LATE, continued_at, number_between
from xtrader.store.read.intervals import Stretch, intervals, live_spans
from xtrader.store.read.ladder import Ladder
from xtrader.store.read.merge_rows import MEMORY, known_at, plain
from xtrader.store.read.scan import Window, scan, times
from xtrader.store.read.view import Source, View

DAY_NAME: Final = 10

Bools = npt.NDArray[np.bool_]
Read = Callable[[ManifestLine], Iterator[Any]]
"""The row groups of a part, in order."""


class Piece(NamedTuple):
    """Rows [first, last) of a part, which are left out; the rows of `snapshot`, if it is not None, take their place."""

    first: int
    last: int
    snapshot: Any = None


class LeftOut(NamedTuple):
    """What becomes of one part: some pieces of it, in order, are left out, or of a flat stream the rows of which `lacking` says so.
    `spans` are the times [from, to) of which another collector has the rows, int ns."""

    line: ManifestLine
    spans: Sequence[tuple[int, int]]
    pieces: Sequence[Piece] = ()
    lacking: Bools | None = None

    @property
    def rows(self) -> int:
        """How many rows are left out."""
        return sum(one.last - one.first for one in self.pieces) if self.lacking is None else int(self.lacking.sum())

    def apply(self, tables: Iterable[Any]) -> Iterator[Any]:
        """What is left of the rows of the part, in tables; none is empty."""
        found = self._without_pieces(tables) if self.lacking is None else self._without_lacking(tables, self.lacking)
        return (table for table in found if table.num_rows)

    def _without_lacking(self, tables: Iterable[Any], lacking: Bools) -> Iterator[Any]:
        done = 0
        for table in tables:
            yield table.filter(~lacking[done : done + table.num_rows])
            done += table.num_rows

    def _without_pieces(self, tables: Iterable[Any]) -> Iterator[Any]:
        waiting = list(self.pieces)
        done = 0
        for table in tables:
            count, cursor = table.num_rows, 0
            while waiting and waiting[0].first <= done + count:
                first, last, snapshot = waiting[0]
                if first > done + cursor:
                    yield table.slice(cursor, first - done - cursor)
                cursor = min(last - done, count)
                if last > done + count:
                    break
                if snapshot is not None:
                    yield snapshot
                del waiting[0]
            yield table.slice(cursor)
            done += count


class Parts(NamedTuple):
    """The parts in force of one stream of one instrument: collector -> its lines in the order of the journal. `closed` are the
    paths of those that may be changed; `is_whole` says whether a part is what was listed."""

    lines: Mapping[str, Sequence[ManifestLine]]
    closed: Collection[str]
    is_whole: Callable[[ManifestLine], bool]
    read: Read

    @property
    def is_one_environment(self) -> bool:
        """Whether they are about the same market."""
        return len({line.settings.get("environment", "") for lines in self.lines.values() for line in lines}) == 1


def book_cuts(view: View, key: str, parts: Parts) -> list[LeftOut]:
    """The cuts of book rows, in the order in which they must be made: those of a collector backwards, so that its chain is
    whole whenever the work ends, as the snapshot after what is left out comes first."""
    chosen = live_stretches(view, key)
    covered = {source.collector: live_spans(intervals(source), "L2") for source in view.sources("COVERAGE", key)}
    cuts: list[LeftOut] = []
    for source in view.sources("L2", key):
        own = [one for one in chosen if one.source.collector == source.collector]
        pieces: dict[str, list[Piece]] = defaultdict(list)
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for span in covered.get(source.collector, ()):
            ends = sorted((one.start, one.end) for one in own if span.start <= one.start < span.end)
            start = span.start
            for first, last in [*ends, (span.end, span.end)]:
                if start < first and _are_whole(parts, source.collector, start - LATE, first + LATE):
                    after = next((one for one in own if one.start == first), None)
                    before = next((one for one in chosen if one.end == first), None)
                    for path, found in _left_out(parts, source, start, first, before, after).items():
                        pieces[path] += found
                        spans[path].append((start, first))
                start = last
        lines = reversed(parts.lines[source.collector])
        cuts += [LeftOut(line, spans[line.path], pieces[line.path]) for line in lines if line.path in pieces]
    return cuts


def _are_whole(parts: Parts, collector: str, start: int, end: int) -> bool:
    """Whether each part of the other collectors that has rows of these times is what was listed."""
    others = [line for name, lines in parts.lines.items() if name != collector for line in lines]
    return all(parts.is_whole(line) for line in others if _touches(line, start, end))


def _touches(line: ManifestLine, start: int, end: int) -> bool:
    return (
        line.first_ts_recv is not None
        and line.last_ts_recv is not None
        and line.first_ts_recv <= end
        and line.last_ts_recv >= start
    )


def _left_out(
    parts: Parts, source: Source, start: int, end: int, before: Stretch | None, after: Stretch | None
) -> dict[str, list[Piece]]:
    """Path -> the pieces of what a collector has from a snapshot at `start` to `end`. Where its own book counts `after` that, and
    its chain began earlier, a snapshot of it comes in. Empty if nothing is left out, or not all of it may be changed."""
    number = None if before is None or after is None else number_between(before, after)
    goes_on = after is not None and after.chain < after.start
    ladder, latest, found = Ladder(), start, dict[str, list[Piece]]()
    lines = [line for line in parts.lines[source.collector] if _touches(line, start - LATE, end + LATE)]
    reached, rest_of = (0, 0), -1
    started = False
    for place, line in enumerate(lines):
        row, first, last = 0, -1, -1
        for table in parts.read(line):
            recv, low = times(table), 0
            if not started:
                is_first = table["is_snapshot"].to_numpy() & (recv >= start) & (recv < end)
                low = int(is_first.argmax()) if is_first.any() else table.num_rows
            if low < table.num_rows:
                started = True
                rest = table.slice(low)
                known = known_at(recv[low:], latest)
                latest = int(known[-1])
                stop, reach = _ends(rest, known, end, number, after, goes_on)
                if goes_on and reach:
                    ladder.begin(rest.slice(0, reach))
                    ladder.advance(reach)
                    reached = place, row + low + reach
                first = row + low if first < 0 else first
                last = row + low + stop if stop else last
                if reach < rest.num_rows:
                    rest_of = place
                    break
            row += table.num_rows
        if last > first >= 0:
            found[line.path] = [Piece(first, last)]
        if rest_of >= 0:
            break
    if goes_on and found:
        at = _place_of_snapshot(lines, reached, rest_of, end)
        if at is None or not ladder.ready:
            return {}
        found.setdefault(lines[at[0]].path, []).append(Piece(at[1], at[1], ladder.snapshot(end)))
    return found if all(path in parts.closed for path in found) else {}


def _ends(table: Any, known: Ints, end: int, number: int | None, after: Stretch | None, goes_on: bool) -> tuple[int, int]:
    """How many rows of a table belong to what is left out, and how many to the book at `end`, which is never fewer."""
    if goes_on:
        stop = continued_at(table, known, end, number)
        return stop, max(stop, int(np.searchsorted(known, end, side="right")))
    if number is None:
        stop = int(np.searchsorted(known, end, side="left" if after is not None else "right"))
    else:
        # Up to the snapshot that an interrupted run has put there.
        own = table["is_snapshot"].to_numpy() & (times(table) >= end)
        stop = min(continued_at(table, known, end, number), int(own.argmax()) if own.any() else len(known))
    return stop, stop


def _place_of_snapshot(lines: Sequence[ManifestLine], reached: tuple[int, int], rest_of: int, ts: int) -> tuple[int, int] | None:
    """The part and the row in it before which a snapshot of that time comes. If it is the next day's already, it comes into the
    part after; a part that has one of an earlier day needs rows of its own day. None if there is no such part."""
    place, day = reached[0], _day(ts)
    date = _date(lines[place])
    if date == day or (date > day and rest_of == place):
        return reached
    return (place + 1, 0) if place + 1 < len(lines) and _date(lines[place + 1]) == day else None


def _date(line: ManifestLine) -> str:
    place = place_of(line.path)
    return "" if place is None else place.date


def _day(ts: int) -> str:
    return str(np.datetime64(ts, "ns"))[:DAY_NAME]


def row_cuts(view: View, stream: str, key: str, parts: Parts) -> Iterator[LeftOut]:
    """The cuts of a flat stream: whoever recorded it first keeps all, each other one what those before it do not have."""
    identity = STREAMS[stream].identity
    columns = [*identity, "ts_recv"]
    sources = sorted(view.sources(stream, key), key=lambda one: (min(part.ts_first for part in one.parts), one.collector))
    for place, source in enumerate(sources):
        for line in parts.lines[source.collector] if place else ():
            start, end = line.first_ts_recv, line.last_ts_recv
            if start is None or end is None or line.path not in parts.closed:
                continue
            window = Window(start - MEMORY, end + MEMORY + 1)
            earlier = [
                one
                for one in sources[:place]
                if any(part.ts_first < window.end and part.ts_last >= window.start for part in one.parts)
            ]
            if not earlier or not _are_whole(parts, source.collector, window.start, window.end):
                continue
            known = {one for other in earlier for table in scan(other, columns, window) for one in _rows(table, identity)}
            tables = [table.select(columns) for table in parts.read(line)]
            lacking = np.array([one in known for table in tables for one in _rows(table, identity)], bool)
            if lacking.any():
                recv = np.concatenate([times(table) for table in tables])[lacking]
                yield LeftOut(line, [(int(recv.min()), int(recv.max()) + 1)], lacking=lacking)


def _rows(table: Any, identity: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(plain(table[name]) for name in identity), strict=True)
