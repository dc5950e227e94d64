"""QuestDB: rows in tables about a second after they were received, each counted on the server.

By conversation: conf (what the user wants), server (SQL), tables, rows, delivery, ledger and watch (trust but verify), state (what
is remembered), sink (all of it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.errors import ConfigError, SinkRetry
from xtrader.quantities import seconds
from xtrader.records.batches import Batch
from xtrader.sinks.base import Sink, SinkRun, SinkSpec

SINK = "questdb"
VARIABLES = {
    "QUESTDB_HOST": ("127.0.0.1", "QuestDB: where it is. docs/questdb.md explains all of these."),
    "QUESTDB_HTTP_PORT": ("9000", ""),
    "QUESTDB_ILP_PORT": ("9009", ""),
    "QUESTDB_TRANSPORT": ("auto", "auto (HTTP where it answers, else TCP) | http | tcp."),
    "QUESTDB_CONF": ("", "The client's own configuration string instead, such as https::addr=db:9000;username=u;password=p;"),
    "QUESTDB_TLS": ("false", "Encrypt; the certificate is checked against the system's roots, or those in a PEM file."),
    "QUESTDB_TLS_ROOTS": ("", ""),
    "QUESTDB_USERNAME": ("", "HTTP: user and password, or a token. TCP: key id (user), private key (token), public key (x, y)."),
    "QUESTDB_PASSWORD": ("", ""),
    "QUESTDB_TOKEN": ("", ""),
    "QUESTDB_TOKEN_X": ("", ""),
    "QUESTDB_TOKEN_Y": ("", ""),
    "QUESTDB_TABLE_PREFIX": ("", "Put before the names of all tables."),
    "QUESTDB_TABLES_EXIST": (
        "false",
        "Only TCP can be reached, and the tables were made by the statements of `xtrader questdb ddl`.",
    ),
    "QUESTDB_REPLAY_WINDOW": ("60s", "Over TCP: how much is sent again after each reconnect."),
    "QUESTDB_JOURNAL_KEEP": (
        "24h",
        "How long delivered journal is kept to fill a table again, while it is less than a quarter of XTRADER_JOURNAL_MAX_BYTES.",
    ),
}
NEEDS = ("questdb", "pandas")
SECRETS = ("QUESTDB_CONF", "QUESTDB_PASSWORD", "QUESTDB_TOKEN")
CAN = ("load", "compare", "statements", "examine")


def spec(run: SinkRun) -> SinkSpec:
    """Small commits, close together; what was delivered is kept for a while, because a database can lose what it had."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.sink import COMMIT_BYTES, COMMIT_SECONDS

    target(run.options)
    arguments = {"memory": str(run.journal / "questdb.state"), "set_aside": str(run.journal / "questdb-refused.jsonl")}
    keep = _keep(run.options)
    return SinkSpec(SINK, arguments, COMMIT_SECONDS, COMMIT_BYTES, rotate_freely=True, keep_seconds=keep)


def require(run: SinkRun, collector: str) -> None:
    """Raise ConfigError for tables that cannot be made ours. A server that does not answer is waited for later."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.sink import require_usable

    require_usable(target(run.options))


def examine(run: SinkRun) -> Iterator[Diagnosis]:
    """Whether the server answers, lets us in, and what of our tables is not as it should be."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.sql import LoginRefused, Server, StatementRefused, tcp_answers
    from xtrader.sinks.questdb.table_definitions import COLUMNS

    found = target(run.options)
    about = f"sink {SINK} {found.host}"
    try:
        build = Server(found).rows("select build")[0][0]
    except (LoginRefused, StatementRefused) as error:
        yield wrong(about, str(error), "mend the login in the settings, or the rights of that user on the server")
        return
    except SinkRetry as error:
        if found.transport != "http" and tcp_answers(found):
            yield warning(
                about,
                f"only its ILP port {found.ilp_port} answers; {error}",
                "rows cannot be counted on the server: open its HTTP port",
            )
        else:
            remedy = "start it, or look at QUESTDB_HOST and QUESTDB_HTTP_PORT; the journal keeps the rows meanwhile"
            yield wrong(about, str(error), remedy)
        return
    yield ok(about, f"answers: {str(build).split(',')[0]}")
    ours = {found.prefix + table for table in COLUMNS}
    suspended = [row[0] for row in Server(found).rows("select name from wal_tables() where suspended") if row[0] in ours]
    if suspended:
        yield wrong(
            about,
            f"tables are suspended: {', '.join(suspended)}",
            f"look at the server's log and disk, then: ALTER TABLE {suspended[0]} RESUME WAL",
        )


def make(arguments: Mapping[str, Any], collector: str, options: Mapping[str, str]) -> Sink:
    """The sink of a `spec`."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.sink import QuestdbSink

    return QuestdbSink(target(options), Path(arguments["memory"]), Path(arguments["set_aside"]))


def compare(batches: Iterable[tuple[str, Batch]], options: Mapping[str, str]) -> Iterator[Any]:
    """Where the tables differ from a recording's batches, each given with its instrument's key, all of one key and kind together:
    `Difference`s of an instrument and hour each. Raises ConfigError, SinkRetry."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.sql import Server
    from xtrader.sinks.questdb.table_proof import differences

    found = target(options)
    return differences(batches, Server(found), found.prefix)


def statements(options: Mapping[str, str]) -> list[str]:
    """The statements that make the tables. Raises ConfigError."""
    from xtrader.sinks.questdb.conf import target
    from xtrader.sinks.questdb.table_definitions import COLUMNS, create

    prefix = target(options).prefix
    return [create(table, prefix) for table in COLUMNS]


def _keep(options: Mapping[str, str]) -> float:
    text = options.get("QUESTDB_JOURNAL_KEEP", "24h")
    value = seconds(text)
    if value is None:
        raise ConfigError(f"QUESTDB_JOURNAL_KEEP '{text}' is not a time, such as 24h")
    return value
