"""The journal: what was written is read back, whatever happened to its files in between."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from structlog.testing import capture_logs

from tests.pipeline.journaling import VENUES, Ticks, opened, write
from tests.pipeline.numbered import DAY_START, KEYS, trade, update
from tests.pipeline.records import records
from xtrader.errors import ConfigError, StorageError
from xtrader.model.instrument import Instrument
from xtrader.model.market import UNASKED, Coverage, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.cursors import write_cursor
from xtrader.pipeline.frames import Damaged, JournalFrame, read_frames, segments
from xtrader.sinks.memory import records as records_of

LIVE = Coverage(KEYS[0], "L2", "live", "start", DAY_START, None)


def rows_in(directory: Path, start: int = 0) -> list[Record]:
    found: list[Record] = []
    for item in read_frames(directory, start):
        if isinstance(item, JournalFrame):
            batch = codec.read_batch(codec.read_payload(item.payload))
            found += records_of(batch) if batch is not None else []
    return found


def data(rows: list[Record]) -> list[Record]:
    return [row for row in rows if not isinstance(row, Coverage)]


def by_stream(rows: list[Record]) -> list[Record]:
    """The order of one flush: instruments, coverage, L2, trades."""
    order = [Instrument, Coverage, type(update(1)), Trade]
    return sorted(rows, key=lambda row: order.index(type(row)))


@settings(deadline=None, max_examples=50)
@given(records)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Record]) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = opened(directory)
    write(journal, *rows)
    journal.close()
    assert rows_in(directory) == by_stream(rows)


def test_a_segment_can_be_read_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1024)
    instrument = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual")
    write(journal, instrument, LIVE)
    for number in range(20):
        write(journal, update(number))
    journal.close()
    *_, last = segments(tmp_path)
    first = next(read_frames(tmp_path, last.base))
    assert isinstance(first, JournalFrame)
    meta = codec.read_meta(codec.read_payload(first.payload))
    assert meta.instruments == [instrument]
    assert meta.open == [LIVE]
    assert meta.venues == VENUES


def test_offsets_are_places_and_segments_follow_each_other(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1024)
    for number in range(20):
        write(journal, update(number))
    journal.close()
    files = segments(tmp_path)
    assert len(files) > 3
    assert [segment.end for segment in files[:-1]] == [segment.base for segment in files[1:]]
    assert files[-1].end == journal.end
    assert journal.durable == journal.end


def test_nothing_written_lies_below_a_cursor(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    end = write(journal, update(1))
    journal.close()
    write_cursor(tmp_path, "parquet", end + 803)
    again = opened(tmp_path)
    assert again.durable >= end + 803
    write(again, update(2))
    again.close()
    assert data(rows_in(tmp_path, end + 803)) == [update(2)]


def test_a_new_journal_begins_above_every_older_one(tmp_path: Path) -> None:
    first = opened(tmp_path / "a", Ticks(DAY_START))
    first.close()
    second = opened(tmp_path / "b", Ticks(DAY_START + 10**9))
    second.close()
    assert segments(tmp_path / "b")[0].base > first.end


def small_journal(directory: Path) -> tuple[list[int], list[list[Record]]]:
    """One closed segment; the ends of its frames, and what each holds."""
    clock = Ticks()
    journal = opened(directory, clock)
    ends, content = [journal.end], [[]]
    for rows in ([LIVE], [update(1), update(2)], [trade(1)], [update(3)]):
        clock.time += 10**8
        ends.append(write(journal, *rows))
        content.append(list(rows))
    journal.close()
    return ends, content


@pytest.fixture
def memory_directory() -> Iterator[Path]:
    """A directory in memory where there is one, for tests with thousands of fsyncs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        yield Path(directory)


def test_truncation_at_every_byte_leaves_exactly_the_whole_frames(memory_directory: Path) -> None:
    original = memory_directory / "original"
    ends, content = small_journal(original)
    (segment,) = segments(original)
    whole = segment.path.read_bytes()
    for length in range(len(whole)):
        directory = memory_directory / "cut"
        directory.mkdir()
        (directory / segment.path.name).write_bytes(whole[:length])
        expected = [row for end, rows in zip(ends, content, strict=True) if end <= segment.base + length for row in rows]
        again = opened(directory, Ticks(DAY_START + 10**12))
        write(again, update(9))
        again.close()
        assert data(rows_in(directory)) == [*data(expected), update(9)]
        assert not again.damaged
        assert not [item for item in read_frames(directory, 0) if isinstance(item, Damaged)]
        shutil.rmtree(directory)


