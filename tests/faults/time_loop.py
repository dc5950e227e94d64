"""An event loop on which waiting takes no time: when nothing can be read, the clock jumps to the next timer.

Sockets, servers and clients are the real ones; both ends live in this loop, so whatever is on its way is there at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
BEGIN = 1_795_000_000_000_000_000
"""Wall time (ns) at which every run begins."""
STALLED = 10.0
"""Real seconds without anything to do after which a run is stuck."""


class _Selector(selectors.DefaultSelector):
    """A selector that waits by moving its loop's time."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            ready = super().select(STALLED)
            if not ready:
                raise RuntimeError("nothing to do and no timer: the run is stuck")
            return ready
        self.elapsed += timeout
        return ready


class TimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.elapsed

    def run_in_executor(self, executor: Any, function: Any, *args: Any) -> Any:
        """Threads take real time: what they do is done here and now."""
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)
        return future


class LoopClock:
    """The loop's time as wall and monotonic clock (int ns); the wall clock can be stepped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stepped = 0

    def monotonic(self) -> int:
        return round(self._loop.time() * 1e9)

    def now(self) -> int:
        return BEGIN + self.stepped + self.monotonic()

    def true(self) -> int:
        """Wall time of a clock that was never stepped."""
        return BEGIN + self.monotonic()

    def step(self, seconds: float) -> None:
        self.stepped += round(seconds * 1e9)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=TimeLoop) as runner:
        return runner.run(main)
