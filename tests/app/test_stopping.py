"""Stopping is bounded and quiet: however early it is asked for, and whatever the sinks still have to do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.running import in_sync, log_of, recorder, stop
from xtrader.emulator.server import Emulator

EXCHANGE = "BINANCE_FUTURES"
LIST = f"TRADES:{EXCHANGE}@BTCUSDT"


def catches_interrupts(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) & 1 << (signal.SIGINT - 1))


@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.4, 0.8])
def test_an_interrupt_while_the_program_starts_prints_no_traceback_in_any_process(tmp_path: Path, after: float) -> None:
    """Seconds count from where the interpreter is up: what is before that is not ours."""
    closed = {f"XTRADER_{EXCHANGE}_{kind}_URL": f"{scheme}://127.0.0.1:1" for kind, scheme in (("WS", "ws"), ("REST", "http"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "xtrader", "--subscriptions", LIST],
        env=os.environ | closed | {"XTRADER_CACHE_DIRECTORY": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever is started in the background by a shell ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 5
    for state in (True, False):
        # Where this process got no turn meanwhile, the interrupt comes later, and must do no harm either.
        while catches_interrupts(process.pid) is not state and time.monotonic() < end:
            time.sleep(0.001)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert "Traceback" not in output
    assert process.returncode in (-signal.SIGINT, 130, 0)


def test_a_stop_waits_for_a_database_that_is_away_only_as_long_as_it_is_told_and_says_so(tmp_path: Path) -> None:
    async def main() -> int:
        async with Emulator([EXCHANGE], instruments=1, rate=100) as emulator:
            away = {"XTRADER_SINK": "parquet,questdb", "QUESTDB_HTTP_PORT": "1", "QUESTDB_ILP_PORT": "1", "XTRADER_DRAIN": "12s"}
            async with recorder(tmp_path, LIST, emulator.variables | away) as process:
                await in_sync(tmp_path)
                return await stop(process)

    assert asyncio.run(main()) == 75
    log = log_of(tmp_path)
    assert '"event":"waiting_for_sink"' in log
    assert '"sink":"questdb"' in log
    assert '"seconds_left":10' in log
    assert "hard_stop" not in log
    assert list(tmp_path.glob("data/stream=COVERAGE/**/*.parquet"))
