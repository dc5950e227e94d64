"""Gathers the facts of a running recorder from its parts.

The rule: nothing is done for it per message. Facts are taken once a second, a few subscriptions at a time, so that a message never
waits for all of them; whoever asks meanwhile gets the last ones.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec
import structlog

from xtrader import __version__
from xtrader.clock import SECOND, Clock
from xtrader.feed.clock_offset import ClockOffset
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.ops.facts import ExchangeFacts, Facts, Histogram, JournalFacts, ProcessFacts, SinkFacts, SubscriptionFacts
from xtrader.ops.measure import Durations
from xtrader.ops.system import host, process_facts, versions
from xtrader.pipeline.deliveries import Deliveries
from xtrader.pipeline.journal import Journal
from xtrader.pipeline.writer import Writer, free_bytes
from xtrader.settings.effective import shown
from xtrader.settings.load import Settings
from xtrader.venues.base import Market

log = structlog.get_logger("xtrader.telemetry")

PERIOD: Final = 1.0
"""Seconds between two takings."""
SLICE: Final = 32
"""Subscriptions that are looked at without a pause: less than half a millisecond."""
LOOP_PERIOD: Final = 0.1
"""Seconds between two looks at how late the loop is."""
RATE_SECONDS: Final = 5
"""Over how long rates are."""

T = TypeVar("T")


class Rates:
    """Messages per second, by name, over the last RATE_SECONDS takings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[tuple[int, dict[str, int]]] = deque(maxlen=RATE_SECONDS + 1)

    def of(self, counts: Mapping[str, int]) -> dict[str, float]:
        """The rates by `counts` of now; 0 for what was not counted before."""
        now = self._clock.monotonic()
        at, before = self._seen[0] if self._seen else (now, {})
        self._seen.append((now, dict(counts)))
        seconds = (now - at) / SECOND
        if seconds <= 0:
            return dict.fromkeys(counts, 0.0)
        return {name: max(count - before.get(name, count), 0) / seconds for name, count in counts.items()}


