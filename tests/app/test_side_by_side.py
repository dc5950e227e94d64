"""Two recorders that write into one output directory at once, as they do while one takes the other's place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import xtrader
from tests.cli.process import xtrader as command
from tests.running import in_sync, log_of, recorder, stop
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth

EXCHANGE, SYMBOL = "BINANCE_FUTURES", "BTCUSDT"
KEY = f"{EXCHANGE}@{SYMBOL}"
LIST = f"L2:{KEY},TRADES:{KEY}"


def test_a_recorder_takes_over_from_another_one_without_a_missing_or_a_doubled_trade(tmp_path: Path) -> None:
    """They get no id: each makes one from its journal's directory."""
    old, new, data = tmp_path / "old", tmp_path / "new", tmp_path / "data"

    async def main() -> Truth:
        async with Emulator([EXCHANGE], instruments=1, rate=400, keep_truth=True) as emulator:
            assert emulator.truth is not None
            into = emulator.variables | {"XTRADER_OUTPUT_DIRECTORY": str(data)}
            for directory in (old, new):
                directory.mkdir()
            async with recorder(old, LIST, into | {"XTRADER_JOURNAL_DIRECTORY": str(old / "journal")}, into=data) as first:
                await in_sync(old)
                async with recorder(new, LIST, into | {"XTRADER_JOURNAL_DIRECTORY": str(new / "journal")}, into=data) as second:
                    await in_sync(new)
                    await asyncio.sleep(1)
                    assert await stop(first) == 0
                    await asyncio.sleep(1)
                    assert await stop(second) == 0
            return emulator.truth

    truth = asyncio.run(main())
    assert len(list((data / "_manifest").glob("*.jsonl"))) == 2
    proof = command(tmp_path, "verify", str(data))
    assert proof.returncode == 0, proof.stdout
    ids = [int(trade["trade_id"]) for trade in xtrader.open(data).trades(KEY).to_arrow().to_pylist()]
    assert len(set(ids)) == len(ids)
    made = [int(trade.id) for trade in truth.trades(EXCHANGE, SYMBOL)]
    assert ids == [number for number in made if ids[0] <= number <= ids[-1]]


def test_two_recorders_of_one_id_in_one_directory_are_refused_before_the_second_records(tmp_path: Path) -> None:
    first_at, second_at, data = tmp_path / "first", tmp_path / "second", tmp_path / "data"

    async def main() -> None:
        async with Emulator([EXCHANGE], instruments=1, rate=100) as emulator:
            for directory in (first_at, second_at):
                directory.mkdir()
            named = emulator.variables | {"XTRADER_COLLECTOR_ID": "one"}
            async with recorder(
                first_at, LIST, named | {"XTRADER_JOURNAL_DIRECTORY": str(first_at / "journal")}, into=data
            ) as first:
                await in_sync(first_at)
                journal = {"XTRADER_JOURNAL_DIRECTORY": str(second_at / "journal")}
                async with recorder(second_at, LIST, named | journal, into=data) as second:
                    assert await second.wait() == 2
                assert await stop(first) == 0

    asyncio.run(main())
    assert "another process writes to" in log_of(second_at)
    assert "as collector 'one': give each recorder a journal directory and an id of its own" in log_of(second_at)
    assert command(tmp_path, "verify", str(data)).returncode == 0
