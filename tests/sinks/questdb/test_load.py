"""`xtrader load`: what files and journals hold comes into the tables as it would have come live, any number of times."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from tests.pipeline.journaling import BEYOND, GOOD, poisoned
from tests.pipeline.numbered import DAY_START, KEYS, trade, update
from tests.pipeline.records import records
from tests.records.examples import example
from tests.sinks.contract import SESSION, batches, by_kind, feed, sample
from tests.sinks.questdb import reading
from tests.sinks.questdb.rig import Rig
from tests.sinks.questdb.server import Server
from xtrader.cli.load import labelled, load, parts_in_force
from xtrader.cli.verify import verify
from xtrader.model.instrument import Instrument
from xtrader.model.market import Record
from xtrader.model.streams import STREAMS, Stream
from xtrader.pipeline import codec
from xtrader.records.batches import Session
from xtrader.sinks.memory import records as records_of
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.sink import QuestdbSink
from xtrader.sinks.questdb.sql import Server as Questions
from xtrader.sinks.questdb.table_definitions import COLUMNS, create
from xtrader.sinks.questdb.table_proof import differences
from xtrader.store.prove.recording_files import RecordingFiles

DAY = 86_400 * 10**9


def written(directory: Path, rows: list[Record]) -> Path:
    sink = ParquetSink(directory, "c1")
    sink.open(8)
    sink.write(SESSION)
    feed(sink, rows)
    sink.commit(8, 16)
    sink.close()
    return directory


def run(directory: Path) -> str:
    done = CliRunner().invoke(load, [str(directory), "--sink", "questdb"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def variables(server: Server, prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point the command at the server; it works in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name, value in (server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}).items():
        monkeypatch.setenv(name, value)


@settings(deadline=None, max_examples=30)
@given(rows=records)
def test_files_give_back_the_batches_that_they_were_made_of(rows: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = written(tmp_path_factory.mktemp("data"), rows)
    found = [
        record
        for _, batch in labelled(RecordingFiles(directory), parts_in_force(RecordingFiles(directory)))
        for record in records_of(batch)
    ]
    kinds = by_kind(found)
    for kind, expected in by_kind(rows).items():
        assert Counter(map(repr, kinds[kind])) == Counter(map(repr, expected))


@pytest.mark.usefixtures("variables")
def test_files_loaded_twice_over_what_came_live_change_nothing(server: Server, prefix: str, tmp_path: Path) -> None:
    rows = sample(0, 300)
    live = QuestdbSink(target(server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}), tmp_path / "state", tmp_path / "refused")
    live.open(8)
    live.write(Session(1, "c1", {}, []))
    for batch in batches(rows[:200]):
        live.write(batch)
    live.commit(8, 16)
    live.settle(16, final=True)
    live.close()
    directory = written(tmp_path / "data", rows)
    assert "600 rows are in the tables" in run(directory)
    once = reading.everything(server, prefix)
    assert by_kind(once) == by_kind(rows)
    run(directory)
    assert reading.everything(server, prefix) == once


@pytest.mark.usefixtures("variables")
def test_a_journal_fills_tables_that_were_lost(server: Server, prefix: str, tmp_path: Path) -> None:
    with Rig(tmp_path, server, prefix) as rig:
        rig.put(500)
        rig.finish()
        for table in ("trades", "book_updates", "coverage", "instruments"):
            server.sql(f"DROP TABLE '{prefix}{table}'")
        run(tmp_path / "journal")
        rig.check()


def test_a_directory_without_a_recording_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(load, [str(tmp_path), "--sink", "questdb"])
    assert "holds neither Parquet files of a recording nor a journal" in str(done.exception)


@pytest.mark.usefixtures("variables")
def test_tables_are_compared_with_files_by_the_hour_and_row_by_row_where_they_differ(
    server: Server, prefix: str, tmp_path: Path
) -> None:
    options = target(server.variables() | {"QUESTDB_TABLE_PREFIX": prefix})
    live = QuestdbSink(options, tmp_path / "state", tmp_path / "refused")
    live.open(8)
    live.write(Session(1, "c1", {}, []))
    feed(live, sample(0, 100))
    live.commit(8, 16)
    live.settle(16, final=True)
    directory = written(tmp_path / "data", sample(0, 100))
    assert (
        list(
            differences(labelled(RecordingFiles(directory), parts_in_force(RecordingFiles(directory))), Questions(options), prefix)
        )
        == []
    )
    said = CliRunner().invoke(verify, [str(directory), "--sink", "questdb"], catch_exceptions=False)
    assert (said.exit_code, said.output) == (0, f"{directory}: the tables hold all of it\n")
    longer = written(tmp_path / "longer", sample(50, 103))
    book, trade = differences(labelled(RecordingFiles(longer), parts_in_force(RecordingFiles(longer))), Questions(options), prefix)
    assert (book.table, book.key, book.lacking, book.extra) == (f"{prefix}book_updates", KEYS[0], 3, 49)
    assert (trade.table, trade.lacking, trade.extra) == (f"{prefix}trades", 3, 49)
    assert book.hour == DAY_START
    said = CliRunner().invoke(verify, [str(longer), "--sink", "questdb"], catch_exceptions=False)
    assert said.exit_code == 2
    assert f"{prefix}trades {KEYS[0]} 2026-11-21 00:00:00.000: 3 of 53 rows are missing" in said.output


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
def test_every_stream_of_the_table_is_loaded_and_proven(server: Server, prefix: str, tmp_path: Path, stream: Stream) -> None:
    directory = written(tmp_path / "data", [example(stream), example(stream, 1, nulls=True)])
    assert "2 rows are in the tables" in run(directory)
    options = target(server.variables() | {"QUESTDB_TABLE_PREFIX": prefix})
    assert (
        list(
            differences(labelled(RecordingFiles(directory), parts_in_force(RecordingFiles(directory))), Questions(options), prefix)
        )
        == []
    )


def with_ttl(server: Server, prefix: str) -> None:
    """The tables, whose trades are kept for two days and books for 12 hours."""
    for table in COLUMNS:
        server.sql(create(table, prefix))
    server.sql(f"ALTER TABLE '{prefix}trades' SET TTL 2 DAYS")
    server.sql(f"ALTER TABLE '{prefix}book_updates' SET TTL 12 HOURS")


def days_apart(count: int) -> list[Record]:
    """Trades and book messages of a day a long time ago, and of now."""
    old, new = DAY_START - 30 * DAY, time.time_ns() - 10**9
    return [maker(number, KEYS[0], start + number) for number in range(count) for start in (old, new) for maker in (update, trade)]


@pytest.mark.usefixtures("variables")
def test_rows_older_than_a_table_keeps_are_told_and_all_others_are_loaded(server: Server, prefix: str, tmp_path: Path) -> None:
    with_ttl(server, prefix)
    directory = written(tmp_path / "data", days_apart(20))
    for _ in range(2):
        said = run(directory)
        assert "40 rows are in the tables" in said
        assert f"20 rows are older than table {prefix}trades (TTL 2 DAY) keeps" in said
        assert f"20 rows are older than table {prefix}book_updates (TTL 12 HOUR) keeps" in said
    assert len(reading.trades(server, prefix)) == len(reading.updates(server, prefix)) == 20
    said = CliRunner().invoke(verify, [str(directory), "--sink", "questdb"], catch_exceptions=False)
    past: Counter[tuple[str, str]] = Counter()
    for table, count, ttl in re.findall(r"_(\w+) .*: (\d+) of \2 rows are past the table's TTL \((.*)\)", said.output):
        past[table, ttl] += int(count)
    assert past == {("trades", "2 DAY"): 20, ("book_updates", "12 HOUR"): 20}
    assert said.output.endswith(f"{directory}: the tables hold all of it, but for 40 rows that are past their TTL\n")
    assert (said.exit_code, "missing" in said.output) == (0, False)
    server.sql(f"TRUNCATE TABLE '{prefix}trades'")
    server.settle()
    said = CliRunner().invoke(verify, [str(directory), "--sink", "questdb"], catch_exceptions=False)
    assert said.output.endswith(f"{directory}: 20 rows are missing in the tables, but for 40 rows that are past their TTL\n")
    assert said.exit_code == 2


@pytest.mark.usefixtures("variables")
def test_of_a_poisoned_journal_all_that_a_table_can_take_is_loaded_and_the_rest_is_set_aside_once(
    server: Server, prefix: str, tmp_path: Path
) -> None:
    journal = poisoned(tmp_path / "journal")
    journal._state.take = lambda _: None  # type: ignore[method-assign]
    journal.append([codec.text_entry(codec.COVERAGE, [{"instrument": 7}])])
    journal.close()
    for number in range(2):
        said = run(tmp_path / "journal")
        assert "33 rows are in the tables" in said
        assert (f"2 were refused: see {tmp_path / 'questdb-refused.jsonl'}" in said) == (number == 0)
        lines = [json.loads(text) for text in (tmp_path / "questdb-refused.jsonl").read_text().splitlines()]
        assert [(line["type"], line["sink"]) for line in lines] == [("Instrument", "questdb"), ("frame", "questdb")]
        assert lines[0]["record"]["symbol"] == BEYOND.symbol
        assert b'[{"instrument":7}]' in base64.b64decode(lines[1]["frame"])
    assert [one.symbol for one in reading.everything(server, prefix) if isinstance(one, Instrument)] == [GOOD.symbol]
    assert len(reading.updates(server, prefix)) == 30


def test_a_recorder_whose_waiting_rows_are_older_than_a_table_keeps_goes_on(server: Server, prefix: str, tmp_path: Path) -> None:
    with_ttl(server, prefix)
    rows = days_apart(50)
    with Rig(tmp_path, server, prefix) as rig:
        rig.give(rows)
        rig.finish()
        assert rig.errors == []
        assert rig.status.cursor == rig.journal.end
        assert sum(rig.sink.dropped.values()) == 100
        assert rig.status.refused == 0
    assert len(reading.trades(server, prefix)) == len(reading.updates(server, prefix)) == 50


def test_a_young_row_that_a_table_with_a_ttl_lacks_is_sent_again(server: Server, prefix: str, tmp_path: Path) -> None:
    with_ttl(server, prefix)
    now = time.time_ns()
    with Rig(tmp_path, server, prefix) as rig:
        rig.give([trade(number, KEYS[0], now + number) for number in range(50)])
        rig.until_shown()
        server.settle()
        server.sql(f"TRUNCATE TABLE '{prefix}trades'")
        rig.until(lambda: any("lacks" in error for error in rig.errors))
        rig.until(lambda: not rig.status.error)
        rig.finish()
    assert sum(row.ts_recv >= now for row in reading.trades(server, prefix)) == 50
