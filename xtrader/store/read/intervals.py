"""Coverage rows as intervals, and which collector's book to believe when.

The rule: only what is declared live, and is not inside any gap, counts as live.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from xtrader.records.schemas import COVERAGE
from xtrader.store.read.filled import FILLED, Ids, is_filled
from xtrader.store.read.scan import blocks
from xtrader.store.read.view import Source

_PLAIN: Final = ("covers", "state", "cause", "detail", "ids_from", "ids_to", "depth")


class Interval(NamedTuple):
    """One interval of one subscription as one collector saw it. `end` is None while it is open; `until` is `end`, or how far an
    open one is known to have gone. `ids_from`, `ids_to` and `depth` as in a Coverage row."""

    covers: str
    state: str
    cause: str
    start: int
    end: int | None
    until: int
    detail: str
    ids_from: int | None = None
    ids_to: int | None = None
    depth: int | None = None


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
    """The intervals of a COVERAGE source in the order in which they began to be known, a gap that was filled later
    as live."""
    came: dict[tuple[str, int], list[Ids]] = defaultdict(list)
    open_at: dict[tuple[str, str, int], int] = {}
    found: list[Interval] = []
    for row in _rows(source):
        if row["cause"] == FILLED:
            came[row["covers"], row["ts_from"]].append((row["ids_from"], row["ids_to"]))
            continue
        place = (row["covers"], row["state"], row["ts_from"])
        index = open_at.pop(place, None)
        start, end = row["ts_from"], row["ts_to"]
        rest = (row["detail"], row["ids_from"], row["ids_to"], row["depth"])
        interval = Interval(row["covers"], row["state"], row["cause"], start, end, max(start, end or 0), *rest)
        if index is not None:
            found[index] = interval
        else:
            index = len(found)
            found.append(interval)
        if end is None:
            open_at[place] = index
    for index in open_at.values():
        one = found[index]
        later = [other.start for other in found[index + 1 :] if other.covers == one.covers and other.start >= one.start]
        found[index] = one._replace(until=max(one.start, min([*later[:1], source.until])))
    for index, one in enumerate(found):
        if one.state == "gap" and is_filled((one.ids_from, one.ids_to), came[one.covers, one.start]):
            found[index] = one._replace(state="live", cause=FILLED)
    return found


def live_spans(found: Sequence[Interval], covers: str) -> list[Span]:
    """The live times of a stream, joined where one follows another, without its gaps; sorted."""
    spans: list[Span] = []
    for one in sorted(one for one in found if one.covers == covers and one.state == "live"):
        if spans and spans[-1].start <= one.start <= spans[-1].end:
            spans[-1] = spans[-1]._replace(end=max(spans[-1].end, one.until))
        else:
            spans.append(Span(one.start, one.until, one.start))
    for gap in found:
        if gap.covers == covers and gap.state == "gap" and gap.until > gap.start:
            spans = [piece for span in spans for piece in _cut(span, gap)]
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


def _cut(span: Span, gap: Interval) -> Iterator[Span]:
    if gap.until <= span.start or gap.start >= span.end:
        yield span
        return
    if gap.start > span.start:
        yield span._replace(end=gap.start)
    if gap.until < span.end:
        yield Span(gap.until, span.end, gap.until)


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    for table in blocks(source, COVERAGE.names):
        columns = {name: table[name].to_pylist() for name in _PLAIN}
        columns |= {name: table[name].cast(pa.int64()).to_pylist() for name in ("ts_from", "ts_to")}
        for row in zip(*columns.values(), strict=True):
            yield dict(zip(columns, row, strict=True))
