"""What a recording says of itself: coverage as intervals, and the instruments.

The rule: an interval is one row, whether one row was written of it or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xtrader.model.streams import SUBSCRIBED
from xtrader.records.schemas import COVERAGE, INSTRUMENTS
from xtrader.store.read.answer import Answer
from xtrader.store.read.intervals import intervals
from xtrader.store.read.labels import FIELDS, Labels
from xtrader.store.read.scan import Window, blocks, times
from xtrader.store.read.view import Source, View

_TIME: Final = COVERAGE.field("ts_from").type
_WORD: Final = COVERAGE.field("covers").type
COVERAGE_ROWS: Final = pa.schema(
    [
        *FIELDS,
        ("collector", _WORD),
        ("covers", _WORD),
        ("state", _WORD),
        ("cause", _WORD),
        ("ts_from", _TIME),
        ("ts_to", _TIME),
        ("detail", pa.string()),
        ("ids_from", pa.int64()),
        ("ids_to", pa.int64()),
        ("depth", pa.int64()),
    ]
)
_WORDS: Final = ("covers", "state", "cause")
_NUMBERS: Final = ("ids_from", "ids_to", "depth")
INSTRUMENT_ROWS: Final = pa.schema([*FIELDS, *INSTRUMENTS])
RECORDED_ROWS: Final = pa.schema([*FIELDS, ("stream", _WORD), ("ts_first", _TIME), ("ts_last", _TIME)])


def coverage(view: View, window: Window) -> Answer:
    """A row per interval that overlaps the window, by instrument and collector, in the order in which they were known."""
    labels = Labels(view.chosen)

    def read() -> Iterator[Any]:
        for key in sorted(view.chosen):
            for source in view.sources("COVERAGE", key):
                found = [one for one in intervals(source) if one.ts_from < window.end and one.end(window.end) > window.start]
                if found:
                    words = [[source.collector] * len(found), *([getattr(one, name) for one in found] for name in _WORDS)]
                    arrays = [
                        *labels.of(key, len(found)),
                        *(pa.array(column, pa.string()).dictionary_encode() for column in words),
                        pa.array([one.ts_from for one in found], pa.int64()).cast(_TIME),
                        pa.array([one.ts_to for one in found], pa.int64()).cast(_TIME),
                        pa.array([one.detail for one in found], pa.string()),
                        *(pa.array([getattr(one, name) for one in found], pa.int64()) for name in _NUMBERS),
                    ]
                    yield pa.Table.from_arrays(arrays, schema=COVERAGE_ROWS)

    return Answer(COVERAGE_ROWS, read)


def recorded(view: View) -> Answer:
    """A row per subscribed stream of an instrument that has any rows: the first and the last time of them."""
    labels = Labels(view.chosen)

    def read() -> Iterator[Any]:
        for key in sorted(view.chosen):
            for stream in SUBSCRIBED:
                ends = [end for source in view.sources(stream, key) for end in _ends(source)]
                if ends:
                    first_and_last = (pa.array([ts], pa.int64()).cast(_TIME) for ts in (min(ends), max(ends)))
                    arrays = [*labels.of(key, 1), pa.array([stream]).dictionary_encode(), *first_and_last]
                    yield pa.Table.from_arrays(arrays, schema=RECORDED_ROWS)

    return Answer(RECORDED_ROWS, read)


def _ends(source: Source) -> Iterator[int]:
    for part in source.parts:
        yield from (part.ts_first, part.ts_last)
    for table in source.tail:
        if table.num_rows:
            recv = times(table)
            yield from (int(recv.min()), int(recv.max()))


def instruments(view: View, at: int | None) -> Answer:
    """A row per instrument: what was told of it last, or last at or before the time `at`."""
    labels = Labels(view.chosen)

    def read() -> Iterator[Any]:
        for key in sorted(view.chosen):
            tables = [table for source in view.sources("INSTRUMENTS", key) for table in blocks(source, INSTRUMENTS.names)]
            rows = pa.concat_tables([INSTRUMENTS.empty_table(), *tables])
            if at is not None:
                rows = rows.filter(pa.array(times(rows) <= at))
            if rows.num_rows:
                last = rows.take([int(np.argmax(times(rows)))]).combine_chunks()
                yield pa.Table.from_arrays([*labels.of(key, 1), *last.columns], schema=INSTRUMENT_ROWS)

    return Answer(INSTRUMENT_ROWS, read)
