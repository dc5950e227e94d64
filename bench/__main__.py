"""`make bench`: every contender on every traffic, several rounds, medians and ratios as a table and as JSON.

`python -m bench [--quick] [--rounds 3] [--messages 50000] [--only TEXT] [--fresh] [--recorded FILE]`. What was measured is kept in
bench/.results/results.json after each run, so that a second start goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import curves, frames, latency, recorded, report, run
from bench.check import Wrong
from bench.contenders import CONTENDERS, Contender
from bench.cores import Cores
from bench.database import questdb
from bench.environments import LeftOut, installed
from bench.frames import Traffic

RESULTS = Path(__file__).parent / ".results" / "results.json"
TRAFFICS: dict[str, Callable[[int], Traffic]] = {
    "Binance mix": frames.binance,
    "OKX books": frames.okx,
    "Deribit books": frames.deribit,
}


def main() -> None:
    """Measure what is missing, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of fewer messages: about four minutes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=50_000, help="book messages of a long run")
    parser.add_argument("--only", default="", help="only contenders whose name holds this text")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--recorded", type=Path, help="a hftbacktest recording of BTCUSDT (USD-M) to replay as well")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rounds, messages = (1, 20_000) if arguments.quick else (arguments.rounds, arguments.messages)
    traffics = {name: functools.lru_cache(make) for name, make in TRAFFICS.items()}
    if arguments.recorded is not None:
        recording = recorded.load(arguments.recorded)
        traffics["Binance recorded"] = functools.lru_cache(recording.traffic)
    results = load(arguments.results, {"messages": messages, "recorded": bool(arguments.recorded)}, fresh=arguments.fresh)
    keep = keeper(arguments.results, results)
    wanted = [contender for contender in CONTENDERS if arguments.only in contender.name]
    ready = prepare(wanted, results)
    with questdb(results["left_out"]) as port:
        if port is None:
            ready = [contender for contender in ready if not contender.questdb]
        for number in range(rounds):
            for name, make in traffics.items():
                for contender in ready:
                    if name.replace("recorded", "mix") in contender.traffics:
                        throughput(results, keep, contender, name, make, messages, number, port or 0)
    if not arguments.only:
        latency.measure(results, keep, rounds)
        if not arguments.quick:
            curves.measure(results, keep)
    print(report.table(results))
    if not arguments.only and not arguments.quick:
        report.write(results)


def load(path: Path, options: dict[str, Any], *, fresh: bool) -> dict[str, Any]:
    """What was measured before with the same options, or a new beginning."""
    if path.exists() and not fresh:
        before: dict[str, Any] = json.loads(path.read_text())
        if before["options"] == options:
            return before
    machine = run.machine()
    return {
        "options": options,
        "machine": machine,
        "date": time.strftime("%Y-%m-%d"),
        "versions": {},
        "left_out": {},
        "throughput": {},
    }


def keeper(path: Path, results: dict[str, Any]) -> Callable[[], None]:
    """The function that writes the results to the disk, whole or not at all."""

    def keep() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(results, indent=1))
        os.replace(temporary, path)

    return keep


def prepare(wanted: list[Contender], results: dict[str, Any]) -> list[Contender]:
    """The contenders that can run here; the others are named with the reason."""
    ready = []
    for contender in wanted:
        try:
            python = contender.python()
        except LeftOut as reason:
            results["left_out"][contender.name] = str(reason)
            print(f"left out: {contender.name}: {reason}", flush=True)
            continue
        results["left_out"].pop(contender.name, None)
        results["versions"][contender.peer.name if contender.peer else "xtrader"] = installed(python)
        ready.append(contender)
    return ready


def throughput(
    results: dict[str, Any],
    keep: Callable[[], None],
    contender: Contender,
    name: str,
    make: Callable[[int], Traffic],
    messages: int,
    number: int,
    port: int,
) -> None:
    """One round of one contender on one traffic, unless it is there already."""
    rows: list[dict[str, Any]] = results["throughput"].setdefault(name, {}).setdefault(contender.name, [])
    if len(rows) > number or any("error" in row for row in rows):
        return
    try:
        row = run.marginal(contender, make, int(messages * contender.share), Cores.here(), port)
        said = f"{row['cpu_us']:8.2f} us"
    except Wrong as wrong:
        row = {"error": str(wrong)}
        said = f"does not count: {wrong}"
    rows.append(row)
    keep()
    print(f"round {number + 1}  {name:<17} {contender.name:<30} {said}", flush=True)


if __name__ == "__main__":
    main()
