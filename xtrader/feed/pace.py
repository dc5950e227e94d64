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

    async def wait(self, weight: int = 1, *, evenly: bool = False) -> None:
        """Return when `weight` more may be done, and count it as done. A weight above a limit's count waits for an empty window.
        `evenly`: no sooner than `spread` says."""
        async with self._turn:
            while (delay := max(self.delay(weight), self.spread() if evenly else 0.0)) > 0:
                await asyncio.sleep(delay)
            self.done(weight)

    def done(self, weight: int) -> None:
        """Count `weight` as done now."""
        self._done.append((self._clock.monotonic(), weight))

    def spread(self) -> float:
        """Seconds until one more is due where what is left of each limit is to last until its window has passed: whoever uses a
        long limit up at once is shut out for the rest of it. Nothing is spread before half of a limit is used."""
        now = self._forget()
        longest = 0.0
        for count, stated in self._limits:
            seconds = stated + MARGIN
            within = [(at, done) for at, done in self._done if now - at < seconds * SECOND]
            used = sum(done for _, done in within)
            if used and 2 * used >= count:
                gap = (seconds - (now - within[0][0]) / SECOND) / (max(count - used, 0) + 1)
                longest = max(longest, gap - (now - within[-1][0]) / SECOND)
        return longest

    def delay(self, weight: int) -> float:
        """Seconds until `weight` more would fit; 0 if it fits now."""
        now = self._forget()
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

    def share(self) -> float:
        """How much of the limit that is used most is used now, 0 to 1."""
        now = self._forget()
        shares = [
            sum(done for at, done in self._done if now - at < (seconds + MARGIN) * SECOND) / count
            for count, seconds in self._limits
        ]
        return min(max(shares, default=0.0), 1.0)

    def _forget(self) -> int:
        """Let go of what no limit counts any more; returns the time now (monotonic ns)."""
        now = self._clock.monotonic()
        while self._done and now - self._done[0][0] > (self._longest + MARGIN) * SECOND:
            self._done.popleft()
        return now
