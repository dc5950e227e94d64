"""Books at points in time, and book updates from several collectors as one stream.

The rule: a book is answered only where a collector's coverage is live, from that collector's own snapshot and the changes after
it; never across a gap, never from two collectors' changes mixed.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from xtrader.errors import ConfigError, NotCovered, utc
from xtrader.model.book import Book
from xtrader.model.market import Coverage
from xtrader.records.batches import Ints
from xtrader.records.schemas import L2
from xtrader.store.read.answer import Answer
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.read.hand_over import LATE, continued_at, early, number_between
from xtrader.store.read.intervals import Stretch, intervals, live_spans, stretches, without
from xtrader.store.read.ladder import COLUMNS, Ladder, Levels, cut
from xtrader.store.read.merge_rows import known_at
from xtrader.store.read.part_list import PartList
from xtrader.store.read.scan import BATCH_ROWS, Window, ahead, blocks, times
from xtrader.store.read.view import Source, View

LEVELS_AT_ONCE: Final = 32_768
"""About so many levels of a side are in a table of books, however deep they are."""
_LIST: Final = pa.list_(pa.float64())
BOOKS: Final = pa.schema(
    [
        ("ts", L2.field("ts_recv").type),
        ("sequence", pa.int64()),
        ("bid_prices", _LIST),
        ("bid_sizes", _LIST),
        ("ask_prices", _LIST),
        ("ask_sizes", _LIST),
    ]
)


def live_stretches(view: View, key: str) -> list[Stretch]:
    """Where the book of an instrument is known, and from whom."""
    covers = {_recorder(source): live_spans(intervals(source), "L2") for source in view.sources("COVERAGE", key)}
    return stretches([(source, without(covers.get(_recorder(source), []), source.elsewhere)) for source in view.sources("L2", key)])


def _recorder(source: Source) -> tuple[int, str]:
    """Who recorded a source: two recordings may have collectors of one name."""
    return id(source.part_list), source.collector


def depth_at(view: View, key: str, stretch: Stretch, ts: int) -> int | None:
    """How many levels a side the snapshot was asked for that the book of a stretch had begun with at a time; None if it had all, or
    that is not known."""
    for source in view.sources("COVERAGE", key):
        if _recorder(source) == _recorder(stretch.source):
            live = [one for one in intervals(source) if (one.covers, one.state) == ("L2", "live") and one.ts_from <= ts]
            return max(live, key=attrgetter("ts_from")).depth if live else None
    return None


def chain(stretch: Stretch, end: int, columns: Sequence[str], batch_rows: int = BATCH_ROWS) -> Iterator[tuple[pa.Table, Ints]]:
    """The book rows of a stretch from its snapshot on, and when each was known; those known by `end`."""
    latest = stretch.chain
    started = False
    # After a snapshot that was made of several rows, some may have been received before it.
    for table in blocks(stretch.source, columns, Window(stretch.chain - LATE, end + 1), batch_rows):
        recv = times(table)
        if not started:
            first = np.flatnonzero(table["is_snapshot"].to_numpy() & (recv >= stretch.chain))
            if not len(first):
                continue
            started = True
            table, recv = table.slice(first[0]), recv[first[0] :]
        known = known_at(recv, latest)
        latest = int(known[-1])
        count = cut(known, end)
        if count:
            yield table.slice(0, count), known[:count]
        if count < len(known):
            return


def sampled(found: Sequence[Stretch], at: Sequence[int]) -> Iterator[tuple[int, Ladder | None]]:
    """For each of the sorted times: the time, and the ladder as it was then, None where no book is known. The ladder is reused:
    take what you need before the next."""
    position = 0
    for before, stretch in zip([None, *found], found, strict=False):
        low = bisect_left(at, stretch.start, position)
        high = bisect_left(at, stretch.end, low)
        yield from ((ts, None) for ts in at[position:low])
        if high > low:
            is_near = before is not None and at[low] <= stretch.start + LATE
            yield from _sampled(stretch, at[low:high], number_between(before, stretch) if before and is_near else None)
        position = high
    yield from ((ts, None) for ts in at[position:])


def _sampled(stretch: Stretch, at: Sequence[int], number: int | None = None) -> Iterator[tuple[int, Ladder | None]]:
    """Whoever was asked before knew the messages up to `number` at the start of the stretch, whenever they came here."""
    ladder = Ladder()
    done = 0
    end = at[-1] if number is None else max(at[-1], stretch.start + LATE)
    for table, known in ahead(chain(stretch, end, COLUMNS)):
        ladder.begin(table)
        least = 0 if number is None else continued_at(table, known, stretch.start, number)
        # Later rows may have been known at the block's last time as well: the next block decides.
        ready = done if least == len(known) else bisect_left(at, int(known[-1]), done)
        for ts in at[done:ready]:
            ladder.advance(max(least, cut(known, ts)))
            yield ts, ladder if ladder.ready else None
        if ready == len(at):
            return  # Whoever was handed the last one may still look at it.
        ladder.advance(len(known))
        done = ready
    yield from ((ts, ladder if ladder.ready else None) for ts in at[done:])


def filed(part_list: PartList, collector: str, live: Coverage, ts: int) -> Book | None:
    """The book of a live interval, an open row of a collector's journal, as that collector's files have it by `ts`; None if they do
    not have it. The journal is not read: who has read it knows the changes that are in no file yet. Raises OSError."""
    view = View([part_list], ("L2",), lambda _: (live.instrument,), live_end=False)
    own = [[one for one in view.sources(stream, live.instrument) if one.collector == collector] for stream in ("COVERAGE", "L2")]
    if not all(own):
        return None
    (coverage,), (source,) = own
    found = intervals(coverage)
    spans = [span for span in live_spans(found, "L2") if span.start <= ts]
    if not any((one.covers, one.state, one.ts_from) == ("L2", "live", live.ts_from) for one in found):
        return None
    if not spans or spans[-1].end < min(coverage.until, ts):
        return None
    ((_, ladder),) = _sampled(Stretch(source, *spans[-1]), [ts])
    return None if ladder is None else ladder.book()


def sampled_rows(view: View, key: str, every: int, depth: int, window: Window) -> Answer:
    """The best levels at the multiples of `every` in the window; see BOOKS."""
    if depth < 1:
        raise ConfigError(f"a book of depth {depth} has no levels: give 1 or more")

    def read() -> Iterator[Any]:
        found = live_stretches(view, key)
        if found:
            start, end = max(window.start, found[0].start), min(window.end, found[-1].end)
            at = range(-(-start // every) * every, end, every)
            samples = sampled(found, at)
            count = max(1, LEVELS_AT_ONCE // depth)
            while piece := [
                (ts, None if ladder is None else Sample(ladder.sequence, *ladder.sides(depth)))
                for ts, ladder in itertools.islice(samples, count)
            ]:
                yield _books(piece)

    return Answer(BOOKS, read)


class Sample(NamedTuple):
    """The best of a book at one time, and the venue's number of it."""

    sequence: int | None
    bids: Levels
    asks: Levels


