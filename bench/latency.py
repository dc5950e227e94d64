"""How long a record takes through the recorder, and what a message costs when messages come one by one.

The rule: times are compared within one machine's wall clock; the first tenth of each run warms up and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bench import frames, run
from bench.check import Wrong
from bench.contenders import CONTENDERS, LATENCY
from bench.cores import Cores
from bench.frames import Traffic
from bench.run import Run
from bench.server import Pace

RATES = ((1_000, 6), (50_000, 4))
"""(messages a second, seconds)"""
PACED = 4_000
PACED_CONTENDERS = ("socket", "decode", "xtrader, records", "xtrader, journal", "xtrader, Parquet")


def measure(results: dict[str, Any], keep: Callable[[], None], rounds: int) -> None:
    """Fill `latency` (microseconds by rate) and `paced` (CPU microseconds per message by contender), a list of rounds each."""
    for rate, seconds in RATES:
        rows: list[dict[str, Any]] = results.setdefault("latency", {}).setdefault(str(rate), [])
        for _ in range(rounds - len(rows)):
            try:
                rows.append(latency(frames.binance(rate * seconds // 2), rate))
            except Wrong as wrong:
                print(f"latency at {rate:,} a second: does not count: {wrong}", flush=True)
                break
            keep()
            print(f"latency at {rate:,} a second, p50/p99 us: {rows[-1]}", flush=True)
    long, short = frames.binance(PACED * 5 // 2), frames.binance(PACED // 2)
    costs: dict[str, list[float]] = results.setdefault("paced", {})
    for number in range(rounds):
        for contender in CONTENDERS:
            mine = costs.setdefault(contender.name, []) if contender.name in PACED_CONTENDERS else None
            if mine is None or len(mine) > number:
                continue
            try:
                cpu = [run.run(contender, traffic, Cores.here(), pace=Pace(PACED)).cpu for traffic in (short, long)]
            except Wrong as wrong:
                print(f"paced at {PACED:,} a second: {contender.name:<20} does not count: {wrong}", flush=True)
            else:
                mine.append((cpu[1] - cpu[0]) / (long.messages - short.messages) * 1e6)
                keep()
                print(f"paced at {PACED:,} a second: {contender.name:<20} {mine[-1]:8.2f} us", flush=True)


def latency(traffic: Traffic, rate: int) -> dict[str, list[float]]:
    """[p50, p99] in microseconds of each way."""
    ways = ways_of(run.run(LATENCY, traffic, Cores.here(), pace=Pace(rate)))
    return {way: [percentile(values, percent) for percent in (50, 99)] for way, values in ways.items()}


def ways_of(done: Run) -> dict[str, list[int]]:
    """Nanoseconds of each record on each way."""
    ways: dict[str, list[int]] = {"read to handed on": [], "sent to handed on": [], "sent to journaled": []}
    for channel, name in ((frames.BOOK, "books"), (frames.TRADES, "trades")):
        times: list[list[int]] = done.answer.extra[name]  # type: ignore[assignment]
        if channel not in done.sent:
            raise Wrong(f"nothing was paced on the channel of {name}")
        sent = done.sent[channel]
        # What was sent before the book's snapshot was asked for is not paced, and the snapshot was not sent: align the ends.
        count = min(len(sent), len(times)) * 9 // 10
        for begun, (read, handed, journaled) in zip(sent[-count:], times[-count:], strict=True):
            ways["read to handed on"].append(handed - read)
            ways["sent to handed on"].append(handed - begun)
            ways["sent to journaled"].append(journaled - begun)
    return ways


def percentile(values: list[int], percent: float) -> float:
    """The nearest-rank percentile of nanoseconds, in microseconds."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)] / 1000
