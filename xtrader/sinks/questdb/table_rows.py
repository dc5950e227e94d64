"""Batches of the journal as rows of the tables, in columns as the client takes them.

The rule: a row is a function of the journal alone, so a row that is sent again is the same row, under the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from xtrader.errors import UnknownKind
from xtrader.model.market import Coverage
from xtrader.records.batches import NULL, TRADE_SIDES, Batch, Coverages, Indexes, Instruments, Ints, Trades, Updates
from xtrader.sinks.questdb.best_levels import PackedBooks
from xtrader.sinks.questdb.digests import digest, trade_digests, update_digests
from xtrader.sinks.questdb.table_definitions import COLUMNS

_BESTS: Final = ("bid_price", "bid_size", "ask_price", "ask_size")
_NUMBERS: Final = ("ids_from", "ids_to", "depth")
"""What a coverage row may have not."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one table: `ts` (nanoseconds) and `digest` of shape (n,), and a pandas frame of all columns."""

    ts: Ints
    digest: Ints
    frame: Any
    symbols: list[str]

    def __len__(self) -> int:
        return len(self.ts)

    def held(self) -> Ints:
        """Times and digests, shape (n, 2)."""
        return np.column_stack((self.ts, self.digest))

    def row(self, index: int) -> dict[str, Any]:
        """What one row has in the columns that are not null, as JSON takes it."""
        found = {name: _plain(self.frame[name].to_numpy()[index]) for name in self.frame.columns}
        return {name: value for name, value in found.items() if value is not None and value != NULL and value == value}


def table(batch: Batch) -> str:
    """The table that a batch's rows are for."""
    match batch:
        case Updates():
            return "book_updates"
        case Trades():
            return "trades"
        case Coverages():
            return "coverage"
        case Instruments():
            return "instruments"
        case _:
            raise UnknownKind(batch)


def times(batch: Trades | Updates) -> Ints:
    """The designated timestamp: the venue's time, or that of receipt where it gives none; shape (n,)."""
    return np.where(batch.ts_event == NULL, batch.ts_recv, batch.ts_event)


def trade_block(batch: Trades, collector: str) -> Block:
    """A row per trade."""
    values = {
        **_keyed(batch.keys, batch.instrument),
        "ts_event": batch.ts_event,
        "ts_recv": batch.ts_recv,
        "trade_id": batch.trade_id,
        "side": (batch.side, TRADE_SIDES),
        "price": batch.price,
        "size": batch.size,
    }
    return _block("trades", collector, times(batch), trade_digests(batch), values)


def update_block(batch: Updates, collector: str, depth: PackedBooks) -> Block:
    """A row per book message. `depth` is brought up to date; the best prices in a row are those after
    it, and null for an instrument whose book is not known."""
    levels = np.ascontiguousarray(batch.levels.T)
    ends = np.cumsum(batch.counts, dtype=np.int64)
    starts = ends - batch.counts
    middles = starts + batch.bids
    values = {
        **_keyed(batch.keys, batch.instrument),
        "ts_event": batch.ts_event,
        "ts_recv": batch.ts_recv,
        "sequence": batch.sequence,
        "prev_sequence": batch.prev_sequence,
        "is_snapshot": batch.is_snapshot.astype(bool),
        **dict(zip(_BESTS, depth.take(batch, levels), strict=True)),
        "bids": [levels[:, start:end] for start, end in zip(starts.tolist(), middles.tolist(), strict=True)],
        "asks": [levels[:, start:end] for start, end in zip(middles.tolist(), ends.tolist(), strict=True)],
    }
    return _block("book_updates", collector, times(batch), update_digests(batch), values)


def coverage_block(batch: Coverages, collector: str) -> Block:
    """A row per coverage row; these are a collector's own, so its name is in the digest."""
    rows = batch.rows
    digests = [digest(collector.encode(), b"\0", _coverage_text(row)) for row in rows]
    values = {
        **_keyed([row.instrument for row in rows], np.arange(len(rows), dtype=np.int32)),
        "covers": [row.stream for row in rows],
        "state": [row.state for row in rows],
        "cause": [row.cause for row in rows],
        "ts_from": [row.ts_from for row in rows],
        "ts_to": [NULL if row.ts_to is None else row.ts_to for row in rows],
        "detail": [row.detail for row in rows],
        **{name: [_long(getattr(row, name)) for row in rows] for name in _NUMBERS},
    }
    return _block("coverage", collector, np.full(len(rows), batch.ts), np.array(digests, np.int64), values)


