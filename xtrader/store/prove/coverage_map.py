"""What the Coverage rows of one subscription add up to: intervals, and whether they are well formed and leave nothing out.

The rule: rows are taken in the order in which they were written; nothing is guessed where a row is missing, it is told.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from xtrader.clock import FOREVER, SECOND
from xtrader.model.market import CAUSES, STATES
from xtrader.records.batches import Ints
from xtrader.store.read.coverage_fold import CoverageFold, CoverageRow, Interval

START_UP: Final = 60 * SECOND
"""A start that takes longer until it is live is a hole."""
_OLDER_CROSSED: Final = "crossed book"
"""How the detail of a gap of cause venue_gap begins in recordings from before there was the cause `crossed`: it ends with the
message that crossed the book."""
_OLDER_WAIT: Final = 60 * SECOND
"""Such a recorder took a book that crossed again so soon as its venue left it."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with the rows; `is_damage` is False for time that nobody recorded and no gap row tells."""

    file: str
    ts: int
    what: str
    is_damage: bool = True


class CoverageMap:
    """The intervals of one subscription, in the order in which they were opened. `elsewhere` are times [from, to), int ns, of which
    another collector has the rows."""

    def __init__(self, rows: Iterable[CoverageRow], elsewhere: Sequence[tuple[int, int]] = ()) -> None:
        self.elsewhere = elsewhere
        self.problems: list[Problem] = []
        self._fold = CoverageFold()
        self.intervals = self._fold.intervals
        for row in rows:
            self._take(row)
        self._fold.fill()
        self._find_holes()

    @property
    def gaps(self) -> list[Interval]:
        return [one for one in self.intervals if one.state == "gap"]

    def holes(self, end: int) -> list[Interval]:
        """See `holes_of`."""
        return holes_of(self.intervals, end)

    def last(self) -> int:
        """The latest time that a row states, 0 without rows."""
        return max((one.end(one.ts_from) for one in self.intervals), default=0)

    def explains(self, ts_from: int, ts_to: int, cause: str = "") -> bool:
        """True if a gap touches [ts_from, ts_to]; with `cause` only one of that cause. Without, also where another collector
        has the rows."""
        if not cause and self.is_elsewhere(ts_from, ts_to):
            return True
        return any(gap.ts_from <= ts_to and gap.end(FOREVER) >= ts_from for gap in self.gaps if not cause or gap.cause == cause)

    def is_elsewhere(self, ts_from: int, ts_to: int) -> bool:
        """True if another collector has rows of a time in [ts_from, ts_to]."""
        return any(start <= ts_to and end >= ts_from for start, end in self.elsewhere)

    def may_cross(self, ts: int) -> bool:
        """True if a book may be crossed at `ts`: never, but in recordings that a recorder made which left it so."""
        return any(_is_older_crossing(gap) and 0 <= ts - gap.end(ts) <= _OLDER_WAIT for gap in self.gaps)

    def explains_ids(self, first: int, last: int, ts_from: int, ts_to: int) -> bool:
        """True if a gap that touches [ts_from, ts_to] names the trade numbers `first` to `last`, or no numbers at all; or if
        another collector has rows of that time."""
        return self.is_elsewhere(ts_from, ts_to) or any(
            gap.ids_from is None or gap.ids_to is None or (gap.ids_from <= first and last <= gap.ids_to)
            for gap in self.gaps
            if gap.ts_from <= ts_to and gap.end(FOREVER) >= ts_from
        )

    def came_later(self, numbers: Ints) -> npt.NDArray[np.bool_]:
        """Which of these trade numbers were filled later."""
        found = np.zeros(len(numbers), bool)
        for first, last in itertools.chain(*self._fold.came.values()):
            if first is not None and last is not None:
                found |= (numbers >= first) & (numbers <= last)
        return found

    def uncovered(self, ts: Ints) -> npt.NDArray[np.bool_]:
        """Which of these times are inside no live interval, ends included. Around a start, and where the journal was damaged, the
        last batch may be later than what recovery could prove, so gaps of those causes are no contradiction; nor is one that names
        the trades that are missing to any other: with two connections one may have been received meanwhile, and waited. Older
        recorders also stored the message that crossed the book, with which the gap that tells so ends."""
        found = np.ones(len(ts), bool)
        for one in self.intervals:
            is_vague = one.state == "gap" and (one.cause in ("start", "storage") or one.ids_from is not None)
            if one.state == "live" or is_vague:
                found &= (ts < one.ts_from) | (ts > one.end(FOREVER))
            elif _is_older_crossing(one):
                found &= ts != one.end(FOREVER)
        return found

    def _take(self, row: CoverageRow) -> None:
        if row.state not in STATES or row.cause not in CAUSES:
            self._tell(row, f"a row of unknown state or cause: {row.state}, {row.cause}")
            return
        if row.ts_to is not None and row.ts_to < row.ts_from:
            self._tell(row, f"a {row.state} interval ends before it begins")
            return
        before = self._fold.open.get(row.covers)
        interval = self._fold.take(row)
        if interval is None or interval is before:
            return
        if row.ts_to is None:
            if before is not None and not self.explains(before.ts_from, row.ts_from, "storage"):
                self._tell(row, f"{row.state} begins while {before.state} has not ended: the row that ends it is missing")
        elif row.state != "gap" and not self.explains(row.ts_from, row.ts_to, "storage"):
            self._tell(row, f"{row.state} ends and never began: the row that begins it is missing")

    def _find_holes(self) -> None:
        """Time between two intervals for which there is no row."""
        covered: int | None = None
        for one in sorted(self.intervals, key=lambda one: (one.ts_from, one.end(FOREVER))):
            if covered is not None and one.ts_from > covered:
                is_start = one.state == "syncing" and one.cause == "start"
                seconds = (one.ts_from - covered) / 1e9
                self.problems.append(Problem(one.file, covered, f"no coverage row for {seconds:.3f} s", not is_start))
            covered = max(covered or 0, one.end(FOREVER))

    def _tell(self, row: CoverageRow, what: str) -> None:
        self.problems.append(Problem(row.file, row.ts_from, what))


