"""One day of a recording in figures: what was covered, what is missing and why, how late messages came, how much there is.

The rule: every figure is derived from the files; what cannot be read is told as damage, never left out of a sum in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

import xtrader
from xtrader.clock import DAY
from xtrader.errors import ConfigError
from xtrader.model.streams import SUBSCRIBED
from xtrader.sinks.described import UNREADABLE, place_of, read_groups
from xtrader.sinks.manifest import collector_of
from xtrader.store.prove.coverage_map import share
from xtrader.store.prove.lock import shared
from xtrader.store.prove.parallel import each
from xtrader.store.prove.verify import day_start
from xtrader.store.prove.verify_lists import ListedPart, read_lists
from xtrader.store.prove.verify_parts import changed
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.report.timeline import Strip, Timeline, read_timeline

QUANTILES: Final = (0.5, 0.9, 0.99, 1.0)


class Gap(msgspec.Struct, frozen=True):
    """A time that was not recorded, clipped to the day. Times are int ns UTC."""

    ts_from: int
    ts_to: int
    seconds: float
    cause: str
    detail: str


class Lag(msgspec.Struct, frozen=True):
    """`ts_recv` - `ts_event` in milliseconds: both clocks are in it, so it can be negative."""

    p50: float
    p90: float
    p99: float
    max: float


class SubscriptionDay(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription of one collector on the day. `covered` is the live share of the time from the first to the last coverage row
    of the day, `covered_day` of all 24 hours. `resyncs`: how often it came back to live. `damaged` parts are in no other figure."""

    collector: str
    subscription: str
    environment: str
    covered: float | None
    covered_day: float
    live_seconds: float
    gaps: Sequence[Gap]
    gap_seconds: float
    resyncs: int
    lag_ms: Lag | None
    messages: int
    rows: int
    bytes: int
    parts: int
    damaged: int


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is published."""

    date: str
    recording: str
    software: str
    subscriptions: Sequence[SubscriptionDay]


class _Counted(NamedTuple):
    rows: int
    messages: int
    bytes: int
    damaged: int
    environment: str
    lag: Lag | None


def report_day(
    root: Path, date: str, workers: int = 1, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[DayReport, Timeline]:
    """The report of a UTC day (YYYY-MM-DD), and its timeline to draw. Raises OSError, and ConfigError if nothing is known of the
    day."""
    start = day_start(date)
    with shared(root):
        timeline = read_timeline(root, start, start + DAY)
        groups: dict[tuple[str, str], list[ListedPart]] = defaultdict(list)
        for one in read_lists(root).parts:
            place = place_of(one.line.path)
            if place is not None and place.date == date and place.stream in SUBSCRIBED:
                groups[collector_of(one.list), f"{place.stream}:{place.key}"].append(one)
        strips = [strip for strip in timeline.strips if _is_known(strip, groups, start)]
        if not strips:
            raise ConfigError(f"'{root}' holds nothing of {date}")
        work = [groups.get((strip.collector, strip.subscription), []) for strip in strips]
        sizes = {id(one): sum(listed.line.bytes for listed in one) for one in work}
        counted: dict[int, _Counted] = {}
        done = 0
        for piece, found in each(partial(_count, root), work, workers):
            counted[id(piece)] = found
            done += sizes[id(piece)]
            progress(done, sum(sizes.values()))
    subscriptions = [_subscription(strip, start, len(one), counted[id(one)]) for strip, one in zip(strips, work, strict=True)]
    report = DayReport(date=date, recording=root.resolve().name, software=xtrader.__version__, subscriptions=subscriptions)
    return report, timeline._replace(strips=strips)


def _is_known(strip: Strip, groups: dict[tuple[str, str], list[ListedPart]], start: int) -> bool:
    return (strip.collector, strip.subscription) in groups or bool(strip.shown(start, start + DAY))


def _count(root: Path, parts: Sequence[ListedPart]) -> _Counted:
    """Everything that must be read from the rows; lags take 8 bytes a message."""
    rows = messages = size = damaged = 0
    lags: list[Any] = []
    environments: set[str] = set()
    for one in parts:
        found: list[Any] = []
        try:
            if changed(root, one.line) is not None:
                damaged += 1
                continue
            for table in read_groups(root / one.line.path, one.line.stream):
                if "is_last" in table.column_names:
                    table = table.filter(table["is_last"])
                recv, event = (table[name].cast(pa.int64()) for name in ("ts_recv", "ts_event"))
                messages += table.num_rows
                known = event.is_valid().to_numpy(zero_copy_only=False)
                found.append((recv.to_numpy() - event.fill_null(0).to_numpy())[known])
        except UNREADABLE:
            damaged += 1
            continue
        lags += found
        rows += one.line.rows
        size += one.line.bytes
        environments.add(one.line.settings.get("environment", ""))
    return _Counted(rows, messages, size, damaged, ", ".join(sorted(filter(None, environments))), _lag(lags))


def _lag(lags: Sequence[Any]) -> Lag | None:
    whole = np.concatenate(lags) if lags else np.zeros(0)
    if not len(whole):
        return None
    return Lag(*(round(float(value) / 1e6, 3) for value in np.quantile(whole, QUANTILES)))


def _subscription(strip: Strip, start: int, parts: int, counted: _Counted) -> SubscriptionDay:
    stop = start + DAY
    known = share(strip.intervals, start, min(stop, max(strip.end, start)))
    gaps = [_gap(one) for one in strip.holes(start, stop)]
    begun = [one for one in strip.intervals if one.state == "live" and start <= one.ts_from < stop]
    lives = [one for one in strip.intervals if one.state == "live"]
    first = lives[0] if lives else None
    deepened = [after for before, after in pairwise(lives) if before.ts_to == after.ts_from and before.depth != after.depth]
    return SubscriptionDay(
        collector=strip.collector,
        subscription=strip.subscription,
        environment=counted.environment,
        covered=known.part,
        covered_day=known.live / DAY,
        live_seconds=known.live / 1e9,
        gaps=gaps,
        gap_seconds=sum(gap.seconds for gap in gaps),
        resyncs=sum(one is not first and one not in deepened for one in begun),
        lag_ms=counted.lag,
        messages=counted.messages,
        rows=counted.rows,
        bytes=counted.bytes,
        parts=parts,
        damaged=counted.damaged,
    )


def _gap(one: Interval) -> Gap:
    end = one.end(one.ts_from)
    return Gap(one.ts_from, end, (end - one.ts_from) / 1e9, one.cause, one.detail)
