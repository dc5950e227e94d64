"""A clock that stands still until it is moved."""

from __future__ import annotations


class HandClock:
    """Wall and monotonic time under the test's hand; both in ns."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000_000_000_000
        self.steady = 5_000_000_000_000

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> int:
        return self.steady

    def move(self, seconds: float) -> None:
        self.wall += round(seconds * 1e9)
        self.steady += round(seconds * 1e9)
