"""Time as a value: everything that needs the time is handed a Clock or a number."""

from __future__ import annotations

import time
from typing import Protocol

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
DAY = 86_400 * SECOND
FOREVER = 2**63 - 1
"""The end of what is open: a time, or an offset in a journal, that never comes."""


class Clock(Protocol):
    """Two clocks: wall time for records, monotonic time for waiting."""

    def now(self) -> int:
        """Wall time, int nanoseconds UTC since the epoch."""
        ...

    def monotonic(self) -> int:
        """Nanoseconds that never step; only differences mean something."""
        ...


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic_ns)
