"""`python -m xtrader.emulator BINANCE_FUTURES OKX_SWAP`: emulated venues as a process of their own.

Its one rule: standard output holds nothing but `export NAME=value` lines, complete once the venues listen.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError


async def serve(emulator: Emulator) -> None:
    """Serve until SIGINT or SIGTERM; print the variables once everything listens."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with emulator:
        print(*(f"export {name}={value}" for name, value in emulator.variables.items()), sep="\n", flush=True)
        ended = [asyncio.create_task(stopped.wait()), asyncio.create_task(emulator.wait())]
        done, pending = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m xtrader.emulator", description="Exchanges on loopback.")
    parser.add_argument("exchanges", nargs="+", metavar="EXCHANGE")
    parser.add_argument("--port", type=int, default=0, help="port of the first exchange, the next ones follow; 0 takes any")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--instruments", type=int, default=4, help="per exchange")
    parser.add_argument("--rate", type=float, default=1000.0, help="messages a second, over everything; half of them trades")
    parser.add_argument("--operations", type=float, default=8.0, help="orders behind a book message, about as many levels")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="write what is published to DIR/truth.jsonl")
    arguments = parser.parse_args()
    try:
        emulator = Emulator(
            [exchange.upper() for exchange in arguments.exchanges],
            seed=arguments.seed,
            instruments=arguments.instruments,
            rate=arguments.rate,
            operations=arguments.operations,
            port=arguments.port,
            truth_directory=arguments.truth,
        )
    except ConfigError as error:
        parser.error(str(error))
    run(serve(emulator))


if __name__ == "__main__":
    main()
