"""Keeper: one link kept alive for ever. A fresh session per attempt, the one place that waits between attempts, and Coverage rows
on every loss. A planned replacement is proven before the old connection is let go."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

import structlog

from xtrader.clock import SECOND, Clock
from xtrader.errors import CredentialsRejected, ProtocolError, ReconnectOrdered, Unresponsive, retryable
from xtrader.feed.conversation import Conversation, Emit, Raw
from xtrader.feed.handover import proven
from xtrader.feed.pace import Pace
from xtrader.feed.redundant import Redundant
from xtrader.feed.rest import Rest
from xtrader.feed.silence import Expiry, lost_since, never
from xtrader.model.book import Book
from xtrader.model.market import Coverage, MarketRecord
from xtrader.model.subscription import Subscription
from xtrader.ops.facts import ConnectionFacts
from xtrader.ops.measure import Durations
from xtrader.pauses import Pauses
from xtrader.venues.base import Link, Market
from xtrader.venues.machine.trades import SeenTrades

log = structlog.get_logger("xtrader.feed")

QUIET = 2
"""Seconds after which a connection on which all is live is as good without data as with: nothing may have happened."""
REPLACE_AT = 0.95
"""Share of a link's lifetime after which it is replaced, less a little chance so that links do not go together."""
REPLACE_AGAIN = 60.0
"""Seconds before a replacement that could not be proven is tried again."""


