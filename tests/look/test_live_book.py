"""The live book of a journal: the same book as whoever applied every message, and never one called live that is not."""

import shutil
import threading
from pathlib import Path
from random import Random

import pytest

from tests.look.journals import (
    INSTRUMENT,
    KEY,
    NOW,
    OTHER,
    HandClock,
    built,
    deltas,
    frames_read,
    never,
    nothing,
    scribe,
    snapshot,
    spoil,
    trade,
)
from xtrader.errors import ConfigError
from xtrader.look.live_book import STALLED, LiveBook
from xtrader.look.picture import Picture
from xtrader.model.analytics import sides
from xtrader.model.book import Book
from xtrader.model.market import Coverage
from xtrader.pipeline.frames import segments


def seen(live_book: LiveBook, clock: HandClock) -> Picture:
    live_book.poll()
    return live_book.picture(clock.now())


def test_the_book_is_the_one_that_every_message_makes_whenever_one_looks(tmp_path: Path) -> None:
    every = [snapshot(), *deltas(300)]
    random = Random(3)
    with scribe(tmp_path, segment_bytes=4096) as writer:
        writer.cover("live", "start")
        writer.write(every[0])
        live_book = LiveBook(tmp_path, KEY, nothing)
        done = 1
        while done < len(every):
            some = every[done : done + random.randrange(1, 9)]
            writer.write(*some, *deltas(3, key=OTHER, seed=done))
            done += len(some)
            picture = seen(live_book, writer.clock)
            assert picture.book == sides(built(every[:done]))
            assert (picture.sequence, picture.ts_recv) == (done, NOW + done)
            assert picture.standing.live
        assert len(segments(tmp_path)) > 3


