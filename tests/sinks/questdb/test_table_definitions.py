"""The tables: made, compared, migrated or refused; keys that tell events apart; logins and encryption on the way there."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
from click.testing import CliRunner

from tests.pipeline.numbered import DAY_START, KEYS
from tests.sinks.contract import feed, sample
from tests.sinks.questdb import reading
from tests.sinks.questdb.proxy import Proxy
from tests.sinks.questdb.server import Server
from xtrader.cli.main import cli
from xtrader.errors import ConfigError, SinkRetry
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.records.batches import Session
from xtrader.sinks.questdb import table_rows
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.sink import QuestdbSink, require_usable
from xtrader.sinks.questdb.sql import Server as Questions
from xtrader.sinks.questdb.table_definitions import compare


def sink(server: Server, directory: Path, prefix: str, **variables: str) -> QuestdbSink:
    options = server.variables() | {"QUESTDB_TABLE_PREFIX": prefix} | variables
    return QuestdbSink(target(options), directory / "state", directory / "refused.jsonl")


def deliver(made: QuestdbSink, rows: list[Record], collector: str = "c1") -> None:
    made.open(8)
    made.write(Session(1, collector, {}, []))
    feed(made, rows)
    made.commit(8, 16)
    assert made.settle(16, final=True) == 16
    made.close()


def usable(server: Server, prefix: str) -> None:
    require_usable(target(server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}))


def test_the_printed_statements_make_tables_that_need_nothing_more(
    server: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUESTDB_TABLE_PREFIX", prefix)
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(cli, ["questdb", "ddl"], catch_exceptions=False).output
    for statement in printed.split(";\n"):
        if statement.strip():
            server.sql(statement)
    assert compare(Questions(target(server.variables())), prefix) == ([], {})


def test_an_older_table_gets_the_columns_that_it_lacks(server: Server, prefix: str, tmp_path: Path) -> None:
    deliver(sink(server, tmp_path, prefix), sample(0, 5))
    server.sql(f"ALTER TABLE '{prefix}book_updates' DROP COLUMN prev_sequence")
    usable(server, prefix)
    deliver(sink(server, tmp_path / "new", prefix), sample(0, 10))
    assert [row["prev_sequence"] for row in reading.rows(server, f"{prefix}book_updates")] == [None, *range(9)]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("CREATE TABLE '{}' (ts TIMESTAMP_NS, price LONG) TIMESTAMP(ts) PARTITION BY DAY WAL", "lacks the column exchange"),
        ("CREATE TABLE '{}' (ts TIMESTAMP, exchange SYMBOL) TIMESTAMP(ts) PARTITION BY DAY WAL", "the column ts is TIMESTAMP,"),
        ("CREATE TABLE '{}' (at TIMESTAMP_NS) TIMESTAMP(at) PARTITION BY DAY WAL", "the designated timestamp is at"),
        ("CREATE TABLE '{}' (ts TIMESTAMP_NS) TIMESTAMP(ts) PARTITION BY DAY BYPASS WAL", "is not a WAL table"),
    ],
)
def test_a_table_of_somebody_else_is_refused_by_name(server: Server, prefix: str, statement: str, sentence: str) -> None:
    server.sql(statement.format(f"{prefix}trades"))
    with pytest.raises(ConfigError, match=f"table {prefix}trades") as caught:
        usable(server, prefix)
    assert sentence in str(caught.value)


def test_a_server_that_does_not_answer_is_no_reason_not_to_begin() -> None:
    nobody = target({"QUESTDB_HTTP_PORT": "1"})
    with pytest.raises(SinkRetry, match="does not answer"):
        compare(Questions(nobody), "")
    require_usable(nobody)


def message(sequence: int | None, ts_event: int | None, ts_recv: int, price: float = 1.0, snapshot: bool = False) -> BookUpdate:
    return BookUpdate(KEYS[0], snapshot, [(price, 1.0)], [], sequence, None, ts_event, ts_recv)


def test_events_that_differ_in_anything_the_venue_says_are_different_rows(server: Server, prefix: str, tmp_path: Path) -> None:
    ts = DAY_START
    events: list[Record] = [
        message(1, ts, ts + 1),
        message(2, ts, ts + 2),  # two messages in one millisecond
        message(2, ts, ts + 3, snapshot=True),  # a snapshot after a reconnect, with an old sequence
        message(2, ts, ts + 4, price=2.0),
        message(None, None, ts + 5),
        message(None, None, ts + 6),  # no venue time, no number
        BookUpdate(KEYS[0], False, [], [], 7, 7, ts + 60, ts + 7),  # keep-alives without levels
        BookUpdate(KEYS[0], False, [], [], 7, 7, ts + 120, ts + 8),
        Trade(KEYS[0], "1", "buy", 1.0, 1.0, ts, ts),
        Trade(KEYS[0], "2", "buy", 1.0, 1.0, ts, ts),  # twice the same price and size in one millisecond
        Trade(KEYS[1], "1", "buy", 1.0, 1.0, ts, ts),
    ]
    deliver(sink(server, tmp_path, prefix), events)
    assert sorted(map(repr, reading.everything(server, prefix))) == sorted(map(repr, events))


def test_what_two_collectors_saw_is_there_once(server: Server, prefix: str, tmp_path: Path) -> None:
    def seen(first: int, last: int, later: int) -> list[Record]:
        found: list[Record] = []
        for number in range(first, last):
            ts = DAY_START + number // 3 * 1_000_000  # three messages a millisecond
            found.append(message(number, ts, ts + later))
            found.append(Trade(KEYS[0], str(number), "sell", 1.0, 2.0, ts, ts + later))
        return found

    deliver(sink(server, tmp_path / "a", prefix), seen(0, 200, 5_000_000), "a")
    deliver(sink(server, tmp_path / "b", prefix), seen(100, 300, 7_000_000), "b")
    assert [row["sequence"] for row in reading.rows(server, f"{prefix}book_updates", "ts, sequence")] == list(range(300))
    assert sorted(int(row["trade_id"]) for row in reading.rows(server, f"{prefix}trades")) == list(range(300))
    server.settle()
    collectors = server.sql(f"SELECT collector, count() FROM '{prefix}trades' ORDER BY collector")
    assert collectors == [["a", 100], ["b", 200]]


def test_columns_that_the_client_cannot_take_are_no_row_s_fault(
    server: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sink(server, tmp_path, prefix)
    made.open(8)
    made.write(Session(1, "c1", {}, []))
    feed(made, sample(0, 5))
    monkeypatch.setitem(table_rows._COLUMN, "DOUBLE", lambda found: np.asarray(found, complex))  # type: ignore[index]
    with pytest.raises(SinkRetry, match="the client"):
        made.commit(8, 16)
    assert not (tmp_path / "refused.jsonl").exists()


@pytest.fixture
def encrypted(server: Server, tmp_path: Path) -> Iterator[Any]:
    """A proxy that speaks TLS and asks for a login, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    proxy = Proxy(server, context)
    proxy.login = "Basic " + base64.b64encode(b"writer:very-secret-words").decode()
    yield proxy, str(tmp_path / "roots.pem")
    proxy.close()


def test_a_login_over_tls_is_used_for_questions_and_rows(server: Server, prefix: str, tmp_path: Path, encrypted: Any) -> None:
    proxy, roots = encrypted
    variables = {"QUESTDB_HTTP_PORT": str(proxy.port), "QUESTDB_TLS_ROOTS": roots, "QUESTDB_USERNAME": "writer"}
    deliver(sink(server, tmp_path, prefix, **variables, QUESTDB_PASSWORD="very-secret-words"), sample(0, 5))
    assert len(reading.trades(server, prefix)) == 5
    with pytest.raises(SinkRetry, match="refuses the login") as refused:
        sink(server, tmp_path, prefix, **variables, QUESTDB_PASSWORD="wrong-words").open(8)
    assert "wrong-words" not in str(refused.value)


def test_a_certificate_of_nobody_known_is_not_accepted(server: Server, prefix: str, tmp_path: Path, encrypted: Any) -> None:
    proxy, _ = encrypted
    made = sink(server, tmp_path, prefix, QUESTDB_TLS="true", QUESTDB_HTTP_PORT=str(proxy.port), QUESTDB_TRANSPORT="http")
    with pytest.raises(SinkRetry, match=r"(?i)certificate"):
        made.open(8)
