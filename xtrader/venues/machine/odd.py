"""Oddities: messages of known subscriptions that could not be used.

One rule: each is counted, and of each kind the first one of a connection is said.
"""

from __future__ import annotations

from collections import Counter

from xtrader.errors import Malformed
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Notice, Output


class Oddities:
    """Those of one connection. `counts` belongs to the session."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._said: set[tuple[str, str]] = set()

    def say(self, subscription: Subscription, error: Malformed) -> list[Output]:
        """Count one; what is to be said of it."""
        self._counts["malformed"] += 1
        kind = (subscription.stream, error.kind)
        if kind in self._said:
            return []
        self._said.add(kind)
        return [Notice("malformed", subscription, error.what)]
