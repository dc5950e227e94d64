"""Runs the recorder as a process of its own, as users do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.waiting import LIMIT, until, within


@asynccontextmanager
async def recorder(
    directory: Path, subscriptions: str, variables: Mapping[str, str], *flags: str, into: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`xtrader --subscriptions …` into `directory`/data (or `into`), its log in `directory`/log. Killed on the way out if it
    still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XTRADER_", "DERIBIT_", "QUESTDB_"))}
    environment |= {"XTRADER_CACHE_DIRECTORY": str(directory / "cache"), "XTRADER_MIN_FREE_BYTES": "1MiB"}
    environment |= {"XTRADER_HTTP": "off", **variables}
    command = [
        sys.executable,
        "-m",
        "xtrader",
        "--subscriptions",
        subscriptions,
        "--output-directory",
        str(into or directory / "data"),
    ]
    with (directory / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, *flags, env=environment, cwd=directory, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def stop(process: asyncio.subprocess.Process, number: int = signal.SIGTERM) -> int:
    """Tell it to stop; its exit code."""
    process.send_signal(number)
    return await within(process.wait())


async def in_sync(directory: Path, times: int = 1, *, limit: float = LIMIT) -> None:
    """Wait until all subscriptions have become live so many times, over all runs that wrote the log."""
    await logged(directory, '"in_sync"', times, limit=limit)


async def logged(directory: Path, words: str, times: int = 1, *, limit: float = LIMIT) -> None:
    """Wait until the log holds the words so often; if it never does, the failure shows its end."""
    await until(lambda: log_of(directory).count(words) >= times, lambda: log_of(directory)[-3000:], limit=limit)


def log_of(directory: Path) -> str:
    return (directory / "log").read_text()


def both(exchange: str, symbol: str) -> str:
    return f"L2:{exchange}@{symbol},TRADES:{exchange}@{symbol}"


def everything(venues: dict[str, str]) -> str:
    return ",".join(both(exchange, symbol) for exchange, symbol in venues.items())
