"""Records straight into a sink, without journal, processes or clock: for recordings of the past, and tests.

The rule: time is the records' own, so the same records make the same parts under the same names, however often they are run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import xtrader
from xtrader.clock import MILLISECOND
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, Record
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.codec import Entry, Meta, Payload
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.base import Sink

BATCH_NS: Final = 100 * MILLISECOND


class RecordWriter:
    """Batches records by their own time and drives a sink. In place of a journal's offsets stand the times of the batches.

    Use it by `with`: leaving the block without an error commits what is left, leaving it in any way closes the sink.
    """

    def __init__(
        self, sink: Sink, collector: str, venues: Mapping[str, Mapping[str, str]], rotation: Rotation | None = None
    ) -> None:
        self._sink = sink
        self._rotation = rotation or Rotation()
        self._batcher = Batcher(self.flush)
        facts = {exchange: dict(values) for exchange, values in venues.items()}
        self._meta = Meta(collector, xtrader.__version__, facts, [], [], [], 0)
        self._now = 0
        self._began = 0
        self._first: int | None = None
        self._offset = 0

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
                self._commit(self._offset + 1)
        finally:
            self._sink.close()

    def put(self, record: Record) -> None:
        """Take the next record. Raises what the sink raises, ProtocolError for a number that does not fit."""
        now = max(self._now, _time(record))
        if now - self._began >= BATCH_NS and self._began:
            self.flush()
        self._now = now
        self._began = self._began or now
        self._batcher.add(record)

    def flush(self) -> None:
        """Hand over what was collected, as one batch a stream."""
        self._began = 0
        for entry in self._batcher.flush():
            self._write(entry)

    def _write(self, entry: Entry) -> None:
        offset = max(self._offset + 1, self._now)
        if self._first is None:
            self._first = offset
            self._sink.open(offset)
            self._hand_over(self._payload(codec.text_entry(codec.META, self._meta)))
        payload = self._payload(entry)
        if self._rotation.before(payload, len(payload.body)):
            self._commit(offset)
        self._offset = offset
        self._hand_over(payload)

    def _payload(self, entry: Entry) -> Payload:
        return codec.read_payload(memoryview(b"".join([codec.head(entry, 0, self._now), *entry.parts])))

    def _hand_over(self, payload: Payload) -> None:
        batch = codec.read_batch(payload)
        if batch is not None:
            self._sink.write(batch)

    def _commit(self, last: int) -> None:
        if self._first is not None:
            self._sink.commit(self._first, last)
            self._first = last


def write_records(
    records: Iterable[Record],
    sink: Sink,
    collector: str,
    venues: Mapping[str, Mapping[str, str]],
    rotation: Rotation | None = None,
) -> None:
    """Write records into a sink, from the first to the last, and close it."""
    with RecordWriter(sink, collector, venues, rotation) as direct:
        for record in records:
            direct.put(record)


def _time(record: Record) -> int:
    """When a record was made, as far as it says so."""
    if isinstance(record, Coverage):
        return record.ts_from if record.ts_to is None else record.ts_to
    return record.ts if isinstance(record, Instrument) else record.ts_recv
