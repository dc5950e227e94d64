"""The delivery: from journal to sink, in the process and as a process, through bad times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.deliveries import Failing, delivery_of
from tests.pipeline.journaling import VENUES, Ticks, opened, write
from tests.pipeline.numbered import DAY_START, trade, update
from xtrader.clock import SECOND
from xtrader.model.instrument import Instrument
from xtrader.pipeline import codec, delivery
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.delivery import Order, Orders, follow
from xtrader.pipeline.frames import read_frames
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.memory import MemorySink


def test_a_mark_commits_everything_and_moves_the_cursor(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, update(1), trade(2))
    end = journal.append([codec.text_entry(codec.MARK, {})])
    sink = MemorySink()
    carrier, told = delivery_of(tmp_path, sink)
    carrier.open()
    carrier.advance(journal.commit())
    assert sink.records == [update(1), trade(2)]
    assert read_cursor(tmp_path, "memory") == end
    assert (told[-1].cursor, told[-1].rows, told[-1].parts) == (end, 2, 1)
    assert sink.sessions[-1].venues == VENUES
    journal.close()


def test_commits_fall_where_the_journal_s_times_cross_a_period(tmp_path: Path) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    ends = []
    for number in range(40):
        clock.time = DAY_START + number * SECOND
        ends.append(write(journal, update(number)))
    sink = MemorySink()
    carrier, _ = delivery_of(tmp_path, sink, Rotation(seconds=10))
    carrier.open()
    carrier.advance(journal.commit())
    assert [last for _, last in sink.commits] == [ends[9], ends[19], ends[29]]
    assert sink.records == [update(number) for number in range(30)]
    journal.close()


def test_a_free_rotation_makes_large_commits_of_a_backlog_and_small_ones_at_its_end(tmp_path: Path) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    start = journal.end
    for number in range(200):
        clock.time = DAY_START + number * SECOND
        write(journal, update(number))
    sink = MemorySink()
    carrier, _ = delivery_of(tmp_path, sink, Rotation(seconds=1, max_bytes=10_000, free=True))
    carrier.open()
    carrier.advance(journal.commit())
    sizes = [last - first for first, last in sink.commits if first >= start]
    large = [size for size in sizes if size >= 9_000]
    assert sizes[1 : len(large)] == large[1:]
    assert 0 < sum(sizes[len(large) + 1 :]) <= 10_000
    assert sink.records == [update(number) for number in range(199)]
    journal.close()


def test_work_that_is_done_again_is_cut_at_the_same_places(tmp_path: Path) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    for number in range(200):
        clock.time += SECOND // 7
        write(journal, update(number))
    limit = journal.commit()

    def commits(stops: list[int]) -> list[tuple[int, int]]:
        (tmp_path / "memory.cursor").unlink(missing_ok=True)
        made: list[tuple[int, int]] = []
        for stop in [*stops, limit]:
            sink = MemorySink()
            carrier, _ = delivery_of(tmp_path, sink, Rotation(seconds=5, max_bytes=3000))
            carrier.open()
            carrier.advance(stop)
            made += sink.commits
        return made

    frames = [item.end for item in read_frames(tmp_path, 0)]
    assert commits([]) == commits(frames[10::17])
    assert len(commits([])) > 10
    journal.close()


def test_a_restart_knows_the_instruments_and_venues_from_before(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    instrument = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual")
    write(journal, instrument, update(1))
    journal.append([codec.text_entry(codec.MARK, {})])
    write(journal, update(2))
    limit = journal.commit()
    carrier, _ = delivery_of(tmp_path, MemorySink())
    carrier.open()
    carrier.advance(limit)
    sink = MemorySink()
    again, _ = delivery_of(tmp_path, sink)
    again.open()
    assert sink.sessions[0].venues == VENUES
    assert sink.sessions[0].collector == "c1"
    assert sink.sessions[0].instruments == [instrument]
    journal.close()


def test_bad_times_are_waited_out_and_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.001)
    journal = opened(tmp_path)
    for number in range(10):
        write(journal, update(number))
    journal.append([codec.text_entry(codec.MARK, {})])
    sink = Failing(3)
    carrier, told = delivery_of(tmp_path, sink)
    orders = Orders()
    orders.give(Order(journal.commit(), finish=True))
    follow(carrier, orders)
    assert sink.records == [update(number) for number in range(10)]
    assert [status.error for status in told if status.error] == ["SinkRetry: not now"] * 3
    assert not told[-1].error
    journal.close()
