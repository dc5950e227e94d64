"""Whoever runs the recorder in a process of their own sees every record, and spoils nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests import reading
from tests.waiting import until, within
from xtrader.emulator.server import Emulator

PROGRAM = """
import sys
from xtrader.app.compose import record
from xtrader.settings.environment import load_process
from xtrader.model.market import Trade
from xtrader.venues import exchanges

fails = sys.argv[1] == "fails"
heard = open("heard", "w")
seen = 0

def also(record):
    global seen
    if isinstance(record, Trade):
        seen += 1
        print(record.trade_id, file=heard, flush=True)
        if fails and seen == 3:
            raise KeyError("a mistake of the program that listens")

settings = {"subscriptions": "TRADES:OKX_SWAP@BTCUSDT", "output_directory": "data"}
sys.exit(record(load_process(settings), [also]))
"""


@pytest.mark.parametrize("how", ["listens", "fails"])
def test_every_trade_that_a_program_sees_is_in_the_files_even_the_one_that_it_fails_on(tmp_path: Path, how: str) -> None:
    heard, log = tmp_path / "heard", tmp_path / "log"

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
            environment = os.environ | emulator.variables | {"XTRADER_CACHE_DIRECTORY": str(tmp_path / "cache")}
            with log.open("wb") as into:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", PROGRAM, how, stdout=into, stderr=into, env=environment, cwd=tmp_path
                )
            await until(lambda: heard.exists() and len(heard.read_text().split()) > 30)
            process.send_signal(signal.SIGTERM)
            assert await within(process.wait()) == 0

    asyncio.run(main())
    seen = heard.read_text().split()
    assert reading.rows(tmp_path / "data", "TRADES")["trade_id"].to_pylist() == seen
    assert log.read_text().count("consumer_failed") == (how == "fails")
    assert "session_crashed" not in log.read_text()
