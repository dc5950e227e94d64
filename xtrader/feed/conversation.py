"""One attempt: one socket, one session. Frames go in, records come out, what the session says is sent, what it asks is fetched.

Nothing here waits on the way from the socket to `emit`: the session is called inside the read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import msgspec
import structlog

from xtrader.clock import SECOND, Clock
from xtrader.errors import ProtocolError, Unresponsive, VenueError, XTraderError
from xtrader.feed import link as wire
from xtrader.feed.pace import Pace
from xtrader.feed.rest import Rest, RestAnswer
from xtrader.feed.silence import Expiry, SilenceWatch, never
from xtrader.model.market import BookUpdate, Coverage, MarketRecord, Trade
from xtrader.model.subscription import Subscription
from xtrader.ops.measure import Durations
from xtrader.venues.base import Fetch, Link, Market, MarketSession, Notice, Output, Ready, Relisted, Send

log = structlog.get_logger("xtrader.feed")

UNSENT_MAX = 10_000
"""Messages that wait to be sent; a connection that takes none of so many is dead."""

SOME = 63
"""Of the messages, one in so many and one is timed."""

LISTEN_AFTER = 10
"""Seconds after which a connection also asks for notices: what is recorded is asked for first."""

Emit: TypeAlias = Callable[[MarketRecord | Coverage], None]


class Raw(Protocol):
    """Where the raw traffic of a connection is kept, if it is."""

    def opened(self, now: int) -> None: ...
    def received(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> None: ...
    def sent(self, payload: str, ts: int) -> None: ...
    def answered(self, url: str, status: int, body: bytes, headers: Mapping[str, str], ts: int) -> None: ...
    def tick(self, now: int) -> None: ...
    def close(self) -> None: ...


class Conversation:
    """Runs one MarketSession over one connection until either ends. `run` never returns: it raises what ended it."""

    def __init__(
        self,
        market: Market,
        link: Link,
        session: MarketSession,
        *,
        rest: Rest,
        clock: Clock,
        emit: Emit,
        raw: Raw | None = None,
        relisted: Callable[[Sequence[str]], None] = lambda symbols: None,
        expiry: Expiry = never,
        handled: Durations | None = None,
    ) -> None:
        self.market = market
        self.link = link
        self.session = session
        self.emit = emit
        self.ready: set[Subscription] = set()
        self.all_ready = asyncio.Event()
        self.opened_at = 0
        self.last_frame = 0
        self.received = 0
        self._rest = rest
        self._clock = clock
        self._raw = raw
        self._relisted = relisted
        self._expiry = expiry
        self._handled = handled or Durations()
        self._watch: SilenceWatch | None = None
        self._pace = Pace(link.send_limits, clock)
        self._sends: deque[Send] = deque()
        self._urgent: deque[Send] = deque()
        self._to_send = asyncio.Event()
        self._all_sent = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def delivered(self) -> bool:
        """Whether any data came."""
        return any(seen.messages for seen in self.session.activity.values())

    @property
    def unsent(self) -> int:
        """Messages that wait to be sent."""
        return len(self._sends) + len(self._urgent)

    @property
    def sent_share(self) -> float:
        """How much of the limits on sending is used, 0 to 1."""
        return self._pace.share()

    def resync(self, subscription: Subscription) -> None:
        """Begin one subscription anew: see MarketSession."""
        try:
            self._take(self.session.resync(subscription, self._clock.now()))
        except Exception as error:
            self._fail(error)

    def end(self, error: XTraderError) -> None:
        """Make `run` raise `error`."""
        self._fail(error)

    def silence_limit(self, subscription: Subscription) -> float | None:
        """Seconds without a message after which the venue is asked; None while there is no connection."""
        return None if self._watch is None else self._watch.limit(self.session.activity[subscription])

    async def run(self) -> None:
        """Connect, talk, and raise what ended it: LinkFailed, ProtocolError, CredentialsRejected, …"""
        connection = await wire.connect(self.link.url, self._on_message, now=self._clock.now)
        self.opened_at = self.last_frame = self._clock.now()
        watch = self._watch = SilenceWatch(self._expiry)
        if self._raw is not None:
            self._raw.opened(self.opened_at)
        try:
            self._take(self.session.start(self.opened_at))
            self._spawn(self._send_all(connection))
            self._spawn(self._tick(watch))
            self._spawn(self._ended(connection))
            await self._failure
        finally:
            connection.on_message = _ignore
            for task in self._tasks:
                task.cancel()
            try:
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await _close(connection)
            finally:
                # A second cancellation does not wait for the goodbye. Nothing happens to what is closed already.
                connection.transport.abort()
                if self._raw is not None:
                    self._raw.close()

    def _on_message(self, payload: memoryview, ts_recv: int) -> None:
        if self._failure.done():
            return
        self.last_frame = ts_recv
        self.received += 1
        try:
            if self._raw is not None:
                self._raw.received(payload, ts_recv)
            for output in self.session.receive(payload, ts_recv):
                if type(output) is BookUpdate or type(output) is Trade:
                    self.emit(output)
                else:
                    self._take((output,))
            if not self.received & SOME:
                self._handled.add(self._clock.now() - ts_recv)
        except Exception as error:
            self._fail(error)

    def _take(self, outputs: Iterable[Output]) -> None:
        """Carry out what the session returned, in order."""
        for output in outputs:
            match output:
                case Send():
                    if self.unsent >= UNSENT_MAX:
                        self._fail(Unresponsive(self.link.exchange, f"{UNSENT_MAX} messages could not be sent"))
                        return
                    (self._urgent if output.urgent else self._sends).append(output)
                    self._to_send.set()
                case Fetch():
                    self._spawn(self._fetch(output))
                case Ready():
                    self.ready.add(output.subscription)
                    self._count_ready()
                case Notice():
                    log.warning(output.event, subscription=str(output.subscription), link=self.link.name, about=output.words)
                case Relisted():
                    self._relisted(output.symbols)
                case _:
                    self.emit(output)

    def _count_ready(self) -> None:
        """All are ready that the venue did not refuse."""
        if self.ready and all(s in self.ready or seen.state == "rejected" for s, seen in self.session.activity.items()):
            self.all_ready.set()

    async def _send_all(self, connection: wire.Connection) -> None:
        while True:
            while self._urgent or self._sends:
                if self._urgent:
                    message = self._urgent.popleft()
                elif self._pace.delay(self._sends[0].weight) > 0:
                    # An urgent message may come while the others wait for their turn.
                    await asyncio.sleep(min(self._pace.delay(self._sends[0].weight), 0.1))
                    continue
                else:
                    message = self._sends.popleft()
                    await self._pace.wait(message.weight)
                await wire.send(connection, message.payload)
                if self._raw is not None:
                    self._raw.sent(message.payload, self._clock.now())
            self._all_sent = self._all_sent or self._clock.now()
            self._to_send.clear()
            await self._to_send.wait()

    async def _fetch(self, fetch: Fetch) -> None:
        """Ask until an answer comes that the session can read: a broken one concerns this request, not the connection."""

        def take(answer: RestAnswer) -> None:
            now = self._clock.now()
            if self._raw is not None:
                self._raw.answered(answer.url, answer.status, answer.body, answer.headers, now)
            # A probe's answer is told from that to an earlier one by the request itself.
            asked = msgspec.structs.replace(fetch, depth=answer.depth) if fetch.depths else fetch
            self._take(self.session.answer(asked, answer.status, answer.body, now))

        await self._rest.get_until_answered(self.market, fetch, take)

    async def _tick(self, watch: SilenceWatch) -> None:
        listens_at = self._clock.monotonic() + LISTEN_AFTER * SECOND if self.link.notices else None
        while True:
            await asyncio.sleep(1.0)
            now = self._clock.now()
            if self._raw is not None:
                self._raw.tick(now)
            if listens_at is not None and self._clock.monotonic() >= listens_at:
                listens_at = None
                self._take(self.session.listen(now))
            try:
                self._take(self.session.idle(now))
            except ProtocolError as error:
                raise Unresponsive(error.venue, error.what) from error
            for subscription, ends in watch.expired(self.session.activity, now).items():
                words = f"the catalogue says that it expired at {datetime.fromtimestamp(ends // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
                self._take(self.session.gone(subscription, ends, words, now))
            self._count_ready()
            for subscription in watch.due(self.session.activity, now):
                log.info("silent", subscription=str(subscription), link=self.link.name)
                self._take(self.session.probe(subscription, now))
            silent = watch.unacknowledged(self.session.activity, self._all_sent, now)
            if silent:
                raise Unresponsive(self.link.exchange, f"no acknowledgement of {silent[0]} and {len(silent) - 1} more")

    async def _ended(self, connection: wire.Connection) -> None:
        raise await wire.closed(connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure.done():
            return
        if not isinstance(error, XTraderError | OSError):
            log.error("session_crashed", link=self.link.name, exc_info=error)
            error = VenueError(self.link.exchange, f"the session failed on a message: {wire.describe(error)}")
        self._failure.set_exception(error)


def _ignore(payload: memoryview, ts_recv: int) -> None:
    """Frames that come after the end of a conversation."""


async def _close(connection: wire.Connection) -> None:
    """Say goodbye, but not for ever: a dead peer never answers."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(2.0):
            await connection.close()
