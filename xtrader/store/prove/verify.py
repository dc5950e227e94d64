"""Is a recording what it says it is: every file, every line of the manifest, every row, every interval.

The rule: nothing is taken from what the recorder remembers; books and chains are derived again from the files alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from xtrader.clock import DAY, FOREVER
from xtrader.sinks.bounds import Bounds
from xtrader.sinks.described import UNREADABLE, Ranges, describe, first_line, metadata_of, misled, place_of, read_groups
from xtrader.sinks.manifest import DIRECTORY, collector_of, elsewhere_of
from xtrader.store.prove import elsewhere, live_end
from xtrader.store.prove.book_proof import BookProof
from xtrader.store.prove.coverage_map import CoverageMap, is_counted, share
from xtrader.store.prove.latest_proof import PROVEN, LatestProof
from xtrader.store.prove.parallel import each
from xtrader.store.prove.proofs import Proof, proof
from xtrader.store.prove.recording_files import RecordingFiles, files_of
from xtrader.store.prove.verify_lists import Finding, ListedPart, strangers, without_parts
from xtrader.store.prove.verify_parts import changed, date_differs
from xtrader.store.read.coverage_fold import CoverageRow, rows_of
from xtrader.store.read.times import stamp
from xtrader.venues.base import Rules

SETTLES = 3.0
"""Seconds in which a running recorder lists a part whose file is there."""
UNKNOWN = Rules(bridges=True, trade_ids="unique")
"""For an exchange that this version does not know: what holds everywhere."""


class Day(msgspec.Struct):
    """One subscription on one UTC day, of one collector. `live` is the share of the known time, None for other streams."""

    collector: str
    subscription: str
    date: str
    parts: int = 0
    bytes: int = 0
    rows: int = 0
    messages: int = 0
    gaps: int = 0
    live: float | None = None
    damage: int = 0


class Report(msgspec.Struct, frozen=True):
    """What was found. `parts` is how many files in force there are. `exit_code`: 0 clean, 1 holes that are declared, or no file
    that anything could be proven from, 2 damage."""

    directory: str
    parts: int
    days: Sequence[Day]
    findings: Sequence[Finding]
    exit_code: int


class Unit(NamedTuple):
    """What is verified in one go: the parts of one stream of one instrument, and the coverage that goes with them. `end` is the
    last time that the collector is known to have recorded, int ns. `beside` are the streams of that instrument which have parts."""

    collector: str
    stream: str
    key: str
    parts: Sequence[ListedPart]
    coverage: Sequence[ListedPart]
    rules: Rules
    end: int
    beside: Set[str]

    @property
    def elsewhere(self) -> list[tuple[int, int]]:
        """The times [from, to), int ns, of which another collector has the rows."""
        return sorted({span for one in self.parts for span in elsewhere_of(one.line.settings)})

    @property
    def bytes(self) -> int:
        return sum(one.line.bytes for one in self.parts)


class Verified(NamedTuple):
    """What became of a unit."""

    days: Sequence[Day]
    findings: Sequence[Finding]


def verify(
    place: Path | RecordingFiles,
    rules: Callable[[str], Rules | None],
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Verify a recording with so many processes. `rules` are the venues'; `progress` is told bytes done and to do.

    Raises OSError if the directory cannot be read, SinkRetry if a store does not answer.
    """
    files = files_of(place)
    with files.shared():
        return _verify(files, rules, workers, progress)


