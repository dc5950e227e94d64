"""Batches of many instruments, held as they came until there is enough to cut them into one table per instrument and day.

The rule: memory is bounded by bytes held, not by the number of instruments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from xtrader.clock import DAY
from xtrader.errors import UnknownKind
from xtrader.model.streams import RARE, STREAMS
from xtrader.records import schemas
from xtrader.records.batches import Batch, FlatBatch, Ints, RareBatch, Session, Updates
from xtrader.records.packing import PACKINGS

GROUP_ROWS: Final = 262_144
"""Rows of a table at most (one message more): bounds what is exploded at once."""

WAITED: Final = 3600 * 10**9
"""What was received up to so long before midnight stays with what it waited for and is stored behind, a book message with the
snapshot, a trade of one connection with that of another: a day's files can be taken by themselves, in their order."""
LEVEL_BYTES: Final = 16
MESSAGE_BYTES: Final = 48
ROW_BYTES: Final = 128


class DayTable(NamedTuple):
    """Rows of one instrument and one UTC day, in order."""

    key: str
    date: str
    table: Any


class UpdateBuffer:
    """Book messages."""

    def __init__(self) -> None:
        self.bytes = 0
        self._batches: list[Updates] = []
        self._newest: dict[str, int] = {}
        """The newest time of receipt by instrument, since everything was drained."""

    def add(self, batch: Updates) -> None:
        self._batches.append(batch)
        self.bytes += _bytes(batch)

    def drain(self, keep: int = 0) -> Iterator[DayTable]:
        """Everything, but for up to `keep` bytes of the instruments that have least: small row groups cost several times the
        CPU of large ones, so those wait until they have more."""
        batches, self._batches, self.bytes = self._batches, [], 0
        if not batches:
            return
        keys, groups = _grouped(batches)
        whole = _joined(batches, keys)
        batches.clear()
        starts = np.cumsum(whole.counts, dtype=np.int64) - whole.counts
        sizes = [MESSAGE_BYTES * len(group) + LEVEL_BYTES * int(whole.counts[group].sum()) for group in groups]
        for place in np.argsort(sizes, kind="stable"):
            keep -= sizes[place]
            if keep < 0 or sizes[place] > LEVEL_BYTES * GROUP_ROWS // 16:
                break
            self.add(_only(whole, starts, keys[place], groups[place]))
            sizes[place] = 0
        for key, group, size in zip(keys, groups, sizes, strict=True):
            if not size:
                continue
            days, self._newest[key] = _stored_days(whole.ts_recv, group, self._newest.get(key, 0))
            for date, day in days:
                for rows in _slices(day, np.maximum(whole.counts[day], 1)):
                    table = schemas.l2_table(
                        ts_event=whole.ts_event[rows],
                        ts_recv=whole.ts_recv[rows],
                        sequence=whole.sequence[rows],
                        prev_sequence=whole.prev_sequence[rows],
                        is_snapshot=whole.is_snapshot[rows],
                        bids=whole.bids[rows],
                        counts=whole.counts[rows],
                        starts=starts[rows],
                        levels=whole.levels,
                    )
                    yield DayTable(key, date, table)
        if not self._batches:
            self._newest.clear()


class FlatBuffer:
    """Records of one hot flat stream."""

    def __init__(self, stream: str) -> None:
        self.bytes = 0
        self._stream = stream
        self._batches: list[FlatBatch] = []

    def add(self, batch: FlatBatch) -> None:
        self._batches.append(batch)
        self.bytes += ROW_BYTES * len(batch)

    def drain(self) -> Iterator[DayTable]:
        """Everything, and begin again."""
        batches, self._batches, self.bytes = self._batches, [], 0
        if not batches:
            return
        columns = {name: joined([batch.columns[name] for batch in batches]) for name in batches[0].columns}
        keys, groups = _grouped(batches)
        for key, group in zip(keys, groups, strict=True):
            days, _ = _stored_days(columns["ts_recv"], group)
            for date, rows in days:
                found = {
                    name: [values[row] for row in rows] if isinstance(values, list) else values[rows]
                    for name, values in columns.items()
                }
                yield DayTable(key, date, schemas.flat_table(self._stream, found))


