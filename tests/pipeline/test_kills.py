"""SIGKILL of the recorder and of its sink's process under load, with real processes and files.

XTRADER_KILLS sets how many (default: a quick run).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.pipeline.parts import manifest, part_paths, read_coverages, read_trades, read_updates
from tests.pipeline.recorder import KEYS, RUN, trade, update
from xtrader.model.market import BookUpdate, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.frames import JournalFrame, read_frames, segments
from xtrader.sinks.memory import records

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("XTRADER_KILLS", "10"))


def start(directory: Path, run: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.pipeline.recorder", str(directory), str(run)], cwd=REPOSITORY)


def newest(directory: Path) -> int:
    """Where the newest segment begins."""
    found = segments(directory / "journal") if (directory / "journal").is_dir() else []
    return found[-1].base if found else 0


def wait_for_a_new_run(directory: Path, recorder: subprocess.Popen[bytes], before: int) -> None:
    deadline = time.monotonic() + 30
    while newest(directory) == before:
        assert recorder.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stop(recorder: subprocess.Popen[bytes]) -> None:
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(60) == 0


def last_numbers(directory: Path) -> dict[int, int]:
    """Run and parity (run * 2 + parity) -> the largest number that is in the journal."""
    found: dict[int, int] = {}
    for item in read_frames(directory / "journal", 0):
        assert isinstance(item, JournalFrame)
        batch = codec.read_batch(codec.read_payload(item.payload))
        for record in records(batch) if batch is not None else ():
            if isinstance(record, (BookUpdate, Trade)):
                number = record.sequence if isinstance(record, BookUpdate) else int(record.trade_id)
                found[number // RUN * 2 + number % 2] = number
    return found


def published(directory: Path) -> dict[str, tuple[int, int]]:
    """Parts that are there: name -> what would change if they were written again."""
    return {
        str(path.relative_to(directory)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for stream in ("L2", "TRADES", "COVERAGE")
        for path in part_paths(directory / "data", stream)
    }


def check(directory: Path, journaled: dict[int, int], seen: dict[str, tuple[int, int]], killed: int) -> None:
    data = directory / "data"
    rows = [*read_updates(data), *read_trades(data)]
    numbers = sorted(row.sequence if isinstance(row, BookUpdate) else int(row.trade_id) for row in rows)
    assert not [number for number, count in Counter(numbers).items() if count > 1]
    by_stream: dict[int, list[int]] = {}
    for number in numbers:
        by_stream.setdefault(number // RUN * 2 + number % 2, []).append(number)
    for place, last in journaled.items():
        held = by_stream[place]
        assert held == list(range(place // 2 * RUN + place % 2, held[-1] + 1, 2))
        assert held[-1] >= last
    for row in rows:
        if isinstance(row, BookUpdate):
            assert row == update(row.sequence, KEYS[row.sequence % len(KEYS)], row.ts_recv)
        else:
            assert row == trade(int(row.trade_id), KEYS[int(row.trade_id) % len(KEYS)], row.ts_recv)
    now = published(directory)
    assert {name: now[name] for name in seen} == seen
    assert sorted(line["path"] for line in manifest(data)) == sorted(name.removeprefix("data/") for name in now)
    assert not [path for path in data.rglob(".*") if path.name.endswith((".tmp", ".open"))]
    coverages = read_coverages(data)
    ended = sorted((row.instrument, row.ts_to) for row in coverages if row.state == "live" and row.ts_to is not None)
    stopped = sorted((row.instrument, row.ts_from) for row in coverages if row.state == "gap" and row.ts_to is not None)
    assert ended == stopped
    assert len(ended) >= killed * len(KEYS)


@pytest.mark.slow
def test_killing_the_recorder_loses_and_repeats_nothing(tmp_path: Path) -> None:
    chance = random.Random(1)
    journaled: dict[int, int] = {}
    seen: dict[str, tuple[int, int]] = {}
    for run in range(1, KILLS + 1):
        before = newest(tmp_path)
        recorder = start(tmp_path, run)
        wait_for_a_new_run(tmp_path, recorder, before)
        time.sleep(chance.random() * 1.5)
        recorder.kill()
        recorder.wait()
        journaled.update(last_numbers(tmp_path))
        seen.update(published(tmp_path))
    before = newest(tmp_path)
    recorder = start(tmp_path, KILLS + 1)
    wait_for_a_new_run(tmp_path, recorder, before)
    stop(recorder)
    check(tmp_path, journaled, seen, len({place // 2 for place in journaled}))


@pytest.mark.slow
def test_killing_the_sink_s_process_loses_and_repeats_nothing(tmp_path: Path) -> None:
    chance = random.Random(2)
    recorder = start(tmp_path, 1)
    killed = 0
    seen: dict[str, tuple[int, int]] = {}
    family = psutil.Process(recorder.pid)
    while killed < 2 * KILLS:
        for child in family.children():
            time.sleep(chance.random() * 1.5)
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
                killed += 1
            seen.update(published(tmp_path))
        time.sleep(0.05)
    stop(recorder)
    check(tmp_path, {2: 0, 3: 0}, seen, 0)