def _is_older_crossing(one: Interval) -> bool:
    return one.state == "gap" and one.cause == "venue_gap" and one.detail.startswith(_OLDER_CROSSED)


def holes_of(intervals: Sequence[Interval], end: int) -> list[Interval]:
    """What was not recorded until `end`, the last time that the recording is known to have gone on: every gap, without those that
    were filled and the one that only says that the recording was stopped and never started again; and time of syncing that is
    not the short way back from a gap (START_UP), nor the first that led to live within that time of the start."""
    begun = set(map(id, start_ups(intervals, end)))
    ends = {one.ts_to for one in intervals if one.counts == "gap" and one.ts_to is not None}
    found = []
    for one in intervals:
        if one.state == "gap":
            is_hole = is_counted(one) and not one.is_filled
        elif one.state == "syncing" and one.ts_from not in ends:
            is_hole = id(one) not in begun
        else:
            is_hole = one.state == "syncing" and one.end(end) - one.ts_from > START_UP
        if is_hole:
            found.append(one)
    return found


def start_ups(intervals: Sequence[Interval], end: int) -> list[Interval]:
    """The syncing with which a recording began, where it led to live within START_UP: nothing was recorded before it, so nothing
    is lost by it. `end` as for `holes_of`."""
    last_live = max((one.end(end) for one in intervals if one.counts == "live"), default=0)
    ends = {one.ts_to for one in intervals if one.counts == "gap" and one.ts_to is not None}
    return [
        one
        for one in intervals
        if (one.state, one.cause) == ("syncing", "start")
        and one.ts_from not in ends
        and one.end(end) - one.ts_from <= START_UP
        and last_live > one.ts_from
    ]


def is_counted(one: Interval) -> bool:
    """Whether an interval says anything of what was recorded: the gap after the last stop does not."""
    return not (one.state == "gap" and one.ts_to is None and one.cause == "shutdown")


class Share(msgspec.Struct, frozen=True):
    """How a stretch of time was spent, in nanoseconds: `known` of it is covered by any row, `live` by live rows and no gap."""

    known: int
    live: int

    @property
    def part(self) -> float | None:
        """live / known; None where nothing is known."""
        return self.live / self.known if self.known else None


def share(intervals: Sequence[Interval], ts_from: int, ts_to: int) -> Share:
    """How [ts_from, ts_to) was spent. Intervals that are open end at `ts_to`. The gap after the last stop does not count, nor do
    `start_ups`."""
    begun = set(map(id, start_ups(intervals, ts_to)))
    clipped: list[tuple[int, int, str]] = []
    for one in intervals:
        if not is_counted(one) or id(one) in begun:
            continue
        start, end = max(one.ts_from, ts_from), min(one.end(ts_to), ts_to)
        if end > start:
            clipped.append((start, end, one.counts))
    edges = sorted([(start, 1, state) for start, _, state in clipped] + [(end, -1, state) for _, end, state in clipped])
    known = live = 0
    depth: Counter[str] = Counter()
    before = ts_from
    for edge, step, state in edges:
        known += (edge - before) if any(depth.values()) else 0
        live += (edge - before) if depth["live"] and not depth["gap"] else 0
        depth[state] += step
        before = edge
    return Share(known, live)