class RareBuffer:
    """Rows that are rare enough to be kept as objects."""

    def __init__(self, stream: str) -> None:
        self.bytes = 0
        self._stream = STREAMS[stream]
        self._rows: dict[tuple[str, str], tuple[list[int], list[Any]]] = {}

    def add(self, batch: RareBatch) -> None:
        for row in batch.rows:
            place = getattr(row, self._stream.key), _date(batch.ts // DAY)
            written, held = self._rows.setdefault(place, ([], []))
            written.append(batch.ts)
            held.append(row)
        self.bytes += 4 * ROW_BYTES * len(batch)

    def drain(self) -> Iterator[DayTable]:
        """Everything, and begin again."""
        rows, self._rows, self.bytes = self._rows, {}, 0
        for (key, date), (written, held) in rows.items():
            yield DayTable(key, date, schemas.rare_table(self._stream.name, written, held))


class StreamBuffers:
    """Batches of all streams. `bytes` is what they hold."""

    def __init__(self) -> None:
        self.updates = UpdateBuffer()
        self._flat = {name: FlatBuffer(name) for name in PACKINGS}
        self._rare = {name: RareBuffer(name) for name in RARE}
        self._others: Mapping[str, FlatBuffer | RareBuffer] = {**self._rare, **self._flat}

    @property
    def bytes(self) -> int:
        return self.updates.bytes + sum(buffer.bytes for buffer in self._others.values())

    def add(self, batch: Batch) -> int:
        """Take a batch; returns how many rows it has."""
        match batch:
            case Updates():
                self.updates.add(batch)
            case FlatBatch():
                self._flat[batch.stream].add(batch)
            case RareBatch():
                self._rare[batch.stream].add(batch)
            case Session():
                pass
            case _:
                raise UnknownKind(batch)
        return len(batch)

    def overflow(self, limit: int) -> Iterator[tuple[str, DayTable]]:
        """What must be written for memory to stay within about twice `limit`: the most of the book messages when they alone
        reach it, all of another stream when it reaches a quarter of it."""
        if self.updates.bytes >= limit:
            yield from (("L2", piece) for piece in self.updates.drain(keep=limit // 2))
        for stream, buffer in self._others.items():
            if buffer.bytes >= limit // 4:
                yield from ((stream, piece) for piece in buffer.drain())

    def drain(self) -> Iterator[tuple[str, DayTable]]:
        """Everything, each piece with its stream."""
        for stream, buffer in (*self._others.items(), ("L2", self.updates)):
            yield from ((stream, piece) for piece in buffer.drain())


def joined(columns: Sequence[Any]) -> Any:
    """The same column of several batches as one."""
    return list(chain.from_iterable(columns)) if isinstance(columns[0], list) else np.concatenate(columns)


def _bytes(batch: Updates) -> int:
    return LEVEL_BYTES * len(batch.levels) + MESSAGE_BYTES * len(batch.counts)


def _joined(batches: Sequence[Updates], keys: Sequence[str]) -> Updates:
    """One batch of all; its `instrument` column is left empty, the groups stand for it."""
    if len(batches) == 1:
        return batches[0]
    names = ("ts_event", "ts_recv", "sequence", "prev_sequence", "is_snapshot", "bids", "counts", "levels")
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names}
    return Updates(ts=0, keys=keys, instrument=np.zeros(0, np.int32), **columns)


def _only(whole: Updates, starts: Ints, key: str, rows: npt.NDArray[np.intp]) -> Updates:
    """The messages of one instrument as a batch of its own, in memory of its own."""
    counts = whole.counts[rows]
    offsets = np.cumsum(counts, dtype=np.int64) - counts
    level = np.arange(int(counts.sum())) + np.repeat(starts[rows] - offsets, counts)
    return Updates(
        ts=0,
        keys=[key],
        instrument=np.zeros(len(rows), np.int32),
        ts_event=whole.ts_event[rows],
        ts_recv=whole.ts_recv[rows],
        sequence=whole.sequence[rows],
        prev_sequence=whole.prev_sequence[rows],
        is_snapshot=whole.is_snapshot[rows],
        bids=whole.bids[rows],
        counts=counts,
        levels=whole.levels.take(level, axis=0),
    )


def _grouped(batches: Sequence[Updates] | Sequence[FlatBatch]) -> tuple[list[str], list[npt.NDArray[np.intp]]]:
    """The instruments of all batches, and for each the places of its rows in their concatenation, in order."""
    index: dict[str, int] = {}
    places = [np.array([index.setdefault(key, len(index)) for key in batch.keys], np.int32)[batch.instrument] for batch in batches]
    instrument = np.concatenate(places)
    if len(index) == 1:
        return list(index), [np.arange(len(instrument))]
    order = np.argsort(instrument.astype(np.uint16) if len(index) < 2**16 else instrument, kind="stable")
    ends = np.cumsum(np.bincount(instrument, minlength=len(index)))
    return list(index), np.split(order, ends[:-1])


def _stored_days(
    ts_recv: Ints, rows: npt.NDArray[np.intp], newest: int = 0
) -> tuple[Iterator[tuple[str, npt.NDArray[np.intp]]], int]:
    """The rows by the UTC day of their receipt, but those that waited for a row of the next day are of that day; and the newest
    time of receipt, of these rows or `newest` (that of the rows before)."""
    received = ts_recv[rows]
    so_far = np.maximum.accumulate(np.maximum(received, newest))
    midnight = so_far - so_far % DAY
    days = _days(np.where(received >= midnight - WAITED, np.maximum(received, midnight), received), rows)
    return days, int(so_far[-1])


def _days(times: Ints, rows: npt.NDArray[np.intp]) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """The rows by the UTC day of their times; in order within a day."""
    days = times // DAY
    if (days == days[0]).all():
        yield _date(int(days[0])), rows
        return
    for day in np.unique(days):
        yield _date(int(day)), rows[days == day]


def _slices(messages: npt.NDArray[np.intp], rows: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.intp]]:
    """Messages in stretches of about GROUP_ROWS rows."""
    total = np.cumsum(rows, dtype=np.int64)
    cuts = np.searchsorted(total, np.arange(GROUP_ROWS, int(total[-1]), GROUP_ROWS))
    yield from (part for part in np.split(messages, np.unique(cuts)) if len(part))


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
