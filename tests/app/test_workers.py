"""Several recording processes as one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import reading
from tests.faults import time_loop
from tests.running import in_sync, log_of, recorder, stop
from tests.waiting import until, within
from xtrader.app import workers as processes
from xtrader.app.workers import divide
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth
from xtrader.model.streams import STREAMS
from xtrader.model.subscription import Subscription
from xtrader.pipeline.children import Child

EXCHANGE = "BINANCE_FUTURES"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
LIST = ",".join(f"{stream}:{EXCHANGE}@{symbol}" for symbol in SYMBOLS for stream in ("L2", "TRADES"))


def cost(part: list[Subscription]) -> int:
    return sum(STREAMS[one.stream].cost for one in part)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 9))
def test_every_subscription_has_one_worker_and_no_worker_is_without_work(sizes: list[int], workers: int) -> None:
    links = [
        [Subscription("L2" if n % 2 else "TRADES", EXCHANGE, f"S{link}X{n}") for n in range(size)]
        for link, size in enumerate(sizes)
    ]
    parts = divide(links, workers)
    assert Counter(one for part in parts for one in part) == Counter(one for link in links for one in link)
    assert len(parts) == min(workers, sum(sizes))
    assert all(parts)


def test_one_connection_with_many_books_is_made_two_halves_of_the_same_work() -> None:
    link = [Subscription(stream, "OKX_SWAP", f"S{n}") for stream in ("L2", "TRADES") for n in range(50)]
    first, second = divide([link], 2)
    assert cost(first) == cost(second)


def workers_of(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "_worker" in child.cmdline()]


def rows_of(directory: Path, stream: str, symbol: str) -> list[dict[str, Any]]:
    return list(reading.rows(directory / "data", stream, EXCHANGE, symbol).to_pylist())


def stored(directory: Path) -> Counter[tuple[str, str]]:
    return Counter((symbol, row["trade_id"]) for symbol in SYMBOLS for row in rows_of(directory, "TRADES", symbol))


@pytest.mark.slow
def test_a_worker_that_was_killed_is_started_again_alone_and_all_files_are_one_recording(tmp_path: Path) -> None:
    async def main() -> Truth:
        async with Emulator([EXCHANGE], instruments=len(SYMBOLS), rate=800, keep_truth=True) as emulator:
            assert emulator.truth is not None
            variables = emulator.variables | {"XTRADER_WORKERS": "2"}
            async with recorder(tmp_path, LIST, variables) as process:
                await in_sync(tmp_path, 2)
                first, second = workers_of(process)
                first.kill()
                await in_sync(tmp_path, 3)
                assert second.is_running()
                assert len(workers_of(process)) == 2
                await asyncio.sleep(1)
                assert await stop(process) == 0
            return emulator.truth

    truth = asyncio.run(main())
    assert "Traceback" not in log_of(tmp_path)
    counts = stored(tmp_path)
    assert set(counts.values()) == {1}
    for symbol in SYMBOLS:
        sent = [trade.id for trade in truth.trades(EXCHANGE, symbol)]
        own = {number for instrument, number in counts if instrument == symbol}
        assert len(own) > 50
        assert own <= set(sent)
    gaps = [
        (symbol, row["covers"], row["cause"])
        for symbol in SYMBOLS
        for row in rows_of(tmp_path, "COVERAGE", symbol)
        if row["state"] == "gap"
    ]
    assert {cause for _, _, cause in gaps} == {"start", "shutdown"}
    lost = {(symbol, covers) for symbol, covers, cause in gaps if cause == "start"}
    assert 0 < len(lost) < len(SYMBOLS) * 2


@pytest.mark.slow
def test_with_fewer_workers_the_journals_of_the_others_are_finished(tmp_path: Path) -> None:
    async def main() -> None:
        async with Emulator([EXCHANGE], instruments=len(SYMBOLS), rate=800) as emulator:
            variables = emulator.variables | {"XTRADER_WORKERS": "3"}
            async with recorder(tmp_path, LIST, variables) as process:
                await in_sync(tmp_path, 3)
                await asyncio.sleep(1)
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                for one in family:
                    one.kill()
                await process.wait()
            assert not stored(tmp_path)
            async with recorder(tmp_path, LIST, emulator.variables) as process:
                await until(lambda: not list((tmp_path / "data" / ".journal").glob("worker-*")))
                assert await stop(process, signal.SIGINT) == 0

    asyncio.run(main())
    assert "Traceback" not in log_of(tmp_path)
    counts = stored(tmp_path)
    assert len(counts) > 100
    assert set(counts.values()) == {1}
    for symbol in SYMBOLS:
        rows = rows_of(tmp_path, "COVERAGE", symbol)
        closed = {(row["state"], row["covers"], row["ts_from"]) for row in rows if row["ts_to"] is not None}
        opened = {(row["state"], row["covers"], row["ts_from"]) for row in rows if row["ts_to"] is None}
        assert len(opened - closed) == 2, "only the last gap of each stream, the stop, stays open"
        assert [row["detail"] for row in rows if row["state"] == "gap" and row["ts_to"]] == ["the recorder was not running"] * 2


def test_credentials_that_the_venue_refuses_end_all_workers(tmp_path: Path) -> None:
    login = {"DERIBIT_CLIENT_ID": "somebody", "DERIBIT_CLIENT_SECRET": "wrong-secret", "XTRADER_WORKERS": "2"}
    both = "L2:DERIBIT@BTC-PERPETUAL,TRADES:DERIBIT@BTC-PERPETUAL"

    async def main() -> None:
        async with Emulator(["DERIBIT"], instruments=1, rate=100) as emulator:
            async with recorder(tmp_path, both, emulator.variables | login) as process:
                assert await within(process.wait()) == 2

    asyncio.run(main())
    said = log_of(tmp_path)
    assert "DERIBIT_CLIENT_ID" in said
    assert "wrong-secret" not in said
    assert "Traceback" not in said


class Dying(Child):
    """Lives for some seconds each time; `lived()` is called before each death."""

    def __init__(self, lives: float, lived: Callable[[], None]) -> None:
        super().__init__("worker 0", (), talk=never, hear=lambda line: None)
        self.starts = 0
        self._life, self._lived = lives, lived

    async def _run_once(self) -> int:
        self.starts += 1
        await asyncio.sleep(self._life)
        self._lived()
        return 1


async def never(stdin: asyncio.StreamWriter) -> None:
    """Says nothing to it."""


@pytest.mark.parametrize(("lives", "is_live", "least", "most"), [(9.0, True, 32, 34), (9.0, False, 5, 18), (31.0, False, 9, 10)])
def test_a_worker_that_recorded_is_started_again_at_once_and_one_that_did_not_with_growing_pauses(
    lives: float, is_live: bool, least: int, most: int
) -> None:
    async def main() -> int:
        # Settings are for the process that is not started here.
        worker = processes._Worker(processes.Task(0, None, 1.0, ("TRADES:OKX_SWAP@BTCUSDT",)))  # type: ignore[arg-type]

        def lived() -> None:
            worker._was_live, worker._began = is_live, asyncio.get_running_loop().time() - lives

        worker._child = dying = Dying(lives, lived)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(300)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return dying.starts

    assert least <= time_loop.run(main()) <= most


@pytest.mark.parametrize("said", [b"", b'{"number":1,"jour'])
@pytest.mark.parametrize("command", ["_worker", "_deliver"])
def test_a_process_whose_starter_is_gone_before_it_said_all_ends_quietly(command: str, said: bytes) -> None:
    ran = subprocess.run([sys.executable, "-m", "xtrader", command], input=said, capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_a_recorder_that_is_stopped_while_its_workers_only_begin_ends_as_asked(tmp_path: Path) -> None:
    async def main() -> int:
        async with Emulator([EXCHANGE], instruments=2, rate=50) as emulator:
            async with recorder(tmp_path, LIST, emulator.variables | {"XTRADER_WORKERS": "2"}) as process:
                while not psutil.Process(process.pid).children():
                    await asyncio.sleep(0.001)
                return await stop(process)

    assert asyncio.run(main()) == 0, log_of(tmp_path)
