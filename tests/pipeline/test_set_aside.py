"""What no sink can take, or nobody can read, is set aside and said; everything else is there."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import xtrader
from tests.pipeline.deliveries import delivery_of
from tests.pipeline.journaling import BEYOND, GOOD, opened, poisoned, write
from tests.pipeline.numbered import trade, update
from tests.pipeline.parts import read_instruments, read_trades, read_updates
from xtrader.clock import SystemClock
from xtrader.model.market import Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.cursors import read_cursor, write_cursor
from xtrader.pipeline.delivery import Delivery, Status
from xtrader.pipeline.frames import segments
from xtrader.pipeline.rotation import Rotation
from xtrader.records.batches import Batch
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.memory import records as records_of
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.finish_journal import finish_journal


def test_a_damaged_frame_is_skipped_and_counted(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    first = write(journal, update(1))
    second = write(journal, update(2))
    write(journal, update(3))
    journal.append([codec.text_entry(codec.MARK, {})])
    limit = journal.commit()
    with segments(tmp_path)[0].path.open("r+b") as file:
        file.seek(second - segments(tmp_path)[0].base - 24)
        file.write(b"\xff\xfe")
    sink = MemorySink()
    carrier, told = delivery_of(tmp_path, sink)
    carrier.open()
    carrier.advance(limit)
    assert sink.records == [update(1), update(3)]
    assert told[-1].damaged == second - first
    journal.close()


def test_a_record_that_no_sink_can_take_is_set_aside_told_and_counted_and_all_others_are_there(tmp_path: Path) -> None:
    journal = poisoned(tmp_path / "journal")
    told: list[Status] = []
    for cursor in (None, 0):
        if cursor is not None:
            write_cursor(tmp_path / "journal", "parquet", cursor)
        carrier = Delivery(tmp_path / "journal", ParquetSink(tmp_path / "data", "c1"), Rotation(), told.append)
        carrier.open()
        with capture_logs() as logs:
            carrier.advance(journal.commit())
        carrier.close()
        assert read_updates(tmp_path / "data") == [update(number) for number in range(30)]
        assert read_trades(tmp_path / "data") == [trade(1), trade(2)]
        assert read_instruments(tmp_path / "data") == [GOOD]
        (line,) = map(json.loads, (tmp_path / "journal" / "parquet-refused.jsonl").read_text().splitlines())
        assert (line["sink"], line["type"]) == ("parquet", "Instrument")
        assert (line["record"]["symbol"], line["record"]["expiry"]) == ("A-2286", BEYOND.expiry)
        assert "OverflowError" in line["reason"]
        assert read_cursor(tmp_path / "journal", "parquet") == journal.end
        warned = [entry for entry in logs if entry["event"] == "set_aside"]
        assert [entry["file"] for entry in warned] == [str(tmp_path / "journal" / "parquet-refused.jsonl")] * (told[-1].refused)
        assert told[-1].refused == (cursor is None)
        assert not told[-1].error
    journal.close()


class Picky(MemorySink):
    """Cannot take some records: it says so when it is given them, or only when it commits them."""

    def __init__(self, bad: set[str], *, late: bool) -> None:
        super().__init__()
        self.bad = bad
        self.late = late

    def check(self, batch: Batch) -> None:
        self._refuse(list(records_of(batch)))

    def write(self, batch: Batch) -> None:
        super().write(batch)
        if not self.late:
            self._refuse(self._pending)

    def commit(self, first: int, last: int) -> int:
        self._refuse(self._pending)
        return super().commit(first, last)

    def _refuse(self, rows: Sequence[Record]) -> None:
        found = self.bad & {row.trade_id for row in rows if isinstance(row, Trade)}
        if found:
            raise KeyError(*found)


@pytest.mark.parametrize("late", [False, True])
def test_every_record_that_a_sink_cannot_take_is_found_among_the_others(tmp_path: Path, late: bool) -> None:
    journal = opened(tmp_path)
    for start in range(0, 100, 20):
        write(journal, *(trade(number) for number in range(start, start + 20)))
    journal.append([codec.text_entry(codec.MARK, {})])
    bad = {"0", "1", "19", "57", "99"}
    sink = Picky(set(bad), late=late)
    carrier, told = delivery_of(tmp_path, sink)
    carrier.open()
    carrier.advance(journal.commit())
    assert sink.records == [trade(number) for number in range(100) if str(number) not in bad]
    lines = [json.loads(line) for line in (tmp_path / "memory-refused.jsonl").read_text().splitlines()]
    assert {line["record"]["trade_id"] for line in lines} == bad
    assert (told[-1].refused, told[-1].cursor) == (5, journal.end)
    journal.close()


def test_a_sink_that_can_take_nothing_ends_its_delivery_and_sets_nothing_aside(tmp_path: Path) -> None:
    class Broken(MemorySink):
        def commit(self, first: int, last: int) -> int:
            raise RuntimeError("broken")

        def check(self, batch: Batch) -> None:
            raise RuntimeError("broken")

    journal = opened(tmp_path)
    write(journal, update(1), trade(2))
    journal.append([codec.text_entry(codec.MARK, {})])
    carrier, _ = delivery_of(tmp_path, Broken())
    carrier.open()
    with pytest.raises(RuntimeError, match="broken"):
        carrier.advance(journal.commit())
    assert not list(tmp_path.glob("*refused*"))
    journal.close()


def test_a_frame_that_cannot_be_read_is_set_aside_as_it_is(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, update(1))
    end = journal.end
    journal._state.take = lambda _: None  # type: ignore[method-assign]
    journal.append([codec.text_entry(codec.COVERAGE, [{"instrument": 7}])])
    write(journal, update(2))
    journal.append([codec.text_entry(codec.MARK, {})])
    sink = MemorySink()
    carrier, told = delivery_of(tmp_path, sink)
    carrier.open()
    carrier.advance(journal.commit())
    assert sink.records == [update(1), update(2)]
    (line,) = map(json.loads, (tmp_path / "memory-refused.jsonl").read_text().splitlines())
    assert line["offset"] == end
    assert b'[{"instrument":7}]' in base64.b64decode(line["frame"])
    assert told[-1].refused == 1
    journal.close()


def test_a_poisoned_journal_is_finished_and_can_be_looked_at(tmp_path: Path) -> None:
    poisoned(tmp_path / "data" / ".journal").close()
    assert xtrader.open(tmp_path / "data").trades().to_arrow().num_rows == 2
    assert xtrader.open(tmp_path / "data").instruments().to_arrow()["instrument"].to_pylist() == ["BTC-USDT-SWAP"]
    sink = ParquetSink(tmp_path / "data", "c1")
    finished = finish_journal(tmp_path / "data" / ".journal", "c1", sink, Rotation(), SystemClock())
    assert finished.refused == 1
    assert read_updates(tmp_path / "data") == [update(number) for number in range(30)]
    assert read_instruments(tmp_path / "data") == [GOOD]
