"""TradeChain: proves by the venue's running numbers that no trade of an instrument is missing.

One rule: a number that is skipped becomes a gap row and is waited for; one that comes late fills its hole; only what was seen is
dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from xtrader.model.market import Coverage

RESTART_AFTER = 1_000_000_000
"""A lower number whose trade is this many nanoseconds newer than the last one is no repetition: the venue began to count anew."""
HOLES = 100
"""Holes of one instrument that are waited for; beyond it the oldest is given up, and stays a gap."""
EARLIER = 100_000
"""So many numbers before the first one of all may still come, where a venue begins in another order."""


REMEMBERED = 10_000
"""Trades without numbers of one instrument that are known when they come again."""

Name: TypeAlias = tuple[str, int | None]
"""What tells a trade without a number: its id, and the venue's time of it."""


class Hole(msgspec.Struct, frozen=True):
    """Numbers `first` to `last` that were not seen, between the messages received at `ts_from` and at `ts_to` (int ns)."""

    first: int
    last: int
    ts_from: int
    ts_to: int


class SeenTrades(msgspec.Struct, frozen=True):
    """Which trades of an instrument were seen: all up to the number `last`, whose own time is `ts_event`, but those in `holes`;
    where trades have no numbers (`last` is None), those of `names`. What one session hands to the next."""

    last: int | None
    ts_event: int | None
    holes: tuple[Hole, ...] = ()
    names: tuple[Name, ...] = ()


class Names:
    """The last trades that have no numbers, so that each is recorded once. A loss among them cannot be told."""

    __slots__ = ("_names",)

    def __init__(self, seen: Iterable[Name] = ()) -> None:
        self._names: dict[Name, None] = dict.fromkeys(seen)

    def add(self, name: Name) -> bool:
        """Remember a trade; False if it was seen."""
        names = self._names
        if name in names:
            return False
        names[name] = None
        if len(names) > REMEMBERED:
            del names[next(iter(names))]
        return True

    def __contains__(self, name: Name) -> bool:
        return name in self._names

    def handed_on(self, numbered: SeenTrades | None) -> SeenTrades | None:
        """What is known of the `numbered` trades, and of these; None before the first of either."""
        if not self._names:
            return numbered
        return msgspec.structs.replace(numbered or SeenTrades(None, None), names=tuple(self._names))


class Numbers:
    """The numbers of one instrument's trades that were seen. `last` is the highest, None before the first. What lies before the
    first one was not seen either, and is a hole like any other."""

    __slots__ = ("holes", "last", "ts_event")

    def __init__(self, seen: SeenTrades | None) -> None:
        self.last = None if seen is None else seen.last
        self.ts_event = None if seen is None else seen.ts_event
        self.holes = [] if seen is None else list(seen.holes)

    def seen(self) -> SeenTrades | None:
        """What there is to hand on; None before the first."""
        return None if self.last is None else SeenTrades(self.last, self.ts_event, tuple(self.holes))

    def skip(self, hole: Hole) -> None:
        """Wait for the numbers of a hole, which is the highest yet."""
        self.holes = [*self.holes[1 - HOLES :], hole]

    def begin(self, first: int, ts_from: int, ts_to: int) -> None:
        """`first` is the first number ever, or since the venue began to count anew."""
        self.holes = [Hole(first - EARLIER, first - 1, ts_from, ts_to)]

    def fill(self, first: int, last: int) -> list[Hole]:
        """The parts of the holes that `first` to `last` fill, which are waited for no longer; none for what was seen."""
        filled: list[Hole] = []
        kept: list[Hole] = []
        for hole in self.holes:
            low, high = max(first, hole.first), min(last, hole.last)
            if low > high:
                kept.append(hole)
                continue
            filled.append(Hole(low, high, hole.ts_from, hole.ts_to))
            if hole.first < low:
                kept.append(Hole(hole.first, low - 1, hole.ts_from, hole.ts_to))
            if high < hole.last:
                kept.append(Hole(high + 1, hole.last, hole.ts_from, hole.ts_to))
        self.holes = kept[-HOLES:]
        return filled

    def restarted(self, ts_event: int | None) -> bool:
        """True if a trade of this time, whose number is not above the last one, shows that the venue began to count anew."""
        return ts_event is not None and self.ts_event is not None and ts_event - self.ts_event > RESTART_AFTER


def missing(first: int, last: int) -> str:
    """What a gap row's detail says of missing numbers."""
    return f"missing ids {first} to {last} ({last - first + 1})"


