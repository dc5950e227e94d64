"""Messages per CPU second, TLS socket to finished Parquet, all processes together, beside the bare decode of the same frames.

`python -m bench.whole_path [--messages 200000] [--rounds 3]`. CPU is user + system time of the recorder and its children
(`wait4`); each figure is marginal: the difference between a long and a short run of the same traffic, so that starting Python is
not counted. Every recorded run is read back: all rows must be there and the rebuilt book must be the generator's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.dataset as ds

from bench import server
from bench.frames import Traffic, binance, okx


def cpu_of(command: list[str], environment: dict[str, str], until: Callable[[], object] | None) -> float:
    """CPU seconds of a command and all its children; it is told to stop once `until` returns."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if until is not None:
        until()
        process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}:\n{said.decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def check(traffic: Traffic, directory: Path) -> None:
    """All rows are in the files, and the book that they rebuild is the generator's."""
    books = ds.dataset(directory / "stream=L2", partitioning="hive").to_table()
    assert books.num_rows == traffic.levels, f"{books.num_rows} level rows of {traffic.levels}"
    sides: dict[str, dict[float, float]] = {"bid": {}, "ask": {}}
    for side, price, size in zip(*(books[name].to_pylist() for name in ("side", "price", "size")), strict=True):
        if size:
            sides[side][price] = size
        else:
            sides[side].pop(price, None)
    assert sides == {"bid": traffic.bids, "ask": traffic.asks}, "the rebuilt book is not the generator's"
    trades = len(traffic.routes.get("/market/stream", ()))
    if trades:
        assert ds.dataset(directory / "stream=TRADES", partitioning="hive").count_rows() == trades


def measure(traffic: Traffic, *, bare: bool) -> float:
    """CPU seconds of one run over `traffic`."""
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary:
        directory = Path(temporary)
        ours, theirs = multiprocessing.Pipe()
        serving = multiprocessing.get_context("fork").Process(target=server.main, args=(traffic, directory, theirs, not bare))
        serving.start()
        try:
            port = ours.recv()
            environment = os.environ | {
                "SSL_CERT_FILE": str(directory / "ca.pem"),
                "XTRADER_CACHE_DIRECTORY": str(directory / "cache"),
            }
            if bare:
                routes = [f"{route}={len(payloads)}" for route, payloads in traffic.routes.items()]
                command = [sys.executable, "-m", "bench.bare", f"wss://localhost:{port}", traffic.exchange, *routes]
                return cpu_of(command, environment, None)
            environment[f"XTRADER_{traffic.exchange}_WS_URL"] = f"wss://localhost:{port}"
            environment[f"XTRADER_{traffic.exchange}_REST_URL"] = f"https://localhost:{port}"
            command = [sys.executable, "-m", "xtrader", "--subscriptions", traffic.subscriptions]
            taken = cpu_of([*command, "--output-directory", str(directory / "data")], environment, ours.recv)
            check(traffic, directory / "data")
            return taken
        finally:
            serving.kill()
            serving.join()


def marginal(make: Callable[[int], Traffic], messages: int, rounds: int, *, bare: bool) -> list[float]:
    """CPU microseconds per message, one figure per round."""
    long, short = make(messages), make(messages // 10)
    return [(measure(long, bare=bare) - measure(short, bare=bare)) / (long.messages - short.messages) * 1e6 for _ in range(rounds)]


def main() -> None:
    """Print the table, then the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="book messages in the long run")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result: dict[str, object] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    result["python"] = platform.python_version()
    print(f"{'traffic':<18}{'bare us':>10}{'whole us':>10}{'ratio':>8}{'msg/CPU s':>12}")
    for name, make in (("Binance mix", binance), ("OKX books", okx)):
        bare = marginal(make, arguments.messages, arguments.rounds, bare=True)
        whole = marginal(make, arguments.messages, arguments.rounds, bare=False)
        low, high = statistics.median(bare), statistics.median(whole)
        print(f"{name:<18}{low:>10.2f}{high:>10.2f}{high / low:>8.2f}{1e6 / high:>12,.0f}")
        result[name] = {"bare_us": bare, "whole_us": whole, "ratio": high / low}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
