"""One record of every stream in the table goes through all that there is: journal, sinks, replay, merge, tail, verify, report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import xtrader
from tests.feed.clocks import HandClock
from tests.records.examples import INSTRUMENT, KEY, NOW, example
from xtrader.feed.redundant import Redundant
from xtrader.model.market import Coverage, Record
from xtrader.model.streams import STREAMS, SUBSCRIBED, Stream
from xtrader.model.subscription import Subscription
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.write_records import write_records
from xtrader.records.batches import Batch
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.questdb import table_definitions, table_rows
from xtrader.sinks.questdb.best_levels import PackedBooks
from xtrader.sinks.stored import batches
from xtrader.store.mend.compact import compact
from xtrader.store.prove.verify import verify
from xtrader.store.read.tail import pin
from xtrader.store.report.day_report import report_day
from xtrader.venues import rules

DATE = datetime.fromtimestamp(NOW / 1e9, UTC).date().isoformat()
every_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
subscribed = pytest.mark.parametrize("stream", [STREAMS[name] for name in SUBSCRIBED], ids=lambda stream: stream.name)


def in_batches(records: list[Record]) -> list[Batch]:
    batcher = Batcher()
    for record in records:
        batcher.add(record)
    found = []
    for entry in batcher.flush():
        batch = codec.read_batch(codec.read_payload(memoryview(b"".join([codec.head(entry, 0, NOW), *map(bytes, entry.parts)]))))
        assert batch is not None
        found.append(batch)
    return found


def story(stream: Stream) -> list[Record]:
    """What a recorder would write of two records of it."""
    records = [example(stream), example(stream, 1, nulls=True)]
    if not stream.is_subscribed:
        return records
    begin = Coverage(KEY, stream.name, "live", "start", NOW, None)
    return [INSTRUMENT, begin, *records, msgspec.structs.replace(begin, ts_to=NOW + 10)]


@every_stream
def test_the_journal_and_a_sink_give_back_what_was_put_in(stream: Stream) -> None:
    records = [example(stream), example(stream, 1, nulls=True)]
    sink = MemorySink()
    write_records(records, sink, "c1", {})
    assert sink.records == records


@every_stream
def test_files_give_back_the_batches_that_they_were_made_of(stream: Stream, tmp_path: Path) -> None:
    write_records(story(stream), ParquetSink(tmp_path, "c1"), "c1", {})
    sink = MemorySink()
    (path,) = tmp_path.glob(f"stream={stream.name}/**/*.parquet")
    for batch in batches(str(path), stream.name, KEY):
        sink.write(batch)
    sink.commit(0, 1)
    assert sink.records == [record for record in story(stream) if type(record) is stream.record]


@every_stream
def test_a_table_has_its_columns_and_a_row_of_each_record(stream: Stream) -> None:
    (batch,) = in_batches([example(stream), example(stream, 1, nulls=True)])
    block = table_rows.block([batch, batch], "c1", PackedBooks({}))
    assert len(block) == 4
    assert list(block.frame.columns) == list(table_definitions.COLUMNS[stream.table])
    assert block.held().tolist() == 2 * table_rows.held(batch, "c1").tolist()
    statement = table_definitions.create(stream.table)
    assert all(f" {column.name} " in statement for column in stream.columns if stream.name != "L2" and column.name != stream.event)


@subscribed
def test_it_is_replayed_answered_proven_compacted_and_reported(stream: Stream, tmp_path: Path) -> None:
    records = [example(stream), example(stream, 1, nulls=True)]
    for collector in ("c1", "c2"):
        write_records(story(stream), ParquetSink(tmp_path, collector), collector, {})
    for _ in range(2):
        recording = xtrader.open(tmp_path)
        assert list(recording.replay(KEY)) == records
        rows = getattr(recording, stream.method)("BTCUSDT").tables()
        assert sum(table.num_rows for table in rows) == len(records) * (2 if stream.name == "L2" else 1)
        found = verify(tmp_path, rules, 1)
        assert [finding for finding in found.findings if finding.level == "damage"] == []
        assert {day.subscription for day in found.days} == {f"{stream.name}:{KEY}"}
        assert any("cannot be told" in finding.what for finding in found.findings) == (stream.proof == "freshness")
        day, _ = report_day(tmp_path, DATE)
        assert [str(one.subscription) for one in day.subscriptions] == [f"{stream.name}:{KEY}"] * 2
        compact(tmp_path)


@every_stream
def test_the_live_end_has_it(stream: Stream, tmp_path: Path) -> None:
    journal = open_journal(tmp_path, "c1", HandClock(), {})
    batcher = Batcher()
    batcher.add(example(stream))
    journal.append(batcher.flush())
    journal.close()
    tail = pin(tmp_path)
    assert tail is not None
    with tail:
        tables = tail.read(0, (stream.name,)).tables
    assert list(tables) == [(stream.name, KEY)]


@subscribed
def test_two_connections_record_it_once(stream: Stream) -> None:
    put: list[Record] = []
    subscription = Subscription(stream.name, *KEY.split("@"))
    merged = Redundant([subscription], [lambda key: None] * 2, put.append)
    for number in range(2):
        merged.take(number, Coverage(KEY, stream.name, "live", "start", NOW, None))
    record = example(stream)
    if stream.name == "TRADES":
        record = msgspec.structs.replace(record, sequence=7)
    for number in range(2):
        merged.take(number, msgspec.structs.replace(record, ts_recv=NOW + number))
    assert [one for one in put if type(one) is stream.record] == [record]
    assert merged.of(subscription).messages == 1


@subscribed
def test_the_readme_has_its_columns(stream: Stream) -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{stream.name}` \|[^|]*\|([^|]*)\|$", page, re.MULTILINE)
    assert re.findall(r"\w+", re.sub(r"\([^)]*\)", "", row)) == [column.name for column in stream.columns]
