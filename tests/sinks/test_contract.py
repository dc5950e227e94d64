"""What every sink must do: the same rows, once, whatever happens between two commits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.parts import read_coverages, read_instruments, read_trades, read_updates
from tests.pipeline.records import records
from tests.sinks.contract import (  # noqa: F401
    SESSION,
    Kept,
    by_kind,
    feed,
    test_a_commit_without_rows_makes_no_part,
    test_a_stretch_that_was_committed_and_comes_again_is_there_once,
    test_abandoned_rows_are_gone_and_can_be_delivered_again,
    test_close_leaves_what_was_not_committed,
    test_rows_are_found_only_after_the_commit,
    test_stretches_follow_each_other,
)
from xtrader.model.market import Record
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.parquet.sink import ParquetSink


def memory(_: Path) -> Kept:
    sink = MemorySink()
    return Kept(sink, lambda: by_kind(sink.records))


def parquet(directory: Path) -> Kept:
    def read() -> dict[type, list[Record]]:
        return by_kind(
            [*read_updates(directory), *read_trades(directory), *read_coverages(directory), *read_instruments(directory)]
        )

    return Kept(ParquetSink(directory, "c1"), read)


def parquet_small(directory: Path) -> Kept:
    kept = parquet(directory)
    kept.sink = ParquetSink(directory, "c1", buffer_bytes=256)
    return kept


SINKS = [memory, parquet, parquet_small]


@pytest.fixture(params=SINKS, ids=lambda make: make.__name__)
def kept(request: Any, tmp_path: Path) -> Kept:
    made: Kept = request.param(tmp_path / "data")
    made.sink.open(8)
    made.sink.write(SESSION)
    return made


@pytest.mark.parametrize("make", SINKS, ids=lambda make: make.__name__)
@settings(deadline=None, max_examples=50)
@given(flushes=st.lists(records, max_size=4))
def test_what_comes_out_is_what_went_in(make: Callable[[Path], Kept], flushes: list[list[Record]], tmp_path_factory: Any) -> None:
    kept = make(tmp_path_factory.mktemp("data"))
    kept.sink.open(8)
    kept.sink.write(SESSION)
    for flush in flushes:
        feed(kept.sink, flush)
    kept.sink.commit(8, 16)
    kept.sink.close()
    assert kept.read() == by_kind(row for flush in flushes for row in flush)
