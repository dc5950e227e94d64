"""`xtrader load`: what files and journals hold comes into the tables as it would have come live, any number of times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from tests.pipeline.records import DAY_START, KEYS, records
from tests.sinks.questdb import reading
from tests.sinks.questdb.rig import Rig
from tests.sinks.questdb.server import Server
from tests.sinks.test_contract import SESSION, batches, by_kind, feed, sample
from xtrader.cli.load import labelled, load, parts_in_force
from xtrader.cli.verify import verify
from xtrader.model.market import Record
from xtrader.sinks.base import Session
from xtrader.sinks.memory import records as records_of
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.server import Server as Questions
from xtrader.sinks.questdb.sink import QuestdbSink
from xtrader.sinks.questdb.verify import differences


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
    found = [record for _, batch in labelled(parts_in_force(directory)) for record in records_of(batch)]
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
    assert list(differences(labelled(parts_in_force(directory)), Questions(options), prefix)) == []
    said = CliRunner().invoke(verify, [str(directory), "--sink", "questdb"], catch_exceptions=False)
    assert (said.exit_code, said.output) == (0, f"{directory}: the tables hold all of it\n")
    longer = written(tmp_path / "longer", sample(50, 103))
    book, trade = differences(labelled(parts_in_force(longer)), Questions(options), prefix)
    assert (book.table, book.key, book.lacking, book.extra) == (f"{prefix}book_updates", KEYS[0], 3, 49)
    assert (trade.table, trade.lacking, trade.extra) == (f"{prefix}trades", 3, 49)
    assert book.hour == DAY_START
    said = CliRunner().invoke(verify, [str(longer), "--sink", "questdb"], catch_exceptions=False)
    assert said.exit_code == 2
    assert f"{prefix}trades {KEYS[0]} 2026-11-21 00:00:00.000: 3 of 53 rows are missing" in said.output
