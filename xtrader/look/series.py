"""Mid, spread and depth of an instrument over a range, with its gaps, ready to be drawn.

The rule: where no book is known, there is no value; nothing is joined across a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xtrader.clock import MILLISECOND
from xtrader.errors import ConfigError
from xtrader.look.lines import stamp
from xtrader.look.past import there_is
from xtrader.look.picture import DEPTH_BPS
from xtrader.model import analytics
from xtrader.model.analytics import Sides
from xtrader.model.instrument import Instrument
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.read.intervals import intervals
from xtrader.store.read.part_list import PartList
from xtrader.store.read.view import View

if TYPE_CHECKING:
    from xtrader.store.read.dataset import Dataset

POINTS: Final = 1000
"""About how many points are drawn where the user does not say how far apart they are."""
STEPS: Final = [
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(1000 * seconds for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 86_400)),
]
"""Milliseconds from one point to the next."""
LEVELS: Final = 1_000_000
"""More than any side has."""
RANKS: Final = ("absent", "gap", "syncing", "live")
"""Of what several collectors say of one time, the last of these counts."""

Floats = npt.NDArray[np.float64]


class SeriesStretch(NamedTuple):
    """What is known of [start, end), int nanoseconds UTC: a state of coverage, or "absent" where nobody recorded."""

    state: str
    cause: str
    start: int
    end: int
    detail: str


class TradeBars(NamedTuple):
    """Trades in bars as far apart as the points: (n,) start `ts` (int ns UTC), lowest and highest price, sizes bought and sold by
    takers (a trade of unknown side is half of each)."""

    ts: npt.NDArray[np.int64]
    low: Floats
    high: Floats
    bought: Floats
    sold: Floats


NO_TRADES: Final = TradeBars(np.array([], np.int64), *(np.array([], np.float64) for _ in range(4)))


class Series(NamedTuple):
    """(n,) values at (n,) times `ts` (int ns UTC), NaN where no book is known: mid in quote currency, spread in basis points,
    sizes of bids and asks within DEPTH_BPS of the mid. `stretches` are [start, end) without a hole, in order."""

    instrument: Instrument
    start: int
    end: int
    every: int
    ts: npt.NDArray[np.int64]
    mid: Floats
    spread: Floats
    bids: Floats
    asks: Floats
    stretches: Sequence[SeriesStretch]
    trades: TradeBars = NO_TRADES

    @property
    def size_unit(self) -> str:
        """What sizes are counted in."""
        of = self.instrument
        return "contracts" if of.contract_size not in (None, 1.0) or of.is_inverse else of.base or "size units"

    @property
    def covered(self) -> float:
        """The share of the range in which the book was live."""
        return sum(one.end - one.start for one in self.stretches if one.state == "live") / (self.end - self.start)


def read_series(
    recording: Dataset, place: PartList, of: Instrument, start: int | None, end: int | None, every: int | None = None
) -> Series:
    """The series of [start, end), by default of all that is recorded, with a point each `every` nanoseconds (by default about
    POINTS of them). `recording` is what `place` holds. Raises ConfigError if no book is recorded then."""
    view = View([place], ())
    found = [[one for one in intervals(source) if one.covers == "L2"] for source in view.sources("COVERAGE", of.key)]
    known = [one for each in found for one in each if one.state != "gap" and one.until > one.ts_from]
    if not known:
        raise ConfigError(f"no book of {of.key} is recorded here; {there_is(recording, of.key)}")
    first, last = min(one.ts_from for one in known), max(one.until for one in known)
    begin, until = first if start is None else start, last if end is None else end
    if not (begin < until and begin < last and until > first):
        raise ConfigError(f"no book of {of.key} is recorded in this range; there is one from {stamp(first, 3)} to {stamp(last, 3)}")
    step = every or _step(until - begin)
    tables = recording.books(of.key, every=step, depth=LEVELS, start=begin, end=until).tables()
    points = [point for table in tables for point in _points(table)]
    ts = np.array([moment for moment, _ in points], np.int64)
    mid, spread, bids, asks = np.array([row for _, row in points], np.float64).reshape(-1, 4).T
    trades = _trades(recording, of.key, begin, until, step)
    return Series(of, begin, until, step, ts, mid, spread, bids, asks, stretches(found, begin, until), trades)


def stretches(found: Sequence[Sequence[Interval]], start: int, end: int) -> list[SeriesStretch]:
    """What is known of [start, end) from the intervals of each collector, as stretches without a hole."""
    cuts = {start, end, *(ts for each in found for one in each for ts in (one.ts_from, one.until) if start < ts < end)}
    times = sorted(cuts)
    pieces: list[SeriesStretch] = []
    for begin, until in pairwise(times):
        said = [_said(each, begin, until) for each in found]
        best = max(said, key=lambda one: RANKS.index(one.state), default=_absent(begin, until))
        before = pieces[-1] if pieces else None
        if before is not None and (before.state, before.cause, before.detail) == (best.state, best.cause, best.detail):
            pieces[-1] = before._replace(end=until)
        else:
            pieces.append(best)
    return pieces


def _said(found: Sequence[Interval], begin: int, until: int) -> SeriesStretch:
    """What one collector says of a time in which it says one thing: a gap counts before what it lies in."""
    inside = [one for one in found if one.ts_from <= begin and one.until >= until]
    if not inside:
        return _absent(begin, until)
    one = max(inside, key=lambda each: (each.state == "gap", each.ts_from))
    return SeriesStretch(one.state, one.cause, begin, until, one.detail)


def _absent(begin: int, until: int) -> SeriesStretch:
    return SeriesStretch("absent", "", begin, until, "not recorded")


def _points(table: Any) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    columns = [table["ts"].cast(pa.int64()).to_pylist()]
    columns += [table[name].to_pylist() for name in ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")]
    for ts, bid_prices, bid_sizes, ask_prices, ask_sizes in zip(*columns, strict=True):
        if bid_prices is None:
            yield ts, (np.nan,) * 4
            continue
        book = Sides(list(zip(bid_prices, bid_sizes, strict=True)), list(zip(ask_prices, ask_sizes, strict=True)))
        middle, width = analytics.mid(book), analytics.spread_bps(book)
        bids, asks = analytics.depth_within(book, DEPTH_BPS) or (np.nan, np.nan)
        yield ts, (np.nan if middle is None else middle, np.nan if width is None else width, bids, asks)


def _trades(recording: Dataset, key: str, start: int, end: int, every: int) -> TradeBars:
    bars = recording.bars(key, every=every, start=start, end=end).to_arrow()
    if not bars.num_rows:
        return NO_TRADES
    ts = bars["ts"].cast(pa.int64()).to_numpy()
    low, high, volume, bought, sold = (bars[name].to_numpy() for name in ("low", "high", "volume", "buy_volume", "sell_volume"))
    unknown = np.maximum(volume - bought - sold, 0) / 2
    return TradeBars(ts, low, high, bought + unknown, sold + unknown)


def _step(length: int) -> int:
    """Nanoseconds between two points."""
    return next((step for step in STEPS if step * MILLISECOND * POINTS >= length), STEPS[-1]) * MILLISECOND
