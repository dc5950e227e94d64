"""Whatever is in a record, it is refused when it is packed, or every sink takes it and readers can read it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import duckdb
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from structlog.testing import capture_logs

from tests.pipeline.numbered import KEYS, trade, update
from tests.pipeline.parts import read_coverages, read_instruments, read_trades, read_updates
from tests.pipeline.records import extremes
from tests.sinks.contract import SESSION, accepted, batches
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline.poison import refused
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.parquet.sink import ParquetSink

CASES = extremes()
ODD = [(name, number) for name, rows in CASES.items() for number in range(len(rows))]


def written(directory: Path, rows: list[Record]) -> None:
    sink = ParquetSink(directory, "c1")
    sink.open(8)
    sink.write(SESSION)
    for batch in batches(rows):
        sink.write(batch)
    sink.commit(8, 16)
    sink.close()


def read_back(directory: Path) -> list[Record]:
    return [*read_updates(directory), *read_trades(directory), *read_coverages(directory), *read_instruments(directory)]


@pytest.mark.parametrize("column", CASES)
def test_what_the_packer_takes_is_in_the_files_and_what_it_does_not_take_costs_no_other(tmp_path: Path, column: str) -> None:
    plain = [update(9, KEYS[2]), trade(9, KEYS[2])]
    rows = accepted([plain[0], *CASES[column], plain[1]])
    assert set(map(id, plain)) <= set(map(id, rows))
    assert len(rows) > 2
    written(tmp_path, rows)
    found = read_back(tmp_path)
    assert len(found) == len(rows)
    for row in rows:
        if not isinstance(row, Instrument) and "nan" not in repr(row) and "\\ud800" not in repr(row):
            assert row in found
    for stream in tmp_path.glob("stream=*"):
        assert len(pandas.read_parquet(stream, dtype_backend="pyarrow")) > 0
        assert len(polars.scan_parquet(stream, hive_partitioning=True).collect()) > 0
        assert duckdb.sql(f"SELECT count(*) FROM '{stream}/**/*.parquet'").fetchall() != [(0,)]


def test_of_an_instrument_what_does_not_fit_is_unknown_and_told(tmp_path: Path) -> None:
    odd = Instrument(exchange="OKX_SWAP", symbol="A", alias="A", kind="future", expiry=9_999_999_999_999 * 10**6, status="\ud800")
    with capture_logs() as logs:
        written(tmp_path, [odd])
    (found,) = read_instruments(tmp_path)
    assert found == structs.replace(odd, expiry=None, status="?")
    assert [entry["unknown"] for entry in logs if entry["event"] == "instrument_does_not_fit"] == [["expiry", "status"]]


@pytest.mark.parametrize(
    "odd",
    [
        Coverage(KEYS[0], "L2", "live", "start", 2**63, None),
        Coverage("nobody", "L2", "live", "start", 1, None),
        Trade(KEYS[0], "1" * 100_000, "buy", 1.0, 1.0, None, 1),
        Trade(KEYS[0], "\ud800", "buy", 1.0, 1.0, None, 1),
        Trade(KEYS[0], "1", "buy", 10**400, 1.0, None, 1),
        Trade("OKX_SWAP@" + "币" * 40, "1", "buy", 1.0, 1.0, None, 1),
        BookUpdate(KEYS[0], True, [(1.0, 1.0)], [(10**400, 1.0)], None, None, None, 1),
        BookUpdate(KEYS[0], True, [], [], 2**63, None, None, 1),
    ],
    ids=str,
)
def test_a_message_that_does_not_fit_is_refused_whole(odd: Record) -> None:
    assert accepted([odd]) == []


@settings(deadline=None, max_examples=60)
@given(names=st.lists(st.sampled_from(ODD), max_size=12))
def test_no_mixture_of_odd_records_stops_a_batch(names: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = accepted([CASES[name][number] for name, number in names])
    directory = tmp_path_factory.mktemp("data")
    written(directory, rows)
    found = read_back(directory)
    assert Counter(map(type, found)) == Counter(map(type, rows))
    assert all(math.isfinite(row.tick_size) for row in found if isinstance(row, Instrument) and row.tick_size is not None)
    sink = MemorySink()
    sink.open(8)
    for batch in batches(rows):
        assert refused(sink, batch) == {}
