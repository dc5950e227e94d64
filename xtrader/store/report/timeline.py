"""What a recording says of its own completeness, as one timeline for each subscription.

The rule: a moment is as good as the worst that is known of it; where no row says anything, nothing is assumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from xtrader.clock import FOREVER
from xtrader.errors import ConfigError, DamagedFile
from xtrader.model.streams import SUBSCRIBED
from xtrader.records.schemas import COVERAGE
from xtrader.sinks.bounds import Bounds
from xtrader.store.prove.coverage_map import CoverageMap, holes_of, is_counted, share
from xtrader.store.prove.recording_files import RecordingFiles, files_of
from xtrader.store.prove.verify_lists import require_whole
from xtrader.store.read.coverage_fold import CoverageRow, Interval, rows_of
from xtrader.store.read.scan import blocks
from xtrader.store.read.view import View

NOTHING: Final = ""
_WORST: Final = ("gap", "syncing", "live")


class Strip(NamedTuple):
    """One subscription of one collector: its intervals in the order in which they began. `end` is the last time (int ns) that the
    collector is known to have recorded; what is open lasts until then."""

    collector: str
    subscription: str
    intervals: Sequence[Interval]
    end: int

    def live(self, ts_from: int, ts_to: int) -> float | None:
        """Share of the known time in [ts_from, ts_to) that was live; None if nothing is known."""
        return share(self.intervals, ts_from, min(ts_to, self.end)).part

    def shown(self, ts_from: int, ts_to: int) -> list[Interval]:
        """The intervals that touch [ts_from, ts_to), clipped to it; without the gap after the last stop."""
        found = []
        for one in self.intervals:
            if not is_counted(one):
                continue
            start, stop = max(one.ts_from, ts_from), min(one.end(self.end), ts_to)
            if start < stop or (start == stop and ts_from <= start < ts_to and one.state == "gap"):
                found.append(msgspec.structs.replace(one, state=one.counts, ts_from=start, ts_to=stop))
        return found

    def holes(self, ts_from: int, ts_to: int) -> list[Interval]:
        """What of [ts_from, ts_to) was not recorded, as `verify` has it, clipped to it."""
        return self._replace(intervals=holes_of(self.intervals, self.end)).shown(ts_from, ts_to)


class Timeline(NamedTuple):
    """All strips of a recording and the time that they span, int ns."""

    strips: Sequence[Strip]
    ts_from: int
    ts_to: int

    def recorded(self) -> Timeline:
        """The same without the time before and after all that is known: a short recording fills the picture of a day."""
        known = [one for strip in self.strips for one in strip.shown(self.ts_from, self.ts_to)]
        if not known:
            return self
        begin = min(one.ts_from for one in known)
        return self._replace(ts_from=begin, ts_to=max(begin + 1, *(one.end(self.ts_to) for one in known)))

    @property
    def labels(self) -> list[str]:
        """What to call each strip: its subscription, with the collector where several recorded any."""
        several = len({strip.collector for strip in self.strips}) > 1
        return [f"{strip.subscription} ({strip.collector})" if several else strip.subscription for strip in self.strips]


def read_timeline(place: Path | RecordingFiles, ts_from: int | None = None, ts_to: int | None = None) -> Timeline:
    """The coverage of a recording with its live end, all of it or within [ts_from, ts_to). Raises OSError, and ConfigError where
    it cannot be read or there is none."""
    files = files_of(place)
    lists = files.read_lists()
    require_whole(lists)
    part_list = files.part_list()
    view = View([part_list], ())
    strips = []
    for key in sorted(view.known):
        for source in view.sources("COVERAGE", key):
            rows: dict[str, list[CoverageRow]] = defaultdict(list)
            try:
                for table in blocks(source, COVERAGE.names):
                    for row in rows_of(table):
                        rows[row.covers].append(row)
            except DamagedFile:
                raise ConfigError(f"the coverage of {key} is damaged: `xtrader verify {files.name}` says where") from None
            for covers, own in rows.items():
                found = CoverageMap(own)
                end = min(max(source.until, found.last()), files.bounds.ends)
                strips.append(Strip(source.collector, f"{covers}:{key}", _clipped(found.intervals, files.bounds), end))
    told = {(strip.collector, strip.subscription) for strip in strips}
    untold = [
        (collector, f"{stream}:{key}", own.ts_last)
        for collector, own in part_list.listed().items()
        for stream, key in own.parts
        if stream in SUBSCRIBED
    ]
    strips += [Strip(collector, name, (), end) for collector, name, end in untold if (collector, name) not in told]
    if not told:
        raise ConfigError(f"'{files.name}' holds no coverage rows")
    strips.sort(key=lambda strip: (strip.subscription.partition(":")[2], strip.subscription, strip.collector))
    first = min((one.ts_from for strip in strips for one in strip.intervals), default=files.bounds.begins)
    last = max((one.end(strip.end) for strip in strips for one in strip.shown(first, FOREVER)), default=first)
    last = max(first, min(last, files.bounds.ends))
    start = first if ts_from is None else ts_from
    return Timeline(strips, start, max(start + 1, last if ts_to is None else ts_to))


def _clipped(found: Sequence[Interval], bounds: Bounds) -> Sequence[Interval]:
    """Intervals without what they say of times that are not here."""
    if bounds.are_open:
        return found
    inside = [one for one in found if one.ts_from < bounds.ends and one.end(FOREVER) > bounds.begins]
    for one in inside:
        one.ts_from = max(one.ts_from, bounds.begins)
        if one.ts_to is not None and one.ts_to >= bounds.ends:
            one.ts_to = None
    return inside


def cells(strip: Strip, ts_from: int, ts_to: int, count: int) -> list[str]:
    """`count` equal stretches of [ts_from, ts_to): the worst state in each, NOTHING where no row says anything."""
    found = [NOTHING] * count
    width = (ts_to - ts_from) / count
    for one in strip.shown(ts_from, ts_to):
        first = min(count - 1, int((one.ts_from - ts_from) / width))
        # What ends where the next cell begins is not in that one.
        last = max(first, min(count - 1, -int(-(one.end(ts_to) - ts_from) // width) - 1))
        for place in range(first, last + 1):
            if found[place] == NOTHING or _WORST.index(one.state) < _WORST.index(found[place]):
                found[place] = one.state
    return found
