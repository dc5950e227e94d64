"""The process of a sink: it finishes what it is told, is started again, and does the recorder no harm."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest
import uvloop
from structlog.testing import capture_logs

from tests.pipeline.deliveries import Failing, delivery_of, spec
from tests.pipeline.journaling import opened, write
from tests.pipeline.loops import in_loop
from tests.pipeline.numbered import load, update
from tests.pipeline.parts import part_paths, read_trades, read_updates
from tests.pipeline.recorder import DELIVERY
from tests.waiting import until
from xtrader.pauses import ENDING
from xtrader.pipeline import codec
from xtrader.pipeline.delivery import Order, Orders, follow
from xtrader.pipeline.delivery_process import DeliveryProcess


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