def filled(key: str, hole: Hole) -> Coverage:
    """The row that says that the numbers of a hole came later."""
    first, last = hole.first, hole.last
    detail = f"ids {first} to {last} came later ({last - first + 1})"
    return Coverage(key, "TRADES", "live", "filled", hole.ts_from, hole.ts_to, detail, first, last)


class TradeChain:
    """The trade numbers of one instrument on one connection.

    `key` is the instrument key. `resume` is what earlier sessions saw, None if that is nothing; when the first trade here does not
    follow it, the gap row carries `cause` and begins when the stream went live. `counts` is the session's: duplicates, trade_gaps
    and late are counted in it.
    """

    __slots__ = ("_cause", "_counts", "_key", "_numbers", "ts_good")

    def __init__(self, key: str, cause: str, counts: Counter[str], resume: SeenTrades | None) -> None:
        self._key = key
        self._cause = cause
        self._counts = counts
        self._numbers = Numbers(resume)
        self.ts_good = 0
        """`ts_recv` of the last trade that was taken, or when the stream went live; 0 before."""

    @property
    def last(self) -> int | None:
        """The highest number that was seen, None before the first."""
        return self._numbers.last

    def seen(self) -> SeenTrades | None:
        """What to hand to the next session; None before the first trade."""
        return self._numbers.seen()

    def live(self, ts: int, cause: str) -> None:
        """The stream went live at `ts` (int ns): a jump at its next trade is laid to `cause` and begins there."""
        self.ts_good = ts
        self._cause = cause

    def check(self, first: int | None, last: int, ts_event: int | None, ts_recv: int) -> Sequence[Coverage] | None:
        """Take the numbers `first` to `last` (equal for a single trade) of a message that came at `ts_recv` (int ns). Without
        `first` it is not known how many numbers before `last` the message stands for, and so not whether any are missing.

        Returns the rows to write before the trade: none when its numbers follow the last ones or are the first ever; a closed gap
        and live when numbers are missing or began anew; what it fills when it comes late. None for a repetition, which the caller
        drops.
        """
        numbers = self._numbers
        seen = numbers.last
        rows: Sequence[Coverage] = ()
        if seen is None or first != seen + 1:
            if seen is None:
                numbers.begin(last if first is None else first, self.ts_good or ts_recv, ts_recv)
            elif last > seen:
                rows = self._ahead(seen, first, last, ts_recv)
            elif numbers.restarted(ts_event):
                start = self.ts_good or ts_recv
                numbers.begin(last if first is None else first, start, ts_recv)
                rows = self._gap(start, ts_recv, "numbers restarted")
            else:
                return self._late(last if first is None else first, last, ts_recv)
        numbers.last = last
        numbers.ts_event = ts_event
        self.ts_good = ts_recv
        self._cause = "venue_gap"
        return rows

    def _ahead(self, seen: int, first: int | None, last: int, ts_recv: int) -> Sequence[Coverage]:
        """The rows for numbers up to `last` that do not follow `seen`: they leave some out, or some of them were seen."""
        if first is not None and first <= seen:
            return [filled(self._key, hole) for hole in self._numbers.fill(first, seen)]
        before = (last if first is None else first) - 1
        if before == seen:
            return ()
        hole = Hole(seen + 1, before, self.ts_good or ts_recv, ts_recv)
        self._numbers.skip(hole)
        if first is None:
            return ()
        return self._gap(hole.ts_from, hole.ts_to, missing(hole.first, hole.last), hole.first, hole.last)

    def _late(self, first: int, last: int, ts_recv: int) -> Sequence[Coverage] | None:
        """Numbers below the last one: those of a hole, or a repetition."""
        holes = self._numbers.fill(first, last)
        if not holes:
            self._counts["duplicates"] += 1
            return None
        self._counts["late"] += 1
        self.ts_good = ts_recv
        return [filled(self._key, hole) for hole in holes]

    def _gap(self, ts_from: int, ts_to: int, detail: str, ids_from: int | None = None, ids_to: int | None = None) -> list[Coverage]:
        """The two rows of a loss: the closed gap, then live again."""
        self._counts["trade_gaps"] += 1
        return [
            Coverage(self._key, "TRADES", "gap", self._cause, ts_from, ts_to, detail, ids_from, ids_to),
            Coverage(self._key, "TRADES", "live", self._cause, ts_to, None),
        ]
