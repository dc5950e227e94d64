"""The delivery: from journal to sink, in the process and as a process, through bad times."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest
import uvloop
from structlog.testing import capture_logs

import xtrader
from tests.needs import small_file_system
from tests.pipeline.journaling import BEYOND, GOOD, VENUES, Ticks, opened, poisoned, write
from tests.pipeline.loops import in_loop
from tests.pipeline.numbered import DAY_START, load, trade, update
from tests.pipeline.parts import manifest, part_paths, read_instruments, read_trades, read_updates
from tests.pipeline.recorder import DELIVERY
from tests.waiting import until
from xtrader.clock import SECOND, SystemClock
from xtrader.errors import SinkRetry, StorageError
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.pauses import ENDING
from xtrader.pipeline import codec, delivery
from xtrader.pipeline.cursors import read_cursor, write_cursor
from xtrader.pipeline.delivery import Delivery, DeliverySpec, Order, Orders, Status, follow
from xtrader.pipeline.delivery_process import DeliveryProcess
from xtrader.pipeline.frames import read_frames, segments
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.writer import Writer
from xtrader.records.batches import Batch, Session
from xtrader.sinks.base import SinkSpec
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.memory import records as records_of
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.finish_journal import finish_journal


class Failing(MemorySink):
    """Takes nothing in its bad times, which are counted down by attempts."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def write(self, batch: Batch) -> None:
        super().write(batch)
        if self.failures and not isinstance(batch, Session):
            self.failures -= 1
            raise SinkRetry("not now")


def delivery_of(directory: Path, sink: MemorySink, rotation: Rotation | None = None) -> tuple[Delivery, list[Status]]:
    told: list[Status] = []
    return Delivery(directory, sink, rotation or Rotation(), told.append), told


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