def _verify(
    files: RecordingFiles, rules: Callable[[str], Rules | None], workers: int, progress: Callable[[int, int], None]
) -> Report:
    names = files.names()
    lists = files.read_lists()
    foreign = strangers(lists, files.settled(names, lists))
    if (lists.findings or foreign.findings) and any(
        files.is_running(one) for one in {collector_of(one.list) for one in lists.parts}
    ):
        time.sleep(SETTLES)
        lists = files.read_lists()
        foreign = strangers(lists, files.settled(names, lists))
    findings = [*lists.findings, *foreign.findings]
    parts = [one for one in lists.parts if one.line.path not in foreign.covered]
    for path, list_ in foreign.unlisted:
        try:
            with files.here(path):
                parts.append(ListedPart(describe(files.root, path), list_, None))
        except UNREADABLE as error:
            findings.append(Finding("damage", path, f"cannot be read: {first_line(error)}"))
    findings += without_parts(files.root, {collector_of(one.list) for one in parts})
    findings += live_end.told(files)
    if not files.bounds.are_open:
        findings.append(Finding("note", DIRECTORY, _kept(files.bounds)))
    units = sorted(cut(parts, rules), key=lambda unit: -unit.bytes)
    findings += elsewhere.nowhere(units, lambda unit: read_coverage(files, unit.coverage))
    total = sum(unit.bytes for unit in units)
    days: list[Day] = []
    done = 0
    for unit, verified in each(partial(check, files), units, workers):
        days += verified.days
        findings += verified.findings
        done += unit.bytes
        progress(done, total)
    findings.sort(key=lambda one: (one.level, one.file))
    days.sort(key=lambda day: (day.collector, day.subscription.partition(":")[2], day.subscription, day.date))
    levels = {finding.level for finding in findings}
    code = 2 if "damage" in levels else 1 if "hole" in levels or not parts else 0
    return Report(files.name, len(parts), days, findings, code)


def _kept(bounds: Bounds) -> str:
    end = "the end" if bounds.ends == FOREVER else stamp(bounds.ends)
    return f"only what was received from {stamp(bounds.begins)} to {end} is here: the rest was pruned, or not brought"


def cut(parts: Iterable[ListedPart], rules: Callable[[str], Rules | None]) -> list[Unit]:
    """The parts in force as units of work, each in the order of the journal."""
    groups: dict[tuple[str, str, str], list[ListedPart]] = defaultdict(list)
    ends: dict[str, int] = defaultdict(int)
    beside: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in parts:
        collector = collector_of(one.list)
        beside[collector, one.line.instrument].add(one.line.stream)
        groups[collector, one.line.stream, one.line.instrument].append(one)
        ends[collector] = max(ends[collector], one.line.last_ts_recv or 0)
    for group in groups.values():
        group.sort(key=lambda one: (one.line.first_offset, one.line.path))
    units = []
    for (collector, stream, key), group in groups.items():
        coverage, own = groups.get((collector, "COVERAGE", key), ()), rules(key.partition("@")[0]) or UNKNOWN
        units.append(Unit(collector, stream, key, group, coverage, own, ends[collector], beside[collector, key]))
    return units


def check(files: RecordingFiles, unit: Unit) -> Verified:
    """Verify one unit."""
    return _Check(files, unit).run()


