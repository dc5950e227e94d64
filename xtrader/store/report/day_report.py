"""One day of a recording in figures: what was covered, what is missing and why, how late messages came, how much there is.

The rule: every figure is derived from the files; what cannot be read is told as damage, never left out of a sum in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import xtrader
from xtrader.clock import DAY
from xtrader.errors import ConfigError
from xtrader.model.streams import SUBSCRIBED
from xtrader.records.schemas import SCHEMAS
from xtrader.sinks.described import UNREADABLE, place_of, read_groups
from xtrader.sinks.manifest import collector_of
from xtrader.store.prove.coverage_map import share
from xtrader.store.prove.parallel import each
from xtrader.store.prove.recording_files import RecordingFiles, files_of
from xtrader.store.prove.verify import date_of, day_start
from xtrader.store.prove.verify_lists import ListedPart
from xtrader.store.prove.verify_parts import changed
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.read.scan import Window, scan
from xtrader.store.read.view import View
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


class _DayParts(NamedTuple):
    """What there is of a subscription on the day: its parts, and tables of what is in no file yet."""

    parts: Sequence[ListedPart]
    live: Sequence[Any]


class _Counted(NamedTuple):
    rows: int
    messages: int
    bytes: int
    damaged: int
    environment: str
    lag: Lag | None


def report_day(
    place: Path | RecordingFiles, date: str, workers: int = 1, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[DayReport, Timeline]:
    """The report of a UTC day (YYYY-MM-DD) with the live end, and its timeline to draw. Raises OSError, and ConfigError if nothing
    is known of the day."""
    files = files_of(place)
    start = day_start(date)
    with files.shared():
        timeline = read_timeline(files, start, start + DAY)
        groups: dict[tuple[str, str], list[ListedPart]] = defaultdict(list)
        tails = _live_rows(files, start)
        for one in files.read_lists().parts:
            at = place_of(one.line.path)
            if at is not None and at.date == date and at.stream in SUBSCRIBED and one.line.path not in tails.paths:
                groups[collector_of(one.list), f"{at.stream}:{at.key}"].append(one)
        strips = [strip for strip in timeline.strips if _is_known(strip, groups, start)]
        if not strips:
            raise ConfigError(f"'{files.name}' holds nothing of {date}; {_days(timeline)}")
        names = [(strip.collector, strip.subscription) for strip in strips]
        work = [_DayParts(groups.get(name, []), tails.tables.get(name, [])) for name in names]
        sizes = {id(one): sum(listed.line.bytes for listed in one.parts) for one in work}
        counted: dict[int, _Counted] = {}
        done = 0
        for piece, found in each(partial(_count, files), work, workers):
            counted[id(piece)] = found
            done += sizes[id(piece)]
            progress(done, sum(sizes.values()))
    subscriptions = [_subscription(strip, start, len(one.parts), counted[id(one)]) for strip, one in zip(strips, work, strict=True)]
    report = DayReport(date=date, recording=files.title, software=xtrader.__version__, subscriptions=subscriptions)
    return report, timeline._replace(strips=strips).recorded()


def _is_known(strip: Strip, groups: dict[tuple[str, str], list[ListedPart]], start: int) -> bool:
    return (strip.collector, strip.subscription) in groups or bool(strip.shown(start, start + DAY))


def _days(timeline: Timeline) -> str:
    """Which days there are."""
    known = [one for strip in timeline.strips for one in strip.intervals]
    first = date_of(min(one.ts_from for one in known) // DAY)
    last = date_of(max(one.end(strip.end) for strip in timeline.strips for one in strip.intervals) // DAY)
    return f"it is of {first}" if first == last else f"it is of {first} to {last}"


class _LiveRows(NamedTuple):
    """The rows of the day that are in a journal above its cursor, as tables, by collector and subscription; and the parts that hold
    the same rows already."""

    tables: Mapping[tuple[str, str], Sequence[Any]]
    paths: Set[str]


def _live_rows(files: RecordingFiles, start: int) -> _LiveRows:
    part_list = files.part_list()
    if not any(journal.is_dir() for journal in part_list.journals()):
        return _LiveRows({}, set())
    view = View([part_list], SUBSCRIBED)
    found: dict[tuple[str, str], list[Any]] = {}
    for stream in SUBSCRIBED:
        for key in view.keys(stream):
            for source in view.sources(stream, key):
                tables = [*scan(source._replace(parts=()), SCHEMAS[stream].names, Window(start, start + DAY))]
                if tables:
                    found[source.collector, f"{stream}:{key}"] = tables
    listed = {
        part.path
        for own in part_list.listed().values()
        for (stream, _), of in own.parts.items()
        for part in of
        if stream in SUBSCRIBED
    }
    used = {
        part.path for stream in SUBSCRIBED for key in view.keys(stream) for one in view.sources(stream, key) for part in one.parts
    }
    return _LiveRows(found, {path.removeprefix(f"{part_list.root}/") for path in listed - used})


def _count(files: RecordingFiles, work: _DayParts) -> _Counted:
    """Everything that must be read from the rows; lags take 8 bytes a message."""
    rows = messages = size = damaged = 0
    lags: list[Any] = []
    environments: set[str] = set()
    for one in work.parts:
        found: list[Any] = []
        read = 0
        with files.here(one.line.path):
            try:
                if changed(files.root, one.line) is not None:
                    damaged += 1
                    continue
                for table in read_groups(files.root / one.line.path, one.line.stream):
                    found.append(_lags(table))
                    read += _messages(table)
            except UNREADABLE:
                damaged += 1
                continue
        lags += found
        messages += read
        rows += one.line.rows
        size += one.line.bytes
        environments.add(one.line.settings.get("environment", ""))
    for table in work.live:
        lags.append(_lags(table))
        messages += _messages(table)
        rows += table.num_rows
    return _Counted(rows, messages, size, damaged, ", ".join(sorted(filter(None, environments))), _lag(lags))


def _messages(table: Any) -> int:
    return int(pc.sum(table["is_last"]).as_py() or 0) if "is_last" in table.column_names else int(table.num_rows)


def _lags(table: Any) -> Any:
    """ts_recv - ts_event in nanoseconds of each message that has both."""
    if "is_last" in table.column_names:
        table = table.filter(table["is_last"])
    recv, event = (table[name].cast(pa.int64()) for name in ("ts_recv", "ts_event"))
    known = event.is_valid().to_numpy(zero_copy_only=False)
    return (recv.to_numpy() - event.fill_null(0).to_numpy())[known]


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
