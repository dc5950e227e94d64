"""One run: the real feed, in this process, against emulated venues that misbehave. What was recorded, what was really sent."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from ssl import SSLContext

from tests.faults.time_loop import LoopClock, run
from xtrader.emulator.deribit import CLIENT_ID, CLIENT_SECRET
from xtrader.emulator.faults import Fault
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import BookEvent, Event, FaultEvent, TradeEvent, Truth
from xtrader.emulator.venue import Timers
from xtrader.feed.conversation import Raw
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.feed.silence import Expiry, never
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.raw import RawWriter
from xtrader.venues import market
from xtrader.venues.base import Link

VENUES = ("BINANCE_SPOT", "BINANCE_FUTURES", "OKX_SWAP", "DERIBIT", "BYBIT_LINEAR")
LOGIN = {"DERIBIT_CLIENT_ID": CLIENT_ID, "DERIBIT_CLIENT_SECRET": CLIENT_SECRET}
TICK = 0.05
"""Seconds after which the venues write at the latest what they published."""
RATE = 10.0
"""Messages a second for each instrument."""
WARM = 2.0
"""Seconds of undisturbed recording before the faults."""
CALM = 3.0
"""Seconds for which everything must be well before the run ends."""
LONGEST = 900.0
"""Seconds after which a feed that has not recovered never will."""


class Notes(Truth):
    """The truth as a list, each event with the time at which it was published."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(keep=False)
        self.clock = clock
        self.events: list[tuple[int, Event]] = []
        self.newest: dict[tuple[str, str, str], str] = {}

    def add(self, event: Event) -> None:
        self.events.append((self.clock.true(), event))
        if isinstance(event, TradeEvent | BookEvent):
            is_trade = isinstance(event, TradeEvent)
            number = event.id if isinstance(event, TradeEvent) else str(event.sequence)
            self.newest[event.exchange, event.symbol, "TRADES" if is_trade else "L2"] = number


@dataclass
class Outcome:
    """What one run left behind."""

    records: list[Trade | BookUpdate | Coverage]
    events: list[tuple[int, Event]]
    links: list[tuple[Subscription, ...]]
    """Which subscriptions shared a connection."""
    counts: dict[str, Counter[str]]
    pending: list[str]
    recovered: bool
    seconds: float
    calls: int
    reconnects: int
    ended: int
    """Wall time at which recording was stopped."""
    began: int = 0
    """Wall time at which the faults were armed."""
    latency: float = TICK
    """Seconds from an event to its arrival at the most, where nothing is frozen."""
    subscriptions: tuple[Subscription, ...] = field(default_factory=tuple)
    blind: frozenset[tuple[str, str]] = frozenset()
    """Exchanges and their streams that have no numbers, so that nobody can see what is lost between two messages."""

    @cached_property
    def faults(self) -> list[tuple[int, FaultEvent]]:
        return [(at, event) for at, event in self.events if isinstance(event, FaultEvent)]

    @cached_property
    def freezes(self) -> list[tuple[int, FaultEvent]]:
        return [(at, event) for at, event in self.faults if event.fault == "freeze"]


@dataclass(frozen=True)
class Plan:
    """What a run is made of: `instruments` of each venue, books and trades, recorded while the faults happen."""

    faults: Sequence[Fault] = ()
    draw: Callable[[Emulator], Sequence[Fault]] = lambda emulator: ()
    """More faults, when the venues are known."""
    venues: Sequence[str] = VENUES
    seed: int = 7
    instruments: int = 2
    timers: Timers | None = None
    steps: Sequence[float] = ()
    """Steps of the local clock, seconds."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Variables besides the addresses."""
    at_least: float = 0.0
    """Seconds to record after the faults were armed, even if all is well."""
    patience: float = LONGEST
    """Seconds after which faults that have not come are not waited for."""
    stopped: float = 0.0
    """Seconds after the faults were armed at which recording is stopped, whether all is well or not; 0: when all is."""
    unreachable: str = ""
    """All is well without this exchange."""
    tls: SSLContext | None = None
    """Of the venues' servers; none without TLS."""
    raw: Path | None = None
    """Where the raw traffic is kept, if it is."""
    connections: int = 1
    """Over which each subscription is recorded at once."""
    expiry: Expiry = never
    """When the instrument of a key expires, by the catalogue."""
    meddle: Callable[[Emulator, Callable[[], bool]], Coroutine[None, None, None]] | None = None
    """Does what no fault of a venue can, once recording runs; it can ask whether all is well on every connection."""