class Keeper:
    """Keeps one link. `record` takes every record of it."""

    def __init__(
        self,
        market: Market,
        link: Link,
        *,
        cause: str,
        rest: Rest,
        clock: Clock,
        record: Emit,
        connects: Pace,
        raw: Callable[[Link], Raw | None],
        relisted: Callable[[Sequence[str]], None] = lambda symbols: None,
        expiry: Expiry = never,
        handled: Durations | None = None,
    ) -> None:
        self.link = link
        self.reconnects = 0
        self.losses: Counter[str] = Counter()
        """Cause -> how often the connection was lost."""
        self.certificate_failures = 0
        self.credential_failures = 0
        self.replaced = 0
        self.error = ""
        """Why it was lost the last time."""
        self._turned = clock.now()
        """Since when it waits, or is being made."""
        self._is_waiting = True
        self._handled = handled
        self.current: Conversation | None = None
        self._market = market
        self._cause = cause
        self._rest = rest
        self._clock = clock
        self._record = record
        self._connects = connects
        self._raw = raw
        self._relisted = relisted
        self._expiry = expiry
        self._resume: dict[str, SeenTrades] = {}
        self._earlier: Counter[Subscription] = Counter()
        self._heard: dict[Subscription, int] = {}
        """When the last message of each came, on the connections before this one."""
        self._last_frame = 0
        self._was_live = False
        self._seats: list[Conversation | None] = [None, None]
        """Who talks: one, or two while the one is replaced by the other."""
        self._seat = 0
        self._unheard: dict[Subscription, int] = {}
        """Until when (wall ns) subscriptions are known by the connection that was replaced, if this one brings nothing of them."""
        self._both: Redundant | None = None
        """What makes one out of two, from the first replacement of a connection on."""

    def book(self, key: str) -> Book | None:
        """The live book of an instrument key."""
        return self.current.session.book(key) if self.current is not None else None

    def stored_book(self, key: str) -> Book | None:
        """That book at the last state that was recorded; None if it is at another one."""
        return self.book(key) if self._both is None else self._both.stored_book(key)

    def messages(self) -> Counter[Subscription]:
        """Messages taken per subscription, over all connections."""
        current = self.current.session.activity if self.current is not None else {}
        return self._earlier + Counter({subscription: seen.messages for subscription, seen in current.items()})

    def ts_last(self, subscription: Subscription) -> int:
        """`ts_recv` of the last message of a subscription, over all connections; 0 before the first."""
        current = 0 if self.current is None else self.current.session.activity[subscription].ts_last
        return max(self._heard.get(subscription, 0), current)

    def facts(self) -> ConnectionFacts:
        """How it stands."""
        current = self.current
        opened = 0 if current is None or self._is_waiting else current.opened_at
        return ConnectionFacts(
            name=self.link.name,
            exchange=self.link.exchange,
            host=urlsplit(self.link.url).netloc.rpartition("@")[2],
            state="open" if opened else "waiting" if self._is_waiting else "connecting",
            since=opened or self._turned,
            ts_last=max(self._last_frame, 0 if current is None else current.last_frame),
            frames=0 if current is None else current.received,
            subscriptions=len(self.link.subscriptions),
            reconnects=self.reconnects,
            losses=dict(self.losses),
            replaced=self.replaced,
            error=self.error,
            unsent=0 if current is None else current.unsent,
            sent_share=0.0 if current is None else current.sent_share,
            connects_share=self._connects.share(),
            counts={} if current is None else dict(current.session.counts),
            certificate_failures=self.certificate_failures,
            credential_failures=self.credential_failures,
        )

    def resync(self, subscription: Subscription) -> None:
        """Begin one subscription anew on every connection that is open: on the one that is about to take over, too."""
        talks = [self.current] if self._both is None else self._seats
        for conversation in talks:
            if conversation is not None and conversation.opened_at and not self._is_waiting:
                conversation.resync(subscription)

    def reconnect(self) -> bool:
        """Let the connection go, as an operator asked, and make it anew; False if there is none."""
        if self.current is None or not self.current.opened_at or self._is_waiting:
            return False
        self.current.end(ReconnectOrdered(self.link.exchange, "reconnected as an operator asked"))
        return True

    async def run(self) -> None:
        """Never returns. Raises what trying again cannot help: wrong credentials at the first attempt, storage errors, bugs."""
        pauses = Pauses()
        while True:
            # One link that is lost again and again must not use up what all others at this address may have to connect.
            await self._connects.wait(evenly=self.reconnects > 0)
            began = self._clock.monotonic()
            self._turn(waiting=False)
            self._both = None
            self._unheard.clear()
            conversation = self._begin(self._cause, self._resume, self._record)
            error = await self._until_lost(conversation)
            lasted = self._clock.monotonic() - began
            conversation = self.current or conversation
            if isinstance(error, CredentialsRejected) and self._was_live:
                log.error("credentials_rejected", link=self.link.name, error=str(error))
            elif not retryable(error):
                raise error
            self._turn(waiting=True)
            self.error = str(error)
            self._lost(conversation, error)
            # Of two connections one may have been ahead of the other.
            self._resume.update(conversation.session.resume() if self._both is None else self._both.seen())
            was_quiet = conversation.all_ready.is_set() and lasted > QUIET * SECOND
            delay = pauses.after_failure(achieved=conversation.delivered or was_quiet)
            failures = pauses.failures
            log.warning("disconnected", link=self.link.name, error=str(error), attempt=failures, retry_in=round(delay, 2))
            self.reconnects += 1
            await asyncio.sleep(delay)

    def lost(self, cause: str, detail: str) -> None:
        """Declare everything on this link not recorded from its own last message on: the recorder itself is stopping."""
        current = self.current
        for one in self.link.subscriptions:
            until = self._clock.now() if current is None else self._lost_since(current, one)
            self._say(self._seat, Coverage(one.key, one.stream, "gap", cause, until, None, detail))

    def _turn(self, *, waiting: bool) -> None:
        self._is_waiting = waiting
        self._turned = self._clock.now()

    def _lost_since(self, conversation: Conversation, subscription: Subscription) -> int:
        last_frame = conversation.last_frame or self._clock.now()
        return lost_since(conversation.session.activity[subscription], last_frame, self._unheard.get(subscription, 0))

    def _say(self, seat: int, record: MarketRecord | Coverage) -> None:
        if self._both is None:
            self._record(record)
        else:
            self._both.take(seat, record)

    def _book_of(self, seat: int, key: str) -> Book | None:
        conversation = self._seats[seat]
        return conversation.session.book(key) if conversation is not None else None

    def _use(self, conversation: Conversation) -> None:
        self._earlier = self.messages()
        self._heard = {one: ts for one in self.link.subscriptions if (ts := self.ts_last(one))}
        self._last_frame = max(self._last_frame, 0 if self.current is None else self.current.last_frame)
        self.current = conversation

    def _begin(self, cause: str, resume: Mapping[str, SeenTrades], emit: Emit) -> Conversation:
        session = self._market.session(self.link, cause, resume)
        return Conversation(
            self._market,
            self.link,
            session,
            rest=self._rest,
            clock=self._clock,
            emit=emit,
            raw=self._raw(self.link),
            relisted=self._relisted,
            expiry=self._expiry,
            handled=self._handled,
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
        if self._both is None:
            self._both = Redundant(self.link.subscriptions, [partial(self._book_of, seat) for seat in (0, 1)], self._record)
            self._both.resume(self._seat, old.session)
            self._seats[self._seat] = old
            old.emit = partial(self._both.take, self._seat)
        both, free = self._both, 1 - self._seat
        self._seats[free] = fresh = self._begin("disconnect", {}, partial(both.take, free))
        task = asyncio.create_task(fresh.run())
        taken = False
        try:
            taken = await proven(old, old_task, fresh, task, partial(both.linked, free), self._clock)
        finally:
            if not taken:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self._leave(free, fresh, "not proven")
        if not taken:
            log.warning("replacement_not_proven", link=self.link.name)
            return None
        self._unheard = self._leave(self._seat, old, "replaced")
        self._seat = free
        old_task.cancel()
        try:
            await asyncio.gather(old_task, return_exceptions=True)
        except asyncio.CancelledError:
            # Nobody knows the new connection yet.
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        self.replaced += 1
        log.info("replaced", link=self.link.name)
        return fresh, task

    def _leave(self, seat: int, conversation: Conversation, detail: str) -> dict[Subscription, int]:
        """One of two connections says no more: the other one goes on, where it can without a gap row. Returns until when (wall ns)
        each subscription is known by it."""
        conversation.emit = _drop
        until = {one: self._lost_since(conversation, one) for one in self.link.subscriptions}
        for one, ts in until.items():
            self._say(seat, Coverage(one.key, one.stream, "gap", "disconnect", ts, None, detail))
        self._seats[seat] = None
        return until

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
            case ReconnectOrdered():
                cause = "operator"
            case _:
                cause = "disconnect"
        self._cause = cause
        self.losses[cause] += 1
        self.certificate_failures += isinstance(error.__cause__, ssl.SSLCertVerificationError)
        self.credential_failures += isinstance(error, CredentialsRejected)
        for subscription in conversation.session.activity:
            begin = self._lost_since(conversation, subscription)
            self._say(self._seat, Coverage(subscription.key, subscription.stream, "gap", cause, begin, None, str(error)))


def _drop(record: MarketRecord | Coverage) -> None:
    """What a connection still says once the other one has taken over."""