def test_orders_that_come_while_a_run_ends_do_not_cut_its_pauses_short(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    write(journal, update(1))
    journal.append([codec.text_entry(codec.MARK, {})])
    durable = journal.commit()
    orders = Orders()
    orders.give(Order(durable, finish=True))
    sink = Failing(3)
    carrier, _ = delivery_of(tmp_path, sink)

    def nag() -> None:
        for _ in range(100):
            orders.give(Order(durable, finish=True))
            time.sleep(0.01)

    threading.Thread(target=nag).start()
    began = time.monotonic()
    with capture_logs() as said:
        follow(carrier, orders)
    assert [line["seconds"] for line in said if line["event"] == "sink_waits"] == [ENDING] * 3
    assert time.monotonic() - began >= 3 * ENDING
    journal.close()


@in_loop
async def test_a_delivery_process_that_dies_at_once_is_started_every_half_second_while_a_run_ends(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    process = DeliveryProcess(spec(tmp_path / "journal", tmp_path / "data"), journal.durable, command=("false",))
    running = asyncio.create_task(process.run())
    while not process.restarts:
        await asyncio.sleep(0.01)
    before = process.restarts
    assert not await process.finish(3.0)
    assert 1 <= process.restarts - before <= 3.0 / ENDING + 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal.close()


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


def spec(directory: Path, sink_directory: Path) -> DeliverySpec:
    return DeliverySpec(str(directory), "c1", SinkSpec("parquet", {"directory": str(sink_directory)}, 60.0, 1 << 30))


@in_loop
async def test_a_delivery_process_finishes_what_it_is_told(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    write(journal, *load(1000, 10))
    journal.append([codec.text_entry(codec.MARK, {})])
    journal.commit()
    cursors: list[int] = []
    process = DeliveryProcess(
        spec(tmp_path / "journal", tmp_path / "data"), journal.durable, on_cursor=cursors.append, command=DELIVERY
    )
    assert not process.ready
    running = asyncio.create_task(process.run())
    await until(lambda: process.ready)
    assert await process.finish(30)
    await running
    assert cursors[-1] == journal.end
    assert process.backlog == 0
    assert len(read_updates(tmp_path / "data")) == len(read_trades(tmp_path / "data")) == 500
    assert len(part_paths(tmp_path / "data", "L2")) == 5
    journal.close()


@in_loop
async def test_a_delivery_that_dies_is_started_again_and_readiness_tells(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    process = DeliveryProcess(spec(tmp_path / "journal", tmp_path / "data"), journal.durable, command=DELIVERY)
    running = asyncio.create_task(process.run())
    await until(lambda: process.ready)
    pid = process.pid
    assert pid is not None
    for name in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, name)
    write(journal, update(1))
    process.advance(journal.commit())
    await until(lambda: process.backlog == 0)
    assert process.pid == pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not process.ready)
    await until(lambda: process.ready)
    assert process.restarts == 1
    assert process.pid != pid
    assert await process.finish(30)
    await running
    journal.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_orders_to_a_delivery_that_dies_again_and_again_do_the_recorder_no_harm(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        command = [sys.executable, "-c", "import os; os.close(0); import time; time.sleep(0.05)"]
        process = DeliveryProcess(spec(tmp_path / "journal", tmp_path / "data"), 0, command=command)
        running = asyncio.create_task(process.run())
        durable = 0
        while process.restarts < 3 and not running.done():
            durable += 8
            process.advance(durable)
            await asyncio.sleep(0.001)
        assert process.restarts == 3
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@in_loop
async def test_a_delivery_that_cannot_finish_in_time_is_killed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    process = DeliveryProcess(
        spec(tmp_path / "journal", tmp_path / "data"),
        journal.durable,
        command=[sys.executable, "-c", "import time; time.sleep(99)"],
    )
    running = asyncio.create_task(process.run())
    await until(lambda: process.pid is not None)
    pid = process.pid
    assert pid is not None
    assert not await process.finish(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(pid)
    journal.close()


def test_a_delivery_leaves_when_the_recorder_is_gone(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    process = subprocess.Popen(DELIVERY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(spec(tmp_path / "journal", tmp_path / "data")) + b"\n")
    process.stdin.flush()
    assert process.stdout is not None
    assert b'"cursor"' in process.stdout.readline()
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_file_system(tmp_path / "disk", "4m") as place:
        yield place


def test_a_full_disk_under_the_journal_ends_the_recorder_and_spoils_nothing(small_disk: Path) -> None:
    directory = small_disk / "journal"
    journal = open_journal(directory, "c1", SystemClock(), {})
    written = 0
    with pytest.raises(StorageError, match="No space left on device") as caught:  # noqa: PT012
        while True:
            write(journal, *(update(written * 100 + number) for number in range(100)))
            written += 1
    assert caught.value.exit_code == 74
    with pytest.raises(StorageError):
        journal.close()
    (small_disk / "journal" / "lock").unlink()
    carried = MemorySink()
    carrier, _ = delivery_of(directory, carried)
    carrier.open()
    carrier.advance(sys.maxsize)
    assert carried.rows >= written * 100
    assert written > 10


def fill(directory: Path, leave: int) -> Path:
    """Take all the room but `leave` bytes."""
    path = directory / "ballast"
    free = os.statvfs(directory)
    path.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return path


@in_loop
async def test_a_full_disk_under_the_files_stops_only_the_sink_until_there_is_room(tmp_path: Path, small_disk: Path) -> None:
    journal = opened(tmp_path / "journal", None)
    ballast = fill(small_disk, 64 << 10)
    process = DeliveryProcess(spec(tmp_path / "journal", small_disk / "data"), journal.durable, command=DELIVERY)
    writer = Writer(journal, SystemClock(), min_free=0, on_durable=process.advance)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(process.run())]
    for record in load(4000, 10):
        writer.put(record)
    writer.flush()
    journal.append([codec.text_entry(codec.MARK, {})])
    await until(lambda: process.status is not None and "No space left" in process.status.error)
    assert not process.ready
    for record in load(100, 10):
        writer.put(record)
    ballast.unlink()
    await until(lambda: process.ready)
    await writer.close()
    assert await process.finish(60)
    await asyncio.gather(*tasks)
    journal.close()
    rows: list[BookUpdate | Trade] = [*read_updates(small_disk / "data"), *read_trades(small_disk / "data")]
    assert len(rows) == 4100
    assert sum(line["rows"] for line in manifest(small_disk / "data") if line["stream"] == "TRADES") == 2050
    assert not list((small_disk / "data").rglob("*.tmp"))
