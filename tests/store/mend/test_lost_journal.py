"""A journal directory that somebody deleted: what was in it and in no file is a gap from the next start on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.pipeline.journaling import Ticks
from tests.store import made
from xtrader.model.market import Coverage
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.manifest import left_open
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.finish_journal import finish_journal
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

AFTER = made.END + 3600 * made.SECOND


def test_the_next_start_tells_what_a_deleted_journal_cost(tmp_path: Path) -> None:
    data, journal = tmp_path / "data", tmp_path / "journal"
    killed = [one for one in made.records() if not (isinstance(one, Coverage) and made.END in (one.ts_from, one.ts_to))]
    write_records(killed, ParquetSink(data, "c1"), "c1", made.FACTS, Rotation(60))
    last = max(getattr(one, "ts_recv", 0) for one in killed)
    begun = open_journal(journal, "c1", Ticks(AFTER), made.FACTS, left=partial(left_open, data, "c1"))
    rows = begun.open_coverage()
    begun.close()
    keys = (made.OKX, made.BINANCE)
    assert {(row.instrument, row.stream) for row in rows} == {(key, stream) for key in keys for stream in ("L2", "TRADES")}
    assert {(row.state, row.cause, row.ts_from, row.ts_to) for row in rows} == {("gap", "storage", last, None)}
    finish_journal(journal, "c1", ParquetSink(data, "c1"), Rotation(60), Ticks(AFTER))
    findings = verify(data, rules, 1).findings
    assert [one for one in findings if one.level == "damage"] == []
    assert sum("the journal is gone" in one.what for one in findings) == 4


def test_a_journal_that_is_there_and_a_first_start_tell_nothing(tmp_path: Path) -> None:
    made.record(tmp_path / "data")
    assert left_open(tmp_path / "none", "c1") == ([], 0)
    open_journal(tmp_path / "journal", "c1", Ticks(AFTER), made.FACTS).close()
    again = open_journal(tmp_path / "journal", "c1", Ticks(AFTER), made.FACTS, left=partial(left_open, tmp_path / "data", "c1"))
    assert again.open_coverage() == []
    again.close()


def test_a_run_that_was_stopped_leaves_its_last_gap_open(tmp_path: Path) -> None:
    made.record(tmp_path)
    rows, _ = left_open(tmp_path, "c1")
    assert {(row.state, row.cause, row.ts_from) for row in rows} == {("gap", "shutdown", made.END)}
