"""What the recorder says about itself while it runs: a line per subscription, for logs and for a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from xtrader.app import status
from xtrader.clock import SECOND, Clock
from xtrader.feed.feed import Feed, SubscriptionState
from xtrader.model.subscription import Subscription
from xtrader.pipeline.deliveries import Deliveries
from xtrader.pipeline.journal import Journal
from xtrader.pipeline.writer import Writer

log = structlog.get_logger("xtrader.telemetry")

WATCH_SECONDS = 0.25
"""How often it is looked whether all subscriptions are live."""


class Rates:
    """Messages per second since the last look, per subscription."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Subscription, tuple[int, int]] = {}

    def of(self, standing: SubscriptionState) -> float:
        """The rate since this was last asked for the same subscription; 0 the first time."""
        now = self._clock.monotonic()
        messages, at = self._seen.get(standing.subscription, (standing.messages, now))
        self._seen[standing.subscription] = (standing.messages, now)
        return (standing.messages - messages) * SECOND / (now - at) if now > at else 0.0


class Sync:
    """How far the subscriptions are from being live all together, and how long that takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: tuple[int, int] | None = (clock.monotonic(), 0)

    def look(self, live: int, total: int) -> float | None:
        """Seconds that it took until all `total` were live; once each time, else None."""
        if live < total:
            self._began = self._began or (self._clock.monotonic(), live)
            return None
        if self._began is None:
            return None
        began, self._began = self._began[0], None
        return (self._clock.monotonic() - began) / SECOND

    def left(self, live: int, total: int) -> float | None:
        """Seconds until all are live if it goes on at the pace so far; None while there is none."""
        if self._began is None or live <= self._began[1]:
            return None
        return (self._clock.monotonic() - self._began[0]) / SECOND * (total - live) / (live - self._began[1])

    def told(self, live: int, total: int) -> str:
        """One line about it, empty if all are live."""
        if live >= total:
            return ""
        left = self.left(live, total)
        return f"{live} of {total} in sync" + ("" if left is None else f", the rest in about {left:.0f} s")


class Glance(msgspec.Struct, frozen=True):
    """A recorder at one moment: a row per subscription, how many of how many are live, whether it is ready, and for how many
    seconds its journal was not written."""

    rows: list[status.Row]
    live: int
    total: int
    ready: bool
    silence: float = 0.0


class Telemetry:
    """Reads the parts of a running recorder; changes nothing."""

    def __init__(
        self, clock: Clock, feed: Callable[[], Feed | None], writer: Writer, journal: Journal, deliveries: Deliveries
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._writer = writer
        self._journal = journal
        self._deliveries = deliveries
        self._for_log = Rates(clock)
        self._for_lines = Rates(clock)
        self._sync = Sync(clock)

    async def watch(self) -> None:
        """Say how long it took whenever all subscriptions have become live; ends when cancelled."""
        while True:
            feed = self._feed()
            if feed is not None:
                seconds = self._sync.look(feed.live(), len(feed.subscriptions))
                if seconds is not None:
                    log.info("in_sync", subscriptions=len(feed.subscriptions), seconds=round(seconds, 1))
            await asyncio.sleep(WATCH_SECONDS)

    def report(self) -> None:
        """Log a line per subscription and one for what lies between the sockets and the files."""
        for standing in self._standings():
            log.info(
                "telemetry",
                subscription=str(standing.subscription),
                state=standing.state,
                messages=standing.messages,
                rate=round(self._for_log.of(standing), 1),
                gaps=standing.gaps,
                connections=standing.connections,
                depth=standing.depth,
                shallow=standing.is_shallow,
                lag_seconds=self._lag(standing),
            )
        live, total = self._live()
        left = self._sync.left(live, total)
        log.info(
            "telemetry",
            in_sync=live,
            subscriptions=total,
            sync_seconds_left=None if left is None else round(left),
            rows=self._writer.rows,
            journal_bytes=self._journal.size(),
            unsynced_bytes=self._journal.end - self._journal.durable,
            sink_backlog_bytes=self._deliveries.backlog,
            sinks=msgspec.to_builtins(self._deliveries.statuses),
            ready=self.ready(),
        )

    def ready(self) -> bool:
        """True if data flows for every subscription, into a journal with room, and the sink keeps up."""
        feed = self._feed()
        return feed is not None and feed.ready() and self._writer.room and self._deliveries.ready

    async def show(self) -> None:
        """Keep a line per subscription on the terminal; returns at once where there is none."""
        await status.show(
            lambda: [self._row(standing) for standing in self._standings()],
            lambda: self._sync.told(*self._live()),
        )

    def glance(self) -> Glance:
        """What the lines on a terminal show, to be shown elsewhere."""
        live, total = self._live()
        return Glance([self._row(standing) for standing in self._standings()], live, total, self.ready(), self._writer.silence)

    def _live(self) -> tuple[int, int]:
        feed = self._feed()
        return (feed.live(), len(feed.subscriptions)) if feed is not None else (0, 0)

    def _standings(self) -> list[SubscriptionState]:
        feed = self._feed()
        return feed.standings() if feed is not None else []

    def _row(self, standing: SubscriptionState) -> status.Row:
        book = standing.book
        price = standing.last_price
        if book is not None:
            bid, ask = book.best()
            price = (bid[0] + ask[0]) / 2 if bid is not None and ask is not None else price
        return status.Row(
            subscription=str(standing.subscription),
            state=standing.state,
            rate=self._for_lines.of(standing),
            last_price=price,
            book=health(standing),
            gaps=standing.gaps,
            detail=trouble(standing),
        )

    def _lag(self, standing: SubscriptionState) -> float | None:
        """Seconds since the last message."""
        return round((self._clock.now() - standing.ts_last) / SECOND, 3) if standing.ts_last else None


def health(standing: SubscriptionState) -> str:
    """A word on how a book is, empty for trades."""
    if standing.subscription.stream != "L2":
        return ""
    if (standing.state, standing.cause) == ("gap", "crossed"):
        return "crossed"
    return "syncing" if standing.book is None else "shallow" if standing.is_shallow else "ok"


def trouble(standing: SubscriptionState) -> str:
    """What is wrong, where something is."""
    if standing.state != "live":
        return standing.detail
    if standing.connections < standing.wanted_connections:
        return f"{standing.connections} of {standing.wanted_connections} connections"
    if standing.is_shallow:
        since = datetime.fromtimestamp(standing.since // SECOND, UTC).strftime("%H:%M:%S")
        return f"{standing.depth:,} of {standing.deepest:,} levels a side since {since} UTC"
    return ""
