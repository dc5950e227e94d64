"""Batches of the journal as rows of the tables, in columns as the client takes them.

The rule: a row is a function of the journal alone, so a row that is sent again is the same row, under the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from xtrader.errors import UnknownKind
from xtrader.model.streams import L2, STREAMS
from xtrader.records.batches import NULL, Batch, FlatBatch, Indexes, Ints, RareBatch, Updates
from xtrader.sinks.questdb.best_levels import PackedBooks
from xtrader.sinks.questdb.digests import digest, flat_digests, update_digests
from xtrader.sinks.questdb.table_definitions import COLUMNS

_BESTS: Final = ("bid_price", "bid_size", "ask_price", "ask_size")


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
    if isinstance(batch, Updates):
        return L2.table
    if isinstance(batch, FlatBatch | RareBatch):
        return STREAMS[batch.stream].table
    raise UnknownKind(batch)


def block(batches: Sequence[Any], collector: str, depth: PackedBooks) -> Block:
    """The rows of batches of one table, in order. `depth` is brought up to date by book messages."""
    match batches[0]:
        case Updates():
            return update_block(_joined_updates(batches), collector, depth)
        case FlatBatch():
            return flat_block(_joined(batches), collector)
        case RareBatch():
            return rare_block(batches, collector)
        case _:
            raise UnknownKind(batches[0])


def held(batch: Batch, collector: str) -> Ints:
    """Times and digests of a batch's rows, shape (n, 2)."""
    match batch:
        case Updates():
            return np.column_stack((_times(batch.ts_event, batch.ts_recv), update_digests(batch)))
        case FlatBatch():
            return np.column_stack((_times_of(batch), flat_digests(batch)))
        case RareBatch():
            return np.column_stack(_rare_keys(batch, collector))
        case _:
            raise UnknownKind(batch)


def _times(event: Ints, recv: Ints) -> Ints:
    """The designated timestamp: the venue's time, or that of receipt where it gives none; shape (n,)."""
    return np.where(event == NULL, recv, event)


def _times_of(batch: FlatBatch) -> Ints:
    return _times(batch.columns[STREAMS[batch.stream].event], batch.columns["ts_recv"])


def flat_block(batch: FlatBatch, collector: str) -> Block:
    """A row per record of a hot flat stream."""
    stream = STREAMS[batch.stream]
    words = {column.name: (batch.columns[column.name], column.words) for column in stream.columns if column.words}
    values = {**_keyed(batch.keys, batch.instrument), **batch.columns, **words}
    return _block(stream.table, collector, _times_of(batch), flat_digests(batch), values)


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
    return _block(L2.table, collector, _times(batch.ts_event, batch.ts_recv), update_digests(batch), values)


def rare_block(batches: Sequence[RareBatch], collector: str) -> Block:
    """A row per record of a rare stream; `ts_recv` of those without is when they were written."""
    stream = STREAMS[batches[0].stream]
    records = [row for batch in batches for row in batch.rows]
    keys = [getattr(row, stream.key) for row in records]
    values: dict[str, Any] = _keyed(keys, np.arange(len(keys), dtype=np.int32))
    for column in stream.columns:
        if column.name == "ts_recv" and not hasattr(records[0], "ts_recv"):
            values["ts_recv"] = np.concatenate([np.full(len(batch), batch.ts) for batch in batches])
            continue
        found = [getattr(row, column.source) for row in records]
        whole = column.kind in ("time", "int")
        values[column.name] = [NULL if value is None else value for value in found] if whole else found
    ts, digests = (np.concatenate(parts) for parts in zip(*(_rare_keys(batch, collector) for batch in batches), strict=True))
    return _block(stream.table, collector, ts, digests, values)


def _rare_keys(batch: RareBatch, collector: str) -> tuple[Ints, Ints]:
    """Designated timestamps and digests. What is true of one collector only has its name in the digest."""
    stream = STREAMS[batch.stream]
    event = next(column.source for column in stream.columns if column.name == stream.event)
    added = {column.source for column in stream.columns if column.since > 1}
    own = (collector.encode(), b"\0") if stream.is_own else ()
    ts = [getattr(row, event, None) or batch.ts for row in batch.rows]
    return np.array(ts, np.int64), np.array([digest(*own, _text(row, added)) for row in batch.rows], np.int64)


def _text(row: Any, added: Collection[str]) -> bytes:
    """What a row's digest is made of: its fields, without those added by a later version that it has not, so that it is what it was
    before there were any."""
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None or name not in added})


def _joined(batches: Sequence[FlatBatch]) -> FlatBatch:
    """Batches of one hot flat stream as one; its columns are made anew only if there are several."""
    if len(batches) == 1:
        return batches[0]
    keys, instrument = _one_index(batches)
    columns = {}
    for name, first in batches[0].columns.items():
        found = [batch.columns[name] for batch in batches]
        columns[name] = [text for texts in found for text in texts] if isinstance(first, list) else np.concatenate(found)
    return FlatBatch(batches[-1].ts, batches[0].stream, keys, instrument, columns)


def _joined_updates(batches: Sequence[Updates]) -> Updates:
    if len(batches) == 1:
        return batches[0]
    keys, instrument = _one_index(batches)
    names = [name for name in Updates.__struct_fields__ if name not in ("ts", "keys", "instrument")]
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    return Updates(ts=batches[-1].ts, keys=keys, instrument=instrument, **columns)


def _one_index(batches: Sequence[FlatBatch] | Sequence[Updates]) -> tuple[list[str], Indexes]:
    """The keys of all batches, each once, and each row's place among them."""
    keys = {key: index for index, key in enumerate(dict.fromkeys(key for batch in batches for key in batch.keys))}
    places = [np.array([keys[key] for key in batch.keys], np.int32)[batch.instrument] for batch in batches]
    return list(keys), np.concatenate(places)


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


def _instants(found: Any) -> Any:
    # NULL is what numpy and pandas know as no time.
    return np.asarray(found, np.int64).view("M8[ns]")


def _objects(found: Sequence[Any]) -> Any:
    return np.fromiter(found, object, len(found))


_COLUMN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "SYMBOL": _texts,
    "TIMESTAMP_NS": _instants,
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
