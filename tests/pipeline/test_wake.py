"""Waiting for a journal: woken by what is written, also before the wait, and never asleep where the kernel says nothing."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.look.journals import deltas, scribe, snapshot
from xtrader.pipeline.wake import Waker

HOURS = 3600.0
inotify = pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not tell of writes here")


def waits(waker: Waker) -> threading.Thread:
    """Somebody who would wait for hours."""
    thread = threading.Thread(target=waker.wait, args=(HOURS,), daemon=True)
    thread.start()
    return thread


@inotify
def test_who_waits_is_woken_by_the_next_write_and_by_one_that_came_before(tmp_path: Path) -> None:
    with scribe(tmp_path, segment_bytes=2048) as writer:
        waker = Waker([tmp_path])
        writer.write(snapshot())
        assert waker.wait(HOURS)
        for update in deltas(50):
            waiting = waits(waker)
            writer.write(update)
            waiting.join(60)
            assert not waiting.is_alive(), "a write was slept over"


@inotify
def test_who_follows_several_journals_is_woken_by_each(tmp_path: Path) -> None:
    with scribe(tmp_path / "worker-0") as first, scribe(tmp_path / "worker-1") as second:
        waker = Waker([first.journal.directory, second.journal.directory])
        for writer in (first, second, first):
            writer.write(snapshot())
            assert waker.wait(HOURS)
        assert not waker.wait(0)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_silent_kernel_keeps_nobody_waiting_for_long(tmp_path: Path, name: str) -> None:
    waker = Waker([tmp_path / name])
    assert not waker.wait(0)
    waiting = waits(waker)
    waiting.join(60)
    assert not waiting.is_alive()
