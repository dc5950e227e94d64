"""Paper: a trader that follows a recorder, decided again from its own log, ended by a signal or killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.running import log_of, logged, recorder, stop
from tests.trading.days import strategy_file
from tests.trading.market import KEY, SECOND, START, engine, inputs, instrument, live, snapshot, update
from tests.waiting import until, within
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError, DamagedFile
from xtrader.trading.app import TradeOptions
from xtrader.trading.halt_latch import HaltLatch, read_latch, reset_latch, write_latch
from xtrader.trading.log import run_files
from xtrader.trading.log.run_log import RunLog, read_log
from xtrader.trading.log.taken_inputs import as_row, taken
from xtrader.trading.model.inputs import Input
from xtrader.trading.model.strategy import Strategy
from xtrader.trading.paper_run import keep, paper
from xtrader.trading.verify_run import verify_run

WANTED = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT,L2:OKX_SWAP@ETHUSDT,TRADES:OKX_SWAP@ETHUSDT"
FOLLOWER = (sys.executable, "-m", "xtrader", "trade", "--mode", "paper", "--param", "size=0.05", "--entry-delay", "5ms")


@asynccontextmanager
async def recording(directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A recorder of an emulated venue that has books."""
    async with Emulator(["OKX_SWAP"], instruments=2, rate=100) as emulator:
        async with recorder(directory, WANTED, emulator.variables) as process:
            await logged(directory, '"in_sync"')
            yield process


async def trader(directory: Path, *more: str) -> asyncio.subprocess.Process:
    path = strategy_file(directory)
    arguments = (*FOLLOWER, "--strategy", str(path), "--market", "ETHUSDT", "data", *more)
    return await asyncio.create_subprocess_exec(*arguments, cwd=directory, stdout=-1, stderr=-1)


def run_of(directory: Path, place: int = -1) -> Path:
    return sorted((directory / "runs" / "paper").glob("*-follower-*"))[place]


def decisions(directory: Path) -> int:
    found = list((directory / "runs" / "paper").glob("*-follower-*/log"))
    return sum(kind == "decision" for path in found for kind, _ in read_log(path))


@pytest.mark.slow
def test_paper_runs_are_decided_again_and_the_recorder_notices_nothing(tmp_path: Path) -> None:
    async def session() -> None:
        async with recording(tmp_path) as recorded:
            process = await trader(tmp_path)
            await until(lambda: decisions(tmp_path) > 3)
            process.send_signal(signal.SIGINT)
            out, err = await within(process.communicate())
            assert process.returncode == 0, err
            assert b"digest " in out
            killed = await trader(tmp_path)
            before = decisions(tmp_path)
            await until(lambda: decisions(tmp_path) > before + 2)
            killed.kill()
            await within(killed.communicate())
            assert await stop(recorded) == 0
        assert '"level": "error"' not in log_of(tmp_path)

    asyncio.run(session())
    whole, cut = verify_run(run_of(tmp_path, 0)), verify_run(run_of(tmp_path))
    assert (whole.first, whole.is_whole) == (None, True)
    assert (cut.first, cut.is_whole) == (None, False)
    assert whole.rows > 3
    assert cut.rows > 2
    manifest = run_files.load(run_of(tmp_path, 0))
    assert manifest.digest == whole.digest


def test_without_a_recorder_there_is_nothing_to_follow(tmp_path: Path) -> None:
    options = TradeOptions(mode="paper", strategy="simple_spread", places=(str(tmp_path),), journal=tmp_path / ".journal")
    with pytest.raises(ConfigError, match="there is no journal of a recorder"):
        paper(options, lambda: True)


RECORDS: list[Any] = [instrument(), live(), snapshot(START), update(START + 1, [(100.1, 0.1 + 0.2)], [], event=START), None]


def test_inputs_come_back_as_they_were(tmp_path: Path) -> None:
    given = [Input(START + n, START + 2 * n, record) for n, record in enumerate(RECORDS)]
    log = RunLog(tmp_path / "log", is_live=True)
    for one in given:
        log.write("input", as_row(one))
    log.close()
    assert list(taken(tmp_path / "log")) == given


def test_a_run_on_its_own_inputs_decides_the_same(tmp_path: Path) -> None:
    class Buyer(Strategy):
        def on_quote(self, context: Any, book: Any) -> list[Any]:
            from xtrader.trading.model.intents import new

            return [new("buy", KEY, "0.1", book.bid)]

    given = [*inputs(RECORDS[:-1]), Input(START + 1, START + SECOND, None)]
    log = RunLog(tmp_path / "log")
    for one in given:
        log.write("input", as_row(one))
    log.close()
    rows = []
    for source in (given, taken(tmp_path / "log")):
        found, written = engine(Buyer)
        found.run(source)
        rows.append(written)
    assert rows[0] == rows[1]
    assert len(rows[0].of("decision")) > 1


def test_a_halt_is_latched_until_a_person_resets_it(tmp_path: Path) -> None:
    found, _ = engine(Strategy)
    found.run(inputs(RECORDS[:-1]))
    keep(tmp_path, found)
    assert not (tmp_path / "paper").exists()
    found.breaker.halt("the price jumped")
    keep(tmp_path, found)
    assert read_latch(tmp_path) == HaltLatch("the price jumped")
    with pytest.raises(ConfigError, match="a reset needs a reason"):
        reset_latch(tmp_path, " ", "now")
    assert reset_latch(tmp_path, "it was a test", "now").halted == "the price jumped"
    assert read_latch(tmp_path) == HaltLatch(resets=("now it was a test (was: the price jumped)",))
    with pytest.raises(ConfigError, match="no breaker is latched"):
        reset_latch(tmp_path, "again", "now")


def test_a_latch_that_cannot_be_read_is_no_permission(tmp_path: Path) -> None:
    write_latch(tmp_path, HaltLatch("x"))
    (tmp_path / "paper" / "breaker.json").write_bytes(b"{")
    with pytest.raises(DamagedFile, match="is no state of a breaker"):
        read_latch(tmp_path)
