"""The records that a sink can never take, found among others that it can.

The rule: only a record that fails by itself, where a plain one does not, is to blame; everything else is a fault of the sink or of
its time.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from xtrader.errors import SinkReject, UnknownKind, XTraderError
from xtrader.records.batches import NULL, Batch, Coverages, Instruments, Session, Trades, Updates
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
    return dict(_refused(sink, batch, range(count(batch))))


def _works(sink: Sink, batch: Batch) -> bool:
    """Whether the sink takes plain records: of the kinds that are many such as these, of those that are rare any."""
    plain: list[Batch] = [_plain_trade(), _plain_update()]
    tried = plain if isinstance(batch, (Coverages, Instruments)) else [one for one in plain if type(one) is type(batch)]
    return any(_refusal(sink, one) is None for one in tried)


def _refused(sink: Sink, batch: Batch, places: Sequence[int]) -> Iterator[tuple[int, str]]:
    reason = _refusal(sink, pick(batch, places))
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


def count(batch: Batch) -> int:
    """How many records a batch has; none of a Session."""
    match batch:
        case Updates() | Trades():
            return len(batch.ts_recv)
        case Coverages() | Instruments():
            return len(batch.rows)
        case Session():
            return 0
        case _:
            raise UnknownKind(batch)


def pick(batch: Batch, places: Sequence[int]) -> Batch:
    """A batch of some of its records, in their order."""
    match batch:
        case Coverages() | Instruments():
            return msgspec.structs.replace(batch, rows=[batch.rows[place] for place in places])
        case Trades():
            columns = _columns(batch, places, ("instrument", "ts_event", "ts_recv", "side", "price", "size"))
            return msgspec.structs.replace(batch, **columns, trade_id=[batch.trade_id[place] for place in places])
        case Updates():
            names = ("instrument", "ts_event", "ts_recv", "sequence", "prev_sequence", "is_snapshot", "bids", "counts")
            ends = np.cumsum(batch.counts, dtype=np.int64)
            levels = [batch.levels[ends[place] - batch.counts[place] : ends[place]] for place in places]
            joined = np.concatenate([np.zeros((0, 2)), *levels])
            return msgspec.structs.replace(batch, **_columns(batch, places, names), levels=joined)
        case Session():
            return batch
        case _:
            raise UnknownKind(batch)


def _columns(batch: Batch, places: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(batch, name)[list(places)] for name in names}


def _plain_trade() -> Trades:
    one, price = np.zeros(1, np.int32), np.ones(1)
    return Trades(_TS, [_KEY], one, np.full(1, NULL), np.full(1, _TS), np.zeros(1, np.uint8), price, price, ["plain"])


def _plain_update() -> Updates:
    one, null = np.zeros(1, np.int32), np.full(1, NULL)
    return Updates(
        _TS, [_KEY], one, null, np.full(1, _TS), null, null, np.ones(1, np.uint8), one + 1, one + 1, levels=np.ones((1, 2))
    )
