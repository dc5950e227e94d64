"""The records that a sink can never take, found among others that it can.

The rule: only a record that fails by itself, where a plain one does not, is to blame; everything else is a fault of the sink or of
its time.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from xtrader.errors import SinkReject, UnknownKind, XTraderError
from xtrader.model.streams import STREAMS
from xtrader.records.batches import NULL, Batch, FlatBatch, RareBatch, Session, Updates, picked
from xtrader.records.packing import PACKINGS
from xtrader.sinks.base import Sink

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
    return dict(_refused(sink, batch, range(len(batch))))


def _works(sink: Sink, batch: Batch) -> bool:
    """Whether the sink takes plain records: of a hot stream those of the same, for a rare one any."""
    hot: list[Batch] = [_plain_update(), *map(_plain, PACKINGS)]
    tried = hot if isinstance(batch, RareBatch) else [one for one in hot if _stream(one) == _stream(batch)]
    return any(_refusal(sink, one) is None for one in tried)


def _stream(batch: Batch) -> str:
    return batch.stream if isinstance(batch, FlatBatch) else type(batch).__name__


def _refused(sink: Sink, batch: Batch, places: Sequence[int]) -> Iterator[tuple[int, str]]:
    reason = _refusal(sink, picked(batch, places))
    if reason is None:
        return
    if len(places) == 1:
        yield places[0], reason
        return
    middle = len(places) // 2
    yield from _refused(sink, batch, places[:middle])
    yield from _refused(sink, batch, places[middle:])


def _refusal(sink: Sink, batch: Batch) -> str | None:
    """Why the sink does not take a batch; None if it does. Raises what may be taken when it is tried again."""
    try:
        sink.check(batch)
        sink.write(batch)
    except Exception as error:
        if not is_poison(error):
            raise
        return f"{type(error).__name__}: {error}"
    finally:
        sink.abandon()
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
