"""The recorder's side of a delivery: tells its process how far the journal is durable, and hears how far the sink is.

The rule: a delivery is started again for ever; nothing here ever holds a row.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from xtrader.pipeline.children import Child
from xtrader.pipeline.delivery import DeliverySpec, Order, Status

COMMAND: Final = (sys.executable, "-m", "xtrader", "_deliver")


class DeliveryProcess:
    """One delivery. `run` keeps it alive until `finish`. `on_cursor(offset)` is called when the sink's cursor moved;
    `environment` are all variables of the process (None: those of this one)."""

    def __init__(
        self,
        spec: DeliverySpec,
        durable: int,
        *,
        on_cursor: Callable[[int], None] = lambda _: None,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.status: Status | None = None
        """What the delivery said last; None before it ever spoke."""
        self._spec = spec
        self._on_cursor = on_cursor
        self._order = Order(durable)
        self._ordered = asyncio.Event()
        self._child = Child(f"sink {spec.sink.name}", command, talk=self._send, hear=self._take, environment=environment)
        self._moved_to = 0
        self._done = asyncio.Event()

    @property
    def rotate_seconds(self) -> float:
        """How often the sink is asked to make safe what it has taken."""
        return self._spec.sink.rotate_seconds

    @property
    def restarts(self) -> int:
        """How often its process died and was started again."""
        return self._child.restarts

    @property
    def alive(self) -> bool:
        """The process runs and has spoken."""
        return self._child.speaks

    @property
    def ready(self) -> bool:
        """The process runs, has opened its sink, and the sink takes rows."""
        return self.alive and self.status is not None and not self.status.error

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
        return self._child.process.pid if self._child.process is not None else None

    @property
    def finished(self) -> bool:
        """`run` is over: `finish` was carried out, or it was cancelled."""
        return self._done.is_set()

    def advance(self, durable: int) -> None:
        """The journal is durable up to this offset."""
        self._order = msgspec.structs.replace(self._order, durable=durable)
        self._ordered.set()

    def set_levels(self, levels: str) -> None:
        """What its log says from now on, now and whenever it is started again: `info,sinks=debug`."""
        self._order = msgspec.structs.replace(self._order, levels=levels)
        self._ordered.set()

    async def run(self) -> None:
        """Keep the delivery running; returns after `finish` was carried out."""
        try:
            await self._child.run(lambda code: code == 0 and self._order.finish, self._has_moved)
        finally:
            self._done.set()

    async def finish(self, timeout: float) -> bool:
        """Have the delivery carry everything up to the last `advance` and leave; `run` returns then. False if it was not done in
        `timeout` seconds: then it is killed, `run` must be cancelled, and the next recorder finishes its work."""
        self._order = msgspec.structs.replace(self._order, finish=True)
        self._ordered.set()
        self._child.hurry()
        try:
            await asyncio.wait_for(self._done.wait(), timeout)
        except TimeoutError:
            self._child.kill()
            return False
        return True

    def _has_moved(self) -> bool:
        before, self._moved_to = self._moved_to, self.status.position if self.status is not None else 0
        return self._moved_to > before

    def _take(self, line: bytes) -> None:
        cursor = self.status.cursor if self.status is not None else -1
        self.status = status = msgspec.json.decode(line, type=Status)
        if status.cursor != cursor:
            self._on_cursor(status.cursor)

    async def _send(self, stdin: asyncio.StreamWriter) -> None:
        """The spec, then the newest order whenever there is one: a slow delivery skips the ones between. Ends when the
        delivery listens no more: uvloop takes a write to a closed pipe for a mistake of the program, not for an OSError."""
        stdin.write(msgspec.json.encode(self._spec) + b"\n")
        self._ordered.set()
        while True:
            await self._ordered.wait()
            if stdin.is_closing():
                return
            self._ordered.clear()
            stdin.write(msgspec.json.encode(self._order) + b"\n")
            await stdin.drain()
