"""Ends a command's work in order: an interrupt, a termination or the end of its time is a wish that the work looks at."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any


class Stopping:
    """Use it by `with`, in the main thread. `seconds` is how long the work goes on at the most, None for ever."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._until: float | None = None
        self._wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        self._until = None if self._seconds is None else time.monotonic() + self._seconds
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def is_wanted(self) -> bool:
        """Whether the work shall end now."""
        return self._wanted or (self._until is not None and time.monotonic() >= self._until)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._wanted = True
