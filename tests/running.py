"""Runs the recorder as a process of its own, as users do."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def recorder(
    directory: Path, subscriptions: str, variables: Mapping[str, str], *flags: str, into: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`xtrader --subscriptions …` into `directory`/data (or `into`), its log in `directory`/log. Killed on the way out if it
    still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XTRADER_", "DERIBIT_", "QUESTDB_"))}
    environment |= {"XTRADER_CACHE_DIRECTORY": str(directory / "cache"), "XTRADER_MIN_FREE_BYTES": "1MiB", **variables}
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


async def stop(process: asyncio.subprocess.Process, number: int = signal.SIGTERM, within: float = 30) -> int:
    """Tell it to stop; its exit code."""
    process.send_signal(number)
    return await asyncio.wait_for(process.wait(), within)


async def until(condition: Callable[[], object], within: float = 30) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.05)


async def in_sync(directory: Path, times: int = 1, within: float = 60) -> None:
    """Wait until all subscriptions have become live so many times, over all runs that wrote the log."""
    await until(lambda: log_of(directory).count('"in_sync"') >= times, within)


def log_of(directory: Path) -> str:
    return (directory / "log").read_text()
