"""Pace: how often something may be done, as the venues state it: so many in so many seconds, several such limits at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from xtrader.clock import SECOND, Clock

MARGIN = 0.1
"""Seconds by which the way to the venue may bring what was sent apart closer together."""


class Pace:
    """Waits until one more fits under every (count, seconds) limit. Callers are served in the order in which they came."""

    def __init__(self, limits: Sequence[tuple[int, float]], clock: Clock) -> None:
        self._limits = tuple(limits)
        self._clock = clock
        self._longest = max((seconds for _, seconds in limits), default=0.0)
        self._done: deque[tuple[int, int]] = deque()
        self._turn = asyncio.Lock()

    async def wait(self, weight: int = 1) -> None:
        """Return when `weight` more may be done, and count it as done. A weight above a limit's count waits for an empty window."""
        async with self._turn:
            while (delay := self.delay(weight)) > 0:
                await asyncio.sleep(delay)
            self.done(weight)

    def done(self, weight: int) -> None:
        """Count `weight` as done now."""
        self._done.append((self._clock.monotonic(), weight))

    def delay(self, weight: int) -> float:
        """Seconds until `weight` more would fit; 0 if it fits now."""
        now = self._clock.monotonic()
        while self._done and now - self._done[0][0] > (self._longest + MARGIN) * SECOND:
            self._done.popleft()
        longest = 0.0
        for count, stated in self._limits:
            seconds = stated + MARGIN
            room = max(count - weight, 0)
            used = 0
            for at, done in reversed(self._done):
                age = (now - at) / SECOND
                if age >= seconds:
                    break
                used += done
                if used > room:
                    longest = max(longest, seconds - age)
                    break
        return longest
