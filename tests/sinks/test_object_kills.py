"""SIGKILL of the recorder and of its sink's process while they upload, and a store that comes and goes: the bucket has all, once.

XTRADER_KILLS sets how many kills (default: a quick run), XTRADER_SEED their times.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import objectstore
from tests.objectstore import KEYS, Road, Store
from tests.pipeline.killing import REPOSITORY, check, last_numbers, newest, stop, wait_for_a_new_run
from tests.processes import kept_track_of
from tests.waiting import wait_until
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.frames import segments

KILLS = int(os.environ.get("XTRADER_KILLS", "2"))
SEED = int(os.environ.get("XTRADER_SEED", "1"))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


def start(directory: Path, run: int, road: Road, bucket: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.pipeline.recorder", str(directory), str(run), str(directory / "spool")]
    environment = os.environ | KEYS | {"AWS_ENDPOINT_URL": road.url, "PYTHONPATH": str(REPOSITORY)}
    return kept_track_of(subprocess.Popen([*command, f"s3://{bucket}/a"], cwd=REPOSITORY, env=environment))


def settle(directory: Path, run: int, road: Road, bucket: str) -> None:
    """Start and stop recorders until one has handed everything over: a slow machine may need more than one end's patience."""
    for attempt in range(6):
        found = segments(directory / "journal")
        if attempt and read_cursor(directory / "journal", "parquet") == found[-1].end:
            return
        recorder = start(directory, run + attempt, road, bucket)
        wait_for_a_new_run(directory, recorder, found[-1].base)
        stop(recorder)


def check_bucket(store: Store, bucket: str, directory: Path, journaled: dict[int, int], killed: int) -> None:
    """Nothing was written twice, the bucket alone is the whole recording, and nothing but the lists is left in the spool."""
    assert set(store.versions(bucket).values()) == {1}
    store.fetch(bucket, "a", directory / "data")
    check(directory, journaled, {}, killed)
    assert {path.name for path in (directory / "spool").iterdir()} == {"_manifest"}
    lists = [place / "_manifest" / "c1.jsonl" for place in (directory / "data", directory / "spool")]
    assert lists[0].read_bytes() == lists[1].read_bytes()
    found = segments(directory / "journal")
    assert read_cursor(directory / "journal", "parquet") == found[-1].end
    assert len(found) == 1, "the journal was not released"


@pytest.mark.slow
def test_killing_the_recorder_while_it_uploads_loses_and_repeats_nothing(store: Store, tmp_path: Path) -> None:
    print(f"XTRADER_SEED={SEED}")
    chance = random.Random(SEED)
    road = Road(store.port)
    bucket = store.make_bucket("recorder-killed")
    journaled: dict[int, int] = {}
    for run in range(1, KILLS + 1):
        before = newest(tmp_path)
        recorder = start(tmp_path, run, road, bucket)
        wait_for_a_new_run(tmp_path, recorder, before)
        road.delay = chance.choice([0.0, 0.01, 0.05])
        # By turns before and amid its uploads.
        if run % 2:
            asked = road.requests
            wait_until(lambda asked=asked: road.requests > asked)
        time.sleep(chance.random() * 2)
        for process in [*psutil.Process(recorder.pid).children(), recorder]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        recorder.wait()
        journaled.update(last_numbers(tmp_path))
    road.delay = 0.0
    settle(tmp_path, KILLS + 1, road, bucket)
    road.close()
    check_bucket(store, bucket, tmp_path, journaled, len({place // 2 for place in journaled}))


@pytest.mark.slow
def test_killing_the_sink_s_process_and_cutting_the_road_loses_and_repeats_nothing(store: Store, tmp_path: Path) -> None:
    print(f"XTRADER_SEED={SEED}")
    chance = random.Random(SEED + 1)
    road = Road(store.port)
    bucket = store.make_bucket("sink-killed")
    recorder = start(tmp_path, 1, road, bucket)
    family = psutil.Process(recorder.pid)
    last = 0

    def newly_born() -> psutil.Process | None:
        return next((child for child in family.children() if child.pid != last), None)

    for number in range(KILLS):
        child = wait_until(newly_born)
        assert child is not None
        before = road.requests
        wait_until(lambda before=before: road.requests > before)
        road.answers_to_lose = chance.randrange(3)
        if number % 2:
            road.close()
            time.sleep(chance.random())
            road.open()
        time.sleep(chance.random() * 2)
        child.kill()
        last = child.pid
    road.answers_to_lose = 0
    stop(recorder)
    settle(tmp_path, 2, road, bucket)
    road.close()
    check_bucket(store, bucket, tmp_path, {2: 0, 3: 0}, 0)
