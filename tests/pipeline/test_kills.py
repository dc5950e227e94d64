"""SIGKILL of the recorder and of its sink's process under load, with real processes and files.

XTRADER_KILLS sets how many (default: a quick run).
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import psutil
import pytest

from tests.pipeline.killing import check, last_numbers, newest, published, start, stop, wait_for_a_new_run
from tests.waiting import wait_until
from xtrader.pipeline.cursors import read_cursor

KILLS = int(os.environ.get("XTRADER_KILLS", "4"))


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
    seen: dict[str, tuple[int, int]] = {}
    family = psutil.Process(recorder.pid)
    last = 0

    def newly_born() -> psutil.Process | None:
        return next((child for child in family.children() if child.pid != last), None)

    def cursor() -> int | None:
        return read_cursor(tmp_path / "journal", "parquet")

    for number in range(2 * KILLS):
        child = wait_until(newly_born)
        assert child is not None
        # Most have moved on: one that is killed again and again before it does anything is started again ever later.
        if number % 4:
            before = cursor()
            wait_until(lambda before=before: cursor() != before)
        time.sleep(chance.random())
        child.kill()
        last = child.pid
        seen.update(published(tmp_path))
    stop(recorder)
    check(tmp_path, {2: 0, 3: 0}, seen, 0)
