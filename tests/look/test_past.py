"""What is read out of a recording, files or live end alike, through the data set."""

from pathlib import Path

import msgspec
import pytest

import xtrader
from tests.look.journals import INSTRUMENT, KEY, NOW, Scribe, built, deltas, frames_read, scribe, snapshot, trade
from xtrader.cli.looking import Where, find_live
from xtrader.clock import SECOND
from xtrader.errors import ConfigError, NotCovered
from xtrader.look import past
from xtrader.look.series import read_series
from xtrader.model.analytics import sides
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.pipeline.delivery import Delivery
from xtrader.pipeline.frames import segments
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.read.books import filed
from xtrader.store.read.part_list import PartList


def put(writer: Scribe, *updates: BookUpdate) -> None:
    """Write book messages as received now, a group each."""
    for update in updates:
        writer.write(msgspec.structs.replace(update, ts_recv=writer.clock.time))


@pytest.mark.parametrize("carried", [0.3, 1.0])
def test_a_live_book_whose_snapshot_is_in_files_only_is_the_true_one_and_no_frame_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carried: float
) -> None:
    every = [snapshot(), *deltas(300)]
    journal = tmp_path / ".journal"
    with scribe(journal, segment_bytes=8192) as writer:
        writer.write(INSTRUMENT)
        writer.cover("live", "start")
        put(writer, *every[:200])
        writer.journal.commit()
        delivery = Delivery(journal, ParquetSink(tmp_path, "c1"), Rotation(900, 1 << 12), lambda status: None)
        delivery.open()
        delivery.advance(segments(journal)[int(carried * (len(segments(journal)) - 1))].end)
        delivery.close()
        assert delivery.cursor > segments(journal)[1].base
        writer.journal.release(delivery.cursor)
        read = frames_read(monkeypatch)
        live_book = find_live(Where(tmp_path, journal), "okx_swap@btcusdt")
        assert len(read) == len(set(read))
        assert live_book.picture(writer.clock.now()).book == sides(built(every[:200]))
        put(writer, *every[200:])
        live_book.poll()
        picture = live_book.picture(writer.clock.now())
    assert len(read) == len(set(read))
    assert picture.standing.live
    assert picture.book == sides(built(every))


def test_files_answer_for_the_live_interval_of_their_own_collector_only(tmp_path: Path) -> None:
    with scribe(tmp_path / ".journal") as writer:
        row = writer.cover("live", "start")
        put(writer, snapshot(), *deltas(20))
        writer.journal.commit()
        delivery = Delivery(tmp_path / ".journal", ParquetSink(tmp_path, "c1"), Rotation(900, 1 << 10), lambda status: None)
        delivery.open()
        delivery.advance(writer.journal.durable)
        delivery.close()
        place, ts = PartList(tmp_path), writer.clock.now()
    book = filed(place, "c1", row, ts)
    assert book is not None
    assert sides(book) == sides(built([snapshot(), *deltas(20)][: book.sequence]))
    assert filed(place, "c2", row, ts) is None
    assert filed(place, "c1", msgspec.structs.replace(row, ts_from=row.ts_from + 1), ts) is None


def test_a_name_that_means_several_by_the_end_of_the_journal_is_refused(tmp_path: Path) -> None:
    second = msgspec.structs.replace(INSTRUMENT, symbol="BTC-USDT-X")
    with scribe(tmp_path / ".journal") as writer:
        writer.write(INSTRUMENT)
        assert find_live(Where(tmp_path, tmp_path / ".journal"), "OKX_SWAP@BTCUSDT").key == KEY
        put(writer, *deltas(3))
        writer.write(second)
        with pytest.raises(ConfigError, match="may mean any of BTC-USDT-SWAP, BTC-USDT-X"):
            find_live(Where(tmp_path, tmp_path / ".journal"), "OKX_SWAP@BTCUSDT")


def test_a_picture_of_the_past_is_the_book_of_that_time_with_its_instrument(tmp_path: Path) -> None:
    with scribe(tmp_path / ".journal") as writer:
        writer.write(INSTRUMENT)
        row = writer.cover("live", "start")
        put(writer, snapshot(), *deltas(20))
        writer.cover("gap", "disconnect", before=row)
        recording = xtrader.open(tmp_path)
        found = past.instrument(recording, "okx_swap@btcusdt")
        assert (found.key, found.tick_size, found.contract_size, found.quote) == (KEY, 0.1, 0.01, "USDT")
        book = Book()
        for update in [snapshot(), *deltas(20)][:5]:
            book.apply(update)
        picture = past.picture_at(recording, found, row.ts_from + SECOND // 2)
        assert (picture.standing.state, picture.sequence) == ("recorded", 5)
        assert picture.book == sides(book)
        with pytest.raises(NotCovered, match="disconnect"):
            past.picture_at(recording, found, writer.clock.time)


def test_an_instrument_of_the_past_has_the_facts_that_were_known_then(tmp_path: Path) -> None:
    changed = msgspec.structs.replace(INSTRUMENT, tick_size=0.01, contract_size=0.1)
    with scribe(tmp_path / ".journal") as writer:
        writer.write(INSTRUMENT)
        first = writer.clock.now()
        writer.clock.time += 3600 * SECOND
        writer.write(changed)
        second = writer.clock.now()
        recording = xtrader.open(tmp_path)
        times = (first - SECOND, first + SECOND, second + SECOND, None)
        assert [past.instrument(recording, KEY, at).tick_size for at in times] == [0.01, 0.1, 0.01, 0.01]


def test_the_last_trades_are_found_however_long_ago_they_were(tmp_path: Path) -> None:
    with scribe(tmp_path / ".journal") as writer:
        writer.write(INSTRUMENT, *(trade(number) for number in range(1, 40)))
        recording = xtrader.open(tmp_path)
        for later in (1, 3600, 40 * 86_400):
            found = past.last_trades(recording, KEY, 3, None, NOW + later * SECOND)
            assert [one.trade_id for one in found] == ["37", "38", "39"]
        assert [one.trade_id for one in past.last_trades(recording, KEY, 3, None, NOW + 3)] == ["1", "2"]
        assert [one.trade_id for one in past.last_trades(recording, KEY, 9, NOW + 36, NOW + 39)] == ["36", "37", "38"]
        assert list(past.trades(recording, KEY, NOW + 5, NOW + 7)) == [trade(5), trade(6)]


def test_a_series_has_values_where_the_book_was_live_and_says_what_is_missing(tmp_path: Path) -> None:
    with scribe(tmp_path / ".journal") as writer:
        writer.write(INSTRUMENT)
        row = writer.cover("live", "start")
        put(writer, snapshot())
        for _ in range(5):
            writer.alive()
        row = writer.cover("gap", "disconnect", before=row)
        for _ in range(5):
            writer.alive()
        row = writer.cover("live", "disconnect", before=row)
        put(writer, snapshot(7))
        for _ in range(5):
            writer.alive()
        place = PartList(tmp_path)
        series = read_series(xtrader.open(tmp_path), place, INSTRUMENT, None, None, SECOND)
    assert [one.state for one in series.stretches] == ["live", "gap", "live"]
    assert 0.6 < series.covered < 0.75
    inside = (series.ts >= series.stretches[0].start + SECOND // 5) & (series.ts < series.stretches[0].end)
    assert series.mid[inside] == pytest.approx(100.05)
    assert series.bids[inside] == pytest.approx(1.0)
    gap = (series.ts >= series.stretches[1].start) & (series.ts < series.stretches[1].end)
    assert gap.sum() >= 4
    assert all(value != value for value in series.mid[gap])
