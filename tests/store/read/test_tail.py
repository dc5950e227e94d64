"""The live end: what is read while a recorder writes, rotates, dies and starts again is all that was received, each thing once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import xtrader
from tests.pipeline.numbered import trade, update
from tests.pipeline.parts import manifest
from tests.pipeline.recorder import KEYS, RUN
from tests.store.recordings import START
from xtrader.errors import NotCovered, StorageError
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.cursors import write_cursor
from xtrader.pipeline.delivery import Delivery
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.read import tail
from xtrader.store.read.dataset import Dataset

KEY = KEYS[0]


class Then:
    """The clock of a recorder that stopped at 00:00:00.3."""

    def now(self) -> int:
        return START + 300 * 10**6

    monotonic = now


@contextmanager
def recorder(directory: Path, run: int) -> Iterator[subprocess.Popen[bytes]]:
    """The recorder without sockets, as a process; files every second, journal segments of 256 KiB."""
    command = [sys.executable, "-m", "tests.pipeline.recorder", str(directory), str(run)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def opened(directory: Path) -> Dataset:
    return xtrader.open(directory / "data", journal=directory / "journal")


def numbers(dataset: Dataset) -> tuple[list[int], list[int]]:
    """The numbers of all trades and of all book messages."""
    trades = [int(one) for one in dataset.trades(columns=["trade_id"]).to_arrow()["trade_id"].to_pylist()]
    updates = dataset.book_updates(columns=["sequence", "is_last"]).to_arrow()
    return sorted(trades), sorted(updates.filter(updates["is_last"])["sequence"].to_pylist())


def test_a_reader_beside_a_recorder_sees_everything_once_at_every_instant(tmp_path: Path) -> None:
    looks = 0
    seen = [0, 0]
    for run in range(3):
        with recorder(tmp_path, run) as process:
            rest = time.monotonic() + 4
            while time.monotonic() < rest or max(seen) <= 1000 * run:
                if not (tmp_path / "journal").exists():
                    continue
                found = numbers(opened(tmp_path))
                for place, stream in enumerate(found):
                    for own in range(run + 1):
                        mine = [number for number in stream if number // RUN == own]
                        expected = range(own * RUN + place, own * RUN + place + 2 * len(mine), 2)
                        assert mine == list(expected), f"run {own} at look {looks}"
                    assert len(stream) >= seen[place], "something that was there is not there any more"
                    seen[place] = len(stream)
                looks += 1
            if run == 2:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
    assert looks > 5
    assert len(list((tmp_path / "data").glob("stream=TRADES/*/*/*/*.parquet"))) > len(KEYS)
    assert numbers(opened(tmp_path)) == numbers(xtrader.open(tmp_path / "data"))


def journal_with(directory: Path, count: int, first: int = 0) -> Journal:
    """A journal that holds `count` records, and no files."""
    journal = open_journal(directory / "journal", "c1", Then(), {}, segment_bytes=1 << 14)
    append(journal, [Coverage(KEY, "L2", "live", "start", START, None)])
    append(journal, [make(number) for number in range(first, first + count)])
    return journal


def make(number: int) -> BookUpdate | Trade:
    return (update if number % 2 else trade)(number, KEY, START + number * 1_000_000)


def append(journal: Journal, records: list[Coverage] | list[BookUpdate | Trade]) -> None:
    batcher = Batcher()
    for start in range(0, len(records), 50):
        for record in records[start : start + 50]:
            batcher.add(record)
        journal.append(batcher.flush())
    journal.commit()


def carried(directory: Path) -> list[dict[str, Any]]:
    """Make files of the most of the journal, in several commits; the manifest."""
    delivery = Delivery(directory / "journal", ParquetSink(directory / "data", "c1"), Rotation(900, 1 << 13), lambda status: None)
    delivery.open()
    delivery.advance(tail.segments(directory / "journal")[-1].end)
    delivery.close()
    return manifest(directory / "data")


def test_a_journal_without_files_is_a_recording(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 300)
    assert [one for one in opened(tmp_path).replay() if isinstance(one, Trade)] == [make(n) for n in range(0, 300, 2)]
    journal.close()


def test_the_journals_of_several_recording_processes_are_one_recording(tmp_path: Path) -> None:
    journals = [
        open_journal(tmp_path / "data" / ".journal" / f"worker-{number}", f"c1-w{number}", Then(), {}, segment_bytes=1 << 14)
        for number in range(2)
    ]
    for number, journal in enumerate(journals):
        append(journal, [trade(one, KEYS[number]) for one in range(number, 100, 2)])
        append(journal, [Coverage(KEYS[number], "TRADES", "live", "start", START, None)])
        journal.close()
    data = xtrader.open(tmp_path / "data")
    assert [one.trade_id for one in data.replay() if isinstance(one, Trade)] == [str(number) for number in range(100)]
    assert set(data.coverage().to_arrow()["collector"].to_pylist()) == {"c1-w0", "c1-w1"}


def test_files_above_the_cursor_are_left_to_the_journal(tmp_path: Path) -> None:
    """The sink lists its parts before the cursor moves, and after a crash it makes and lists them again."""
    journal = journal_with(tmp_path, 1000)
    expected = numbers(opened(tmp_path))
    assert sum(map(len, expected)) == 1000
    boundaries = {line["first_offset"] for line in carried(tmp_path)}
    assert len(boundaries) > 3
    for cursor in (0, *boundaries):
        write_cursor(tmp_path / "journal", "parquet", cursor)
        assert numbers(opened(tmp_path)) == expected
    journal.close()


def test_parts_that_were_merged_above_the_cursor_are_there_once(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 1000)
    expected = numbers(opened(tmp_path))
    lines = carried(tmp_path)
    for stream in ("TRADES", "L2"):
        parts = [line for line in lines if line["stream"] == stream]
        paths = [tmp_path / "data" / line["path"] for line in parts]
        name = re.sub(r"-\d+\.parquet$", f"-{parts[-1]['last_offset']:020d}.parquet", parts[0]["path"])
        pq.write_table(pa.concat_tables(pq.read_table(path, partitioning=None) for path in paths), tmp_path / "data" / name)
        merged = parts[-1] | {
            "path": name,
            "first_offset": parts[0]["first_offset"],
            "first_ts_recv": parts[0]["first_ts_recv"],
            "replaces": [part["path"] for part in parts],
        }
        with (tmp_path / "data" / "_manifest" / "c1.compacted.jsonl").open("a") as file:
            file.write(json.dumps(merged) + "\n")
        for path in paths:
            path.unlink()
    for cursor in (0, lines[len(lines) // 2]["first_offset"]):
        write_cursor(tmp_path / "journal", "parquet", cursor)
        assert numbers(opened(tmp_path)) == expected
    journal.close()


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 200)
    expected = numbers(opened(tmp_path))
    journal.close()
    with tail.segments(tmp_path / "journal")[-1].path.open("ab") as file:
        file.write(b"\x10\x00\x00\x00 the power went")
    assert numbers(opened(tmp_path)) == expected


def test_a_book_of_the_live_end_is_known_up_to_where_the_recorder_was_last_alive(tmp_path: Path) -> None:
    journal = journal_with(tmp_path, 0)
    append(journal, [update(number, KEY) for number in range(200)])
    assert opened(tmp_path).book_at(KEY, START + 299 * 10**6).sequence == 199
    with pytest.raises(NotCovered, match="the recording ends before"):
        opened(tmp_path).book_at(KEY, START + 300 * 10**6)
    append(journal, [Coverage(KEY, "L2", "gap", "disconnect", START + 250 * 10**6, None, "cut")])
    journal.close()
    book = opened(tmp_path).book_at(KEY, START + 199 * 10**6)
    assert book.sequence == 199
    with pytest.raises(NotCovered, match=r"gap \(disconnect, cut\) from .* to now") as caught:
        opened(tmp_path).book_at(KEY, START + 260 * 10**6)
    assert (caught.value.state, caught.value.cause, caught.value.ts_from) == ("gap", "disconnect", START + 250 * 10**6)


def test_a_journal_that_never_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal_with(tmp_path, 10).close()
    cursors = iter(range(0, 10**6, 8))
    monkeypatch.setattr(tail, "read_cursor", lambda *_: next(cursors))
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match="moves on faster"):
        opened(tmp_path).trades()
    assert len(os.listdir("/proc/self/fd")) == descriptors