def _coverage_text(row: Coverage) -> bytes:
    """What a row's digest is made of: its fields, without numbers that it has not, so that it is what it was before there were
    any."""
    fields = msgspec.structs.asdict(row)
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None or name not in _NUMBERS})


def _long(value: int | None) -> int:
    return NULL if value is None else value


def instrument_block(batch: Instruments, collector: str) -> Block:
    """A row per instrument that was told, at the time when the venue said so."""
    rows = batch.rows
    digests = [digest(msgspec.json.encode(row)) for row in rows]
    values: dict[str, Any] = {
        name: [getattr(row, name) for row in rows] for name in COLUMNS["instruments"] if hasattr(rows[0], name)
    }
    values |= {
        "instrument": [row.symbol for row in rows],
        "expiry": [NULL if row.expiry is None else row.expiry for row in rows],
        "ts_recv": np.full(len(rows), batch.ts),
    }
    ts = np.array([row.ts or batch.ts for row in rows], np.int64)
    return _block("instruments", collector, ts, np.array(digests, np.int64), values)


def joined(batches: Sequence[Any]) -> Any:
    """Batches of one kind, Trades or Updates, as one; its columns are made anew only if there are several."""
    if len(batches) == 1:
        return batches[0]
    keys = {key: index for index, key in enumerate(dict.fromkeys(key for batch in batches for key in batch.keys))}
    instrument = [np.array([keys[key] for key in batch.keys], np.int32)[batch.instrument] for batch in batches]
    columns: dict[str, Any] = {"ts": batches[-1].ts, "keys": list(keys), "instrument": np.concatenate(instrument)}
    for name in batches[0].__struct_fields__:
        if name == "trade_id":
            columns[name] = [text for batch in batches for text in batch.trade_id]
        elif name not in columns:
            columns[name] = np.concatenate([getattr(batch, name) for batch in batches])
    return type(batches[0])(**columns)


def _keyed(keys: Sequence[str], instrument: Indexes) -> dict[str, tuple[Indexes, Sequence[str]]]:
    exchanges, symbols = zip(*(key.split("@", 1) for key in keys), strict=True)
    return {"exchange": (instrument, exchanges), "instrument": (instrument, symbols)}


def _block(table: str, collector: str, ts: Ints, digests: Ints, values: Mapping[str, Any]) -> Block:
    known = {**values, "ts": ts, "digest": digests, "collector": (np.zeros(len(ts), np.int8), [collector])}
    columns: dict[str, Any] = {name: _COLUMN[kind](known[name]) for name, kind in COLUMNS[table].items()}
    symbols = [name for name, kind in COLUMNS[table].items() if kind == "SYMBOL"]
    return Block(ts, digests, _frame(columns), symbols)


def _frame(columns: Mapping[str, Any]) -> Any:
    # Not with the module: the recording process imports this one, and does without pandas.
    import pandas  # type: ignore[import-untyped]

    objects = {name: pandas.Series(column, dtype=object) for name, column in columns.items() if column.dtype == object}
    return pandas.DataFrame({**columns, **objects}, copy=False)


def _texts(found: Any) -> Any:
    """Texts, or codes of texts: as objects, because pandas' own kinds of text and category are no quicker here."""
    codes, names = found if isinstance(found, tuple) else (slice(None), found)
    return _objects(names)[codes]


def _times(found: Any) -> Any:
    # NULL is what numpy and pandas know as no time.
    return np.asarray(found, np.int64).view("M8[ns]")


def _objects(found: Sequence[Any]) -> Any:
    return np.fromiter(found, object, len(found))


_COLUMN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "SYMBOL": _texts,
    "TIMESTAMP_NS": _times,
    "LONG": np.asarray,
    "DOUBLE": lambda found: np.ascontiguousarray(found, np.float64),
    "BOOLEAN": lambda found: np.asarray(found, bool),
    "VARCHAR": _texts,
    "DOUBLE[][]": _objects,
}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
