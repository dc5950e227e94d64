"""What a second core brings: one process on one core against two workers on two, OKX and Deribit books, to finished Parquet.

`python -m bench.workers [--rounds 3] [--messages 150000]`. Messages a wall second, from the difference of a long and a short run,
so that starting up and ending are not in it. Two servers replay the frames. They have the other core while one core is measured,
and share both cores with the workers after that: what they take there counts against the second core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import frames
from bench.check import Wrong, books_in
from bench.frames import Traffic
from bench.run import LONGEST, ROOT, serving

TRAFFICS: tuple[Callable[[int], Traffic], ...] = (frames.okx, frames.deribit)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=150_000, help="of each venue in the long run")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("this needs two cores")
    ratios = []
    for _ in range(arguments.rounds):
        one, two = rate(arguments.messages, 1, cores[1:], cores[0]), rate(arguments.messages, 2, cores, None)
        ratios.append(two / one)
        print(f"one core {one:9,.0f}/s   two cores {two:9,.0f}/s   {two / one:.2f} times", flush=True)
    print(f"median {statistics.median(ratios):.2f} times")


def rate(messages: int, workers: int, cores: Sequence[int], server: int | None) -> float:
    """Messages a wall second, of both venues together. Raises Wrong."""
    short = messages // 5
    return len(TRAFFICS) * (messages - short) / (wall(messages, workers, cores, server) - wall(short, workers, cores, server))


def wall(messages: int, workers: int, cores: Sequence[int], server: int | None) -> float:
    """Seconds of one run, from the start of the recorder to its end. Raises Wrong."""
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary, contextlib.ExitStack() as stack:
        directory = Path(temporary)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("XTRADER_", "DERIBIT_"))}
        authorities, pipes, wanted, subscriptions = b"", [], 0, []
        for make in TRAFFICS:
            traffic = make(messages)
            own = directory / traffic.exchange
            own.mkdir()
            pipe, port, _ = stack.enter_context(serving(traffic, own, None, server))
            environment[f"XTRADER_{traffic.exchange}_WS_URL"] = f"wss://localhost:{port}"
            environment[f"XTRADER_{traffic.exchange}_REST_URL"] = f"https://localhost:{port}"
            authorities += (own / "ca.pem").read_bytes()
            pipes.append(pipe)
            wanted += traffic.books
            subscriptions.append(traffic.subscriptions)
        (directory / "ca.pem").write_bytes(authorities)
        environment |= {
            "SSL_CERT_FILE": str(directory / "ca.pem"),
            "PYTHONPATH": str(ROOT),
            "XTRADER_CACHE_DIRECTORY": str(directory / "cache"),
            "XTRADER_HTTP": "off",
            "XTRADER_OFFLINE_NAMES": "true",
            "XTRADER_WORKERS": str(workers),
        }
        flags = ["--subscriptions", ",".join(subscriptions), "--output-directory", str(directory / "data")]
        with (directory / "log").open("wb") as log:
            began = time.monotonic()
            recorder = subprocess.Popen(
                [sys.executable, "-m", "xtrader", *flags],
                env=environment,
                cwd=directory,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
            delivered = all(pipe.poll(LONGEST) and pipe.recv() is not None for pipe in pipes)
            recorder.send_signal(signal.SIGTERM)
            code = recorder.wait(LONGEST)
        took = time.monotonic() - began
        if not delivered or code or (there := books_in(directory)) != wanted:
            said = (directory / "log").read_text(errors="replace")[-1500:]
            raise Wrong(f"ended with {code}, {there if delivered and not code else 'not all'} of {wanted} messages there:\n{said}")
        return took


if __name__ == "__main__":
    main()
