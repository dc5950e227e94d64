"""A recording as a data set: questions in, rows and books out.

The rule: what is answered is what the files and the live end of the recording say at the moment of the question, each row once,
and a book only where coverage says that it was live.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtrader.errors import ConfigError, XTraderError, utc
from xtrader.model.book import Book
from xtrader.model.streams import RARE, STREAMS, SUBSCRIBED, Stream
from xtrader.records.schemas import SCHEMAS
from xtrader.store.read import bars, books, merge_rows, names, rare_streams, replay_rare, rows_to_records
from xtrader.store.read.answer import Answer
from xtrader.store.read.labels import Labels
from xtrader.store.read.names import Names
from xtrader.store.read.part_list import PartList
from xtrader.store.read.scan import BATCH_ROWS, Window, ahead, scan
from xtrader.store.read.times import Period, Time, nanoseconds, period
from xtrader.store.read.view import View


class Dataset:
    """A recording in one or more places. Times are datetimes, ISO 8601 text (UTC unless it says otherwise) or int nanoseconds;
    ranges are [start, end) of `ts_recv`, open where an end is left away. Instruments are `EXCHANGE@NAME` or only `NAME`, the
    venue's symbol or the alias, in any case; none means all, and a name that several exchanges have means each of them, or is an
    error that lists them where the answer is of one instrument. Each question looks at the recording anew.

    All raise ConfigError for a question that makes no sense, OSError for files that cannot be read.
    """

    def __init__(self, places: Sequence[PartList]) -> None:
        self._places = places

    def __repr__(self) -> str:
        names = ", ".join(place.name for place in self._places)
        try:
            found = self.recorded().to_arrow()
            files = sum(len(of) for place in self._places for own in place.listed().values() for of in own.parts.values())
        except (OSError, XTraderError) as error:
            return f"<xtrader recording {names}: {error}>"
        if not found.num_rows:
            return f"<xtrader recording {names}: nothing yet>"
        streams = ", ".join(sorted(set(found["stream"].to_pylist())))
        first, last = (utc(min_max) for min_max in _span(found))
        return f"<xtrader recording {names}: {len(self)} instruments ({streams}), {first} to {last}, {files:,} finished files>"

    def _repr_html_(self) -> str:
        """For notebooks: what is here."""
        return f"<p>{escape(repr(self))}</p>{self.recorded().to_pandas().to_html()}"

    def __len__(self) -> int:
        """How many instruments there are."""
        return len(self._view(SUBSCRIBED, None).chosen)

    def __iter__(self) -> Iterator[str]:
        """The instruments, as `EXCHANGE@SYMBOL`, sorted."""
        return iter(sorted(self._view(SUBSCRIBED, None).chosen))

    def trades(
        self,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
    ) -> Answer:
        """Trades, a row each, ordered by when they were received; each once, also where several collectors recorded it.
        Columns: `exchange, instrument`, and those of the TRADES files."""
        return self.rows("TRADES", instrument, exchange=exchange, start=start, end=end, columns=columns)

    def book_updates(
        self,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
    ) -> Answer:
        """Book messages, a row per level, ordered by when they were received. Where several collectors recorded an instrument, one
        chain is made of theirs. Columns: `exchange, instrument`, and those of the L2 files."""
        return self.rows("L2", instrument, exchange=exchange, start=start, end=end, columns=columns)

    def rows(
        self,
        stream: str,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
    ) -> Answer:
        """The rows of any stream by its name, such as `FUNDING`, ordered by when they were received; each once, also where several
        collectors recorded it. Columns: `exchange, instrument`, and those of the stream's files."""
        within = window(start, end)
        view = self._view((stream,), instrument, exchange)
        return Answer(Labels(view.chosen).schema(stream, columns), partial(self._merged, view, stream, within, columns))

    def recorded(self, instrument: Names = None, *, exchange: str | None = None) -> Answer:
        """What is here: a row per stream of an instrument that has any rows, sorted. Columns: `exchange, instrument, stream,
        ts_first, ts_last` (of `ts_recv`, over all collectors)."""
        return rare_streams.recorded(self._view(SUBSCRIBED, instrument, exchange))

    def coverage(
        self,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
    ) -> Answer:
        """What was and what was not recorded: a row per interval of a subscription that overlaps the range. Columns: `exchange,
        instrument, collector, covers, state, cause, ts_from, ts_to` (null while it is open)`, detail, ids_from, ids_to, depth`."""
        view = self._view((), instrument, exchange)
        return rare_streams.coverage(view, window(start, end))

    def instruments(self, instrument: Names = None, *, exchange: str | None = None, at: Time | None = None) -> Answer:
        """What the venues say of the instruments: the latest that was told, or was known at a time. Columns: `exchange,
        instrument`, and those of the INSTRUMENTS files."""
        view = self._view((), instrument, exchange)
        return rare_streams.instruments(view, None if at is None else nanoseconds(at))

    def book_at(self, instrument: str, time: Time) -> Book:
        """The whole book as it was known at a time; its `depth` says how many levels a side its snapshot was asked for. Raises
        NotCovered, which says why, where it was not."""
        ts = nanoseconds(time)
        view = self._view(("L2",), instrument)
        key = names.only(view, instrument)
        stretches = books.live_stretches(view, key)
        ((_, ladder),) = books.sampled(stretches, [ts])
        if ladder is None:
            raise books.why_not(view, key, ts)
        book = ladder.book()
        book.depth = books.depth_at(view, key, next(one for one in stretches if one.start <= ts < one.end), ts)
        return book

    def books(
        self, instrument: str, *, every: Period = "1s", depth: int = 10, start: Time | None = None, end: Time | None = None
    ) -> Answer:
        """The best `depth` levels of both sides at a cadence, at whole multiples of `every`. Columns: `ts, sequence, bid_prices,
        bid_sizes, ask_prices, ask_sizes` (lists, best first; null where coverage is not live). Without a range: from the first
        to the last time of which a book is known."""
        view = self._view(("L2",), instrument)
        return books.sampled_rows(view, names.only(view, instrument), period(every), depth, window(start, end))

    def bars(self, instrument: str, *, every: Period = "1m", start: Time | None = None, end: Time | None = None) -> Answer:
        """Trades as bars over [ts, ts + every) of `ts_recv`. Columns: `ts, open, high, low, close, volume, vwap, count, buy_volume,
        sell_volume`; volumes in the venue's unit of size. A bar without trades is not there: `coverage` tells quiet from gap."""
        view = self._view(("TRADES",), instrument)
        key = names.only(view, instrument)
        trades = partial(self._stream, view, "TRADES", key, window(start, end), bars.COLUMNS)
        return bars.bars(trades, period(every))

    def replay(
        self,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        streams: Collection[str] = SUBSCRIBED,
        start: Time | None = None,
        end: Time | None = None,
    ) -> Iterator[Any]:
        """All records in the order in which they were received, one after the other; memory does not grow with their number.

        `streams` may also name COVERAGE (a row wherever one of the other streams begins or stops being live, as the recording in
        all its places has it) and INSTRUMENTS; their rows come before the records of the same time."""
        hot = [stream for stream in streams if stream not in RARE]
        covered = hot or (SUBSCRIBED if "COVERAGE" in streams else ())
        view = self._view(covered, instrument, exchange)
        within = window(start, end)
        found = rows_to_records.records({stream: self._merged(view, stream, within, None) for stream in hot})
        if len(hot) == len(streams):
            return found
        return replay_rare.in_order(replay_rare.rare_records(view, streams, covered, within), found)

    def _merged(self, view: View, stream: str, within: Window, columns: Sequence[str] | None) -> Iterator[Any]:
        """The rows of all chosen instruments with their labels, in order."""
        labels = Labels(view.chosen)
        wanted = labels.schema(stream, columns).names
        needed = [name for name in SCHEMAS[stream].names if name in {*wanted, "ts_recv"}]
        # Many streams at a time take less of each, so that all together stay in bounds.
        keys = view.keys(stream)
        batch_rows = max(4096, BATCH_ROWS // max(1, len(keys)))
        streams = [labels.put(key, self._stream(view, stream, key, within, needed, batch_rows)) for key in keys]
        for table in ahead(merge_rows.merged(streams)):
            yield table.select(wanted)

    def _stream(
        self, view: View, stream: str, key: str, within: Window, columns: Sequence[str], batch_rows: int = BATCH_ROWS
    ) -> Iterator[Any]:
        """The rows of one instrument, each once, in order."""
        sources = view.sources(stream, key)
        if len(sources) == 1:
            return scan(sources[0], columns, within, batch_rows)
        if stream == "L2":
            return (table.select(columns) for table in books.joined(view, key, within, batch_rows))
        return merge_rows.distinct(sources, columns, within, batch_rows)

    def _view(self, streams: Collection[str], instrument: Names, exchange: str | None = None) -> View:
        for stream in streams:
            if stream not in SUBSCRIBED:
                raise ConfigError(f"unknown stream '{stream}': known are {', '.join(SUBSCRIBED)}")
        return View(self._places, streams, partial(names.chosen, names=instrument, exchange=exchange))


def _span(recorded: Any) -> tuple[int, int]:
    """First and last time, int ns, of an answer of `recorded`."""
    return min(_ints(recorded["ts_first"])), max(_ints(recorded["ts_last"]))


def _ints(column: Any) -> list[int]:
    found: list[int] = column.cast(pa.int64()).to_pylist()
    return found


def _question(stream: Stream) -> Callable[..., Answer]:
    def rows(
        self: Dataset,
        instrument: Names = None,
        *,
        exchange: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        columns: Sequence[str] | None = None,
    ) -> Answer:
        return self.rows(stream.name, instrument, exchange=exchange, start=start, end=end, columns=columns)

    rows.__name__ = stream.method
    rows.__doc__ = f"""{stream.name}, a row each, ordered by when they were received; each once, also where several collectors
        recorded it. Columns: `exchange, instrument`, and those of the {stream.name} files."""
    return rows


for _stream in STREAMS.values():
    if _stream.method and not hasattr(Dataset, _stream.method):
        setattr(Dataset, _stream.method, _question(_stream))


def open_dataset(*places: str | Path, filesystem: Any = None, journal: str | Path | None = None) -> Dataset:
    """See `xtrader.open`."""
    if not places:
        raise ConfigError("there is nothing to open: give a directory or a URL")
    if journal is not None and len(places) > 1:
        raise ConfigError("a journal belongs to one place: open one at a time")
    found = [PartList(where, filesystem, None if journal is None else Path(journal)) for where in places]
    for place in found:
        if not place.exists():
            raise ConfigError(f"there is no recording in {place.name}")
    return Dataset(found)


def window(start: Time | None, end: Time | None) -> Window:
    """The range in nanoseconds. Raises ConfigError for what is no time, and for a start after the end."""
    default = Window()
    found = Window(default.start if start is None else nanoseconds(start), default.end if end is None else nanoseconds(end))
    if found.start > found.end:
        raise ConfigError(f"the start {start} is after the end {end}: a range goes from the earlier to the later")
    return found
