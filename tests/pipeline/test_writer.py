"""The writer: what it promises about batches, commits and room."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from tests.pipeline.loops import in_loop
from tests.pipeline.numbered import update
from tests.waiting import until, within
from xtrader.clock import SystemClock
from xtrader.errors import ConfigError, ProtocolError, StorageError
from xtrader.pipeline import codec, writer
from xtrader.pipeline.batch import MAX_ROWS
from xtrader.pipeline.frames import JournalFrame, read_frames
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.writer import Writer, require_room


def opened(directory: Path) -> Journal:
    return open_journal(directory, "c1", SystemClock(), {})


def kinds(directory: Path) -> list[int]:
    return [codec.read_payload(item.payload).kind for item in read_frames(directory, 0) if isinstance(item, JournalFrame)]


@in_loop
async def test_a_row_reaches_the_disk_by_itself_and_its_offset_is_told(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    told: list[int] = []
    made = Writer(journal, SystemClock(), min_free=0, on_durable=told.append)
    running = asyncio.create_task(made.run())
    made.put(update(1))
    await until(lambda: bool(told))
    assert kinds(tmp_path)[-1] == codec.L2
    assert told[-1] == journal.end == journal.durable
    await made.close()
    await running
    assert kinds(tmp_path)[-1] == codec.MARK
    assert told[-1] == journal.end
    journal.close()


@in_loop
async def test_a_row_waits_in_memory_for_the_flush_interval_and_for_nothing_else(tmp_path: Path) -> None:
    journals = {seconds: opened(tmp_path / str(seconds)) for seconds in (0.002, 3600.0)}
    writers = [
        Writer(journal, SystemClock(), min_free=0, flush_interval=seconds, fsync_interval=0.001)
        for seconds, journal in journals.items()
    ]
    running = [asyncio.create_task(made.run()) for made in writers]
    for made in writers:
        made.put(update(1))
    await until(lambda: kinds(tmp_path / "0.002")[-1] == codec.L2)
    assert kinds(tmp_path / "3600.0")[-1] == codec.META
    for made, task, journal in zip(writers, running, journals.values(), strict=True):
        await made.close()
        await task
        journal.close()


@in_loop
async def test_a_full_batch_is_written_at_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    made = Writer(journal, SystemClock(), min_free=0)
    before = journal.end
    for number in range(MAX_ROWS - 1):
        made.put(update(number))
    assert journal.end == before
    made.put(update(MAX_ROWS))
    assert journal.end > before
    assert made.rows == MAX_ROWS
    journal.close()


@in_loop
async def test_a_quiet_writer_says_that_it_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ALIVE_SECONDS", 0.1)
    journal = opened(tmp_path)
    made = Writer(journal, SystemClock(), min_free=0)
    running = asyncio.create_task(made.run())
    await until(lambda: codec.ALIVE in kinds(tmp_path))
    await made.close()
    await running
    journal.close()
    assert codec.ALIVE in kinds(tmp_path)
    assert made.rows == 0


@in_loop
async def test_a_number_that_does_not_fit_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    made = Writer(journal, SystemClock(), min_free=0)
    made.put(update(1))
    with pytest.raises(ProtocolError, match="OKX_SWAP: a number of BTC-USDT-SWAP does not fit"):
        made.put(update(2**63))
    made.put(update(2))
    await made.close()
    journal.close()
    assert made.rows == 2


@in_loop
async def test_room_runs_out_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ROOM_SECONDS", 0.01)
    free = [1000]
    monkeypatch.setattr(writer, "free_bytes", lambda _: free[0])
    journal = opened(tmp_path)
    told: list[bool] = []
    made = Writer(journal, SystemClock(), min_free=800, on_room=told.append)
    running = asyncio.create_task(made.run())
    free[0] = 799
    await until(lambda: told == [False])
    free[0] = 999
    await asyncio.sleep(0.1)
    assert told == [False]
    assert not made.room
    free[0] = 1000
    await until(lambda: told == [False, True])
    await made.close()
    await running
    journal.close()


@in_loop
async def test_a_journal_over_its_budget_has_no_room(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    told: list[bool] = []
    made = Writer(journal, SystemClock(), min_free=0, max_bytes=journal.size() - 1, on_room=told.append)
    running = asyncio.create_task(made.run())
    await until(lambda: told)
    assert told == [False]
    assert not made.room
    await made.close()
    await running
    journal.close()


@in_loop
async def test_a_failing_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    made = Writer(journal, SystemClock(), min_free=0)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    made.put(update(1))
    with pytest.raises(StorageError):
        await within(made.run())
    with pytest.raises(StorageError):
        await made.close()


def test_a_start_without_room_is_refused_with_the_figures(tmp_path: Path) -> None:
    require_room(tmp_path, 1)
    with pytest.raises(ConfigError, match=r"has \d+ MiB free, recording needs 1073741824 MiB \(XTRADER_MIN_FREE_BYTES="):
        require_room(tmp_path, 1 << 50)
