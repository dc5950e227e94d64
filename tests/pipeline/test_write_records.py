"""Records straight into a sink: the same records make the same files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.numbered import DAY_START, KEYS, trade, update
from tests.pipeline.parts import manifest, read_coverages, read_instruments, read_trades, read_updates
from xtrader.clock import SECOND
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, Record
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.parquet.sink import ParquetSink

VENUES = {"OKX_SWAP": {"environment": "production"}}
INSTRUMENT = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual")


def recording() -> list[Record]:
    rows: list[Record] = [INSTRUMENT, Coverage(KEYS[0], "L2", "live", "start", DAY_START, None)]
    for number in range(3000):
        ts = DAY_START + number * SECOND
        rows += [update(number, KEYS[0], ts), trade(number, KEYS[0], ts + 1)]
    return rows


def test_a_recording_makes_the_same_parts_every_time(tmp_path: Path) -> None:
    write_records(recording(), ParquetSink(tmp_path, "c1"), "c1", VENUES)
    lines = manifest(tmp_path)
    before = {line["path"]: (tmp_path / line["path"]).stat() for line in lines}
    write_records(recording(), ParquetSink(tmp_path, "c1"), "c1", VENUES)
    assert manifest(tmp_path) == lines
    assert {line["path"]: (tmp_path / line["path"]).stat().st_ino for line in lines} == {k: v.st_ino for k, v in before.items()}
    rows = recording()
    assert [*read_instruments(tmp_path), *read_coverages(tmp_path), *read_updates(tmp_path), *read_trades(tmp_path)] == [
        *rows[:2], *rows[2::2], *rows[3::2]
    ]  # fmt: skip


def test_parts_are_cut_by_the_records_own_time(tmp_path: Path) -> None:
    sink = MemorySink()
    write_records(recording(), sink, "c1", VENUES, Rotation(seconds=900))
    assert len(sink.commits) == 4
    assert [first for first, _ in sink.commits[1:]] == [last for _, last in sink.commits[:-1]]


def test_nothing_makes_nothing(tmp_path: Path) -> None:
    write_records([], ParquetSink(tmp_path, "c1"), "c1", VENUES)
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_error_of_the_source_commits_nothing_more(tmp_path: Path) -> None:
    def broken() -> list[Record]:
        yield update(1)  # type: ignore[misc]
        raise ValueError("torn")

    sink = MemorySink()
    with pytest.raises(ValueError, match="torn"):
        write_records(broken(), sink, "c1", VENUES)
    assert sink.records == []
