import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.process import xtrader
from tests.pipeline.loops import in_loop
from tests.running import in_sync, recorder, stop
from tests.waiting import until
from xtrader.emulator.server import Emulator

SUBSCRIPTIONS = "L2:OKX_SWAP@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT"


def healthy(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return xtrader(directory, "healthcheck", str(directory / "data"), *arguments, environ=variables)


@in_loop
async def test_a_recorder_is_alive_while_it_writes_and_not_while_it_hangs(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], rate=50) as emulator:
        async with recorder(tmp_path, SUBSCRIPTIONS, emulator.variables) as process:
            await in_sync(tmp_path)
            found = healthy(tmp_path)
            assert (found.returncode, found.stderr) == (0, "")
            assert found.stdout.startswith(f"alive: the journal '{tmp_path}/data/.journal' was written to ")
            process.send_signal(signal.SIGSTOP)
            await until(lambda: healthy(tmp_path, "--within", "1").returncode == 1)
            assert "the recorder is stopped or hangs" in healthy(tmp_path, "--within", "1").stderr
            process.send_signal(signal.SIGCONT)
            await until(lambda: healthy(tmp_path, "--within", "1").returncode == 0)
            assert await stop(process) == 0
        await until(lambda: healthy(tmp_path, "--within", "1").returncode == 1)


@in_loop
async def test_a_recorder_that_reaches_no_venue_is_alive(tmp_path: Path) -> None:
    nowhere = {f"XTRADER_OKX_SWAP_{kind}_URL": f"{kind}://127.0.0.1:9".lower().replace("rest", "http") for kind in ("WS", "REST")}
    async with recorder(tmp_path, "L2:OKX_SWAP@BTC-USDT-SWAP", nowhere):
        await until(lambda: healthy(tmp_path).returncode == 0)
        assert healthy(tmp_path).stdout.startswith(f"alive: the journal '{tmp_path}/data/.journal' was written to ")


@in_loop
async def test_of_several_workers_the_one_that_hangs_counts(tmp_path: Path) -> None:
    workers = {"XTRADER_WORKERS": "2"}
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], rate=50) as emulator:
        async with recorder(tmp_path, SUBSCRIPTIONS, {**emulator.variables, **workers}) as process:
            await until(lambda: healthy(tmp_path, **workers).returncode == 0)
            child = next(
                int(pid)
                for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                if "_worker" in Path(f"/proc/{pid}/cmdline").read_text()
            )
            os.kill(child, signal.SIGSTOP)
            await until(lambda: healthy(tmp_path, "--within", "1", **workers).returncode == 1)
            assert "worker-" in healthy(tmp_path, "--within", "1", **workers).stderr
            os.kill(child, signal.SIGCONT)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 1, "there is no journal in"),
        (("--within", "soon"), 2, "'soon' is not a valid float"),
        (("--subscriptions", "x"), 2, "No such option"),
    ],
)
def test_what_cannot_be_alive_is_told_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    found = xtrader(tmp_path, "healthcheck", *arguments)
    assert (found.returncode, found.stdout) == (code, "")
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1


def test_it_imports_nothing_that_takes_time() -> None:
    heavy = {"numpy", "pyarrow", "structlog", "rich", "asyncio", "aiohttp"}
    code = (
        "import sys; sys.argv = ['xtrader', 'healthcheck', '/nowhere']\n"
        "from xtrader.__main__ import program\n"
        "try: program()\n"
        "except SystemExit: print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert not heavy & set(eval(told.stdout))
