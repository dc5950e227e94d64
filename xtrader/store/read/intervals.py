"""Coverage rows as intervals, and which collector's book to believe when.

The rule: only what is declared live, and is not inside any gap, counts as live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from xtrader.records.schemas import COVERAGE
from xtrader.store.read.coverage_fold import FILLED, CoverageFold, Interval, rows_of
from xtrader.store.read.scan import blocks
from xtrader.store.read.view import Source


class Span(NamedTuple):
    """Live times [start, end). The book begins with the first snapshot received at or after `chain` (not after `start`)."""

    start: int
    end: int
    chain: int


class Stretch(NamedTuple):
    """Times [start, end) in which the book of `source` counts; its snapshot was received at `chain` or after it."""

    source: Source
    start: int
    end: int
    chain: int


def intervals(source: Source) -> list[Interval]:
    """The intervals of a COVERAGE source in the order in which they began to be known, a gap that was filled later as live."""
    fold = CoverageFold()
    for table in blocks(source, COVERAGE.names):
        for row in rows_of(table):
            fold.take(row)
    fold.fill()
    for one in fold.intervals:
        one.until = one.end(source.until)
        if one.is_filled:
            one.state, one.cause = "live", FILLED
    return fold.intervals


def live_spans(found: Sequence[Interval], covers: str) -> list[Span]:
    """The live times of a stream, joined where one follows another, without its gaps; sorted."""
    spans: list[Span] = []
    live = [one for one in found if one.covers == covers and one.state == "live"]
    for one in sorted(live, key=lambda one: (one.ts_from, one.until)):
        if spans and one.ts_from <= spans[-1].end:
            spans[-1] = spans[-1]._replace(end=max(spans[-1].end, one.until))
        else:
            spans.append(Span(one.ts_from, one.until, one.ts_from))
    for gap in found:
        if gap.covers == covers and gap.state == "gap" and gap.until > gap.ts_from:
            spans = [piece for span in spans for piece in _cut(span, gap.ts_from, gap.until)]
    return [span for span in spans if span.end > span.start]


def without(spans: Sequence[Span], elsewhere: Iterable[tuple[int, int]]) -> list[Span]:
    """Live times without those [from, to) of which other collectors have the rows; after one the book begins with a snapshot."""
    for start, end in elsewhere:
        spans = [piece for span in spans for piece in _cut(span, start, end)]
    return [span for span in spans if span.end > span.start]


def stretches(sources: Sequence[tuple[Source, Sequence[Span]]]) -> list[Stretch]:
    """Whose book counts when: a collector's from where nobody else's does to the end of its live time, then that of the one
    that stays live longest. Sorted, without overlap; gaps are where nobody was live."""
    waiting = sorted(
        (Stretch(source, span.start, span.end, span.chain) for source, spans in sources for span in spans),
        key=lambda one: (one.start, -one.end),
    )
    chosen: list[Stretch] = []
    while waiting:
        now = max(waiting[0].start, chosen[-1].end if chosen else waiting[0].start)
        best = max((one for one in waiting if one.start <= now), key=lambda one: one.end)
        if best.end > now:
            chosen.append(best._replace(start=now))
            now = best.end
        waiting = [one for one in waiting if one.end > now]
    return chosen


def _cut(span: Span, start: int, end: int) -> Iterator[Span]:
    if end <= span.start or start >= span.end:
        yield span
        return
    if start > span.start:
        yield span._replace(end=start)
    if end < span.end:
        yield Span(end, span.end, end)
