"""Keeper: one link kept alive for ever. A fresh session per attempt, the one place that waits between attempts, and Coverage rows
on every loss. A planned replacement is proven before the old connection is let go."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from xtrader.clock import SECOND, Clock
from xtrader.errors import CredentialsRejected, ProtocolError, Unresponsive, retryable
from xtrader.feed.conversation import Conversation, Raw
from xtrader.feed.coverage import CoverageTracker
from xtrader.feed.handover import Handover
from xtrader.feed.pace import Pace
from xtrader.feed.rest import Rest
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Link, Market

log = structlog.get_logger("xtrader.feed")

LONGEST_WAIT = 30.0
"""Seconds between attempts at the most."""
SETTLED = 10
"""Seconds that a connection must have delivered before its loss is treated as a first one."""
REPLACE_AT = 0.95
"""Share of a link's lifetime after which it is replaced, less a little chance so that links do not go together."""
REPLACE_AGAIN = 60.0
"""Seconds before a replacement that could not be proven is tried again."""


class Keeper:
    """Keeps one link. `put` takes every record, Coverage rows closed and opened by the tracker."""

    def __init__(
        self,
        market: Market,
        link: Link,
        *,
        cause: str,
        rest: Rest,
        clock: Clock,
        put: Callable[[Trade | BookUpdate | Coverage], None],
        tracker: CoverageTracker,
        connects: Pace,
        raw: Callable[[Link], Raw | None],
    ) -> None:
        self.link = link
        self.reconnects = 0
        self.gaps: Counter[Subscription] = Counter()
        self.current: Conversation | None = None
        self._market = market
        self._cause = cause
        self._rest = rest
        self._clock = clock
        self._put = put
        self._tracker = tracker
        self._connects = connects
        self._raw = raw
        self._resume: dict[str, int] = {}
        self._earlier: Counter[Subscription] = Counter()
        self._was_live = False

    def record(self, record: Trade | BookUpdate | Coverage) -> None:
        """Hand a record on; a Coverage row together with the close of the interval that it ends."""
        if type(record) is Coverage:
            if record.state == "gap":
                self.gaps[Subscription(record.stream, *record.instrument.split("@", 1))] += 1
            for row in self._tracker.rows(record):
                self._put(row)
        else:
            self._put(record)

    def messages(self) -> Counter[Subscription]:
        """Messages taken per subscription, over all connections."""
        current = self.current.session.activity if self.current is not None else {}
        return self._earlier + Counter({subscription: seen.messages for subscription, seen in current.items()})

    async def run(self) -> None:
        """Never returns. Raises what trying again cannot help: wrong credentials at the first attempt, storage errors, bugs."""
        attempt = 0
        while True:
            await self._connects.wait()
            began = self._clock.monotonic()
            conversation = self._begin(self._cause, self._resume, self.record)
            error = await self._until_lost(conversation)
            lasted = self._clock.monotonic() - began
            conversation = self.current or conversation
            self._resume.update(conversation.session.resume())
            if isinstance(error, CredentialsRejected) and self._was_live:
                log.error("credentials_rejected", link=self.link.name, error=str(error))
            elif not retryable(error):
                raise error
            self._lost(conversation, error)
            settled = conversation.all_ready.is_set() and conversation.received and lasted > SETTLED * SECOND
            attempt = 1 if settled else attempt + 1
            delay = backoff(attempt)
            log.warning("disconnected", link=self.link.name, error=str(error), attempt=attempt, retry_in=round(delay, 2))
            self.reconnects += 1
            await asyncio.sleep(delay)

    def lost(self, cause: str, detail: str) -> None:
        """Declare everything on this link not recorded from its last frame on (the recorder itself is stopping)."""
        since = self.current.last_frame if self.current is not None else 0
        self._gap(cause, detail, since or self._clock.now())

    def _use(self, conversation: Conversation) -> None:
        self._earlier = self.messages()
        self.current = conversation

    def _begin(self, cause: str, resume: Mapping[str, int], emit: Callable[[Trade | BookUpdate | Coverage], None]) -> Conversation:
        session = self._market.session(self.link, cause, resume)
        return Conversation(
            self._market, self.link, session, rest=self._rest, clock=self._clock, emit=emit, raw=self._raw(self.link)
        )

    async def _until_lost(self, conversation: Conversation) -> BaseException:
        """Run `conversation`, and what replaces it, until the connection in use is lost; the error that ended it."""
        self._use(conversation)
        task = asyncio.create_task(conversation.run())
        replace_at = self._replace_at()
        try:
            while True:
                await asyncio.wait({task}, timeout=1.0)
                self._was_live = self._was_live or conversation.all_ready.is_set()
                if task.done():
                    return task.exception() or asyncio.CancelledError()
                if conversation.session.closing or (replace_at is not None and self._clock.monotonic() >= replace_at):
                    fresh = await self._replace(conversation, task)
                    if fresh is None:
                        replace_at = self._clock.monotonic() + int(REPLACE_AGAIN * SECOND)
                        await asyncio.wait({task}, timeout=REPLACE_AGAIN if conversation.session.closing else 0)
                        continue
                    conversation, task = fresh
                    self._use(conversation)
                    replace_at = self._replace_at()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _replace(self, old: Conversation, old_task: asyncio.Task[None]) -> tuple[Conversation, asyncio.Task[None]] | None:
        """A new connection that was proven beside the old one and has taken over; None if it could not be proven."""
        await self._connects.wait()
        handover = Handover(old, self._clock)
        fresh = self._begin("disconnect", {}, handover.hold)
        task = asyncio.create_task(fresh.run())
        taken = False
        try:
            taken = await handover.proven(fresh, task, old_task)
        finally:
            if not taken:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if not taken:
            log.warning("replacement_not_proven", link=self.link.name)
            return None
        old.emit = _drop
        for record in handover.release():
            self.record(record)

        def take_wanted(record: Trade | BookUpdate | Coverage) -> None:
            if handover.wanted(record):
                self.record(record)
                if handover.is_over:
                    fresh.emit = self.record

        fresh.emit = take_wanted
        self._resume.update(old.session.resume())
        old_task.cancel()
        await asyncio.gather(old_task, return_exceptions=True)
        log.info("replaced", link=self.link.name)
        return fresh, task

    def _replace_at(self) -> int | None:
        if self.link.lifetime is None:
            return None
        return self._clock.monotonic() + int(self.link.lifetime * (REPLACE_AT - random.uniform(0, 0.02)) * SECOND)

    def _lost(self, conversation: Conversation, error: BaseException) -> None:
        match error:
            case Unresponsive():
                cause = "silent"
            case ProtocolError():
                cause = "malformed"
            case _:
                cause = "disconnect"
        self._cause = cause
        self._gap(cause, str(error), conversation.last_frame or self._clock.now())

    def _gap(self, cause: str, detail: str, since: int) -> None:
        for subscription in self.link.subscriptions:
            current = self._tracker.current(subscription.key, subscription.stream)
            if current is None or current.state != "gap":
                self.record(Coverage(subscription.key, subscription.stream, "gap", cause, since, None, detail))


def backoff(attempt: int) -> float:
    """Seconds before attempt number `attempt` + 1: exponential, jittered, capped."""
    return min(LONGEST_WAIT, 0.5 * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)


def _drop(record: Trade | BookUpdate | Coverage) -> None:
    """What the old connection still says once the new one has taken over."""
