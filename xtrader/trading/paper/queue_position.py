"""Where in a queue a resting order stands: models of how much is displayed before it.

The rule: whole lots, and where a share of them must be rounded, the order stays further behind. `risk_averse` believes only trades.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log1p
from typing import Final, TypeAlias

from xtrader.errors import ConfigError

Forward: TypeAlias = Callable[[int, int, int], int]
"""(lots that went away without a trade, lots before the order, lots behind it) -> how many of them were before it."""
QUEUES: Final = ("risk_averse", "power(3)", "log")


def _none(gone: int, front: int, back: int) -> int:
    return 0


def power(exponent: int) -> Forward:
    """What goes away is from behind with a chance of b^n / (b^n + f^n)."""

    def forward(gone: int, front: int, back: int) -> int:
        before, behind = front**exponent, back**exponent
        return gone * before // (before + behind) if before + behind else 0

    return forward


def _log(gone: int, front: int, back: int) -> int:
    before, behind = log1p(front), log1p(back)
    return int(gone * before / (before + behind)) if before + behind else 0


def queue_model(name: str) -> Forward:
    """The model `risk_averse`, `power(N)` or `log`. Raises ConfigError."""
    if name == "risk_averse":
        return _none
    if name == "log":
        return _log
    digits = name.removeprefix("power(").removesuffix(")")
    if name == f"power({digits})" and digits.isdigit() and 1 <= int(digits) <= 9:
        return power(int(digits))
    raise ConfigError(f"there is no queue model '{name}'; there are risk_averse, power(N) with N from 1 to 9, and log")


class QueuePlace:
    """The place of one order at its price. `front` is how many lots are before it, None while no book says so. `traded` is what
    traded at the price since the level was told last: its depth does not go away twice."""

    __slots__ = ("forward", "front", "traded")

    def __init__(self, displayed: int | None, forward: Forward) -> None:
        self.front = displayed
        self.traded = 0
        self.forward = forward

    def trade(self, lots: int) -> int:
        """Lots traded at the price; returns the excess over what was before the order."""
        if self.front is None:
            return 0
        self.traded += lots
        excess = max(0, lots - self.front)
        self.front = max(0, self.front - lots)
        return excess

    def change(self, before: int, now: int) -> None:
        """The level was told anew: `before` lots were displayed until then, `now` there are."""
        if self.front is None:
            self.front = now
            return
        gone = before - now - self.traded
        self.traded = 0
        if gone > 0 and self.forward is not _none:
            back = max(0, before - self.front)
            forward = self.forward(gone, self.front, back)
            # What cannot have been behind was before it.
            forward += max(0, gone - forward - back)
            self.front = max(0, self.front - forward)
        self.front = min(self.front, now)

    def resync(self, now: int) -> None:
        """A new snapshot after a gap: nobody knows what happened in between."""
        self.traded = 0
        self.front = now if self.front is None else max(self.front, now)
