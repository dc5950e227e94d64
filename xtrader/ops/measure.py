"""Where times are taken: histograms of fixed size that are counted up in place, for facts.

The rule: nothing is kept of a single message. What rows carry (`ts_event`, `ts_recv`) is counted when their batch is written, all
rows at once; only what rows do not carry is measured beside them, and then of some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from xtrader.ops.facts import Histogram

BUCKETS: Final = 65
"""`counts[n]` has what took n bits of nanoseconds; a clock that is wrong may take all 64."""
MANY: Final = 4096
"""Rows that are counted at once."""
MOST: Final = 2**63 - 1
NULL: Final = -(2**63)
"""Stands for a time that is not known."""


class Durations:
    """How often something took how long, in nanoseconds."""

    __slots__ = ("_counts", "_longest", "_total")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total = 0
        self._longest = 0

    def add(self, ns: int) -> None:
        """Count one. What is negative, by clocks that differ, is counted as nothing."""
        if ns > 0:
            self._counts[ns.bit_length()] += 1
            self._total += ns
            if ns > self._longest:
                self._longest = ns
        else:
            self._counts[0] += 1

    def add_counted(self, counts: Sequence[int], total: int, longest: int) -> None:
        """Add what was counted elsewhere: how often by bits, the sum and the longest in ns."""
        self._counts = [before + more for before, more in zip(self._counts, counts, strict=True)]
        self._total += total
        self._longest = max(self._longest, longest)

    def facts(self) -> Histogram:
        """What was counted."""
        used = max((bits for bits, count in enumerate(self._counts) if count), default=-1) + 1
        return Histogram(tuple(self._counts[:used]), self._total / 1e9, self._longest / 1e9)


class Arrivals:
    """What the rows of batches say of their way here, by exchange. Batches wait until there are MANY rows, or somebody asks: so
    the cost is that of a few calls, however many they are."""

    def __init__(self) -> None:
        self._waiting: list[tuple[list[str], Any, int]] = []
        self._rows = 0
        self._lag: defaultdict[str, Durations] = defaultdict(Durations)
        self._journaled: defaultdict[str, Durations] = defaultdict(Durations)
        self._least: dict[str, int] = {}

    def take(self, keys: Sequence[str], columns: Any, now: int) -> None:
        """A batch that is being written at wall time `now`. `columns`, a structured array that nobody changes any more, has
        "instrument" (a place in `keys`, which are `EXCHANGE@SYMBOL`), "ts_event" (NULL where there is none) and "ts_recv"."""
        self._waiting.append(([key.partition("@")[0] for key in keys], columns, now))
        self._rows += len(columns)
        if self._rows >= MANY:
            self._count()

    def lag(self, exchange: str) -> Histogram:
        """From `ts_event` to `ts_recv`, where there is a `ts_event`."""
        self._count()
        return self._lag[exchange].facts()

    def journaled(self, exchange: str) -> Histogram:
        """From `ts_recv` to the journal."""
        self._count()
        return self._journaled[exchange].facts()

    def least_lag(self, exchange: str) -> int | None:
        """The least lag (ns, may be negative) since this was last asked; None if there was none."""
        self._count()
        return self._least.pop(exchange, None)

    def _count(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        exchanges = list(dict.fromkeys(exchange for own, _, _ in waiting for exchange in own))
        if not exchanges:
            return
        place = {exchange: number for number, exchange in enumerate(exchanges)}
        of_row = np.concatenate([np.array([place[one] for one in own])[rows["instrument"]] for own, rows, _ in waiting])
        ts_event = np.concatenate([rows["ts_event"] for _, rows, _ in waiting])
        ts_recv = np.concatenate([rows["ts_recv"] for _, rows, _ in waiting])
        ways = np.concatenate([now - rows["ts_recv"] for _, rows, now in waiting])
        is_timed = ts_event != NULL
        lags = ts_recv - ts_event
        _add([self._journaled[exchange] for exchange in exchanges], of_row, ways)
        timed, lags = of_row[is_timed], lags[is_timed]
        _add([self._lag[exchange] for exchange in exchanges], timed, lags)
        least = np.full(len(exchanges), MOST)
        np.minimum.at(least, timed, lags)
        for exchange, one in zip(exchanges, least.tolist(), strict=True):
            if one < MOST:
                self._least[exchange] = min(self._least.get(exchange, one), one)


def _add(to: Sequence[Durations], which: Any, ns: Any) -> None:
    """Count each of `ns` (int64) in that of `to` whose place is in `which`."""
    ns = np.maximum(ns, 0)
    floats = ns.astype(np.float64)
    bits = np.frexp(floats)[1]
    counts = np.bincount(which * BUCKETS + bits, minlength=len(to) * BUCKETS).reshape(len(to), BUCKETS).tolist()
    totals = np.bincount(which, floats, len(to)).tolist()
    longest = np.zeros(len(to), np.int64)
    np.maximum.at(longest, which, ns)
    for own, count, total, most in zip(to, counts, totals, longest.tolist(), strict=True):
        own.add_counted(count, int(total), most)
