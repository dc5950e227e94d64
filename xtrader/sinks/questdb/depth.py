"""Books for best prices alone: a batch of messages at once, most levels without a look at them.

The rule: the levels near the top are kept up to date message by message; all others are a log, read when they come near.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from xtrader.model.book import Asks, Bids
from xtrader.model.market import Level
from xtrader.sinks.base import Floats, Indexes, Ints, Updates

NEAR: Final = 32
"""Levels of a side that are kept up to date when it is looked at anew; it may have four times as many before that."""
LOGGED: Final = 400_000
"""Levels in the log before it is read: it takes 24 bytes a level."""
INFINITE: Final = float("inf")

Levels: TypeAlias = list[Level]
Packed: TypeAlias = dict[str, tuple[Levels, Levels]]
"""Bids and asks by instrument."""
Best: TypeAlias = tuple[Level | None, Level | None] | None
"""Best bid and ask; None where the book is not known."""


class _Side:
    """A side of one book. `near` has every level whose price times `sign` is not above `floor`. The others are `far` (shape
    (2, n): prices, sizes), changed by what the log says of `number`."""

    __slots__ = ("best", "far", "floor", "near", "number", "sign")

    def __init__(self, sign: int, number: int, levels: Floats) -> None:
        self.sign = sign
        self.number = number
        self.hold(levels)

    def hold(self, levels: Floats) -> None:
        """Hold these levels, all that there are, each once."""
        order = np.argsort(levels[0] * self.sign)
        self.near = Bids() if self.sign < 0 else Asks()
        self.near.replace(zip(*levels[:, order[:NEAR]].tolist(), strict=True))
        self.far = levels[:, order[NEAR:]]
        self.floor = float(levels[0, order[NEAR - 1]]) * self.sign if self.far.size else INFINITE
        self.find()

    def find(self) -> bool:
        """Look for the best level; False if it must be among the far ones."""
        price = self.near.best()
        self.best: Level | None = None if price is None else (price, self.near.sizes[price])
        return price is not None or self.floor == INFINITE

    def everything(self) -> Floats:
        """All levels, if the log was read."""
        return np.concatenate((_array(self.near.sizes), self.far), axis=1)

    def trim(self) -> Floats:
        """Keep the nearest levels; returns the others, which are for the log."""
        far = self.far
        self.hold(_array(self.near.sizes))
        others, self.far = self.far, far
        return others


class Depth:
    """Books by instrument. Memory: 16 bytes a level of each book, and the log."""

    def __init__(self, books: Packed) -> None:
        self._books: dict[str, tuple[_Side, _Side]] = {}
        self._log: list[tuple[Indexes, Floats]] = []
        self._logged = 0
        self._numbers = 0
        for key, (bids, asks) in books.items():
            self._begin(key, _array(dict(bids)), _array(dict(asks)))

    def packed(self) -> Packed:
        """All levels of all books."""
        self._read_log()
        return {key: (_listed(bids.everything()), _listed(asks.everything())) for key, (bids, asks) in self._books.items()}

    def take(self, batch: Updates) -> list[Best]:
        """Bring the books up to date; returns the best levels after each message."""
        found: list[Best] = []
        ends = np.cumsum(batch.counts, dtype=np.int64)
        levels = np.ascontiguousarray(batch.levels.T)
        snapshots = [*np.flatnonzero(batch.is_snapshot).tolist(), len(ends)]
        for snapshot, following in pairwise([-1, *snapshots]):
            if snapshot >= 0:
                found.append(self._replace(batch, snapshot, levels[:, ends[snapshot] - batch.counts[snapshot] : ends[snapshot]]))
            while len(found) < following:
                self._change(batch, levels, ends, slice(len(found), following), found)
        if self._logged > LOGGED:
            self._read_log()
        return found

    def _replace(self, batch: Updates, number: int, levels: Floats) -> Best:
        middle = int(batch.bids[number])
        sides = (dict(zip(*half.tolist(), strict=True)) for half in (levels[:, :middle], levels[:, middle:]))
        key = batch.keys[int(batch.instrument[number])]
        self._begin(key, *map(_array, sides))
        return self._best(key)

    def _best(self, key: str) -> Best:
        bids, asks = self._books[key]
        return bids.best, asks.best

    def _begin(self, key: str, bids: Floats, asks: Floats) -> None:
        """Sides have new numbers: what the log says of the old ones is not theirs."""
        self._numbers += 2
        self._books[key] = _Side(-1, self._numbers - 2, bids), _Side(1, self._numbers - 1, asks)

    def _change(self, batch: Updates, levels: Floats, ends: Ints, messages: slice, found: list[Best]) -> None:
        """Take messages that are no snapshots, until their end or until a side must be looked at anew."""
        books = [self._books.get(key) for key in batch.keys]
        floors = np.array([(-INFINITE, -INFINITE) if pair is None else [side.floor for side in pair] for pair in books])
        numbers = np.array([(-1, -1) if pair is None else [side.number for side in pair] for pair in books], np.int32)
        instrument, counts, bids = batch.instrument[messages], batch.counts[messages], batch.bids[messages]
        # A run is a side of a message: bids and asks by turns.
        runs = np.column_stack((bids, counts - bids)).ravel()
        base = int(ends[messages.start] - counts[0])
        levels = levels[:, base : int(ends[messages.stop - 1])]
        floor = np.repeat(floors[instrument].ravel(), runs)
        near = levels[0] * np.repeat(np.tile(np.array([-1.0, 1.0]), len(counts)), runs) <= floor
        bounds = np.append(0, np.cumsum(near))[np.append(0, np.cumsum(runs))].tolist()
        prices, sizes = levels[:, near].tolist()
        latest = [None if pair is None else (pair[0].best, pair[1].best) for pair in books]
        touched: dict[int, _Side] = {}
        lost: list[_Side] = []
        done = 0
        for done, one in enumerate(instrument.tolist(), 1):
            first, middle, last = bounds[2 * done - 2 : 2 * done + 1]
            pair = books[one]
            if pair is not None and first < last:
                for side, start, end in ((pair[0], first, middle), (pair[1], middle, last)):
                    if start < end:
                        side.near.apply(zip(prices[start:end], sizes[start:end], strict=True))
                        touched[side.number] = side
                        if not side.find():
                            lost.append(side)
                latest[one] = pair[0].best, pair[1].best
                if lost:
                    break
            found.append(latest[one])
        far = ~near[: int(runs[: 2 * done].sum())]
        self._write_log(np.repeat(numbers[instrument[:done]].ravel(), runs[: 2 * done])[far], levels[:, : len(far)][:, far])
        for side in touched.values():
            if len(side.near.sizes) > 4 * NEAR:
                others = side.trim()
                self._write_log(np.full(others.shape[1], side.number, np.int32), others)
        if lost:
            self._read_log()
            for side in lost:
                side.hold(side.everything())
            found.append(self._best(batch.keys[one]))

    def _write_log(self, numbers: Indexes, levels: Floats) -> None:
        self._log.append((numbers, levels))
        self._logged += len(numbers)

    def _read_log(self) -> None:
        """Change the far levels as the log says."""
        if not self._logged:
            return
        numbers = np.concatenate([part for part, _ in self._log])
        levels = np.concatenate([part for _, part in self._log], axis=1)
        self._log, self._logged = [], 0
        order = np.argsort(numbers, kind="stable")
        numbers, levels = numbers[order], levels[:, order]
        for side in (side for pair in self._books.values() for side in pair):
            start, end = np.searchsorted(numbers, [side.number, side.number + 1])
            if start < end:
                side.far = _last(np.concatenate((side.far, levels[:, start:end]), axis=1))


def _last(levels: Floats) -> Floats:
    """The last size of each price; without those that it removed."""
    encoded = pa.array(levels[0] + 0.0).dictionary_encode()
    prices = encoded.dictionary.to_numpy()
    sizes = np.empty(len(prices))
    # Where an index comes more than once, the last value stays.
    sizes[encoded.indices.to_numpy()] = levels[1]
    kept = sizes != 0
    return np.stack((prices[kept], sizes[kept]))


def _array(sizes: Mapping[float, float]) -> Floats:
    """Levels by price as shape (2, n), without empty ones."""
    found = np.array([list(sizes.keys()), list(sizes.values())], np.float64)
    return found[:, found[1] != 0]


def _listed(levels: Floats) -> Levels:
    return list(zip(*levels.tolist(), strict=True))
