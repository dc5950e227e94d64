"""ClockOffset: how far this machine's clock is ahead of a venue's, from what comes anyway.

The rule: bounds that are proven, never a guess: an answer's `Date` says in which second it was made, between our asking and our
hearing; and nothing is received before it happened.
"""

from __future__ import annotations

from collections import deque
from email.utils import parsedate_to_datetime
from typing import Final

from xtrader.clock import SECOND

WINDOW: Final = 600 * SECOND
"""What is older proves nothing of now: clocks are set, and drift."""
KEPT: Final = 64


class ClockOffset:
    """All times are int nanoseconds; those called `now` are wall times of this machine."""

    def __init__(self) -> None:
        self._lows: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._highs: deque[tuple[int, int]] = deque(maxlen=KEPT)
        """(when, bound): the offset is at least, at most that."""

    def answered(self, date: str, sent: int, received: int) -> None:
        """An answer came to what was asked at `sent`; `date` is its header, ignored if it is none."""
        try:
            second = int(parsedate_to_datetime(date).timestamp()) * SECOND
        except (ValueError, TypeError, OverflowError):
            return
        self._lows.append((received, sent - second - SECOND))
        self._highs.append((received, received - second))

    def lagged(self, least: int, now: int) -> None:
        """The least time from an event, by the venue's clock, to its receipt, by ours, was `least`."""
        if self._highs and self._highs[-1][1] <= least and now - self._highs[-1][0] < WINDOW // KEPT:
            return
        self._highs.append((now, least))

    def bounds(self, now: int) -> tuple[float | None, float | None]:
        """(offset, error) in seconds: the truth is within `error` of the offset, or, where `error` is None, at most the offset.
        Both are None while nothing is known."""
        lows = [bound for when, bound in self._lows if 0 <= now - when <= WINDOW]
        highs = [bound for when, bound in self._highs if 0 <= now - when <= WINDOW]
        if not highs:
            return None, None
        high = min(highs)
        if not lows:
            return high / SECOND, None
        # What contradicts itself, because a clock was set meanwhile, is as wide as it contradicts.
        low = max(lows)
        return (low + high) / 2 / SECOND, abs(high - low) / 2 / SECOND
