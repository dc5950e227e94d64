"""The records that a sink can never take, found among others that it can.

The rule: only a record that fails by itself, where a plain one does not, is to blame; everything else is a fault of the sink or of
its time.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np

from xtrader.errors import SinkReject, UnknownKind, XTraderError
from xtrader.model.market import Record
from xtrader.model.streams import STREAMS
from xtrader.records.batches import NULL, Batch, FlatBatch, RareBatch, Session, Updates, picked
from xtrader.records.packing import PACKINGS
from xtrader.sinks.base import Sink

UNREADABLE: Final = (msgspec.MsgspecError, ValueError)
"""What the rows of a frame raise that is whole and cannot be read."""
_KEY: Final = "PLAIN@PLAIN"
_TS: Final = 1_000_000_000 * 10**9


def is_poison(error: BaseException) -> bool:
    """True if trying again cannot help, and what was to be written may be the reason."""
    if isinstance(error, OSError):
        return error.errno == errno.ENAMETOOLONG
    if isinstance(error, XTraderError):
        return isinstance(error, SinkReject)
    return isinstance(error, Exception) and not isinstance(error, (MemoryError, UnknownKind))


def refused(sink: Sink, batch: Batch) -> Mapping[int, str]:
    """The places of the records that the sink refuses by themselves, and why. What the sink holds is abandoned. Raises OSError,
    SinkRetry."""
    if isinstance(batch, Session) or _refusal(sink, batch) is None or not _works(sink, batch):
        return {}
    return dict(_refused(partial(_refusal, sink), batch, range(len(batch))))


def unfit(sink: Sink, batch: Batch) -> Mapping[int, str]:
    """The places of the records of which the sink can make no rows, and why. What the sink holds stays."""
    return dict(_refused(partial(_misfit, sink), batch, range(len(batch))))


def about_record(sink: str, offset: int, place: int, row: Record, reason: str) -> dict[str, Any]:
    """What is kept of a record that a sink refuses: the one at `place` of the frame at `offset`."""
    return {"sink": sink, "offset": offset, "place": place, "type": type(row).__name__, "reason": reason, "record": row}


def about_frame(sink: str, offset: int, payload: bytes | memoryview, error: Exception) -> dict[str, Any]:
    """What is kept of a whole frame whose rows cannot be read."""
    reason = f"{type(error).__name__}: {error}"
    return {"sink": sink, "offset": offset, "place": 0, "type": "frame", "reason": reason, "frame": bytes(payload)}


def _works(sink: Sink, batch: Batch) -> bool:
    """Whether the sink takes plain records: of a hot stream those of the same, for a rare one any."""
    hot: list[Batch] = [_plain_update(), *map(_plain, PACKINGS)]
    tried = hot if isinstance(batch, RareBatch) else [one for one in hot if _stream(one) == _stream(batch)]
    return any(_refusal(sink, one) is None for one in tried)


def _stream(batch: Batch) -> str:
    return batch.stream if isinstance(batch, FlatBatch) else type(batch).__name__


def _refused(why: Callable[[Batch], str | None], batch: Batch, places: Sequence[int]) -> Iterator[tuple[int, str]]:
    reason = why(picked(batch, places)) if places else None
    if reason is None:
        return
    if len(places) == 1:
        yield places[0], reason
        return
    middle = len(places) // 2
    yield from _refused(why, batch, places[:middle])
    yield from _refused(why, batch, places[middle:])


def _refusal(sink: Sink, batch: Batch) -> str | None:
    """Why the sink does not take a batch; None if it does. Raises what may be taken when it is tried again."""
    try:
        return _misfit(sink, batch) or _why(sink.write, batch)
    finally:
        sink.abandon()


def _misfit(sink: Sink, batch: Batch) -> str | None:
    """Why the sink can make no rows of a batch; None if it can."""
    return _why(sink.check, batch)


def _why(work: Callable[[Batch], None], batch: Batch) -> str | None:
    try:
        work(batch)
    except Exception as error:
        if not is_poison(error):
            raise
        return f"{type(error).__name__}: {error}"
    return None


def _plain(stream: str) -> FlatBatch:
    """One record of a hot flat stream, of which each sink takes all."""
    kinds = {"time": np.full(1, _TS), "int": np.ones(1, np.int64), "float": np.ones(1)}
    columns = {
        column.name: kinds.get(column.kind, np.zeros(1, np.uint8) if column.kind in ("word", "bool") else ["plain"])
        for column in STREAMS[stream].columns
    }
    return FlatBatch(_TS, stream, [_KEY], np.zeros(1, np.int32), columns)


def _plain_update() -> Updates:
    one, null = np.zeros(1, np.int32), np.full(1, NULL)
    return Updates(
        _TS, [_KEY], one, null, np.full(1, _TS), null, null, np.ones(1, np.uint8), one + 1, one + 1, levels=np.ones((1, 2))
    )