def _books(samples: Sequence[tuple[int, Sample | None]]) -> Any:
    found = [sample for _, sample in samples]
    sides = [[None if one is None else (one.bids, one.asks)[place] for one in found] for place in range(2)]
    columns = [
        pa.array([ts for ts, _ in samples], pa.int64()).cast(BOOKS.field("ts").type),
        pa.array([None if one is None else one.sequence for one in found], pa.int64()),
        *(pa.array([side and side[place] for side in levels], _LIST) for levels in sides for place in range(2)),
    ]
    return pa.Table.from_arrays(columns, schema=BOOKS)


def why_not(view: View, key: str, ts: int) -> NotCovered:
    """The error that says what is known of an instrument's book at a time at which it is not live."""
    found = [one for source in view.sources("COVERAGE", key) for one in intervals(source) if one.covers == "L2"]
    inside = [one for one in found if one.ts_from <= ts and (one.ts_to is None or ts < one.ts_to) and one.state != "live"]
    if inside:
        return _error(key, ts, max(inside, key=attrgetter("ts_from")))
    if not found:
        return NotCovered(key, ts, "unknown", "", None, None, "the recording has no book of it")
    first, last = min(one.ts_from for one in found), max(one.until for one in found)
    if first <= ts < last:
        return NotCovered(key, ts, "unknown", "", None, None, "the recording has no snapshot for this time")
    end = f"begins later, at {utc(first)}" if ts < first else f"ends before, at {utc(last)}"
    return NotCovered(key, ts, "unknown", "", None, None, f"the recording {end}")


def _error(key: str, ts: int, one: Interval) -> NotCovered:
    return NotCovered(key, ts, one.state, one.cause, one.ts_from, one.ts_to, one.detail)


def joined(view: View, key: str, window: Window, batch_rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
    """The book rows of an instrument that several collectors recorded, as one chain, in tables of all columns of L2.

    Where one collector's live time ends and another's goes on, its book comes as a snapshot. Where their numbers tell what follows
    the first one's last message, what the other one had of that earlier comes before the snapshot, and what came later is in it.
    """
    found = live_stretches(view, key)
    starts = [stretch.start for stretch in found]
    first = max(0, bisect_right(starts, window.start) - 1)
    for before, stretch in zip([None, *found][first:], found[first:], strict=False):
        if stretch.start >= window.end:
            return
        if stretch.end < window.start:
            continue
        number = None if before is None else number_between(before, stretch)
        sooner = iter(()) if number is None else early(stretch, number, L2.names)
        for table in itertools.chain(sooner, _from(stretch, number, min(stretch.end, window.end), batch_rows)):
            recv = times(table)
            inside = (recv >= window.start) & (recv < window.end)
            if inside.any():
                yield table if inside.all() else table.filter(pa.array(inside))


def _from(stretch: Stretch, number: int | None, end: int, batch_rows: int) -> Iterator[pa.Table]:
    """The rows of a stretch; if its chain began before it, the book at its start first, or the one after the message `number`."""
    ladder = Ladder()
    begun = stretch.chain == stretch.start
    for table, known in chain(stretch, end, L2.names, batch_rows):
        if begun:
            yield table
            continue
        ladder.begin(table)
        count = max(cut(known, stretch.start), continued_at(table, known, stretch.start, number))
        ladder.advance(count)
        if count < len(known):
            begun = True
            if ladder.ready:
                yield ladder.snapshot(stretch.start)
            yield table.slice(count)
    if not begun and ladder.ready:
        yield ladder.snapshot(stretch.start)