class _Check:
    """One unit being verified, part by part."""

    def __init__(self, files: RecordingFiles, unit: Unit) -> None:
        self._files = files
        self._root = files.root
        self._bounds = files.bounds
        self._unit = unit
        self._findings: list[Finding] = []
        self._days: dict[str, Day] = {}
        self._file = ""
        self._whole = True

    def run(self) -> Verified:
        unit = self._unit
        maps = read_coverage(self._files, unit.coverage, unit.stream, unit.elsewhere)
        if unit.stream == "COVERAGE":
            self._read_parts(None)
            self._tell_coverage(maps)
            without = {covers: found for covers, found in (maps or {}).items() if covers not in unit.beside}
            return Verified([day for one in without.items() for day in self._without(*one)], self._findings)
        nothing = CoverageMap((), unit.elsewhere)
        coverage = nothing if maps is None else maps.get(unit.stream, nothing)
        chain = proof(unit.stream, unit.key, unit.rules, coverage if maps is not None else ALL_LIVE, self._tell)
        if chain is not None and self._bounds.begins:
            chain.lost()
        self._read_parts(chain)
        if maps is not None and isinstance(chain, BookProof):
            self._tell_shallow(coverage)
            if self._whole:
                self._check_syncs(chain.synced, coverage)
        if chain is None:
            return Verified([], self._findings)
        if isinstance(chain, LatestProof):
            self._findings.append(Finding("note", unit.parts[0].line.path, f"{unit.stream}:{unit.key}: {PROVEN}"))
        if "INSTRUMENTS" not in unit.beside:
            self._check_described()
        return Verified(self._told(unit.stream, coverage, self._days), self._findings)

    def _without(self, covers: str, coverage: CoverageMap) -> list[Day]:
        """A subscription of which there are no parts."""
        if covers == "L2":
            self._check_syncs(set(), coverage)
        return self._told(covers, coverage, {})

    def _told(self, covers: str, coverage: CoverageMap, found: dict[str, Day]) -> list[Day]:
        """The days of a subscription, each from the first to the last of which anything is known, with parts or without."""
        unit = self._unit
        known = [one for one in coverage.intervals if is_counted(one)]
        ends = [ts // DAY for one in known for ts in (one.ts_from, max(one.ts_from, one.end(unit.end) - 1))]
        dates = {date_of(number) for number in range(min(ends), max(ends) + 1)} if ends else set()
        for date in sorted(dates - set(found)):
            if (
                self._is_here(day_start(date), day_start(date) + DAY)
                and share(coverage.intervals, day_start(date), min(day_start(date) + DAY, unit.end)).known
            ):
                found[date] = Day(unit.collector, "", date)
        holes = coverage.holes(unit.end)
        for date, day in found.items():
            first = max(day_start(date), self._bounds.begins)
            stop = min(day_start(date) + DAY, self._bounds.ends, max(unit.end, first))
            day.subscription = f"{covers}:{unit.key}"
            day.live = share(coverage.intervals, first, stop).part
            day.gaps = sum(gap.ts_from < stop and gap.end(stop) > first for gap in holes)
        return list(found.values())

    def _check_described(self) -> None:
        """What the venue said of an instrument is in parts of its own, wherever its other parts name it."""
        for one in self._unit.parts:
            try:
                with self._files.here(one.line.path):
                    is_told = "instrument" in metadata_of(self._root / one.line.path)
            except UNREADABLE:
                continue
            if is_told:
                what = "states what the instrument is, and there is no part of INSTRUMENTS that does"
                self._findings.append(Finding("damage", one.line.path, what))
                return

    def _read_parts(self, chain: Proof | None) -> None:
        for one in self._unit.parts:
            line = one.line
            self._file = line.path
            place = place_of(line.path)
            date = "" if place is None else place.date
            day = self._days.setdefault(date, Day(self._unit.collector, "", date))
            day.parts += 1
            day.bytes += line.bytes
            before = len(self._findings)
            messages = 0 if chain is None else chain.messages
            with self._files.here(line.path):
                is_whole = self._read_part(one, date, chain)
            if not is_whole:
                self._whole = False
                if chain is not None:
                    chain.lost()
            day.rows += line.rows
            day.messages += (0 if chain is None else chain.messages) - messages
            day.damage += len(self._findings) - before

    def _read_part(self, one: ListedPart, date: str, chain: Proof | None) -> bool:
        """False if the part cannot be taken as it is."""
        line = one.line
        what = changed(self._root, line)
        is_there = (self._root / line.path).exists() and misled(self._root, line.path) is None
        if what is not None and one.is_proven is False and not is_there:
            self._findings.append(Finding("damage", one.list, f"lists '{line.path}', which is not there"))
            return False
        if what is not None and (one.is_proven or not is_there):
            self._tell(what)
            return False
        ranges = Ranges()
        try:
            for table in read_groups(self._root / line.path, line.stream):
                ranges.add(table)
                if date_differs(table, date, line.stream):
                    self._tell("holds rows of another day than its directory")
                if chain is not None:
                    chain.check(table)
        except UNREADABLE as error:
            self._tell(f"cannot be read: {first_line(error)}")
            return False
        differing = ranges.differing(line)
        if one.is_proven is False and (differing or what is not None):
            wrong = ", ".join(differing) or "its size or SHA-256"
            self._findings.append(Finding("damage", one.list, f"says of '{line.path}' what it does not hold: {wrong}"))
        elif differing:
            self._tell(f"does not hold what its line in {one.list} says: {', '.join(differing)}")
        elif what is not None:
            self._tell(what)
        return True

    def _tell_coverage(self, maps: Mapping[str, CoverageMap] | None) -> None:
        for covers, coverage in (maps or {}).items():
            name = f"{covers}:{self._unit.key}"
            for problem in coverage.problems:
                if not self._is_here(problem.ts, problem.ts + 1):
                    continue
                level = "damage" if problem.is_damage else "hole"
                self._findings.append(Finding(level, problem.file, f"{name} at {stamp(problem.ts)}: {problem.what}"))
            for gap in coverage.holes(self._unit.end):
                if not self._is_here(gap.ts_from, gap.end(self._unit.end)):
                    continue
                end = "the end" if gap.ts_to is None else stamp(gap.ts_to)
                why = f"{gap.cause}, {gap.detail}" if gap.detail else gap.cause
                why = why if gap.state == "gap" else f"{gap.state} ({why})"
                self._findings.append(Finding("hole", gap.file, f"{name} from {stamp(gap.ts_from)} to {end}: {why}"))

    def _tell_shallow(self, coverage: CoverageMap) -> None:
        """Books that were live without all the levels that their venue would have given."""
        deepest = self._unit.rules.depth
        for one in coverage.intervals:
            if one.state == "live" and one.depth is not None and deepest is not None and one.depth < deepest:
                end = "the end" if one.ts_to is None else stamp(one.ts_to)
                what = f"L2:{self._unit.key} from {stamp(one.ts_from)} to {end}: {one.depth} levels a side of {deepest}"
                self._findings.append(Finding("note", one.file, what))

    def _check_syncs(self, synced: Set[int], coverage: CoverageMap) -> None:
        """Whatever is said to be live began with a snapshot."""
        last = max((one.line.last_ts_recv or 0 for one in self._unit.parts), default=0)
        for one in coverage.intervals:
            if not self._bounds.begins <= one.ts_from < self._bounds.ends:
                continue
            is_lost = coverage.explains(one.ts_from, one.ts_from, "storage")
            is_elsewhere = coverage.is_elsewhere(one.ts_from, one.ts_from)
            if (
                one.state == "live"
                and one.cause != "clock_step"
                and one.ts_from < last
                and not (one.ts_from in synced or is_lost or is_elsewhere)
            ):
                what = f"L2:{self._unit.key} is said to be live from {stamp(one.ts_from)}, and no snapshot was recorded then"
                self._findings.append(Finding("damage", one.file, what))

    def _is_here(self, ts_from: int, ts_to: int) -> bool:
        """Whether any of a time is one that this recording has parts of."""
        return (ts_to > self._bounds.begins or ts_from >= self._bounds.begins) and ts_from < self._bounds.ends

    def _tell(self, what: str) -> None:
        self._findings.append(Finding("damage", self._file, what))


def read_coverage(
    files: RecordingFiles, parts: Sequence[ListedPart], stream: str = "", elsewhere: Sequence[tuple[int, int]] = ()
) -> dict[str, CoverageMap] | None:
    """Stream -> its coverage; None if a part of it is damaged (which is told where that part is verified). `elsewhere` are the
    times [from, to) of which another collector has the rows of `stream`."""
    rows: dict[str, list[CoverageRow]] = defaultdict(list)
    with files.here(*(one.line.path for one in parts)):
        for one in parts:
            if changed(files.root, one.line) is not None:
                return None
            try:
                for table in read_groups(files.root / one.line.path, one.line.stream):
                    for row in rows_of(table, one.line.path):
                        rows[row.covers].append(row)
            except UNREADABLE:
                return None
    return {covers: CoverageMap(found, elsewhere if covers == stream else ()) for covers, found in rows.items()}


def day_start(date: str) -> int:
    """Where a UTC day (YYYY-MM-DD) begins, int ns."""
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) * 10**9


def date_of(number: int) -> str:
    """The UTC day (YYYY-MM-DD) that begins so many days after 1970."""
    return datetime.fromtimestamp(number * DAY // 10**9, UTC).strftime("%Y-%m-%d")


class _AllLive(CoverageMap):
    """Stands in where the coverage is damaged: it contradicts nothing."""

    def __init__(self) -> None:
        super().__init__([CoverageRow("", "", "live", "start", 0, None, ""), CoverageRow("", "", "gap", "storage", 0, 2**62, "")])


ALL_LIVE = _AllLive()
