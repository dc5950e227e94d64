"""Handover: when a new connection has proven that it can take over from an old one that is to be closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from xtrader.clock import SECOND, Clock
from xtrader.feed.conversation import Conversation
from xtrader.venues.base import Activity

PATIENCE = 60
"""Seconds for the new connection to prove itself."""
BUSY = 10
"""A stream that had a message in so many seconds on average must have one on the new connection too, a book one besides its
snapshot: that may be an answer, and proves no stream."""


async def proven(
    old: Conversation,
    old_task: asyncio.Task[None],
    fresh: Conversation,
    task: asyncio.Task[None],
    linked: Callable[[], bool],
    clock: Clock,
) -> bool:
    """True once the new connection delivers all that the old one does and `linked` says that nothing would be lost.

    If the old connection dies meanwhile, an answering new one is as good as there is.
    """
    deadline = clock.monotonic() + PATIENCE * SECOND
    while not task.done() and clock.monotonic() < deadline:
        if old_task.done():
            return fresh.all_ready.is_set()
        if fresh.all_ready.is_set() and _delivers(old, fresh, clock.now()) and linked():
            return True
        await asyncio.sleep(0.02)
    return False


def _delivers(old: Conversation, fresh: Conversation, now: int) -> bool:
    since = max((now - old.opened_at) / SECOND, 1.0)

    def busy(seen: Activity) -> bool:
        return seen.state != "rejected" and seen.messages > 0 and since / seen.messages < BUSY

    return all(
        fresh.session.activity[subscription].messages > (subscription.stream == "L2")
        for subscription, seen in old.session.activity.items()
        if busy(seen) and subscription in fresh.session.activity
    )