def test_every_flipped_bit_costs_exactly_its_frame(memory_directory: Path) -> None:
    small_journal(memory_directory)
    (segment,) = segments(memory_directory)
    frames = list(read_frames(memory_directory, 0))
    assert len(frames) == 6
    whole = segment.path.read_bytes()
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        segment.path.write_bytes(damaged)
        place = segment.base + bit // 8
        expected = [Damaged(item.offset, item.end) if item.offset <= place < item.end else item for item in frames]
        assert list(read_frames(memory_directory, 0)) == expected


@pytest.mark.parametrize("hit", range(6))
def test_recovery_tells_what_a_damaged_frame_cost(memory_directory: Path, hit: int) -> None:
    original = memory_directory / "original"
    _, content = small_journal(original)
    frames = list(read_frames(original, 0))
    (segment,) = segments(original)
    whole = segment.path.read_bytes()
    for place in range(frames[hit].offset, frames[hit].end, 7):
        damaged = bytearray(whole)
        damaged[place - segment.base] ^= 0x10
        directory = memory_directory / "flip"
        directory.mkdir()
        (directory / segment.path.name).write_bytes(damaged)
        again = opened(directory, Ticks(DAY_START + 10**12))
        told = again.open_coverage()
        again.close()
        rows = rows_in(directory)
        # Frame 0 heads the segment, frame 1 says that a run began, frame 2 opens the coverage; a damaged last frame is a torn tail.
        kept = [row for index, part in enumerate(content, 1) if index != hit for row in part]
        assert data(rows) == data(kept)
        assert len(again.damaged) == (hit != 5)
        storage = [row for row in rows if isinstance(row, Coverage) and row.cause == "storage"]
        ticks = [DAY_START + index * 10**8 for index in range(5)]
        assert [(row.instrument, row.stream, row.state, row.ts_from, row.ts_to) for row in storage] == (
            [(KEYS[0], "L2", "gap", ticks[hit - 2], ticks[hit])] if hit in (3, 4) else []
        )
        heard = max(row.ts_recv for row in data(kept))
        assert [(row.state, row.ts_from) for row in told] == ([] if hit == 2 else [("gap", heard)])
        shutil.rmtree(directory)


def test_damage_is_told_once(tmp_path: Path) -> None:
    ends, _ = small_journal(tmp_path)
    (segment,) = segments(tmp_path)
    with segment.path.open("r+b") as file:
        file.seek(ends[2] - segment.base - 20)
        file.write(b"\xff\x00\xff")
    for run in range(3):
        journal = opened(tmp_path, Ticks(DAY_START + (run + 1) * 10**12))
        assert len(journal.damaged) == (1 if run == 0 else 0)
        journal.close()
    rows = rows_in(tmp_path)
    assert len([row for row in rows if isinstance(row, Coverage) and row.cause == "storage"]) == 1


def test_what_was_open_at_a_crash_is_closed_at_its_last_message(tmp_path: Path) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    closed = Coverage(KEYS[1], "TRADES", "syncing", "start", DAY_START, None)
    waiting = Coverage(KEYS[2], "L2", "gap", "disconnect", DAY_START, None, "x")
    heard = DAY_START + 3 * 10**9
    write(journal, LIVE, closed, waiting, Coverage(KEYS[1], "TRADES", "syncing", "start", DAY_START, DAY_START + 5))
    clock.time += 7 * 10**9
    write(journal, update(3000), update(3500, KEYS[2]), trade(3600))
    journal.append([codec.text_entry(codec.ALIVE, {})])
    journal.close()

    clock.time += 60 * 10**9
    again = opened(tmp_path, clock)
    gap = Coverage(KEYS[0], "L2", "gap", "start", heard, None, "the recorder was not running")
    assert sorted(again.open_coverage(), key=lambda row: row.instrument) == sorted([gap, waiting], key=lambda row: row.instrument)
    again.close()
    rows = rows_in(tmp_path)
    assert rows[-2:] == [Coverage(KEYS[0], "L2", "live", "start", DAY_START, heard), gap]
    third = opened(tmp_path, clock)
    third.close()
    assert rows_in(tmp_path) == rows