def test_a_snapshot_replaces_the_book(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.cover("live", "start")
        writer.write(snapshot(1), *deltas(5), snapshot(9, shift=50.0))
        assert seen(LiveBook(tmp_path, KEY, nothing), writer.clock).book == sides(built([snapshot(9, shift=50.0)]))


def test_a_book_whose_snapshot_is_in_an_earlier_file_is_built_on_the_nearest_one_and_no_frame_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = frames_read(monkeypatch)
    every = [snapshot(1, shift=30.0), *deltas(60), snapshot(70), *deltas(120, first=71)]
    with scribe(tmp_path, segment_bytes=8192) as writer:
        writer.write(INSTRUMENT)
        writer.cover("live", "start")
        for update in every:
            writer.write(update, *deltas(2, key=OTHER, seed=update.sequence or 0))
        live_book = LiveBook(tmp_path, KEY, never)
        picture = live_book.picture(writer.clock.now())
        assert picture.book == sides(built(every))
        assert (picture.sequence, picture.ts_recv) == (190, NOW + 190)
        assert len(read) == len(set(read))
        files = [segment.base for segment in segments(tmp_path)]
        assert min(read) in files[1:-1], "the files before the snapshot were left alone"
        more = deltas(50, first=191)
        for update in more:
            writer.write(update)
        picture = seen(live_book, writer.clock)
    assert picture.book == sides(built(every + more))
    assert picture.standing.live


def test_a_book_whose_snapshot_is_not_in_the_journal_stands_on_what_the_files_have(tmp_path: Path) -> None:
    """They have some of the changes that are in the journal too, and which are taken twice: it comes out the same."""
    every = [snapshot(), *deltas(200)]
    asked: list[tuple[str, Coverage, int]] = []

    def seed(collector: str, live: Coverage, ts: int) -> Book:
        asked.append((collector, live, ts))
        return built(every[:190])

    with scribe(tmp_path, segment_bytes=8192) as writer:
        row = writer.cover("live", "start")
        for update in every:
            writer.write(update)
        writer.journal.release(segments(tmp_path)[-2].base)
        assert seen(LiveBook(tmp_path, KEY, nothing), writer.clock).standing.state == "syncing"
        picture = seen(LiveBook(tmp_path, KEY, seed), writer.clock)
        assert asked == [("c1", row, writer.clock.time - 1)]
    assert picture.book == sides(built(every))
    assert picture.standing.live


def test_no_book_is_built_across_damage_in_an_earlier_file(tmp_path: Path) -> None:
    with scribe(tmp_path, segment_bytes=4096) as writer:
        writer.cover("live", "start")
        writer.write(snapshot())
        first = writer.journal.end
        for update in deltas(60):
            writer.write(update)
        assert segments(tmp_path)[-1].base > first
        spoil(tmp_path, first)
        live_book = LiveBook(tmp_path, KEY, never)
        picture = seen(live_book, writer.clock)
        assert (picture.standing.state, picture.standing.cause, picture.book) == ("gap", "storage", None)
        writer.write(snapshot(90))
        assert seen(live_book, writer.clock).standing.live


def test_a_book_never_stands_on_what_another_worker_recorded_before(tmp_path: Path) -> None:
    clock = HandClock()
    every = [snapshot(), *deltas(60)]
    with scribe(tmp_path / "worker-0", clock, 4096) as present, scribe(tmp_path / "worker-1", clock) as former:
        row = former.cover("live", "start")
        former.write(snapshot(1, shift=5.0))
        former.cover("gap", "shutdown", before=row)
        present.cover("live", "start")
        for update in every:
            present.write(update)
        assert len(segments(tmp_path / "worker-0")) > 2
        picture = seen(LiveBook(tmp_path, KEY, never), clock)
    assert picture.standing.live
    assert picture.book == sides(built(every))


def test_who_waits_for_a_book_gets_every_message_of_it(tmp_path: Path) -> None:
    every = [snapshot(), *deltas(40)]
    with scribe(tmp_path, segment_bytes=4096) as writer:
        writer.cover("live", "start")
        live_book = LiveBook(tmp_path, KEY, nothing)
        writing = threading.Thread(target=lambda: [writer.write(update) for update in every])
        writing.start()
        updates = 0
        while updates < len(every):
            live_book.wait()
            live_book.poll()
            updates += live_book.news.updates
        writing.join()
        assert live_book.picture(writer.clock.now()).book == sides(built(every))


def test_who_was_asleep_while_the_journal_was_deleted_begins_anew(tmp_path: Path) -> None:
    with scribe(tmp_path, segment_bytes=4096) as writer:
        writer.cover("live", "start")
        writer.write(snapshot())
        live_book = LiveBook(tmp_path, KEY, nothing)
        live_book.poll()
        every = deltas(300)
        for update in every:
            writer.write(update)
        writer.write(snapshot(400, shift=7.0))
        writer.journal.release(writer.journal.end)
        writer.write(snapshot(401, shift=9.0))
        assert seen(live_book, writer.clock).book == sides(built([snapshot(401, shift=9.0)]))


def test_the_standing_is_what_coverage_says(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        live_book = LiveBook(tmp_path, KEY, nothing)
        assert seen(live_book, writer.clock).standing.state == "absent"
        row = writer.cover("syncing", "start")
        assert seen(live_book, writer.clock).standing.state == "syncing"
        row = writer.cover("live", "start", before=row)
        assert seen(live_book, writer.clock).standing.state == "syncing"
        writer.write(snapshot())
        assert seen(live_book, writer.clock).standing.live
        row = writer.cover("gap", "disconnect", before=row)
        standing = seen(live_book, writer.clock).standing
        assert (standing.state, standing.cause, standing.since) == ("gap", "disconnect", row.ts_from)
        row = writer.cover("live", "disconnect", before=row)
        assert seen(live_book, writer.clock).standing.live
        writer.cover("gap", "shutdown", before=row)
        assert seen(live_book, writer.clock).standing.state == "stopped"


def test_a_book_stops_being_live_when_the_recorder_stops_writing(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.cover("live", "start")
        writer.write(snapshot())
        live_book = LiveBook(tmp_path, KEY, nothing)
        assert seen(live_book, writer.clock).standing.live
        last = writer.clock.time
        writer.clock.time += STALLED + 1
        standing = seen(live_book, writer.clock).standing
        assert (standing.state, standing.since) == ("stalled", last)
        for _ in range(60):
            writer.alive()
        assert seen(live_book, writer.clock).standing.live


def test_a_coverage_row_is_never_seen_without_the_snapshot_that_came_with_it(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.cover("syncing", "disconnect")
        writer.write(snapshot())
        path = segments(tmp_path)[-1].path
        before = path.stat().st_size
        writer.write(Coverage(KEY, "L2", "live", "disconnect", writer.clock.time, None), snapshot(5, shift=1.0))
        text = path.read_bytes()
        path.write_bytes(text[:before])
        live_book = LiveBook(tmp_path, KEY, nothing)
        for length in range(before, len(text), 24):
            path.write_bytes(text[:length])
            picture = seen(live_book, writer.clock)
            assert (picture.standing.state, picture.sequence) == ("syncing", 1)
        path.write_bytes(text)
        picture = seen(live_book, writer.clock)
        assert (picture.standing.state, picture.sequence) == ("live", 5)


def test_after_damage_no_book_is_shown_as_live_until_a_snapshot(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.cover("live", "start")
        writer.write(snapshot())
        first = writer.journal.end
        writer.write(*deltas(3))
        writer.write(*deltas(3, first=5))
        spoil(tmp_path, first)
        live_book = LiveBook(tmp_path, KEY, nothing)
        picture = seen(live_book, writer.clock)
        assert (picture.standing.state, picture.standing.cause, picture.book) == ("gap", "storage", None)
        writer.write(snapshot(9))
        assert seen(live_book, writer.clock).standing.live


def test_trades_are_those_of_the_instrument_newest_first(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        live_book = LiveBook(tmp_path, KEY, nothing)
        writer.write(INSTRUMENT, trade(1), trade(2, OTHER), trade(3))
        assert [one.trade_id for one in seen(live_book, writer.clock).trades] == ["3", "1"]
        assert live_book.news.trades == [trade(1), trade(3)]
        assert LiveBook(tmp_path, KEY, nothing).news.trades == []
        writer.write(trade(4))
        live_book.poll()
        assert live_book.news.trades == [trade(4)]
        assert live_book.instruments() == [INSTRUMENT]


def test_the_instruments_that_can_be_switched_to_are_those_subscribed(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.cover("live", "start", key=OTHER)
        writer.cover("live", "start", key=KEY)
        writer.cover("live", "start", key="OKX_SWAP@X", stream="TRADES")
        live_book = LiveBook(tmp_path, KEY, nothing)
        live_book.poll()
        assert live_book.subscribed() == [KEY, OTHER]


def test_a_directory_without_a_journal_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no journal of a recorder in '.*nowhere'"):
        LiveBook(tmp_path / "nowhere", KEY, nothing)


def test_a_journal_that_is_deleted_while_one_looks_is_told_by_name(tmp_path: Path) -> None:
    with scribe(tmp_path / "journal") as writer:
        writer.cover("live", "start")
        writer.write(snapshot())
        live_book = LiveBook(tmp_path / "journal", KEY, nothing)
        shutil.rmtree(tmp_path / "journal")
        with pytest.raises(ConfigError, match=r"no journal of a recorder in '.*journal'"):
            live_book.poll()


def test_streams_of_one_instrument_may_come_from_different_workers(tmp_path: Path) -> None:
    clock = HandClock()
    with (
        scribe(tmp_path / "worker-1", clock) as books,
        scribe(tmp_path / "worker-2", clock) as prints,
        scribe(tmp_path / "worker-3", clock) as former,
    ):
        former.cover("gap", "shutdown")
        books.cover("live", "start")
        prints.cover("gap", "disconnect", stream="TRADES")
        live_book = LiveBook(tmp_path, KEY, nothing)
        books.write(INSTRUMENT, snapshot())
        prints.write(trade(1))
        picture = seen(live_book, clock)
        assert picture.standing.live
        assert picture.book == sides(built([snapshot()]))
        assert live_book.news.trades == [trade(1)]
        assert live_book.standing("TRADES", clock.now()).cause == "disconnect"
        assert live_book.alive("TRADES") == clock.now()
        assert live_book.instruments() == [INSTRUMENT]


def test_a_recorder_that_can_be_asked_is_asked_before_earlier_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [snapshot(), *deltas(300)]
    with scribe(tmp_path, segment_bytes=4096) as writer:
        writer.cover("live", "start")
        for begin in range(0, 200, 5):
            writer.write(*every[begin : begin + 5])
        asked: list[str] = []

        def answer(journal: Path, key: str) -> Book:
            """It is a little ahead of what was read, and of what it says all is in the journal."""
            asked.append(key)
            writer.write(*every[200:250])
            return built(every[:250])

        newest = segments(tmp_path)[-1].base
        read = frames_read(monkeypatch)
        live_book = LiveBook(tmp_path, KEY, never, from_recorder=answer)
        assert asked == [KEY]
        assert min(read) >= newest
        assert live_book.picture(writer.clock.now()).book == sides(built(every[:250]))
        writer.write(*every[250:])
        picture = seen(live_book, writer.clock)
        assert (picture.book, picture.sequence, picture.standing.live) == (sides(built(every)), built(every).sequence, True)
