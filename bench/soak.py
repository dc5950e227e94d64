"""A long run at a steady rate: resident memory of each process over time, and gap rows that the source did not cause.

`python -m bench.soak [--minutes 10] [--rate 5000] [--instruments 50] [--exchange BINANCE_FUTURES]`. An emulated venue runs in a
process of its own. Memory is compared between the second tenth of the run (everything warm) and the last.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pyarrow.dataset as ds

from xtrader.emulator.server import Emulator


def symbols(exchange: str, instruments: int) -> list[str]:
    """What an emulated venue of this size lists."""
    emulator = Emulator([exchange], instruments=instruments, rate=0)
    return list(emulator.venues[exchange].boards)


def memory(process: psutil.Process) -> dict[str, float]:
    """Resident MiB of the recorder and of its sink."""
    children = {f"sink {i}": child for i, child in enumerate(process.children())}
    return {name: one.memory_info().rss / 2**20 for name, one in {"recorder": process, **children}.items()}


def main() -> None:
    """Run, sample, read back, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--instruments", type=int, default=50)
    parser.add_argument("--exchange", default="BINANCE_FUTURES")
    arguments = parser.parse_args()
    serve = [sys.executable, "-m", "xtrader.emulator", arguments.exchange, "--rate", str(arguments.rate)]
    venue = subprocess.Popen([*serve, "--instruments", str(arguments.instruments)], stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    environment = dict(os.environ)
    for _ in range(2):
        name, _, value = venue.stdout.readline().strip().removeprefix("export ").partition("=")
        environment[name] = value
    wanted = ",".join(
        f"{stream}:{arguments.exchange}@{symbol}"
        for symbol in symbols(arguments.exchange, arguments.instruments)
        for stream in ("L2", "TRADES")
    )
    with tempfile.TemporaryDirectory(prefix="xtrader-soak-") as temporary:
        environment |= {"XTRADER_CACHE_DIRECTORY": f"{temporary}/cache", "XTRADER_HTTP": "off"}
        environment.setdefault("XTRADER_ROTATE_SECONDS", "60")
        data = Path(temporary) / "data"
        command = [sys.executable, "-m", "xtrader", "--subscriptions", wanted, "--output-directory", str(data)]
        recorder = subprocess.Popen(command, env=environment)
        watched = psutil.Process(recorder.pid)
        samples: list[dict[str, float]] = []
        end = time.monotonic() + arguments.minutes * 60
        while time.monotonic() < end and recorder.poll() is None:
            time.sleep(5)
            samples.append(memory(watched))
            cpu = watched.cpu_times()
            print(
                f"{len(samples) * 5:5d} s",
                {name: round(size, 1) for name, size in samples[-1].items()},
                round(cpu.user + cpu.system, 1),
            )
        recorder.send_signal(signal.SIGTERM)
        code = recorder.wait(60)
        venue.terminate()
        tenth = max(len(samples) // 10, 1)
        for name in samples[-1]:
            early = statistics.median(s[name] for s in samples[tenth : 2 * tenth] if name in s)
            late = statistics.median(s[name] for s in samples[-tenth:])
            print(f"{name}: {early:.1f} MiB -> {late:.1f} MiB ({(late / early - 1) * 100:+.1f} %)")
        coverage = ds.dataset(data / "stream=COVERAGE", partitioning="hive").to_table()
        state, cause = coverage["state"].cast("string"), coverage["cause"].cast("string")
        gaps = coverage.filter(pc.and_(pc.equal(state, "gap"), pc.not_equal(cause, "shutdown")))
        messages = sum(
            pc.sum(
                ds.dataset(data / "stream=L2", partitioning="hive").to_table(columns=["is_last"])["is_last"].cast("int64")
            ).as_py()
            if stream == "L2"
            else ds.dataset(data / "stream=TRADES", partitioning="hive").count_rows()
            for stream in ("L2", "TRADES")
        )
        print(f"exit code {code}, messages {messages:,} ({messages / (arguments.minutes * 60):,.0f}/s), gap rows {gaps.num_rows}")


if __name__ == "__main__":
    main()
