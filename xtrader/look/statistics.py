"""What the live book of an instrument adds up to since it began: messages and their rates, losses, the spread over time, trades.

The rule: a spread counts for as long as it held, and not at all where the book was not known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from xtrader.clock import SECOND
from xtrader.model.market import Coverage, Trade

KEPT: Final = 1800
"""Seconds of which the spread is remembered one by one."""
RATE_TIME: Final = 10 * SECOND
"""Nanoseconds over which rates are taken."""


class News(msgspec.Struct):
    """What one poll brought of an instrument: `updates` messages of its book; `spreads` as (time, basis points from then on, None
    where there is no book); its trades, oldest first; gaps that were not told before; how often the book was built anew after a
    loss."""

    updates: int = 0
    spreads: list[tuple[int, float | None]] = []
    trades: list[Trade] = []
    gaps: list[Coverage] = []
    resyncs: int = 0


class Slot(NamedTuple):
    """The spread in one second (`second` since 1970), in basis points. `held` nanoseconds of it are known; `area` is basis points
    times nanoseconds."""

    second: int
    low: float
    high: float
    area: float
    held: int


class Summary(msgspec.Struct, frozen=True):
    """The sums from `since` to `ts`, int nanoseconds UTC. Rates are messages a second; spreads are in basis points, the mean one
    by time; `bought` is the share of the volume that buyers took. None for what nothing is known of."""

    since: int
    ts: int
    updates: int = 0
    trades: int = 0
    update_rate: float = 0.0
    trade_rate: float = 0.0
    gaps: int = 0
    cause: str = ""
    resyncs: int = 0
    spread_low: float | None = None
    spread_mean: float | None = None
    spread_high: float | None = None
    volume: float = 0.0
    vwap: float | None = None
    bought: float | None = None
    slots: Sequence[Slot] = ()


class Statistics:
    """Adds up from `since` on, when the spread was `spread` basis points (None: no book). `take` what each poll brought."""

    def __init__(self, since: int, spread: float | None = None) -> None:
        self._since = since
        self._spread = spread
        self._held_from = since
        self._updates = self._trades = self._gaps = self._resyncs = 0
        self._cause = ""
        self._volume = self._paid = self._bought = 0.0
        self._slots: deque[Slot] = deque(maxlen=KEPT)
        self._all: Slot | None = None
        self._polls: deque[tuple[int, int, int]] = deque([(since, 0, 0)])

    def take(self, news: News, now: int, until: int) -> None:
        """Add what a poll at `now` brought, by which all that was received before `until` is known."""
        for ts, spread in news.spreads:
            self._hold(ts)
            self._spread = spread
        self._hold(until)
        self._updates += news.updates
        self._trades += len(news.trades)
        self._gaps += len(news.gaps)
        self._cause = news.gaps[-1].cause if news.gaps else self._cause
        self._resyncs += news.resyncs
        for trade in news.trades:
            self._volume += trade.size
            self._paid += trade.price * trade.size
            self._bought += trade.size if trade.side == "buy" else 0.0
        self._polls.append((now, self._updates, self._trades))
        while self._polls[1][0] <= now - RATE_TIME and len(self._polls) > 2:
            self._polls.popleft()

    def restarted(self, now: int) -> Statistics:
        """The same from `now` on, over the spread that there is."""
        return Statistics(now, self._spread)

    def summary(self, now: int) -> Summary:
        """The sums at `now`."""
        begun, updates, trades = self._polls[0]
        seconds = max(now - begun, SECOND) / SECOND
        spread = self._all
        return Summary(
            since=self._since,
            ts=now,
            updates=self._updates,
            trades=self._trades,
            update_rate=(self._updates - updates) / seconds,
            trade_rate=(self._trades - trades) / seconds,
            gaps=self._gaps,
            cause=self._cause,
            resyncs=self._resyncs,
            spread_low=None if spread is None else spread.low,
            spread_mean=None if spread is None else spread.area / spread.held,
            spread_high=None if spread is None else spread.high,
            volume=self._volume,
            vwap=self._paid / self._volume if self._volume else None,
            bought=self._bought / self._volume if self._volume else None,
            slots=tuple(self._slots),
        )

    def _hold(self, until: int) -> None:
        """The present spread held until then."""
        ts, self._held_from = self._held_from, max(self._held_from, until)
        if self._spread is None:
            return
        while ts < until:
            second = ts // SECOND
            end = min(until, (second + 1) * SECOND)
            last = self._slots.pop() if self._slots and self._slots[-1].second == second else None
            self._slots.append(_widened(last, second, self._spread, end - ts))
            self._all = _widened(self._all, second, self._spread, end - ts)
            ts = end


def joined(slots: Sequence[Slot], seconds: int) -> dict[int, Slot]:
    """Slots of so many seconds, by their numbers since 1970."""
    found: dict[int, Slot] = {}
    for slot in slots:
        number = slot.second // seconds
        one = found.get(number)
        found[number] = slot if one is None else Slot(
            one.second, min(one.low, slot.low), max(one.high, slot.high), one.area + slot.area, one.held + slot.held
        )  # fmt: skip
    return found


def _widened(slot: Slot | None, second: int, spread: float, held: int) -> Slot:
    if slot is None:
        return Slot(second, spread, spread, spread * held, held)
    return Slot(slot.second, min(slot.low, spread), max(slot.high, spread), slot.area + spread * held, slot.held + held)
