"""Questions: what a session asked its venue about silent subscriptions, and what the venue's "no such instrument" proves.

One rule: an answer is taken for the question that was put last, and one "no" proves nothing: two in a row do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xtrader.model.subscription import Subscription
from xtrader.venues.base import Activity, Fetch

SECOND = 1_000_000_000
CONFIRM = 5 * SECOND
"""After a first "no" the venue is asked again."""
SOONEST, LATEST = 60 * SECOND, 600 * SECOND
"""Bounds of the time after which the venue is asked again about an instrument that it no longer knows."""


class Questions:
    """Those of one connection. `make` makes the request about a subscription; `activity` belongs to the session."""

    def __init__(self, make: Callable[[Subscription], Fetch], activity: Mapping[Subscription, Activity]) -> None:
        self._make = make
        self._activity = activity
        self._put: dict[Subscription, tuple[Fetch, int]] = {}
        """The question that waits for its answer, and when it was put."""
        self._due: dict[Subscription, int] = {}
        self._waits: dict[Subscription, int] = {}
        """How long to wait before the next question about an instrument that is gone."""

    def put(self, subscription: Subscription, now: int) -> Fetch:
        """The request to make now; it takes the place of an earlier one that is not answered yet."""
        fetch = self._make(subscription)
        self._put[subscription] = (fetch, now)
        return fetch

    def answered(self, fetch: Fetch) -> tuple[Subscription, int] | None:
        """What an answered request was about and when it was put; None for an earlier question, whose answer means nothing now."""
        for subscription, (last, ts) in self._put.items():
            if last is fetch:
                del self._put[subscription]
                return subscription, ts
        return None

    def no(self, subscription: Subscription, asked: int, now: int) -> bool:
        """The venue does not know the instrument, asked at `asked`. True if that is the second time in a row, and news."""
        if self._activity[subscription].ts_last > asked:
            self._forget(subscription)
            return False
        if subscription in self._waits:
            self._waits[subscription] = min(2 * self._waits[subscription], LATEST)
            self._due[subscription] = now + self._waits[subscription]
            return False
        if subscription not in self._due:
            self._due[subscription] = now + CONFIRM
            return False
        self._waits[subscription] = SOONEST
        self._due[subscription] = now + SOONEST
        return True

    def yes(self, subscription: Subscription) -> bool:
        """The venue knows the instrument. True if it was gone before."""
        was_gone = subscription in self._waits and self._activity[subscription].state == "rejected"
        self._forget(subscription)
        return was_gone

    def due(self, now: int) -> list[Fetch]:
        """The questions that are to be put again now."""
        out = []
        for subscription, ts in list(self._due.items()):
            if subscription in self._waits and self._activity[subscription].state != "rejected":
                self._forget(subscription)
            elif now >= ts and subscription not in self._put:
                out.append(self.put(subscription, now))
        return out

    def _forget(self, subscription: Subscription) -> None:
        self._due.pop(subscription, None)
        self._waits.pop(subscription, None)
