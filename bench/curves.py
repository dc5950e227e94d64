"""How CPU, memory, files and latency grow with the rate, with the instruments and with the levels of a message.

The rule: what grows is looked at in a steady window, or as a difference, so that starting up and ending are not in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import frames, latency, run
from bench.check import Wrong, rate_in
from bench.contenders import CONTENDERS, LATENCY
from bench.cores import Cores
from bench.server import Pace
from bench.soak import symbols
from bench.watch import Watch

RATES = (100, 1_000, 10_000, 50_000)
RATE_SECONDS = 6.0
STARTED = 2.5
"""Seconds after which the recorder has its snapshot and is in its stride."""
INSTRUMENTS = (1, 10, 100, 1_000)
INSTRUMENTS_RATE = 5_000
SYNCED_WITHIN = 60.0
STEADY_SECONDS = 6.0
LEVELS = (5, 33, 100, 400)
LEVELS_TOTAL = 1_000_000


def measure(results: dict[str, Any], keep: Callable[[], None]) -> None:
    """Fill `curves`: rows by rate, by instruments and by levels, those that are not there yet."""
    curves: dict[str, dict[str, Any]] = results.setdefault("curves", {"rate": {}, "instruments": {}, "levels": {}})
    for name, values, one in (
        ("rate", RATES, by_rate),
        ("instruments", INSTRUMENTS, by_instruments),
        ("levels", LEVELS, by_levels),
    ):
        for value in values:
            if str(value) in curves[name]:
                continue
            try:
                curves[name][str(value)] = one(value)
            except Wrong as wrong:
                print(f"{name} {value:>7,}: does not count: {wrong}", flush=True)
                continue
            keep()
            print(f"{name} {value:>7,}: {curves[name][str(value)]}", flush=True)


def by_rate(rate: int) -> dict[str, Any]:
    """One instrument at `rate` messages a second: cores, memory, latency."""
    traffic = frames.binance(int(rate * RATE_SECONDS / 2))
    done = run.run(LATENCY, traffic, Cores.here(), pace=Pace(rate))
    ways = latency.ways_of(done)
    return {
        "cores": round(done.watch.cores(STARTED, STARTED + RATE_SECONDS - 2), 4),
        "memory": done.watch.memory,
        **{way: [latency.percentile(values, percent) for percent in (50, 99)] for way, values in ways.items()},
    }


def by_levels(levels: int) -> dict[str, Any]:
    """CPU of a message of so many levels to finished Parquet, and the bytes of a level there."""
    contender = next(one for one in CONTENDERS if one.name == "xtrader, Parquet")
    row = run.marginal(contender, lambda depths: frames.binance(depths, levels=levels), LEVELS_TOTAL // (levels + 20), Cores.here())
    return {"cpu_us": row["cpu_us"], "memory": row["memory"], "bytes_per_level": row["file_bytes"] / row["levels"]}


def by_instruments(count: int) -> dict[str, Any]:
    """Books and trades of `count` emulated OKX swaps, INSTRUMENTS_RATE messages a second together."""
    exchange = "OKX_SWAP"
    cores = Cores.here()
    serve = [sys.executable, "-m", "xtrader.emulator", exchange, "--rate", str(INSTRUMENTS_RATE), "--instruments", str(count)]
    listed = symbols(exchange, count)
    wanted = ",".join(f"{stream}:{exchange}@{symbol}" for symbol in listed for stream in ("L2", "TRADES"))
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary:
        venue = subprocess.Popen(
            serve, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {cores.server})
        )
        try:
            assert venue.stdout is not None
            environment = dict(os.environ)
            for _ in range(2):
                name, _, value = venue.stdout.readline().strip().removeprefix("export ").partition("=")
                environment[name] = value
            environment |= {"XTRADER_CACHE_DIRECTORY": f"{temporary}/cache", "SUBSCRIPTIONS": wanted, "XTRADER_HTTP": "off"}
            log = Path(temporary) / "log"
            command = [sys.executable, "-m", "xtrader", "--output-directory", f"{temporary}/data"]
            with log.open("wb") as into:
                recorder = subprocess.Popen(
                    command, env=environment, stderr=into, preexec_fn=lambda: os.sched_setaffinity(0, {cores.contender})
                )
            watch = Watch(recorder.pid)
            watch.start()
            synced = _synced(recorder, log)
            time.sleep(STEADY_SECONDS)
            now = watch.samples[-1].at
            recorder.send_signal(signal.SIGTERM)
            if recorder.wait(120) or not any(line.get("finished") for line in _said(log)):
                raise Wrong(f"the recorder ended with {recorder.returncode}, not finished:\n{log.read_text()[-1500:]}")
        finally:
            watch.over.set()
            venue.kill()
            venue.wait()
        files = sum(1 for _ in (Path(temporary) / "data").rglob("*.parquet"))
        rate = rate_in(Path(temporary), STEADY_SECONDS - 1)
    busy = watch.cores(now - STEADY_SECONDS + 1, now)
    return {
        "cores": round(busy, 4),
        "memory": watch.memory,
        "files": files,
        "messages_a_second": round(rate),
        "seconds_to_sync": synced,
    }


def _said(log: Path) -> list[dict[str, Any]]:
    """The recorder's log so far."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


def _synced(recorder: subprocess.Popen[bytes], log: Path) -> float:
    """Wait until the recorder says that every subscription is in sync; the seconds that it took."""
    deadline = time.monotonic() + SYNCED_WITHIN
    while time.monotonic() < deadline and recorder.poll() is None:
        for said in _said(log):
            if said.get("event") == "in_sync":
                return float(said["seconds"])
        time.sleep(0.1)
    recorder.kill()
    raise Wrong(f"not in sync after {SYNCED_WITHIN:.0f} s:\n{log.read_text()[-1500:]}")
