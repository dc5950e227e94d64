"""The contract of all sinks, kept by the QuestDB sink in front of a real server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.pipeline.numbered import KEYS, trade
from tests.pipeline.records import extremes, records
from tests.sinks.contract import (  # noqa: F401
    SESSION,
    Kept,
    accepted,
    batches,
    by_kind,
    feed,
    test_a_commit_without_rows_makes_no_part,
    test_a_stretch_that_was_committed_and_comes_again_is_there_once,
    test_abandoned_rows_are_gone_and_can_be_delivered_again,
    test_close_leaves_what_was_not_committed,
    test_rows_are_found_only_after_the_commit,
    test_stretches_follow_each_other,
)
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from xtrader.model.market import Record, Trade
from xtrader.pipeline.poison import refused
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.sink import QuestdbSink

EXAMPLES = itertools.count(1)


def questdb(server: Server, directory: Path, prefix: str) -> Kept:
    options = server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}
    sink = QuestdbSink(target(options), directory / "state", directory / "refused.jsonl")
    return Kept(sink, lambda: by_kind(reading.everything(server, prefix)))


@pytest.fixture
def kept(server: Server, prefix: str, tmp_path: Path) -> Kept:
    made = questdb(server, tmp_path, prefix)
    made.sink.open(8)
    made.sink.write(SESSION)
    return made


def distinct(found: dict[type, list[Record]]) -> dict[type, list[str]]:
    """Records in one order, without when they were received: what differs in nothing else is one event."""
    return {kind: sorted({repr(row).split(", ts_recv")[0] for row in rows}) for kind, rows in found.items()}


@settings(deadline=None, max_examples=10, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flushes=st.lists(records, max_size=4))
def test_what_comes_out_is_what_went_in(server: Server, flushes: list[list[Record]], tmp_path_factory: Any) -> None:
    kept = questdb(server, tmp_path_factory.mktemp("state"), f"example{next(EXAMPLES)}_")
    kept.sink.open(8)
    kept.sink.write(SESSION)
    for flush in flushes:
        feed(kept.sink, flush)
    kept.sink.commit(8, 16)
    assert kept.sink.settle(16, final=True) == 16
    kept.sink.close()
    assert kept.sink.refused == 0
    assert distinct(kept.read()) == distinct(by_kind(row for flush in flushes for row in flush))


@pytest.mark.parametrize("column", extremes())
def test_what_the_packer_takes_is_in_the_tables_or_set_aside_and_costs_no_other(
    server: Server, prefix: str, tmp_path: Path, column: str
) -> None:
    rows = [trade(9, KEYS[2]), *accepted(extremes()[column])]
    made = questdb(server, tmp_path, prefix)
    made.sink.open(8)
    assert [refused(made.sink, batch) for batch in batches(rows)] == [{}] * len(batches(rows))
    made.sink.write(SESSION)
    feed(made.sink, rows)
    made.sink.commit(8, 16)
    assert made.sink.settle(16, final=True) == 16
    made.sink.close()
    assert made.sink.rows == len(rows)
    assert trade(9, KEYS[2]) in made.read()[Trade]
