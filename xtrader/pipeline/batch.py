"""Records into columnar batches, at the speed of the socket.

The rule: a record is packed into the columns' bytes when it arrives and let go of; nothing is kept as an object until the
flush but the text of trade ids, and the few coverage and instrument rows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from xtrader.errors import UnknownKind
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Entry
from xtrader.pipeline.fitting import MAX_ID, fitted, misfit, require_coverage, require_id, require_key
from xtrader.records.batches import NULL, TRADE_SIDES

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
_TRADE_ROW = struct.Struct("<qqddii")
_TRADE_TYPE = np.dtype(
    [("ts_event", "<i8"), ("ts_recv", "<i8"), ("price", "<f8"), ("size", "<f8"), ("instrument", "<i4"), ("side", "<i4")]
)
_SIDES = {side: index for index, side in enumerate(TRADE_SIDES)}
_UNKNOWN = _SIDES["unknown"]
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
        self._trade_keys: dict[str, int] = {}
        self._trade_rows = bytearray()
        self._trade_ids: list[str] = []
        self._coverages: list[Coverage] = []
        self._instruments: list[Instrument] = []

    @property
    def rows(self) -> int:
        """Records taken so far."""
        return self._flushed + self._held()

    def add(self, record: Record) -> None:
        """Take one record; all of it or, if a number or a name does not fit its column, nothing: then raises ProtocolError. Of an
        instrument what does not fit is unknown. Raises what `on_full` raises.

        One function, not one per kind: with calls between them it costs a tenth more, and most when messages come one by one.
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
        elif type(record) is Trade:
            keys = self._trade_keys
            index = keys.get(record.instrument)
            if index is None:
                index = keys[record.instrument] = require_key(record.instrument, len(keys))
            ts_event, trade_id = record.ts_event, record.trade_id
            if len(trade_id) > MAX_ID or not trade_id.isascii():
                require_id(record.instrument, trade_id)
            try:
                self._trade_rows += _TRADE_ROW.pack(
                    NULL if ts_event is None else ts_event,
                    record.ts_recv,
                    record.price,
                    record.size,
                    index,
                    _SIDES.get(record.side, _UNKNOWN),
                )
            except (struct.error, OverflowError) as error:
                raise misfit(record.instrument, error) from error
            ids = self._trade_ids
            ids.append(trade_id)
            if len(ids) >= MAX_ROWS:
                self._on_full()
        elif type(record) is Coverage:
            self._coverages.append(require_coverage(record))
        elif type(record) is Instrument:
            self._instruments.append(fitted(record))
        else:
            raise UnknownKind(record)

    def flush(self) -> list[Entry]:
        """The entries of what was collected: instruments, coverage, L2, trades, those that have rows."""
        entries = []
        if self._instruments:
            entries.append(codec.text_entry(codec.INSTRUMENTS, self._instruments))
        if self._coverages:
            entries.append(codec.text_entry(codec.COVERAGE, self._coverages))
        if self._l2_rows:
            entries.append(self._l2_entry())
        if self._trade_rows:
            entries.append(self._trades_entry())
        if entries:
            self._flushed += self._held()
            self._begin()
        return entries

    def _held(self) -> int:
        books = len(self._l2_rows) // _L2_ROW.size
        return books + len(self._trade_ids) + len(self._coverages) + len(self._instruments)

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

    def _trades_entry(self) -> Entry:
        rows = np.frombuffer(self._trade_rows, _TRADE_TYPE)
        self._count(list(self._trade_keys), rows)
        columns = [np.ascontiguousarray(rows[name]) for name in ("instrument", "ts_event", "ts_recv")]
        columns += [rows["side"].astype(np.uint8), np.ascontiguousarray(rows["price"]), np.ascontiguousarray(rows["size"])]
        trade_ids = pa.array(self._trade_ids, pa.string())
        return codec.rows_entry(codec.TRADES, list(self._trade_keys), codec.TRADES_SCHEMA, [*columns, trade_ids])


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
