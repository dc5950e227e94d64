"""What every sink must do, as tests of the fixture `kept`, which whoever imports them defines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.pipeline.numbered import trade, update
from xtrader.errors import ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.records.batches import Batch, Session
from xtrader.sinks.base import Sink

Found = dict[type, list[Record]]
SESSION = Session(1, "c1", {"OKX_SWAP": {"environment": "demo"}}, [])


class Kept:
    """A sink and a way to read back what it has."""

    def __init__(self, sink: Sink, read: Callable[[], Found]) -> None:
        self.sink = sink
        self.read = read


def by_kind(rows: Iterable[Record]) -> Found:
    """Records by kind, each instrument's in order (no order holds between instruments)."""
    found: Found = {BookUpdate: [], Trade: [], Coverage: [], Instrument: []}
    for row in rows:
        found[type(row)].append(row)
    for kind, kept in found.items():
        kept.sort(key=lambda row: row.key if isinstance(row, Instrument) else row.instrument)
        found[kind] = kept
    return found


def batches(rows: Sequence[Record], ts: int = 1_795_219_200_000_000_000) -> list[Batch]:
    """What a journal gives a sink for these records, as one flush."""
    batcher = Batcher()
    for row in rows:
        batcher.add(row)
    found = []
    for entry in batcher.flush():
        batch = codec.read_batch(codec.read_payload(memoryview(b"".join([codec.head(entry, 0, ts), *entry.parts]))))
        assert batch is not None
        found.append(batch)
    return found


def feed(sink: Sink, rows: Sequence[Record]) -> None:
    for batch in batches(rows):
        sink.write(batch)


def sample(first: int, last: int) -> list[Record]:
    return [maker(number) for number in range(first, last) for maker in (update, trade)]


def test_rows_are_found_only_after_the_commit(kept: Kept) -> None:
    feed(kept.sink, sample(0, 10))
    assert kept.read() == by_kind([])
    assert kept.sink.commit(8, 16) > 0
    assert kept.read() == by_kind(sample(0, 10))


def test_a_commit_without_rows_makes_no_part(kept: Kept) -> None:
    assert kept.sink.commit(8, 16) == 0


def test_abandoned_rows_are_gone_and_can_be_delivered_again(kept: Kept) -> None:
    feed(kept.sink, sample(0, 10))
    kept.sink.abandon()
    assert kept.sink.rows == 0
    feed(kept.sink, sample(0, 10))
    kept.sink.commit(8, 16)
    assert kept.sink.rows == 20
    assert kept.read() == by_kind(sample(0, 10))


def test_a_stretch_that_was_committed_and_comes_again_is_there_once(kept: Kept) -> None:
    feed(kept.sink, sample(0, 10))
    kept.sink.commit(8, 16)
    kept.sink.abandon()
    kept.sink.open(8)
    kept.sink.write(SESSION)
    feed(kept.sink, sample(0, 10))
    kept.sink.commit(8, 16)
    feed(kept.sink, sample(10, 15))
    kept.sink.commit(16, 24)
    assert kept.read() == by_kind(sample(0, 15))


def test_stretches_follow_each_other(kept: Kept) -> None:
    for step in range(5):
        feed(kept.sink, sample(step * 3, step * 3 + 3))
        kept.sink.commit(8 + step * 8, 16 + step * 8)
    assert kept.read() == by_kind(sample(0, 15))


def test_close_leaves_what_was_not_committed(kept: Kept) -> None:
    feed(kept.sink, sample(0, 10))
    kept.sink.commit(8, 16)
    feed(kept.sink, sample(10, 20))
    kept.sink.close()
    assert kept.read() == by_kind(sample(0, 10))


def accepted(rows: list[Record]) -> list[Record]:
    """Those that the packer takes; one that it refuses leaves nothing behind in the batch."""
    kept = []
    batcher = Batcher()
    for row in rows:
        try:
            batcher.add(row)
        except ProtocolError:
            continue
        kept.append(row)
    assert batcher.rows == len(kept)
    assert bool(batcher.flush()) == bool(kept)
    return kept
