"""Silence: which subscriptions have been silent for longer than is usual for them, and are worth a question to the venue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from xtrader.clock import SECOND
from xtrader.model.market import UNASKED
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Activity

FIRST_DATA = 10
"""Seconds without a message before the venue is asked, where it is not known what is usual: since the venue acknowledged the
subscription last there was one message at the most, which may be the snapshot that was asked for."""
EXPIRED = 10
"""Seconds without a message, after the time at which it expires, by which an instrument has done so."""
SHORTEST, LONGEST = 10, UNASKED - 30
"""Bounds of the adaptive silence limit, seconds."""
USUAL = 20
"""A silence of so many usual intervals is worth a question."""
ACKNOWLEDGE = 30
"""Seconds within which a subscription must be acknowledged once it was sent."""

Expiry: TypeAlias = Callable[[str], int | None]
"""When the instrument of a key expires by the catalogue, int ns; None if it does not, or that is not known."""


def never(key: str) -> int | None:
    """Of instruments that do not expire."""
    return None


def lost_since(seen: Activity, last_frame: int, unheard: int = 0) -> int:
    """From when on (wall ns) a subscription is not known to have been recorded, when its connection, which was heard last at
    `last_frame`, failed, was replaced or was closed: it may have fallen silent before, but not for longer than it takes to be asked
    after. `unheard` is when that was on the connection before, whose place this one took, if this one brought nothing."""
    last = seen.ts_last or unheard or seen.ts_acked or last_frame
    return max(min(last, last_frame), last_frame - UNASKED * SECOND)


class SilenceWatch:
    """Silence limits that adapt to each subscription's own rate since it was acknowledged; a question that found it merely quiet
    doubles the limit."""

    def __init__(self, expiry: Expiry = never) -> None:
        self._expiry = expiry
        self._acked: dict[Subscription, tuple[int, int]] = {}
        """subscription -> (when last acknowledged, messages that had come before)"""
        self._asked: dict[Subscription, tuple[int, int]] = {}
        """subscription -> (when last asked, how often in this silence)"""

    def due(self, activity: Mapping[Subscription, Activity], now: int) -> list[Subscription]:
        """The subscriptions to probe now, at wall time `now` (ns)."""
        silent = []
        for subscription, seen in activity.items():
            if seen.state == "rejected" or not seen.ts_acked:
                continue
            since = max(seen.ts_last, seen.ts_acked)
            asked_at, times = self._asked.get(subscription, (0, 0))
            if asked_at < since:
                times = 0
            limit = self.limit(seen) * 2**times
            if now - max(since, asked_at if times else 0) > min(limit, LONGEST) * SECOND:
                self._asked[subscription] = (now, min(times + 1, 8))
                silent.append(subscription)
        return silent

    def expired(self, activity: Mapping[Subscription, Activity], now: int) -> dict[Subscription, int]:
        """The subscriptions that have been silent since their instrument expired, with that time (ns)."""
        found = {}
        for subscription, seen in activity.items():
            if seen.state == "rejected" or not seen.ts_acked or (ends := self._expiry(subscription.key)) is None:
                continue
            if now - max(seen.ts_last, seen.ts_acked, ends) > EXPIRED * SECOND:
                found[subscription] = ends
        return found

    def limit(self, seen: Activity) -> float:
        """Seconds of silence that are usual for this subscription."""
        acked, before = self._acked.get(seen.subscription, (seen.ts_acked, 0))
        if acked != seen.ts_acked:
            acked, before = seen.ts_acked, seen.messages
        self._acked[seen.subscription] = acked, before
        messages = seen.messages - before
        if messages < 2:
            return FIRST_DATA
        return min(max(USUAL * (seen.ts_last - acked) / SECOND / messages, SHORTEST), LONGEST)

    def unacknowledged(self, activity: Mapping[Subscription, Activity], sent: int, now: int) -> list[Subscription]:
        """The subscriptions whose request, all of it out since `sent` (wall ns, 0: not yet), was never answered."""
        if not sent or now - sent < ACKNOWLEDGE * SECOND:
            return []
        return [subscription for subscription, seen in activity.items() if not seen.ts_acked and seen.state != "rejected"]
