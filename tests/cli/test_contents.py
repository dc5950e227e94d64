from pathlib import Path

from xtrader.cli.contents import Holding, read_contents
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.read.coverage_fold import CoverageRow

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
KEY = "OKX_SWAP@BTC/USDT"


def test_a_directory_is_summed_up_from_its_files(tmp_path: Path) -> None:
    def at(seconds: int) -> int:
        return START + seconds * SECOND

    records: list[Record] = [
        Instrument(exchange="OKX_SWAP", symbol="BTC/USDT", alias="BTCUSDT", kind="perpetual", ts=START),
        Coverage(KEY, "L2", "syncing", "start", at(0), None),
        Coverage(KEY, "L2", "syncing", "start", at(0), at(1)),
        Coverage(KEY, "L2", "live", "start", at(1), None),
        BookUpdate(KEY, True, [(1.0, 1.0), (2.0, 1.0)], [(3.0, 1.0)], 1, None, None, at(1)),
        BookUpdate(KEY, False, [], [], 2, 1, at(2), at(2)),
        Trade(KEY, "1", "buy", 3.0, 1.0, at(3), at(3)),
        Coverage(KEY, "L2", "live", "start", at(1), at(6)),
        Coverage(KEY, "L2", "gap", "venue_gap", at(6), at(8)),
        Coverage(KEY, "L2", "live", "venue_gap", at(8), None),
        BookUpdate(KEY, False, [(1.0, 0.0)], [], 4, 3, at(10), at(10)),
        Coverage(KEY, "L2", "live", "venue_gap", at(8), at(10)),
        Coverage(KEY, "L2", "gap", "shutdown", at(10), None),
    ]
    write_records(records, ParquetSink(tmp_path, "test"), "test", {})
    book, trades = read_contents(tmp_path)
    assert (book.stream, book.instrument) == ("L2", KEY)
    assert (book.messages, book.rows, book.gaps) == (3, 5, 1)
    assert (book.first, book.last) == (at(1), at(10))
    assert (book.synced, book.covered) == (1, (5 + 2) / 9)
    assert book.bytes > 0
    assert (trades.messages, trades.rows, trades.first, trades.last) == (1, 1, at(3), at(3))
    assert (trades.synced, trades.covered) == (None, None)


def test_an_interval_that_is_still_open_lasts_until_the_latest_known_time_but_for_its_gaps() -> None:
    rows = [("syncing", "start", 5, None), ("syncing", "start", 5, 10), ("live", "start", 10, None), ("gap", "silent", 20, 25)]
    holding = Holding("L2", KEY, told=[CoverageRow("", "L2", *row, "") for row in rows])
    assert holding.covered == 10 / 15
    assert holding.gaps == 1


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    assert read_contents(tmp_path) == []
