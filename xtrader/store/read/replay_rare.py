"""What a replay says beside the market's records: where each stream is live and where it is not, and the instruments.

The rule: what is recorded by several is one answer, live where any of them was; a row comes before the records of its time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, MarketRecord, Record
from xtrader.records.schemas import INSTRUMENTS
from xtrader.store.read import books
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.read.intervals import intervals, live_spans, stretches
from xtrader.store.read.scan import Window, blocks

if TYPE_CHECKING:
    from xtrader.store.read.view import View


def rare_records(view: View, streams: Collection[str], hot: Collection[str], window: Window) -> list[tuple[int, Record]]:
    """(when, row) in order, of the chosen instruments: Coverage of the streams `hot` if COVERAGE is wanted, as it stands at the
    beginning of the window and whenever it changes, Instruments likewise."""
    found: list[tuple[int, Record]] = []
    for key in sorted(view.chosen):
        if "INSTRUMENTS" in streams:
            found += _instruments(view, key, window)
        if "COVERAGE" in streams:
            for stream in hot:
                found += _coverage(view, key, stream, window)
    found.sort(key=itemgetter(0))
    return found


def in_order(rare: Sequence[tuple[int, Record]], hot: Iterable[MarketRecord]) -> Iterator[Record]:
    """Both as one, by when they were known, rare ones first."""
    return (record for _, _, record in merge(((ts, 0, one) for ts, one in rare), _known(hot), key=itemgetter(0, 1)))


def _known(hot: Iterable[MarketRecord]) -> Iterator[tuple[int, int, Record]]:
    latest = 0
    for record in hot:
        latest = max(latest, record.ts_recv)
        yield latest, 1, record


def _coverage(view: View, key: str, stream: str, window: Window) -> Iterator[tuple[int, Coverage]]:
    known = {
        (id(source.part_list), source.collector): [one for one in intervals(source) if one.covers == stream]
        for source in view.sources("COVERAGE", key)
    }
    if stream == "L2":
        found = books.live_stretches(view, key)
    else:
        sources = [(source, (id(source.part_list), source.collector)) for source in view.sources(stream, key)]
        found = stretches([(source, live_spans(known.get(who, ()), stream)) for source, who in sources])
    every = [one for each in known.values() for one in each]
    end = window.start
    for stretch in found:
        if stretch.end <= window.start or stretch.start >= window.end:
            continue
        start = max(stretch.start, window.start)
        if end < start and end < window.end:
            yield from _gap(key, stream, end, every)
        yield start, Coverage(key, stream, "live", _cause(every, start, "live"), start, None)
        end = stretch.end
    if end < window.end:
        yield from _gap(key, stream, end, every)


def _gap(key: str, stream: str, ts: int, every: Sequence[Interval]) -> Iterator[tuple[int, Coverage]]:
    """What is said of a time at which a stream stops being live; nothing where the recording ends."""
    inside = [one for one in every if one.state != "live" and one.ts_from <= ts < one.until]
    if inside:
        one = max(inside, key=lambda one: one.ts_from)
        yield ts, Coverage(key, stream, one.state, one.cause, ts, None, one.detail)


def _cause(every: Sequence[Interval], ts: int, state: str) -> str:
    inside = [one for one in every if one.state == state and one.ts_from <= ts]
    return max(inside, key=lambda one: one.ts_from).cause if inside else "start"


def _instruments(view: View, key: str, window: Window) -> list[tuple[int, Instrument]]:
    tables = [table for source in view.sources("INSTRUMENTS", key) for table in blocks(source, INSTRUMENTS.names)]
    exchange, _, symbol = key.partition("@")
    rows = [(row["ts_recv"], _instrument(exchange, symbol, row)) for table in tables for row in _plain(table)]
    rows.sort(key=itemgetter(0))
    before = [one for ts, one in rows if ts <= window.start]
    after = [(ts, one) for ts, one in rows if window.start < ts < window.end]
    return ([(window.start, before[-1])] if before and window.start > 0 else []) + after


def _instrument(exchange: str, symbol: str, row: dict[str, Any]) -> Instrument:
    fields = {name: row[name] for name in Instrument.__struct_fields__ if row.get(name) is not None}
    return Instrument(**{**fields, "exchange": exchange, "symbol": symbol})


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, times as int nanoseconds."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
