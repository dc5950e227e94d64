"""What breaks recorders for the alerts that are to fire, and which alerts those are."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from tests.deploy.monitoring import Session
from tests.ops.served import served, variables
from tests.running import in_sync, log_of, recorder
from tests.waiting import until

OKX, BINANCE, DERIBIT = "OKX_SWAP@BTC-USDT-SWAP", "BINANCE_FUTURES@BTCUSDT", "DERIBIT@BTC-PERPETUAL"


ALL = bool(os.environ.get("XTRADER_ALERTS"))
RARER = {"XtraderJournalDamaged", "XtraderMemory", "XtraderTableSuspended", "XtraderUploadBehind", "XtraderWorkerGone"}


def both(*keys: str) -> str:
    return ",".join(f"{stream}:{key}" for key in keys for stream in ("L2", "TRADES"))


class Recorders:
    """Recorders in directories of their own below `root`, which may be ended and started again."""

    def __init__(self, root: Path, session: Session) -> None:
        self._root = root
        self._session = session
        self._urls: dict[str, str] = {}
        self._made: dict[str, tuple[str, dict[str, str], Path | None]] = {}
        self._running: dict[str, AsyncExitStack] = {}
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, subscriptions: str, given: dict[str, str], into: Path | None = None) -> None:
        """Returns when all is live."""
        (self._root / name).mkdir()
        self._made[name] = subscriptions, variables(**given), into
        await self.again(name)

    async def again(self, name: str) -> None:
        """The same, as it was."""
        subscriptions, given, into = self._made[name]
        directory = self._root / name
        before = log_of(directory).count('"in_sync"') if (directory / "log").exists() else 0
        running = self._running[name] = AsyncExitStack()
        self.processes[name] = await running.enter_async_context(recorder(directory, subscriptions, given, into=into))
        await in_sync(directory, before + 1)
        self._urls[name] = await served(directory)

    async def scraped(self) -> None:
        """Have Prometheus know all of them; returns when it has asked each."""
        self._session.stack.targets(self._urls)
        await until(lambda: len(self._session.stack.ask("xtrader_alive_state == 1")) == len(self._urls), pause=0.3)

    async def kill(self, name: str) -> None:
        """End it at once."""
        await self._running.pop(name).aclose()

    async def close(self) -> None:
        for name in list(self._running):
            await self.kill(name)
