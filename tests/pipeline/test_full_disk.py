"""A disk without room: under the journal it ends the recorder, under the files it stops only the sink."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import small_file_system
from tests.pipeline.deliveries import delivery_of, spec
from tests.pipeline.journaling import opened, write
from tests.pipeline.loops import in_loop
from tests.pipeline.numbered import load, update
from tests.pipeline.parts import manifest, read_trades, read_updates
from tests.pipeline.recorder import DELIVERY
from tests.waiting import until
from xtrader.clock import SystemClock
from xtrader.errors import StorageError
from xtrader.model.market import BookUpdate, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.delivery_process import DeliveryProcess
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.writer import Writer
from xtrader.sinks.memory import MemorySink


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
