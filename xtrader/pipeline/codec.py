"""What is inside a frame of the journal: batches of rows, and what a reader must know about them.

A payload is `u8 kind | u8 version | u8 flags | u8 0 | u32 length of the names | i64 time`, then the names (JSON, padded to 8
bytes) and one Arrow record batch, or one JSON text. The rule: a frame of rows can be read without any other frame.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from xtrader.errors import ConfigError
from xtrader.model import streams
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage
from xtrader.model.streams import BY_FRAME, STREAMS
from xtrader.records.batches import Batch, RareBatch, Session, Updates
from xtrader.records.packing import PACKINGS

VERSION = 1
META, MARK, ALIVE = range(1, 4)
INSTRUMENTS, COVERAGE, L2, TRADES = (one.frame for one in (streams.INSTRUMENTS, streams.COVERAGE, streams.L2, streams.TRADES))
WHOLE = 1
"""Flag: with this frame, all that was received up to its time is in the journal."""
START = 2
"""Flag of META: a recorder started here (else it only heads a segment)."""

_KINDS = frozenset((META, MARK, ALIVE, *BY_FRAME))
_HEAD = struct.Struct("<BBBxIq")

L2_SCHEMA = pa.schema(
    [
        ("instrument", pa.int32()),
        ("ts_event", pa.int64()),
        ("ts_recv", pa.int64()),
        ("sequence", pa.int64()),
        ("prev_sequence", pa.int64()),
        ("is_snapshot", pa.uint8()),
        ("bids", pa.int32()),
        ("levels", pa.list_(pa.list_(pa.float64(), 2))),
    ]
)


class Meta(msgspec.Struct, frozen=True):
    """All that a reader or a recovery must know at this point of the journal, so that it can begin here.

    `open` are the coverage intervals that have begun and not ended; `damaged` the journal bytes whose loss has been told;
    `alive` the time up to which all that was received is in the frames before.
    """

    collector: str
    software: str
    venues: dict[str, dict[str, str]]
    instruments: list[Instrument]
    open: list[Coverage]
    damaged: list[tuple[int, int]]
    alive: int


class Payload(NamedTuple):
    """A payload with its head read. `time` is when it was made, int nanoseconds UTC."""

    kind: int
    flags: int
    time: int
    names: memoryview
    body: memoryview


class Entry(NamedTuple):
    """A payload to be written: buffers without the head."""

    kind: int
    names_length: int
    parts: Sequence[bytes]


_names = msgspec.json.Decoder(list[str])
_rare: dict[int, Any] = {
    one.frame: msgspec.json.Decoder(list[one.record])  # type: ignore[name-defined]
    for one in STREAMS.values()
    if not one.is_hot
}
_meta = msgspec.json.Decoder(Meta)


def head(entry: Entry, flags: int, now: int) -> bytes:
    """The head of an entry's payload."""
    return _HEAD.pack(entry.kind, VERSION, flags, entry.names_length, now)


def text_entry(kind: int, value: object) -> Entry:
    """An entry that carries JSON."""
    return Entry(kind, 0, [msgspec.json.encode(value)])


def rows_entry(kind: int, keys: Sequence[str], schema: Any, columns: Sequence[Any]) -> Entry:
    """An entry that carries a record batch of `schema`; its instrument column indexes `keys`."""
    names = msgspec.json.encode(keys)
    batch = pa.RecordBatch.from_arrays([_array(column) for column in columns], schema=schema)
    return Entry(kind, len(names), [names, bytes(-len(names) % 8), batch.serialize()])


def _array(column: Any) -> Any:
    return pa.array(column) if isinstance(column, np.ndarray) else column


def read_payload(payload: memoryview) -> Payload:
    """Read the head. Raises ConfigError for a version or a kind that this program does not know."""
    kind, version, flags, length, time = _HEAD.unpack_from(payload)
    if version != VERSION:
        raise ConfigError(f"the journal has format version {version}, this xtrader reads {VERSION}: use the version that wrote it")
    if kind not in _KINDS:
        raise ConfigError(f"the journal has frames of kind {kind}, which this xtrader does not know: use the version that wrote it")
    start = _HEAD.size + length
    return Payload(kind, flags, time, payload[_HEAD.size : start], payload[start + -length % 8 :])


def read_meta(payload: Payload) -> Meta:
    return _meta.decode(payload.body)


def read_coverages(payload: Payload) -> list[Coverage]:
    rows: list[Coverage] = _rare[COVERAGE].decode(payload.body)
    return rows


def read_instruments(payload: Payload) -> list[Instrument]:
    rows: list[Instrument] = _rare[INSTRUMENTS].decode(payload.body)
    return rows


def read_batch(payload: Payload) -> Batch | None:
    """The rows of a payload, as sinks take them; None if it has none (MARK, ALIVE)."""
    if payload.kind in (MARK, ALIVE):
        return None
    if payload.kind == META:
        return _session(payload)
    if payload.kind == L2:
        return _updates(payload)
    stream = BY_FRAME[payload.kind]
    if not stream.is_hot:
        return RareBatch(payload.time, stream.name, _rare[payload.kind].decode(payload.body))
    packing = PACKINGS[stream.name]
    return packing.batch(payload.time, _names.decode(payload.names), _columns(payload, packing.schema))


def _session(payload: Payload) -> Session:
    meta = read_meta(payload)
    return Session(payload.time, meta.collector, meta.venues, meta.instruments)


def _columns(payload: Payload, schema: Any) -> list[Any]:
    batch = pa.ipc.read_record_batch(pa.py_buffer(payload.body), schema)
    return list(batch.columns)


def _updates(payload: Payload) -> Updates:
    *columns, levels = _columns(payload, L2_SCHEMA)
    instrument, ts_event, ts_recv, sequence, prev_sequence, is_snapshot, bids = (column.to_numpy() for column in columns)
    return Updates(
        ts=payload.time,
        keys=_names.decode(payload.names),
        instrument=instrument,
        ts_event=ts_event,
        ts_recv=ts_recv,
        sequence=sequence,
        prev_sequence=prev_sequence,
        is_snapshot=is_snapshot,
        bids=bids,
        counts=np.diff(levels.offsets.to_numpy()),
        levels=levels.values.values.to_numpy().reshape(-1, 2),
    )
