"""What the sink says of its server when it is examined: whether it answers, and which tables are suspended."""

from __future__ import annotations

from pathlib import Path

from tests.objectstore import free_port
from tests.sinks.questdb.server import Server
from xtrader.diagnosis import Diagnosis
from xtrader.sinks import questdb
from xtrader.sinks.base import SinkRun


def examined(directory: Path, **options: str) -> list[Diagnosis]:
    run = SinkRun(directory, directory, "", keep_local=True, rotate_seconds=900, rotate_bytes=1 << 30, options=options)
    return list(questdb.examine(run))


def test_a_server_that_answers_is_ok_and_a_suspended_table_is_wrong(tmp_path: Path, server: Server, prefix: str) -> None:
    options = {**server.variables(), "QUESTDB_TABLE_PREFIX": prefix}
    assert [one.level for one in examined(tmp_path, **options)] == ["ok"]
    server.sql(f"create table {prefix}trades (ts timestamp) timestamp(ts) partition by day wal")
    server.sql(f"alter table {prefix}trades suspend wal")
    found = examined(tmp_path, **options)
    assert [one.level for one in found] == ["ok", "wrong"]
    assert found[1].remedy.endswith(f"ALTER TABLE {prefix}trades RESUME WAL")
    server.sql(f"alter table {prefix}trades resume wal")


def test_where_only_the_ilp_port_answers_rows_cannot_be_counted(tmp_path: Path, server: Server) -> None:
    options = {**server.variables(), "QUESTDB_HTTP_PORT": str(free_port())}
    assert [one.level for one in examined(tmp_path, **options)] == ["warning"]
