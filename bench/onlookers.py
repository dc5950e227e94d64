"""What those who look cost a recorder: `python -m bench.onlookers [--seconds 60] [--rate 4000] [--subscriptions 1000]`.

Read to record: the whole recorder runs once. Nobody looks at it for three seconds, then somebody asks for /metrics, /ready and the
page's facts each second, and 200 slow clients send half a request or read nothing of a long answer; and so on in turn. What is
compared is the time from the socket to the record, of the records of either kind of seconds. Then, beside a recorder of many
subscriptions of emulated venues: how long /metrics takes, and when the page shows its rows in a browser, beside an empty page.

The rule: both kinds of seconds are of one run, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from bench import frames, run
from bench.contenders import LATENCY
from bench.cores import Cores
from bench.latency import percentile
from bench.server import Pace
from xtrader.emulator.server import Emulator

PHASE = 3.0
"""Seconds in which somebody looks, or nobody."""
SLOW = 200
ASKED = 30
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Onlookers(threading.Thread):
    """Looks, and does not, in turn; `phases` has (wall ns, whether somebody looks from then on)."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.phases: list[tuple[int, bool]] = []
        self.over = threading.Event()
        self.asked = self.failed = 0
        self._port = port

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), 0.2).close()
                break
            time.sleep(0.1)
        is_looking = False
        while not self.over.is_set():
            self.phases.append((time.time_ns(), is_looking))
            if is_looking:
                self._look()
            else:
                self.over.wait(PHASE)
            is_looking = not is_looking

    def _look(self) -> None:
        end = time.monotonic() + PHASE
        clients = [self._slow(number) for number in range(SLOW)]
        try:
            while time.monotonic() < end and not self.over.is_set():
                begun = time.monotonic()
                for path in ("/metrics", "/ready", "/page.json"):
                    self._ask(path)
                self.over.wait(max(1.0 - (time.monotonic() - begun), 0))
        finally:
            for client in clients:
                if client is not None:
                    client.close()

    def _slow(self, number: int) -> socket.socket | None:
        """Half a request, or a whole one whose answer nobody reads."""
        try:
            client = socket.create_connection(("127.0.0.1", self._port), 5)
            whole = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"
            client.sendall(whole if number % 4 == 0 else whole[: number % 30 + 1])
        except OSError:
            self.failed += 1
            return None
        return client

    def _ask(self, path: str) -> None:
        try:
            with OPENER.open(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                answer.read()
            self.asked += 1
        except OSError:
            self.failed += 1


def read_to_record(rate: int, seconds: float) -> tuple[dict[bool, list[float]], Onlookers]:
    """p99 (microseconds) of each phase, apart by whether somebody looked."""
    port = free_port()

    class Served(type(LATENCY)):  # type: ignore[misc]
        def environment(self, task: Any) -> dict[str, str]:
            return {**super().environment(task), "XTRADER_HTTP": f"127.0.0.1:{port}"}

    contender = Served(**{field.name: getattr(LATENCY, field.name) for field in dataclasses.fields(LATENCY)})
    looking = Onlookers(port)
    looking.start()
    run.LONGEST = 10 * seconds
    try:
        done = run.run(contender, frames.binance(int(rate * seconds) // 2), Cores.here(), pace=Pace(rate))
    finally:
        looking.over.set()
        looking.join()
    times: list[tuple[int, int]] = sorted(
        (read, handed - read)
        for name in ("books", "trades")
        for read, handed, _ in done.answer.extra[name]  # type: ignore[attr-defined]
    )
    found: dict[bool, list[float]] = {False: [], True: []}
    borders = [*looking.phases, (2**63 - 1, False)]
    position = 0
    for (begun, is_looking), (ended, _) in pairwise(borders):
        while position < len(times) and times[position][0] < begun:
            position += 1
        first = position
        while position < len(times) and times[position][0] < ended:
            position += 1
        if position - first > rate * PHASE / 2:
            found[is_looking].append(percentile([took for _, took in times[first:position]], 99))
    return found, looking


async def many(subscriptions: int) -> dict[str, Any]:
    """Milliseconds for /metrics, and until the page shows rows (beside an empty page), of a recorder of so many subscriptions."""
    port = free_port()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as directory:
        async with Emulator(["BINANCE_FUTURES"], instruments=subscriptions // 2, rate=1000) as emulator:
            names = list(emulator.venues["BINANCE_FUTURES"].boards)
            wanted = ",".join(f"{stream}:BINANCE_FUTURES@{name}" for name in names for stream in ("L2", "TRADES"))
            environment = {name: value for name, value in os.environ.items() if not name.startswith("XTRADER_")}
            environment |= {
                **emulator.variables,
                "XTRADER_HTTP": f"127.0.0.1:{port}",
                "SUBSCRIPTIONS": wanted,
                "HOME": directory,
                "XTRADER_MIN_FREE_BYTES": "1MiB",
            }
            with (Path(directory) / "log").open("wb") as log:
                recorder = subprocess.Popen([sys.executable, "-m", "xtrader"], cwd=directory, env=environment, stderr=log)
            try:
                url = f"http://127.0.0.1:{port}"
                async with asyncio.timeout(300):
                    while _live(await _get(f"{url}/metrics")) < subscriptions:
                        await asyncio.sleep(1)
                took = []
                for _ in range(ASKED):
                    begun = time.monotonic()
                    text = (await _get(f"{url}/metrics")).encode()
                    took.append((time.monotonic() - begun) * 1000)
                    await asyncio.sleep(0.2)
                found["metrics"] = {"KiB": len(text) >> 10, "fastest": min(took), "median": median(took)}
                found["page"] = await _page(url)
            finally:
                recorder.terminate()
                recorder.wait()
    return found


def _live(text: str) -> int:
    return sum(line.endswith(" 1") for line in text.splitlines() if line.startswith("xtrader_subscription_live_state{"))


async def _page(url: str) -> dict[str, Any]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return {"left out": "there is no Chromium"}
    from playwright.async_api import async_playwright

    rows, empty = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(6):
            for place, took in ((f"{url}/health", empty), (url, rows)):
                page = await browser.new_page()
                begun = time.monotonic()
                await page.goto(place)
                if place == url:
                    await page.wait_for_selector("#rows .row")
                took.append((time.monotonic() - begun) * 1000)
                await page.close()
        await browser.close()
    return {"rows": min(rows), "rows, median": median(rows), "empty page": min(empty), "empty page, median": median(empty)}


async def _get(url: str) -> str:
    def get() -> str:
        with contextlib.suppress(OSError), OPENER.open(url, timeout=30) as answer:
            return str(answer.read().decode())
        return ""

    return await asyncio.to_thread(get)


def free_port() -> int:
    """One that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def shown(found: dict[bool, list[float]]) -> Iterator[str]:
    """The lines for people."""
    for is_looking, name in ((False, "nobody looks"), (True, "all look")):
        values = found[is_looking]
        spread = f"median {median(values):.1f}, {min(values):.1f} to {max(values):.1f}"
        yield f"{name:<13} p99 read to record, us, of {len(values)} phases: {spread}"
    yield f"ratio of the medians: {median(found[True]) / median(found[False]):.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--subscriptions", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()}, {os.cpu_count()} cores", flush=True)
    if arguments.seconds:
        found, looking = read_to_record(arguments.rate, arguments.seconds)
        print("\n".join(shown(found)), f"\n{looking.asked} answers, {looking.failed} failed", flush=True)
    if arguments.subscriptions:
        for name, values in asyncio.run(many(arguments.subscriptions)).items():
            print(name, {key: round(value, 1) if isinstance(value, float) else value for key, value in values.items()}, flush=True)


if __name__ == "__main__":
    main()