@pytest.mark.parametrize(("behind", "is_told"), [(3600, True), (2, False), (-3600, False)])
def test_a_clock_that_is_before_the_last_entry_is_warned_of_and_in_the_row_of_the_start(
    tmp_path: Path, behind: int, is_told: bool
) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    write(journal, LIVE, update(3000))
    journal.close()
    clock.time -= behind * 10**9
    with capture_logs() as logs:
        again = opened(tmp_path, clock)
    (gap,) = again.open_coverage()
    again.close()
    assert ("; the clock is 3,600 s before what was recorded last" in gap.detail) == is_told
    assert [(one["event"], one["seconds"]) for one in logs] == ([("clock_before_journal", 3600.0)] if is_told else [])


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize(
    ("brought", "seconds", "known"),
    [
        pytest.param((), 7, 0, id="nothing"),
        pytest.param((-1,), 7, 0, id="only before"),
        pytest.param((0,), 7, 0, id="at once"),
        pytest.param((6,), 7, 6, id="later"),
        pytest.param((6, 4), 7, 6, id="in another order"),
        pytest.param((), 400, 400 - UNASKED, id="nothing, but it was asked after"),
        pytest.param((6,), 400, 400 - UNASKED, id="something long ago, and it was asked after"),
        pytest.param((390,), 400, 390, id="something a while ago"),
    ],
)
def test_a_subscription_is_live_until_its_last_message_at_a_crash(
    tmp_path: Path, brought: Sequence[int], seconds: int, known: int, stream: str
) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    began = DAY_START + 10**9
    made, other = (update, trade) if stream == "L2" else (trade, update)
    live = [Coverage(key, stream, "live", "start", began, None) for key in (KEYS[0], KEYS[1])]
    write(journal, *live, made(1, KEYS[1], began + 10**9))
    clock.time += seconds * 10**9
    write(journal, *(made(1, KEYS[0], began + one * 10**9) for one in brought), other(1, KEYS[0], began + 6 * 10**9))
    clock.time = began + seconds * 10**9
    write(journal, made(1, KEYS[1], clock.time))
    journal.close()
    again = opened(tmp_path, clock)
    again.close()
    ends = {row.instrument: row.ts_from for row in again.open_coverage()}
    assert ends == {KEYS[0]: began + known * 10**9, KEYS[1]: began + seconds * 10**9}


def test_a_half_written_flush_does_not_count_as_alive(tmp_path: Path) -> None:
    clock = Ticks()
    journal = opened(tmp_path, clock)
    write(journal, LIVE)
    clock.time += 10**9
    end = write(journal, update(1), trade(1))
    journal.close()
    os.truncate(segments(tmp_path)[0].path, end - segments(tmp_path)[0].base - 8)
    clock.time += 10**9
    again = opened(tmp_path, clock)
    again.close()
    assert data(rows_in(tmp_path)) == [update(1)]
    assert [row.ts_from for row in again.open_coverage()] == [DAY_START]


def test_a_second_recorder_is_refused_with_the_holder_s_name(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(ConfigError, match=rf"process {os.getpid()}, collector c1, since 2026-11-21T00:00:00"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()


def test_segments_below_the_cursor_are_released(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=1024)
    for number in range(20):
        write(journal, update(number))
    files = segments(tmp_path)
    journal.release(files[2].end)
    assert segments(tmp_path) == files[3:]
    journal.release(journal.end)
    assert [segment.base for segment in segments(tmp_path)] == [files[-1].base]
    assert journal.size() == files[-1].end - files[-1].base
    journal.close()


def test_a_failed_fsync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    write(journal, update(1))
    durable = journal.durable

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StorageError, match="Input/output error") as caught:
            journal.commit()
    assert caught.value.exit_code == 74
    with pytest.raises(StorageError):
        write(journal, update(2))
    with pytest.raises(StorageError):
        journal.close()
    assert journal.durable == durable


@pytest.mark.parametrize(
    ("newer", "kind", "sentence"),
    [
        ({"VERSION": 2}, codec.MARK, "format version 2, this xtrader reads 1: use the version that wrote it"),
        ({"_KINDS": {*codec._KINDS, 99}}, 99, "frames of kind 99, which this xtrader does not know: use the version that wrote it"),
    ],
)
def test_a_journal_that_a_newer_version_wrote_is_refused_as_it_is_and_that_version_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer: dict[str, object], kind: int, sentence: str
) -> None:
    write(journal := opened(tmp_path), *(trade(number) for number in range(5)))
    journal.close()
    with monkeypatch.context() as patched:
        for name, value in newer.items():
            patched.setattr(codec, name, value)
        if "VERSION" in newer:
            shutil.rmtree(tmp_path)
            write(journal := opened(tmp_path), *(trade(number) for number in range(5)))
        else:
            journal = opened(tmp_path)
        journal.append([codec.text_entry(kind, {})])
        journal.close()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.journal")}
    torn = max(before)
    torn.write_bytes(before[torn] + b"torn")
    with pytest.raises(ConfigError, match=sentence):
        opened(tmp_path)
    assert {path: path.read_bytes() for path in before} == before | {torn: before[torn] + b"torn"}
    with monkeypatch.context() as patched:
        for name, value in newer.items():
            patched.setattr(codec, name, value)
        opened(tmp_path).close()
        found = [codec.read_payload(item.payload) for item in read_frames(tmp_path, 0) if isinstance(item, JournalFrame)]
    assert kind in {payload.kind for payload in found}
    kept = [codec.read_batch(payload) for payload in found if payload.kind != 99]
    assert data([row for batch in kept if batch is not None for row in records_of(batch)]) == [trade(number) for number in range(5)]
