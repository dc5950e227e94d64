"""`xtrader status` and what a running recorder is told by a command, as a user does it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.process import xtrader
from tests.running import in_sync, recorder
from tests.waiting import within
from xtrader.emulator.server import Emulator

LIST = "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP"


def test_a_user_asks_a_running_recorder_and_tells_it_what_to_do(tmp_path: Path) -> None:
    async def run(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        ran = await asyncio.to_thread(xtrader, tmp_path, *arguments, environ=environ)
        return ran.returncode, ran.stdout, ran.stderr

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
            async with recorder(tmp_path, LIST, emulator.variables) as process:
                await in_sync(tmp_path)
                code, out, err = await run("status")
                while code:
                    code, out, err = await run("status", "data")
                assert "2 of 2 live" in out
                assert out.startswith("ready")
                assert "L2:OKX_SWAP@BTC-USDT-SWAP" in out
                code, out, err = await run("status", "data/.journal", "--json")
                assert (code, json.loads(out)["wanted"]) == (0, 2)
                assert (await run("resync", "l2:okx_swap@btcusdt"))[:2] == (0, "resynced L2:OKX_SWAP@BTC-USDT-SWAP\n")
                code, out, err = await run("resync", "L2:OKX_SWAP@BTCUSDT", "data")
                assert (code, out) == (1, "")
                assert "left alone L2:OKX_SWAP@BTC-USDT-SWAP" in err
                code, out, err = await run("resync", "OKX_SWAP@BTCUSD")
                assert (code, err.count("\n")) == (2, 1)
                assert "did you mean BTCUSDT" in err
                assert (await run("reconnect", "OKX_SWAP/0"))[:2] == (0, "reconnected OKX_SWAP/0\n")
                assert (await run("log-level", "feed", "debug"))[:2] == (0, "levels are info,feed=debug\n")
                follower = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "xtrader", "status", "data", "--follow", "--json"),
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    limit=1 << 20,
                )
                assert follower.stdout is not None
                assert follower.stderr is not None
                times = [json.loads(await follower.stdout.readline())["ts"] for _ in range(3)]
                assert times == sorted(times)
                assert (await run("stop"))[:2] == (0, "it is stopping\n")
                assert await within(process.wait()) == 0
                assert b"no recorder" in await within(follower.stderr.readline())
                follower.kill()
                await follower.wait()

    asyncio.run(main())


@pytest.mark.parametrize("command", [["status"], ["resync", "OKX_SWAP@BTCUSDT"], ["stop"]])
def test_where_no_recorder_runs_that_is_said_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    ran = xtrader(tmp_path, *command)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "no recorder" in ran.stderr
    ran = xtrader(tmp_path, *command, "nowhere")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "there is no directory 'nowhere'" in ran.stderr
    os.mkdir(tmp_path / "old")
    (tmp_path / "old" / "lock").write_text('{"pid": 999999999, "since": 1, "collector": "gone"}')
    ran = xtrader(tmp_path, *command, "old")
    assert "process 999999999, which has ended" in ran.stderr
