"""Inputs out of a recording: the records of a range, in the order in which they were known, and the instruments.

The rule: `ts` never runs backwards, and nothing of a book is there before the snapshot that it follows from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from xtrader.errors import ConfigError, NotCovered
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage
from xtrader.trading.model.inputs import Input

if TYPE_CHECKING:
    from xtrader.store.read.dataset import Dataset

STREAMS: Final = ("L2", "TRADES", "FUNDING", "COVERAGE", "INSTRUMENTS")


def instruments(recording: Dataset, names: Sequence[str] | None, at: int | None) -> list[Instrument]:
    """What the recording says of the instruments with a book, by `at` where it did by then: all, or those that `names` mean (a key,
    an alias or the venue's own name). Raises ConfigError for a name that means none."""
    known = _catalogue(recording, names, None)
    if at is not None:
        known |= _catalogue(recording, names, at)
    if not known:
        raise ConfigError("the recording says nothing of its instruments: without their ticks and lots nothing can be traded")
    return [known[key] for key in sorted(known)]


def _catalogue(recording: Dataset, names: Sequence[str] | None, at: int | None) -> dict[str, Instrument]:
    found: dict[str, Instrument] = {}
    for record in recording.replay(list(names) if names else None, streams=("INSTRUMENTS",), end=None if at is None else at + 1):
        found[record.key] = record
    return found


def inputs(recording: Dataset, keys: Sequence[str], start: int | None, end: int | None, delay: int) -> Iterator[Input]:
    """The inputs of the instruments `keys` in [start, end), each taken `delay` ns after it was known. Begins with the books as they
    are at `start`."""
    latest = start or 0
    for record in _records(recording, keys, start, end):
        ts = _known(record)
        latest = max(latest, ts)
        yield Input(latest, latest + delay, record)


def _records(recording: Dataset, keys: Sequence[str], start: int | None, end: int | None) -> Iterator[Any]:
    waiting = {} if start is None else {key: book for key in keys if (book := _book(recording, key, start)) is not None}
    for record in recording.replay(list(keys), streams=STREAMS, start=start, end=end):
        yield record
        if waiting and isinstance(record, Coverage) and record.stream == "L2" and record.state == "live":
            book = waiting.pop(record.instrument, None)
            # One that begins later comes with a snapshot of its own.
            if book is not None and record.ts_from == start:
                yield book


def _book(recording: Dataset, key: str, ts: int) -> BookUpdate | None:
    try:
        book = recording.book_at(key, ts)
    except NotCovered:
        return None
    return BookUpdate(key, True, book.bids.levels(), book.asks.levels(), book.sequence, None, None, ts)


def _known(record: Any) -> int:
    match record:
        case Coverage():
            return record.ts_from
        case Instrument():
            return record.ts
        case _:
            known: int = record.ts_recv
            return known


def is_ever_live(recording: Dataset, keys: Sequence[str], start: int | None, end: int | None) -> bool:
    """Whether any of the books is live at any time of the range."""
    rows = recording.replay(list(keys), streams=("COVERAGE",), start=start, end=end)
    return any(row.stream == "L2" and row.state == "live" for row in rows)