class Ages:
    """When the journal reached which offset: how old is what lies behind one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks: deque[tuple[int, int]] = deque()
        self._every = 0

    def mark(self, offset: int) -> None:
        """The journal is durable up to `offset` now. Of thousands of marks every second is forgotten."""
        now = self._clock.monotonic()
        if self._marks and (offset <= self._marks[-1][0] or now - self._marks[-1][1] < self._every):
            return
        self._marks.append((offset, now))
        if len(self._marks) > 4096:
            self._every = self._every * 2 or 2 * SECOND
            self._marks = deque(list(self._marks)[::2])

    def of(self, offset: int) -> float:
        """Seconds since the journal first was beyond `offset`; 0 if it is not. What was there at the start counts from then on."""
        mark = next((at for end, at in self._marks if end > offset), None)
        return 0.0 if mark is None else (self._clock.monotonic() - mark) / SECOND


class Gatherer:
    """`facts` are the last that were taken; `run` takes them for as long as the recorder runs. `feed` and `rest` give None until
    there are such; `wanted` is how many subscriptions there will be."""

    def __init__(
        self,
        settings: Settings,
        collector: str,
        wanted: int,
        markets: Mapping[str, Market],
        clock: Clock,
        feed: Callable[[], Feed | None],
        rest: Callable[[], Rest | None],
        writer: Writer,
        journal: Journal,
        deliveries: Deliveries,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._markets = markets
        self._clock = clock
        self._feed = feed
        self._rest = rest
        self._writer = writer
        self._journal = journal
        self._deliveries = deliveries
        self._rates = Rates(clock)
        self._ages = Ages(clock)
        self._loop = Durations()
        self._sinks_since: dict[str, tuple[tuple[bool, str], int]] = {}
        self._whole = Facts(
            ts=clock.now(),
            started=clock.now(),
            collector=collector,
            host=host(),
            stopping="",
            versions=versions(__version__),
            settings=shown(settings),
            wanted=wanted,
        )
        self.facts = self._whole
        self._json: tuple[Facts, bytes] | None = None
        self.beside: Callable[[], Iterable[tuple[str, int]]] = tuple
        """Names and process ids of what runs beside the sinks."""
        self.taken = asyncio.Event()
        """Set and cleared whenever `facts` are new."""

    async def run(self) -> None:
        """Take facts and measure the loop until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_loop())
            tasks.create_task(self._take_often())

    def json(self) -> bytes:
        """`facts` as JSON."""
        if self._json is None or self._json[0] is not self.facts:
            self._json = (self.facts, msgspec.json.encode(self.facts))
        return self._json[1]

    def stopping(self, why: str) -> None:
        """The recorder is about to end."""
        self._whole = msgspec.structs.replace(self._whole, stopping=why)
        self.facts = msgspec.structs.replace(self.facts, stopping=why)

    async def take(self) -> Facts:
        """The facts of now."""
        feed, rest = self._feed(), self._rest()
        subscriptions = [] if feed is None else await _in_slices(feed.subscription_facts())
        connections = [] if feed is None else await _in_slices(feed.connection_facts())
        rates = self._rates.of({one.name: one.messages for one in subscriptions})
        self._ages.mark(self._journal.durable)
        self.facts = msgspec.structs.replace(
            self._whole,
            ts=self._clock.now(),
            wanted=(feed.total if feed is not None else 0) or self._wanted,
            subscriptions=tuple(_rated(one, rates) for one in subscriptions),
            connections=tuple(connections),
            rest=() if rest is None else tuple(rest.facts()),
            exchanges=tuple(self._exchange(market, feed, rest) for market in self._markets.values()),
            journals=(self._journal_facts(),),
            sinks=tuple(self._sink(name) for name in self._deliveries.deliveries),
            processes=self._processes(),
        )
        self.taken.set()
        self.taken.clear()
        return self.facts

    async def _take_often(self) -> None:
        while True:
            try:
                await self.take()
            except Exception as error:
                # Whoever looks sees that the facts are old; recording goes on.
                log.error("facts_failed", exc_info=error)
            await asyncio.sleep(PERIOD)

    async def _watch_loop(self) -> None:
        while True:
            began = self._clock.monotonic()
            await asyncio.sleep(LOOP_PERIOD)
            self._loop.add(self._clock.monotonic() - began - int(LOOP_PERIOD * SECOND))

    def _exchange(self, market: Market, feed: Feed | None, rest: Rest | None) -> ExchangeFacts:
        arrivals, now = self._writer.arrivals, self._clock.now()
        offset = ClockOffset() if rest is None else rest.offsets[market.exchange]
        least = arrivals.least_lag(market.exchange)
        if least is not None:
            offset.lagged(least, now)
        ahead, error = offset.bounds(now)
        return ExchangeFacts(
            exchange=market.exchange,
            environment=market.environment,
            lag=arrivals.lag(market.exchange),
            journaled=arrivals.journaled(market.exchange),
            handled=Histogram() if feed is None else feed.handled[market.exchange].facts(),
            clock_offset=ahead,
            clock_error=error,
        )

    def _journal_facts(self) -> JournalFacts:
        journal, settings = self._journal, self._settings
        return JournalFacts(
            directory=str(journal.directory),
            bytes=journal.size(),
            bytes_max=settings.journal_max_bytes,
            free=free_bytes(journal.directory),
            free_min=settings.min_free_bytes,
            room=self._writer.room,
            end=journal.end,
            durable=journal.durable,
            silence=self._writer.silence,
            records=self._writer.rows,
            commits=self._writer.commits.facts(),
            damaged=len(journal.damaged),
        )

    def _sink(self, name: str) -> SinkFacts:
        delivery, durable = self._deliveries.deliveries[name], self._journal.durable
        status = delivery.status
        position = cursor = 0 if status is None else min(status.position, durable)
        if status is not None:
            cursor = min(status.cursor, durable)
        error = "" if status is None else status.error
        if name not in self._sinks_since or self._sinks_since[name][0] != (delivery.alive, error):
            self._sinks_since[name] = ((delivery.alive, error), self._clock.now())
        return SinkFacts(
            name=name,
            alive=delivery.alive,
            error=error,
            since=self._sinks_since[name][1],
            behind_bytes=0 if status is None else durable - position,
            behind_seconds=self._ages.of(position),
            held_bytes=0 if status is None else durable - cursor,
            held_seconds=self._ages.of(cursor),
            cursor=cursor,
            position=position,
            rows=0 if status is None else status.rows,
            parts=0 if status is None else status.parts,
            retries=0 if status is None else status.retries,
            restarts=delivery.restarts,
            set_aside=0 if status is None else status.refused,
            damaged=0 if status is None else status.damaged,
            hidden=status is not None and status.hidden,
            rotate_seconds=delivery.rotate_seconds,
        )

    def _processes(self) -> tuple[ProcessFacts, ...]:
        own = process_facts("recorder", os.getpid(), self._loop.facts())
        sinks = [(name, delivery.pid) for name, delivery in self._deliveries.deliveries.items()]
        children = (*((f"sink {name}", pid) for name, pid in sinks if pid is not None), *self.beside())
        return (own, *(process_facts(name, pid) for name, pid in children))


async def _in_slices(facts: Iterable[T]) -> list[T]:
    """All of them, with a turn for everybody else after each few."""
    found: list[T] = []
    for one in facts:
        found.append(one)
        if not len(found) % SLICE:
            await asyncio.sleep(0)
    return found


def _rated(one: SubscriptionFacts, rates: Mapping[str, float]) -> SubscriptionFacts:
    return msgspec.structs.replace(one, rate=rates[one.name])
