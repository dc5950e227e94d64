"""Pictures and trades out of a recording, by the questions that a data set answers.

The rule: nothing is read here but through `xtrader.open`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa

from xtrader.clock import SECOND
from xtrader.errors import ConfigError
from xtrader.look.lines import stamp
from xtrader.look.picture import Picture, StreamState
from xtrader.model.analytics import sides
from xtrader.model.instrument import Instrument
from xtrader.model.market import Trade

if TYPE_CHECKING:
    from xtrader.store.read.dataset import Dataset

BACK: Final = (600 * SECOND, 86_400 * SECOND)
"""How far to look back for the last trades before everything is looked through."""
SHOWN: Final = 8
"""Instruments that a sentence names."""


def instrument(recording: Dataset, name: str, at: int | None = None) -> Instrument:
    """The one instrument that `name` means, with what its venue had said of it by the time `at`; with what it said last without a
    time, and where it had said nothing yet. Only its names are known where it never did. Raises ConfigError for several."""
    rows = _integers(recording.instruments(name).to_arrow()).to_pylist()
    keys = sorted({f"{row['exchange']}@{row['instrument']}" for row in rows})
    if len(keys) > 1:
        raise ConfigError(f"{name} may be {', '.join(keys)}: say which")
    if not rows:
        exchange, _, symbol = name.rpartition("@")
        return Instrument(exchange=exchange.upper(), symbol=symbol, alias=symbol, kind="unknown")
    known = _integers(recording.instruments(keys[0], at=at).to_arrow()).to_pylist()
    row = (known or rows)[0]
    told = {field: row[field] for field in Instrument.__struct_fields__ if row.get(field) is not None}
    return msgspec.convert({**told, "symbol": row["instrument"]}, Instrument)


def picture_at(recording: Dataset, of: Instrument, ts: int) -> Picture:
    """The whole book as it was known at `ts`. Raises NotCovered."""
    book = recording.book_at(of.key, ts)
    return Picture(of.key, ts, StreamState("recorded", depth=book.depth), of, sides(book), book.sequence)


def there_is(recording: Dataset, key: str) -> str:
    """What is recorded of an instrument, in words: each stream with its first and last time; else which instruments are."""
    own = _spans(recording, key)
    if own:
        return "there is " + ", ".join(f"{name} from {stamp(first, 3)} to {stamp(last, 3)}" for name, first, last in own)
    rows = recording.recorded().to_arrow().to_pylist()
    others = sorted({f"{row['exchange']}@{row['instrument']}" for row in rows})
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return f"recorded are {', '.join(others[:SHOWN])}{more}" if others else "there is nothing yet"


def span(recording: Dataset, key: str, stream: str) -> tuple[int, int] | None:
    """The first and the last time (int ns) of a stream of an instrument; None if there is nothing of it."""
    return next(((first, last) for name, first, last in _spans(recording, key) if name == f"{stream}:{key}"), None)


def _spans(recording: Dataset, key: str) -> list[tuple[str, int, int]]:
    rows = _integers(recording.recorded(key).to_arrow()).to_pylist()
    return [(f"{row['stream']}:{row['exchange']}@{row['instrument']}", row["ts_first"], row["ts_last"]) for row in rows]


def trades(recording: Dataset, key: str, start: int | None, end: int | None) -> Iterator[Trade]:
    """The trades of [start, end), in the order in which they were received."""
    for table in recording.trades(key, start=start, end=end).tables():
        yield from _trades(key, table)


def last_trades(recording: Dataset, key: str, count: int, start: int | None, end: int) -> list[Trade]:
    """The last `count` trades of [start, end), in the order in which they were received."""
    if start is not None and start >= end:
        return []
    starts = [end - back for back in BACK if start is None or end - back > start]
    for begin in [*starts, start]:
        rows = recording.trades(key, start=begin, end=end)
        table = pa.concat_tables([rows.schema.empty_table(), *rows.tables()])
        if table.num_rows >= count or begin == start:
            return list(_trades(key, table.slice(max(0, table.num_rows - count))))
    return []


def _trades(key: str, table: pa.Table) -> Iterator[Trade]:
    names = ("trade_id", "side", "price", "size", "ts_event", "ts_recv")
    columns = [_integers(table.select([name])).column(0).to_pylist() for name in names]
    for row in zip(*columns, strict=True):
        yield Trade(key, *row)


def _integers(table: pa.Table) -> pa.Table:
    """Times as int nanoseconds."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table[field.name].cast(pa.int64()))
    return table
