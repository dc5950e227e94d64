"""Plan: what recording some subscriptions would do, worked out by the sessions, the pace and the budget that would do it.

Rule: nothing is connected; only the catalogues are asked for, and where they cannot be had the plan says what stood in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from xtrader.clock import SECOND
from xtrader.feed.budget import Budget
from xtrader.feed.catalogue import Catalogue
from xtrader.feed.feed import connect_limit
from xtrader.feed.pace import Pace
from xtrader.feed.redundant import copies
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Link, Market, Send

QUIET = 5 * SECOND
"""A session whose acknowledged subscriptions stayed quiet for this long has asked for every snapshot that it needs."""


class LinkPlan(msgspec.Struct, frozen=True):
    """One connection: what it carries, and how long pacing spreads the messages that it first sends."""

    name: str
    url: str
    subscriptions: tuple[str, ...]
    messages: int
    seconds: float


class SnapshotPlan(msgspec.Struct, frozen=True):
    """`count` REST snapshots of `depth` levels a side that weigh `weight` each. `shallow` are the instruments that get them though
    the venue has more levels; a deeper snapshot follows."""

    count: int
    depth: int
    weight: int
    shallow: tuple[str, ...] = ()


class ExchangePlan(msgspec.Struct, frozen=True):
    """One exchange. `rest_limit` is the weight that is used at most in `rest_seconds`; times are seconds, round trips left out."""

    exchange: str
    environment: str
    rest_url: str
    instruments: tuple[Instrument, ...]
    links: tuple[LinkPlan, ...]
    connect_seconds: float
    snapshots: tuple[SnapshotPlan, ...]
    rest_limit: int
    rest_seconds: float
    snapshot_seconds: float
    sync_seconds: float
    deep_seconds: float
    """Until the last shallow book is deep, after `sync_seconds`; 0 if there is none."""


async def make_plan(
    markets: Mapping[str, Market], subscriptions: Sequence[Subscription], catalogue: Catalogue, now: int, connections: int = 1
) -> list[ExchangePlan]:
    """One ExchangePlan for each of `markets` that is subscribed to, over `connections` connections at once. `now` is wall time.
    Raises ConfigError."""
    found = await catalogue.look_up(markets, subscriptions)
    wanted = {exchange: [one for one in found.subscriptions if one.exchange == exchange] for exchange in markets}
    return [_exchange(markets[exchange], of, found.instruments, now, connections) for exchange, of in wanted.items() if of]


class Steps:
    """A clock that moves only when it is told to wait."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += max(int(seconds * SECOND), 1)

    @property
    def seconds(self) -> float:
        return self.time / SECOND


def _exchange(
    market: Market, subscriptions: Sequence[Subscription], instruments: Mapping[str, Instrument], now: int, connections: int
) -> ExchangePlan:
    links = []
    fetches: list[Fetch] = []
    for link in (one for planned in market.links(subscriptions) for one in copies(planned, connections)):
        messages, seconds = _first_words(market, link, now)
        links.append(LinkPlan(link.name, link.url, tuple(map(str, link.subscriptions)), messages, seconds))
        fetches += _snapshots(market, link, now)
    limits = market.limits
    connect_seconds = paced([1] * len(links), [connect_limit(limits)])
    chosen, limit, snapshot_seconds, deep_seconds = budgeted(fetches, limits.rest_weight, limits.rest_seconds)
    keys = dict.fromkeys(one.key for one in subscriptions)
    return ExchangePlan(
        exchange=market.exchange,
        environment=market.environment,
        rest_url=market.rest_url,
        instruments=tuple(instruments[key] for key in keys),
        links=tuple(links),
        connect_seconds=connect_seconds,
        snapshots=chosen,
        rest_limit=limit,
        rest_seconds=limits.rest_seconds,
        snapshot_seconds=snapshot_seconds,
        sync_seconds=connect_seconds + max((link.seconds for link in links), default=0.0) + snapshot_seconds,
        deep_seconds=deep_seconds,
    )


def _first_words(market: Market, link: Link, now: int) -> tuple[int, float]:
    """How many messages a session starts with, and the seconds until the last of them may be sent."""
    sends = [said for said in market.session(link, "start", {}).start(now) if isinstance(said, Send)]
    return len(sends), paced([said.weight for said in sends if not said.urgent], link.send_limits)


def _snapshots(market: Market, link: Link, now: int) -> list[Fetch]:
    """The snapshots that a session asks for once the venue has acknowledged everything; found out from a throw-away session."""
    session = market.session(link, "start", {})
    for _ in session.start(now):
        pass
    for activity in session.activity.values():
        activity.ts_acked = now
    return [said for said in session.idle(now + QUIET) if isinstance(said, Fetch) and said.purpose == "snapshot"]


class Rehearsal(Pace):
    """A Pace whose waiting takes no time."""

    def __init__(self, limits: Sequence[tuple[int, float]], steps: Steps) -> None:
        super().__init__(limits, steps)
        self._steps = steps

    def take(self, weight: int) -> None:
        """As `wait`."""
        while (delay := self.delay(weight)) > 0:
            self._steps.wait(delay)
        self.done(weight)


def paced(weights: Sequence[int], limits: Sequence[tuple[int, float]]) -> float:
    """Seconds until the last of `weights` may be done under (count, seconds) limits."""
    clock = Steps()
    pace = Rehearsal(limits, clock)
    for weight in weights:
        pace.take(weight)
    return clock.seconds


def budgeted(fetches: Sequence[Fetch], weight: int, seconds: float) -> tuple[tuple[SnapshotPlan, ...], int, float, float]:
    """(what depths the budget of `weight` in `seconds` gives the fetches, its usable weight, seconds until the last is asked, and
    from then on until the last that is shallow is asked for again)."""
    clock = Steps()
    budget = Budget(weight, seconds, clock)
    chosen: dict[tuple[int, int], list[Fetch]] = {}
    for asked, fetch in enumerate(fetches):
        budget.waiting = len(fetches) - asked
        depth = budget.choose(fetch.depths) if fetch.depths else (0, fetch.weight)
        while (delay := budget.delay(depth[1])) > 0:
            clock.wait(delay)
            depth = budget.choose(fetch.depths) if fetch.depths else depth
        budget.spend(depth[1])
        chosen.setdefault(depth, []).append(fetch)
    snapshot_seconds = clock.seconds
    shallow = {depth: [one for one in got if one.depths and depth != one.depths[0]] for depth, got in chosen.items()}
    for fetch in (one for of in shallow.values() for one in of):
        while (delay := budget.delay(fetch.depths[0][1] + budget.reserve)) > 0:
            clock.wait(delay)
        budget.spend(fetch.depths[0][1])
    plans = [SnapshotPlan(len(got), *depth, tuple(one.key for one in shallow[depth])) for depth, got in chosen.items()]
    return tuple(plans), budget.limit, snapshot_seconds, clock.seconds - snapshot_seconds
