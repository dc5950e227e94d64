"""Budget: the REST weight of one address over the venue's interval, and how deep a snapshot it can afford."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from xtrader.clock import SECOND, Clock

USABLE = 0.8
"""Share of the venue's limit that is used: the rest is for people and programs behind the same address."""

RESERVE = 0.25
"""Share of it that requests without haste leave for those that cannot wait."""


class Budget:
    """Weight spent in a sliding window. What the venue says was used replaces our own sum when it is higher. `share` is how much
    of the limit this process may spend itself, where others record beside it."""

    def __init__(self, weight: int, seconds: float, clock: Clock, share: float = 1.0) -> None:
        self.limit = int(weight * USABLE)
        self.own = int(self.limit * share)
        self.reserve = int(self.own * RESERVE)
        self.seconds = seconds
        self._clock = clock
        self._spent: deque[tuple[int, int]] = deque()
        self._total = 0
        self._foreign = 0
        self._foreign_until = 0
        self.blocked_until = 0
        self.waiting = 0

    def narrow(self, weight: int, seconds: float) -> None:
        """Stay inside the limit of `weight` in `seconds` as well."""
        self.limit = min(self.limit, int(weight * USABLE * self.seconds / seconds))

    def left(self) -> int:
        """Weight that may be spent now."""
        now = self._clock.monotonic()
        horizon = now - int(self.seconds * SECOND)
        while self._spent and self._spent[0][0] <= horizon:
            self._total -= self._spent.popleft()[1]
        foreign = self._foreign if now < self._foreign_until else 0
        return min(self.own, self.limit - foreign) - self._total

    def delay(self, weight: int) -> float:
        """Seconds to wait before `weight` may be spent; 0 if now."""
        now = self._clock.monotonic()
        if now < self.blocked_until:
            return (self.blocked_until - now) / SECOND
        if self.left() >= min(weight, self.own):
            return 0.0
        if self._spent:
            return max((self._spent[0][0] - now) / SECOND + self.seconds, 0.01)
        return max((self._foreign_until - now) / SECOND, 0.01)

    def spend(self, weight: int) -> None:
        """Count `weight` as spent now."""
        self._spent.append((self._clock.monotonic(), weight))
        self._total += weight

    def observe(self, used: int) -> None:
        """The venue says that `used` was spent in its interval, by us and by others behind the same address."""
        self.left()
        self._foreign = max(used - self._total, 0)
        self._foreign_until = self._clock.monotonic() + int(self.seconds * SECOND)

    def block(self, seconds: float) -> None:
        """The venue told us to stay away."""
        self.blocked_until = max(self.blocked_until, self._clock.monotonic() + int(seconds * SECOND))

    def choose(self, depths: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """The deepest (limit, weight) that every waiting request could have as well; the shallowest if none could."""
        left = self.left()
        for depth in depths:
            if depth[1] * max(self.waiting, 1) <= left:
                return depth
        return depths[-1]
