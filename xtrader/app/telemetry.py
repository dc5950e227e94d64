"""What the recorder logs about itself while it runs: one line for the whole, and one for each subscription that is ill.

The rule: every word of it comes from facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from xtrader.clock import SECOND, Clock
from xtrader.feed.feed import Feed
from xtrader.ops import health
from xtrader.ops.facts import Facts, SubscriptionFacts

log = structlog.get_logger("xtrader.telemetry")

WATCH_SECONDS: Final = 0.25
"""How often it is looked whether all subscriptions are live."""


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


async def watch(feed: Callable[[], Feed | None], sync: Sync) -> None:
    """Say how long it took whenever all subscriptions have become live; ends when cancelled."""
    while True:
        running = feed()
        if running is not None and running.total:
            seconds = sync.look(running.live(), running.total)
            if seconds is not None:
                log.info("in_sync", subscriptions=running.total, seconds=round(seconds, 1))
        await asyncio.sleep(WATCH_SECONDS)


def report(facts: Facts, sync: Sync, now: int, *, every: bool = False) -> None:
    """Log a line for the whole and one for each subscription that is ill; for each subscription if `every` one is wanted."""
    troubles = health.troubles(facts, now)
    ill = {trouble.subject for trouble in troubles}
    for one in facts.subscriptions:
        if every or one.name in ill:
            _report_one(one, now)
    left = sync.left(facts.live, facts.wanted)
    log.info(
        "telemetry",
        in_sync=facts.live,
        subscriptions=facts.wanted,
        ill=sum(one.name in ill for one in facts.subscriptions),
        sync_seconds_left=None if left is None else round(left),
        rate=round(sum(one.rate for one in facts.subscriptions), 1),
        gaps=sum(one.gaps_total for one in facts.subscriptions),
        records=sum(journal.records for journal in facts.journals),
        journal_bytes=sum(journal.bytes for journal in facts.journals),
        unsynced_bytes=sum(journal.end - journal.durable for journal in facts.journals),
        sinks={sink.name: _sink(sink) for sink in facts.sinks},
        ready=not any(trouble.blocks for trouble in troubles),
        troubles=[f"{trouble.subject}: {trouble.words}" for trouble in troubles if trouble.subject not in _names(facts)],
    )


def _report_one(one: SubscriptionFacts, now: int) -> None:
    log.info(
        "telemetry",
        subscription=one.name,
        state=one.state,
        cause=one.cause,
        since_seconds=round((now - one.since) / SECOND, 1),
        about=health.trouble(one),
        messages=one.messages,
        rate=round(one.rate, 1),
        gaps=one.gaps_total,
        connections=one.connections_live,
        depth=one.depth,
        shallow=one.book == "shallow",
        lag_seconds=round((now - one.ts_last) / SECOND, 3) if one.ts_last else None,
    )


def _sink(sink: msgspec.Struct) -> dict[str, object]:
    told = msgspec.structs.asdict(sink)
    names = ("cursor", "position", "rows", "parts", "behind_bytes", "held_bytes", "set_aside", "restarts", "error")
    return {name: told[name] for name in names}


def _names(facts: Facts) -> set[str]:
    return {one.name for one in facts.subscriptions}
