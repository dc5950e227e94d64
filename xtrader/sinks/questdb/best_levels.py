"""Books for best prices alone: the best levels after each message of a batch, for all messages at once.

The rule: a level is an interval of messages, from the one that sets it to the next that names its price; the best one at a
message is the nearest of the intervals that hold it. Only levels near the top take part, the others are a log that is read when
they come near.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.model.market import Level
from xtrader.records.batches import Floats, Ints, Updates

NEAR: Final = 32
"""Levels of a side that take part when it was looked at anew; there may be four times as many before it is again."""
LOGGED: Final = 400_000
"""Levels in the logs before they are read: 16 bytes a level."""
INFINITE: Final = float("inf")
SIGNS: Final = np.array([-1.0, 1.0])
"""A price times this is smaller the better it is: bids, asks."""

Levels: TypeAlias = list[Level]
Packed: TypeAlias = dict[str, tuple[Levels, Levels]]
"""Bids and asks by instrument."""
_NONE: Final = np.empty((2, 0))


class _Side:
    """A side of one book: levels of shape (2, n), signed prices and sizes. `near` has every level whose price is not above `floor`,
    the best one first; the others are `far`, in any order, changed by what `log` says."""

    __slots__ = ("far", "floor", "log", "near")

    def __init__(self, levels: Floats) -> None:
        self.log: list[Floats] = []
        self.far = levels
        self.near = _NONE
        self.floor = INFINITE
        self.widen()

    def trim(self) -> int:
        """Keep the nearest levels near; returns how many others there were, which are in the log now."""
        others = self.near[:, NEAR:]
        self.near = self.near[:, :NEAR].copy()
        self.floor = float(self.near[0, -1])
        self.log.append(others)
        return len(others[0])

    def read_log(self) -> None:
        """Change the far levels as the log says."""
        if self.log:
            self.far = _last(np.concatenate((self.far, *self.log), axis=1))
            self.log = []

    def widen(self) -> None:
        """Let all levels be near."""
        self.read_log()
        levels = np.concatenate((self.near, self.far), axis=1)
        self.near = levels[:, np.argsort(levels[0])]
        self.far = _NONE
        self.floor = INFINITE


class _Stretches(NamedTuple):
    """The messages of a batch by book: messages `order[starts[i]:ends[i]]` are those of book i, whose instrument is
    `instruments[i]`. `fresh[i]`: it begins with a snapshot."""

    order: Ints
    starts: Ints
    ends: Ints
    instruments: list[int]
    fresh: list[bool]


class PackedBooks:
    """Books by instrument. Memory: 16 bytes a level of each book, and the logs."""

    def __init__(self, books: Packed) -> None:
        self._books = {key: (_side(dict(bids), -1), _side(dict(asks), 1)) for key, (bids, asks) in books.items()}
        self._logged = 0

    def packed(self) -> Packed:
        """All levels of all books."""
        self._read_logs()
        return {key: (_listed(bids, -1), _listed(asks, 1)) for key, (bids, asks) in self._books.items()}

    def take(self, batch: Updates, levels: Floats) -> Floats:
        """Bring the books up to date; `levels` are the batch's, of shape (2, levels). Returns the best levels after each
        message, shape (4, n): bid price and size, ask price and size; NaN where there is none, or the book is not known."""
        stretches = _stretches(batch)
        while (found := self._take(batch, levels, stretches)) is None:
            pass
        if self._logged > LOGGED:
            self._read_logs()
        return found

    def _take(self, batch: Updates, levels: Floats, stretches: _Stretches) -> Floats | None:
        """One attempt; None if a side ran out of near levels, which has all of them near now."""
        count, sides = len(batch.counts), self._sides(batch, stretches)
        slot = np.empty(count, np.int64)
        slot[stretches.order] = np.arange(count)
        book = np.repeat(np.arange(len(stretches.starts)), stretches.ends - stretches.starts)[slot]
        # A run is a side of a message: bids and asks by turns. A message's bids come to its slot, its asks to a slot `count` later.
        runs = np.column_stack((batch.bids, batch.counts - batch.bids)).ravel()
        side = np.column_stack((2 * book, 2 * book + 1)).ravel()
        slots = np.column_stack((slot, slot + count)).ravel()
        floors = np.array([-INFINITE if one is None else one.floor for one in sides])
        prices = levels[0] * np.repeat(np.tile(SIGNS, count), runs)
        is_near = prices <= np.repeat(floors[side], runs)
        run = np.repeat(np.arange(2 * count), runs)
        near, far = np.flatnonzero(is_near), np.flatnonzero(~is_near)
        held = [_NONE if one is None else one.near for one in sides]
        begins = np.column_stack((stretches.starts, stretches.starts + count)).ravel()
        ends = np.column_stack((stretches.ends, stretches.ends + count)).ravel()
        initial = np.repeat(np.arange(len(sides)), [one.shape[1] for one in held])
        of_side = np.concatenate((initial, side[run[near]]))
        entries = np.concatenate((*held, np.stack((prices[near], levels[1, near]))), axis=1)
        since = np.concatenate((begins[initial], slots[run[near]]))
        order = _sorted(of_side, entries[0])
        of_side, entries, since = of_side[order], entries.take(order, axis=1), since[order]
        last = np.append((of_side[1:] != of_side[:-1]) | (entries[0, 1:] != entries[0, :-1]), True)
        until = np.where(last, ends[of_side], np.append(since[1:], 0))
        alive = np.flatnonzero((entries[1] != 0) & (since < until))
        best = _first_over(since[alive], until[alive], 2 * count)
        of_slot = np.empty(2 * count, np.int64)
        of_slot[slots] = side
        lost = np.unique(of_slot[(best == len(alive)) & np.isfinite(floors[of_slot])]).tolist()
        for one in (sides[index] for index in lost):
            assert one is not None
            one.widen()
        if lost:
            return None
        shown = np.concatenate((entries[:, alive], [[np.nan], [np.nan]]), axis=1)[:, best]
        shown[0, :count] *= -1
        self._keep(batch, stretches, sides, (of_side, entries, last & (entries[1] != 0)))
        of_side = side[run[far]]
        order = _order(of_side)
        far = far[order]
        self._log(sides, of_side[order], np.stack((prices[far], levels[1, far])))
        return np.concatenate((shown[:, slot], shown[:, slot + count]))

    def _sides(self, batch: Updates, stretches: _Stretches) -> list[_Side | None]:
        """Bids and asks of each stretch's book, by turns; None where the book is not known."""
        found: list[_Side | None] = []
        for instrument, fresh in zip(stretches.instruments, stretches.fresh, strict=True):
            if fresh:
                found += _Side(_NONE), _Side(_NONE)
            else:
                found += self._books.get(batch.keys[instrument], (None, None))
        return found

    def _keep(
        self,
        batch: Updates,
        stretches: _Stretches,
        sides: list[_Side | None],
        found: tuple[Ints, Floats, npt.NDArray[np.bool_]],
    ) -> None:
        """Keep what the near levels are after the batch."""
        of_side, entries, kept = found
        of_side, entries = of_side[kept], entries[:, kept]
        bounds = np.searchsorted(of_side, np.arange(len(sides) + 1)).tolist()
        for index, one in enumerate(sides):
            if one is not None:
                one.near = entries[:, bounds[index] : bounds[index + 1]].copy()
        for index, instrument in enumerate(stretches.instruments):
            bids, asks = sides[2 * index : 2 * index + 2]
            if bids is not None and asks is not None:
                self._books[batch.keys[instrument]] = bids, asks

    def _log(self, sides: list[_Side | None], of_side: Ints, levels: Floats) -> None:
        """Write far levels, in the order of their sides, into the logs; then trim the sides."""
        bounds = np.searchsorted(of_side, np.arange(len(sides) + 1)).tolist()
        for index, one in enumerate(sides):
            if one is None:
                continue
            if bounds[index] < bounds[index + 1]:
                one.log.append(levels[:, bounds[index] : bounds[index + 1]])
                self._logged += bounds[index + 1] - bounds[index]
            if one.near.shape[1] > 4 * NEAR:
                self._logged += one.trim()

    def _read_logs(self) -> None:
        for bids, asks in self._books.values():
            bids.read_log()
            asks.read_log()
        self._logged = 0