def record(plan: Plan) -> Outcome:
    """Record until all is well again. The same plan gives the same outcome."""
    random.seed(plan.seed)
    return run(_record(plan))


async def _record(plan: Plan) -> Outcome:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop)
    notes = Notes(clock)
    emulator = Emulator(
        plan.venues,
        seed=plan.seed,
        instruments=plan.instruments,
        rate=RATE * plan.instruments * len(plan.venues),
        timers=plan.timers,
        wall=lambda: clock.true() / 1e9,
        tick=TICK,
        tls=plan.tls,
    )
    for made in emulator.venues.values():
        made.stage.truth = notes
    records: list[Trade | BookUpdate | Coverage] = []
    reached: dict[tuple[str, str, str], str] = {}

    def put(row: Trade | BookUpdate | Coverage) -> None:
        records.append(row)
        if not isinstance(row, Coverage):
            exchange, _, symbol = row.instrument.partition("@")
            is_trade = isinstance(row, Trade)
            reached[exchange, symbol, "TRADES" if is_trade else "L2"] = row.trade_id if is_trade else str(row.sequence)

    async with emulator, Rest(clock) as rest:
        variables = {**emulator.variables, **LOGIN, **plan.options}
        markets = {exchange: market(exchange, variables) for exchange in plan.venues}
        subscriptions = tuple(
            Subscription(stream, exchange, symbol)
            for exchange in plan.venues
            for symbol in emulator.venues[exchange].boards
            for stream in ("L2", "TRADES")
        )

        def raw(link: Link) -> Raw | None:
            return None if plan.raw is None else RawWriter(plan.raw, link.exchange, link.name, link.url, clock.now())

        feed = Feed(
            markets,
            subscriptions,
            rest=rest,
            clock=clock,
            put=put,
            raw=raw,
            connections=plan.connections,
            expiry=plan.expiry,
        )
        task = asyncio.create_task(feed.run())

        def live() -> bool:
            rows = [feed.tracker.current(s.key, s.stream) for s in subscriptions if s.exchange != plan.unreachable]
            return all(row is not None and row.state == "live" for row in rows)

        def well() -> bool:
            """Everything live and caught up, and no connection that is dead without anybody's knowing it."""
            clients = [client for made in emulator.venues.values() for client in made.clients]
            wanted = {name: number for name, number in notes.newest.items() if name[0] != plan.unreachable}
            is_deaf = any(client.state != "open" or client.socket.mute for client in clients)
            standings = [one for one in feed.subscription_facts() if one.exchange != plan.unreachable]
            is_whole = all(one.connections_live == plan.connections for one in standings)
            return live() and is_whole and not is_deaf and all(reached.get(name) == number for name, number in wanted.items())

        assert await _until(live, 60, task), "the undisturbed feed does not come up"
        await asyncio.sleep(WARM)
        began = clock.now()
        for fault in [*plan.faults, *plan.draw(emulator)]:
            emulator.add(fault)
        for seconds in plan.steps:
            clock.step(seconds)
            await asyncio.sleep(3)
        started = loop.time()
        if plan.meddle is not None:
            await plan.meddle(emulator, well)
        await asyncio.sleep(plan.at_least)
        calm_since = loop.time()
        pending = [""]
        while loop.time() - started < LONGEST and not task.done():
            await asyncio.sleep(0.25)
            pending = [text for made in emulator.venues.values() for text in made.strikes.faults.pending()]
            if (pending and loop.time() - started < plan.patience) or not well():
                calm_since = loop.time()
            if loop.time() - started >= plan.stopped if plan.stopped else loop.time() - calm_since > CALM:
                break
        outcome = Outcome(
            records=records,
            events=notes.events,
            links=[keeper.link.subscriptions for keeper in feed.keepers],
            counts={name: made.counts.copy() for name, made in emulator.venues.items()},
            pending=pending,
            recovered=well(),
            seconds=loop.time() - started,
            calls=rest.calls,
            reconnects=sum(keeper.reconnects for keeper in feed.keepers),
            ended=clock.now(),
            began=began,
            subscriptions=subscriptions,
            blind=frozenset((name, stream) for name, made in emulator.venues.items() for stream in made.blind),
        )
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if plan.stopped:
            feed.stop("shutdown", "the run is over")
    return outcome


async def _until(condition: Callable[[], bool], within: float, task: asyncio.Task[None]) -> bool:
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not condition() and loop.time() < end and not task.done():
        await asyncio.sleep(0.1)
    return condition()
