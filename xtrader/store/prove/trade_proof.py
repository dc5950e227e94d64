"""The proof of one instrument's trades, part after part: is each there once, and is each number there that the venue gave.

The rule: a number that is missing is damage unless a gap row names it, one that comes after a higher one unless a row says that it
was filled later, and one that is there twice always is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from xtrader.records.batches import Ints
from xtrader.store.prove.book_proof import BACKWARDS, MOST, Tell, Times, to_ints
from xtrader.store.prove.coverage_map import CoverageMap
from xtrader.venues.base import Rules

REMEMBERED: Final = 200_000
"""Trades back to which one is looked for that is there twice."""


class TradeProof:
    """The trades of one instrument, in order."""

    def __init__(self, rules: Rules, coverage: CoverageMap, tell: Tell) -> None:
        self.messages = 0
        self._rules = rules
        self._coverage = coverage
        self._tell = tell
        self._times = Times(coverage, tell)
        self._last: int | None = None
        """The highest number since the venue last began to count."""
        self._ts = 0
        self._latest = 0
        self._recent: deque[tuple[Ints, Ints]] = deque()
        self._names: deque[set[str]] = deque()

    def lost(self) -> None:
        """Rows are missing here, and that was told: whatever comes next is taken."""
        self._last = None

    def check(self, table: Any) -> None:
        """Take a table of trades."""
        ts = to_ints(table["ts_recv"])
        price, size = (table[name].to_numpy() for name in ("price", "size"))
        if np.isnan(price).any() or np.isnan(size).any() or (size < 0).any():
            self._tell("a trade with an impossible price or size")
        ids = table["trade_id"].to_pylist()
        if self._rules.trade_ids == "unique" or not all(one.isascii() and one.isdecimal() and len(one) < 19 for one in ids):
            self._check_names(ids)
        else:
            self._check_numbers(np.array(ids, np.int64), to_ints(table["ts_event"]), ts)
        self._times.check(ts)
        self.messages += len(ids)

    def _check_names(self, ids: list[str]) -> None:
        seen = set(ids)
        again = len(ids) - len(seen) + sum(len(seen & names) for names in self._names)
        if again:
            self._tell(f"{again} trades are there twice")
        self._names.append(seen)
        while len(self._names) > 1 and sum(map(len, self._names)) - len(self._names[0]) >= REMEMBERED:
            self._names.popleft()

    def _check_numbers(self, numbers: Ints, ts_event: Ints, ts: Ints) -> None:
        told = 0
        start = 0
        latest = self._until(ts)
        doubled: npt.NDArray[np.bool_] | None = None
        while start < len(numbers) and told < MOST:
            if self._last is None:
                self._last, self._ts = int(numbers[start]) - 1, int(ts[start])
            rest = numbers[start:]
            behind = rest <= np.maximum.accumulate(np.concatenate(([self._last], rest)))[:-1]
            stop = len(rest)
            if behind.any():
                if doubled is None:
                    doubled = self._doubled(numbers, ts_event)
                    if doubled.any():
                        self._tell(f"{doubled.sum()} trades are there twice, the first of them {numbers[doubled.argmax()]}")
                odd = behind & ~doubled[start:] & ~self._coverage.came_later(rest)
                stop = int(odd.argmax()) if odd.any() else stop
            ahead = np.flatnonzero(~behind[:stop])
            told += self._follow(rest[ahead], ts[start:][ahead], latest[start:][ahead])
            start += stop
            if start < len(numbers):
                # Lower than before, and neither late nor twice: the venue began to count anew, or the rows are out of order.
                place = max(start - 1, 0)
                before, ts_before = (int(numbers[place]), int(ts[place])) if start else (self._last, self._ts)
                number, low, high = int(numbers[start]), *_span(ts_before, int(ts[start]), int(latest[start]))
                if not self._coverage.explains_ids(number, number, low, high):
                    told += 1
                    self._tell(f"trade {number} at {ts[start]} follows {before}, and no gap row says why")
                self._last = None
        self._remember(numbers, ts_event)

    def _until(self, ts: Ints) -> Ints:
        """When the latest of each trade and those before it was received. Of two connections one is waited for, and the trade that
        waited is stored after later ones; a gap before it begins no earlier than these. A clock that was set back begins anew."""
        latest = np.maximum.accumulate(np.concatenate(([self._latest], ts)))[1:]
        latest = np.where(latest - ts > BACKWARDS, ts, latest)
        if len(latest):
            self._latest = int(latest[-1])
        return latest

    def _follow(self, numbers: Ints, ts: Ints, latest: Ints) -> int:
        """Take numbers that only grow; how many findings were told."""
        if not len(numbers):
            return 0
        assert self._last is not None
        before = np.concatenate(([self._last], numbers))
        times = np.concatenate(([self._ts], ts))
        told = 0
        for place in np.flatnonzero(np.diff(before) != 1) if self._rules.trade_ids == "contiguous" else ():
            low, high = _span(int(times[place]), int(times[place + 1]), int(latest[place]))
            last, number = int(before[place]), int(before[place + 1])
            if told < MOST and not self._coverage.explains_ids(last + 1, number - 1, low, high):
                told += 1
                self._tell(f"trade {number} at {times[place + 1]} follows {last}, and no gap row says why")
        self._last, self._ts = int(numbers[-1]), int(ts[-1])
        return told

    def _doubled(self, numbers: Ints, ts_event: Ints) -> npt.NDArray[np.bool_]:
        """Which of these trades were there before: the same number and the venue's same time."""
        earlier = sum(len(ids) for ids, _ in self._recent)
        ids = np.concatenate([*(ids for ids, _ in self._recent), numbers])
        events = np.concatenate([*(events for _, events in self._recent), ts_event])
        order = np.lexsort((events, ids))
        again = np.zeros(len(ids), bool)
        again[order[1:]] = (np.diff(ids[order]) == 0) & (np.diff(events[order]) == 0)
        return again[earlier:]

    def _remember(self, numbers: Ints, ts_event: Ints) -> None:
        recent = self._recent
        recent.append((numbers[-REMEMBERED:], ts_event[-REMEMBERED:]))
        while len(recent) > 1 and _rows(recent) - len(recent[0][0]) >= REMEMBERED:
            recent.popleft()


def _span(before: int, ts: int, latest: int) -> tuple[int, int]:
    """The times within which a gap between two trades lies."""
    return min(before, ts), max(before, ts, latest)


def _rows(recent: Iterable[tuple[Ints, Ints]]) -> int:
    return sum(len(ids) for ids, _ in recent)
