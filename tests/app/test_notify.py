"""The recorder and its service manager, by the real datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.loops import in_loop
from tests.running import in_sync, recorder, stop
from tests.waiting import until
from xtrader.app.notify import Manager, Progress, keep_told
from xtrader.emulator.server import Emulator

WELL = Progress(live=2, total=2, silence=0.5, is_ending=False)


class Heard:
    """A manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._lines += self._socket.recv(4096).decode().splitlines()
        return self._lines

    def variables(self, watchdog: float) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(round(watchdog * 1e6))}

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    found = Heard(str(tmp_path / "notify"))
    yield found
    found.close()


@in_loop
async def test_a_name_in_the_abstract_name_space_is_heard_too() -> None:
    heard = Heard(f"@xtrader-{uuid.uuid4()}")
    assert Manager(heard.address).say("READY=1", "STATUS=well")
    assert heard.lines == ["READY=1", "STATUS=well"]
    heard.close()


@pytest.mark.parametrize("workers", ["1", "2"])
@in_loop
async def test_a_recorder_says_that_it_is_ready_alive_and_stopping(heard: Heard, tmp_path: Path, workers: str) -> None:
    wanted = "L2:OKX_SWAP@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT"
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], rate=50) as emulator:
        variables = {**emulator.variables, **heard.variables(watchdog=120), "XTRADER_WORKERS": workers}
        async with recorder(tmp_path, wanted, variables) as process:
            await in_sync(tmp_path, int(workers))
            await until(lambda: "STATUS=recording, all 2 subscriptions in sync" in heard.lines)
            assert heard.lines.count("READY=1") == 1
            assert "WATCHDOG=1" in heard.lines
            assert await stop(process) == 0
    assert heard.lines.count("READY=1") == heard.lines.count("STOPPING=1") == 1
    assert heard.lines.index("READY=1") < heard.lines.index("STOPPING=1")


@in_loop
async def test_a_worker_that_hangs_ends_the_signs_of_life_of_all(heard: Heard, tmp_path: Path) -> None:
    wanted = "L2:OKX_SWAP@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT"
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], rate=50) as emulator:
        variables = {**emulator.variables, **heard.variables(watchdog=2), "XTRADER_WORKERS": "2"}
        async with recorder(tmp_path, wanted, variables) as process:
            await until(lambda: "READY=1" in heard.lines)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            child = next(int(pid) for pid in children if "_worker" in Path(f"/proc/{pid}/cmdline").read_text())
            os.kill(child, signal.SIGSTOP)
            await until(lambda: heard.lines[-1] == "STATUS=the journal is not written")
            os.kill(child, signal.SIGCONT)
            await until(lambda: heard.lines[-1] == "WATCHDOG=1")
    said = heard.lines[: heard.lines.index("STOPPING=1") if "STOPPING=1" in heard.lines else None]
    assert said.count("READY=1") == 1
    assert "WATCHDOG=1" in said[said.index("STATUS=the journal is not written") :]


@in_loop
async def test_a_recorder_that_reaches_no_venue_counts_as_started_after_a_while(heard: Heard) -> None:
    told = asyncio.create_task(keep_told(Manager(heard.address), lambda: replace(WELL, live=0), ready_within=0.2))
    await until(lambda: "READY=1" in heard.lines)
    told.cancel()
    await until(lambda: "STOPPING=1" in heard.lines)
    assert sorted(heard.lines) == ["READY=1", "STATUS=recording, 0 of 2 subscriptions in sync", "STOPPING=1"]


@in_loop
async def test_a_journal_that_is_not_written_is_no_sign_of_life(heard: Heard) -> None:
    now = replace(WELL, silence=3.0)
    told = asyncio.create_task(keep_told(Manager(heard.address, watchdog=2.0), lambda: now, ready_within=0.0))
    await until(lambda: "STATUS=the journal is not written" in heard.lines)
    await asyncio.sleep(2)
    assert heard.lines == ["STATUS=the journal is not written"]
    now = WELL
    await until(lambda: {"READY=1", "WATCHDOG=1"} <= set(heard.lines))
    now = replace(WELL, silence=30.0, is_ending=True)
    await until(lambda: "STOPPING=1" in heard.lines)
    before = heard.lines.count("WATCHDOG=1")
    await until(lambda: heard.lines.count("WATCHDOG=1") > before)
    told.cancel()


@in_loop
async def test_nobody_waits_for_a_manager_that_does_not_listen(tmp_path: Path) -> None:
    gone = Manager(str(tmp_path / "nobody"))
    assert not gone.say("READY=1")
    full = Heard(str(tmp_path / "full"))
    manager = Manager(full.address)
    while manager.say("STATUS=" + "x" * 1000):
        pass
    told = asyncio.create_task(keep_told(manager, lambda: WELL))
    await asyncio.sleep(0)
    assert full.lines[-1].startswith("STATUS=xxx")
    await until(lambda: "READY=1" in full.lines)
    told.cancel()
    full.close()
