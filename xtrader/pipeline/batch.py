"""Records into columnar batches, at the speed of the socket.

The rule: a record is packed into the columns' bytes when it arrives and let go of; nothing is kept as an object until the
flush but texts, such as the ids of trades, and the records of the rare streams.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from xtrader.errors import UnknownKind
from xtrader.model.market import BookUpdate, Record
from xtrader.model.streams import BY_RECORD, L2, STREAMS, Stream
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Entry
from xtrader.pipeline.fitting import fitted, misfit, require_key, require_row, require_text
from xtrader.records.batches import NULL
from xtrader.records.packing import PACKINGS, Packed

MAX_ROWS = 4096
MAX_LEVELS = 262_144
"""A batch is full with this many rows, or book levels (4 MiB): it bounds what is lost by a kill and the size of a frame."""

_L2_ROW = struct.Struct("<qqqqiiii")
_L2_TYPE = np.dtype(
    [
        ("ts_event", "<i8"),
        ("ts_recv", "<i8"),
        ("sequence", "<i8"),
        ("prev_sequence", "<i8"),
        ("instrument", "<i4"),
        ("bids", "<i4"),
        ("asks", "<i4"),
        ("is_snapshot", "<i4"),
    ]
)
_LEVEL_TYPE = np.dtype([("pair", "u1"), ("float", "u1"), ("price", ">f8"), ("float_too", "u1"), ("size", ">f8")])
"""A level as MessagePack has it: an array of two float64."""
_LEVEL_MARKS = {"pair": 0x92, "float": 0xCB, "float_too": 0xCB}
_FULL_ROWS = MAX_ROWS * _L2_ROW.size
_FULL_LEVELS = MAX_LEVELS * _LEVEL_TYPE.itemsize
_CHECKS = (require_key, require_text, misfit)
_FIT: dict[str, Callable[[Any], Any]] = {"INSTRUMENTS": fitted}
"""What a rare record becomes so that it fits; of the others one that does not is refused."""
_encode_into = msgspec.msgpack.Encoder().encode_into


class Batcher:
    """Collects records; `flush` turns them into journal entries, at most one a stream, and begins again. `on_full` is called when
    the batch should be flushed now. `count(keys, columns)` is given the columns "instrument", "ts_event" and "ts_recv" of the rows
    that are flushed, to be looked at and not kept."""

    def __init__(
        self,
        on_full: Callable[[], None] = lambda: None,
        count: Callable[[Sequence[str], Any], None] = lambda keys, columns: None,
    ) -> None:
        self._on_full = on_full
        self._count = count
        self._flushed = 0
        self._begin()

    def _begin(self) -> None:
        self._l2_keys: dict[str, int] = {}
        self._l2_rows = bytearray()
        self._levels = bytearray()
        self._packs: dict[type, Callable[[Any], None]] = {}
        self._flat: dict[str, Packed] = {}
        self._rare: dict[str, list[Record]] = {}

    @property
    def rows(self) -> int:
        """Records taken so far."""
        return self._flushed + self._held()

    def add(self, record: Record) -> None:
        """Take one record; all of it or, if a number or a name does not fit its column, nothing: then raises ProtocolError. Of an
        instrument what does not fit is unknown. Raises what `on_full` raises.

        Books are packed here and not by a function of their own: a call between costs most when messages come one by one.
        """
        if type(record) is BookUpdate:
            keys = self._l2_keys
            index = keys.get(record.instrument)
            if index is None:
                index = keys[record.instrument] = require_key(record.instrument, len(keys))
            bids, asks = record.bids, record.asks
            ts_event, sequence, prev_sequence = record.ts_event, record.sequence, record.prev_sequence
            try:
                row = _L2_ROW.pack(
                    NULL if ts_event is None else ts_event,
                    record.ts_recv,
                    NULL if sequence is None else sequence,
                    NULL if prev_sequence is None else prev_sequence,
                    index,
                    len(bids),
                    len(asks),
                    record.is_snapshot,
                )
            except struct.error as error:
                raise misfit(record.instrument, error) from error
            rows, levels = self._l2_rows, self._levels
            before = len(levels)
            try:
                # Straight from the lists into bytes, in C: a third of what it costs to hand each number to struct or array.
                _encode_into(bids, levels, -1)
                _encode_into(asks, levels, -1)
            except (OverflowError, TypeError) as error:
                del levels[before:]
                raise misfit(record.instrument, error) from error
            rows += row
            if len(rows) >= _FULL_ROWS or len(levels) >= _FULL_LEVELS:
                self._on_full()
        else:
            try:
                pack = self._packs[type(record)]
            except KeyError:
                pack = self._begun(type(record))
            pack(record)

    def flush(self) -> list[Entry]:
        """The entries of what was collected, those of streams that have rows, in the order of the table of streams."""
        entries = []
        for stream in STREAMS.values():
            if rows := self._rare.get(stream.name):
                entries.append(codec.text_entry(stream.frame, rows))
            elif packed := self._flat.get(stream.name):
                entries.append(self._flat_entry(stream, packed))
            elif stream is L2 and self._l2_rows:
                entries.append(self._l2_entry())
        if entries:
            self._flushed += self._held()
            self._begin()
        return entries

    def _held(self) -> int:
        return len(self._l2_rows) // _L2_ROW.size + sum(map(len, self._flat.values())) + sum(map(len, self._rare.values()))

    def _begun(self, kind: type) -> Callable[[Any], None]:
        """What takes the records of a kind of which there is none yet."""
        stream = BY_RECORD.get(kind)
        if stream is None:
            raise UnknownKind(kind.__name__)
        if stream.is_hot:
            packed = self._flat[stream.name] = PACKINGS[stream.name].begin(self._on_full, MAX_ROWS, _CHECKS)
            self._packs[kind] = packed.pack
        else:
            rows, fit = self._rare.setdefault(stream.name, []), _FIT.get(stream.name, require_row)
            self._packs[kind] = lambda record: rows.append(fit(record))
        return self._packs[kind]

    def _flat_entry(self, stream: Stream, packed: Packed) -> Entry:
        rows = packed.as_rows()
        self._count(list(packed.keys), rows)
        return codec.rows_entry(stream.frame, list(packed.keys), packed.packing.schema, packed.columns(rows))

    def _l2_entry(self) -> Entry:
        rows = np.frombuffer(self._l2_rows, _L2_TYPE)
        self._count(list(self._l2_keys), rows)
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(rows["bids"] + rows["asks"], out=offsets[1:])
        sides = np.column_stack((rows["bids"], rows["asks"])).reshape(-1)
        pairs = pa.FixedSizeListArray.from_arrays(pa.array(_unpacked(self._levels, sides)), 2)
        columns = [np.ascontiguousarray(rows[name]) for name in ("instrument", "ts_event", "ts_recv", "sequence", "prev_sequence")]
        columns += [rows["is_snapshot"].astype(np.uint8), np.ascontiguousarray(rows["bids"])]
        levels = pa.ListArray.from_arrays(pa.array(offsets), pairs)
        return codec.rows_entry(codec.L2, list(self._l2_keys), codec.L2_SCHEMA, [*columns, levels])


def _unpacked(packed: bytearray, counts: Any) -> Any:
    """Prices and sizes in turn, float64, of lists of levels in MessagePack, one after the other; `counts` are their lengths.

    A list begins with 1, 3 or 5 bytes by its length; then every level has the same 19. Raises TypeError if a number was no float.
    """
    each = _LEVEL_TYPE.itemsize
    ends = np.cumsum(np.where(counts < 16, 1, np.where(counts < 65536, 3, 5)))
    places = np.repeat(ends, counts)
    places += np.arange(0, each * len(places), each)
    levels = np.empty(0, _LEVEL_TYPE)
    if len(places) and len(packed) == ends[-1] + each * len(places):
        # Every byte is where a level might begin: one view of all of them, and the true ones taken at once.
        anywhere = np.ndarray(len(packed) - each + 1, f"V{each}", packed, strides=1)
        levels = anywhere[places].view(_LEVEL_TYPE)
    if len(levels) < len(places) or any((levels[name] != mark).any() for name, mark in _LEVEL_MARKS.items()):
        raise TypeError("prices and sizes of a book must be floats")
    numbers = np.empty((len(places), 2))
    numbers[:, 0] = levels["price"]
    numbers[:, 1] = levels["size"]
    return numbers.reshape(-1)