def _stretches(batch: Updates) -> _Stretches:
    order = np.argsort(batch.instrument, kind="stable")
    instrument, fresh = batch.instrument[order], batch.is_snapshot[order] != 0
    begins = fresh.copy()
    begins[0] = True
    begins[1:] |= instrument[1:] != instrument[:-1]
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order))
    return _Stretches(order, starts, ends, instrument[starts].tolist(), fresh[starts].tolist())


def _sorted(of_side: Ints, prices: Floats) -> Ints:
    """The order by side, then price; entries of one price stay as they are. Prices are few: their distinct ones are sorted."""
    encoded = pa.array(prices + 0.0).dictionary_encode()
    distinct = encoded.dictionary.to_numpy()
    rank = np.empty(len(distinct), np.int64)
    rank[np.argsort(distinct)] = np.arange(len(distinct))
    return _order(of_side * len(distinct) + rank[encoded.indices.to_numpy()])


def _order(numbers: Ints) -> Ints:
    """A stable order of numbers that are not negative: sixteen bits are sorted ten times as fast."""
    return np.argsort(numbers.astype(np.uint16) if numbers.max(initial=0) < 1 << 16 else numbers, kind="stable")


def _first_over(since: Ints, until: Ints, count: int) -> Ints:
    """For each of `count` slots the number of the first interval [since, until) that holds it; their number where none does.

    An interval is written as two overlapping ones of a power of two; then each power is handed down to the next smaller one."""
    none = len(since)
    powers = np.frexp((until - since).astype(np.float64))[1] - 1
    best = np.full(count, none)
    for power in range(int(powers.max(initial=0)), -1, -1):
        if power < int(powers.max(initial=0)):
            half = 1 << power
            handed = best.copy()
            handed[half:] = np.minimum(handed[half:], best[:-half])
            best = handed
        # Backwards: where several are written to one place, the last one stays.
        mine = np.flatnonzero(powers == power)[::-1]
        for places in (since[mine], until[mine] - (1 << power)):
            written = np.full(count, none)
            written[places] = mine
            best = np.minimum(best, written)
    return best


def _last(levels: Floats) -> Floats:
    """The last size of each price; without those that it removed."""
    encoded = pa.array(levels[0] + 0.0).dictionary_encode()
    prices = encoded.dictionary.to_numpy()
    sizes = np.empty(len(prices))
    # Where an index comes more than once, the last value stays.
    sizes[encoded.indices.to_numpy()] = levels[1]
    kept = sizes != 0
    return np.stack((prices[kept], sizes[kept]))


def _side(sizes: Mapping[float, float], sign: int) -> _Side:
    """A side without empty levels."""
    found = np.array([list(sizes.keys()), list(sizes.values())], np.float64)
    found = found[:, found[1] != 0]
    return _Side(np.stack((found[0] * sign, found[1])))


def _listed(side: _Side, sign: int) -> Levels:
    levels = np.concatenate((side.near, side.far), axis=1)
    return list(zip((levels[0] * sign).tolist(), levels[1].tolist(), strict=True))
