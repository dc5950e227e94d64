"""The recorder's side of a lane: starts the process, tells it how far the journal is durable, and starts it again when it dies.

The rule: a lane is restarted for ever; nothing here ever holds a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from xtrader.pauses import Pauses
from xtrader.pipeline.lane import LaneSpec, Order, Status

COMMAND: Final = (sys.executable, "-m", "xtrader", "_lane")
FIRST_PAUSE: Final = 0.1

log = structlog.get_logger()


class LaneProcess:
    """One lane. `run` keeps it alive until `finish`. `on_cursor(offset)` is called when the sink's cursor moved;
    `environment` are all variables of the process (None: those of this one)."""

    def __init__(
        self,
        spec: LaneSpec,
        durable: int,
        *,
        on_cursor: Callable[[int], None] = lambda _: None,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.status: Status | None = None
        """What the lane said last; None before it ever spoke."""
        self.restarts = 0
        self._spec = spec
        self._command = command
        self._environment = environment
        self._on_cursor = on_cursor
        self._order = Order(durable)
        self._ordered = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._speaks = False
        self._finishing = asyncio.Event()
        self._done = asyncio.Event()

    @property
    def ready(self) -> bool:
        """The process runs, has opened its sink, and the sink takes rows."""
        return self._speaks and self.status is not None and not self.status.error

    @property
    def backlog(self) -> int:
        """Durable journal bytes that the sink has not read yet."""
        return self._order.durable - (self.status.position if self.status is not None else 0)

    @property
    def settled(self) -> bool:
        """The sink needs nothing more of what is durable."""
        return self.status is not None and self.status.cursor >= self._order.durable

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def advance(self, durable: int) -> None:
        """The journal is durable up to this offset."""
        self._order = Order(durable, self._order.finish)
        self._ordered.set()

    async def run(self) -> None:
        """Keep the lane running; returns after `finish` was carried out."""
        pauses = Pauses(first=FIRST_PAUSE)
        try:
            while True:
                moved = self.status.position if self.status is not None else 0
                code = await self._run_once()
                if code == 0 and self._order.finish:
                    return
                achieved = self.status is not None and self.status.position > moved
                is_ending = self._finishing.is_set()
                pause = pauses.after_failure(achieved=achieved, ending=is_ending)
                self.restarts += 1
                log.warning("lane_died", code=code, sink=self._spec.sink.name, seconds=round(pause, 2))
                await self._pause(pause, is_ending)
        finally:
            self._done.set()

    async def finish(self, timeout: float) -> bool:
        """Have the lane carry everything up to the last `advance` and leave; `run` returns then. False if it was not done in
        `timeout` seconds: then it is killed, `run` must be cancelled, and the next recorder finishes its work."""
        self._order = Order(self._order.durable, finish=True)
        self._ordered.set()
        self._finishing.set()
        try:
            await asyncio.wait_for(self._done.wait(), timeout)
        except TimeoutError:
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            return False
        return True

    async def _pause(self, seconds: float, is_ending: bool) -> None:
        """Wait; less long if `finish` is called meanwhile."""
        if is_ending:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finishing.wait(), seconds)

    async def _run_once(self) -> int:
        """Start the process and talk to it until it is gone; returns its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=self._environment
        )
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        sender = asyncio.create_task(self._send(process.stdin))
        try:
            async for line in process.stdout:
                self._take(msgspec.json.decode(line, type=Status))
            return await process.wait()
        finally:
            self._speaks = False
            sender.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sender
            await process.wait()

    def _take(self, status: Status) -> None:
        cursor = self.status.cursor if self.status is not None else -1
        self.status = status
        self._speaks = True
        if status.cursor != cursor:
            self._on_cursor(status.cursor)

    async def _send(self, stdin: asyncio.StreamWriter) -> None:
        """The spec, then the newest order whenever there is one: a lane that is slow to listen skips the ones between. Ends when
        the lane listens no more: uvloop takes a write to a closed pipe for a mistake of the program, not for an OSError."""
        stdin.write(msgspec.json.encode(self._spec) + b"\n")
        self._ordered.set()
        while True:
            await self._ordered.wait()
            if stdin.is_closing():
                return
            self._ordered.clear()
            stdin.write(msgspec.json.encode(self._order) + b"\n")
            await stdin.drain()
