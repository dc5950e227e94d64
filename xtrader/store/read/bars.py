"""Trades as bars.

The rule: a bar is made of the trades that were received within it, in the order of their receipt; nothing is made up for quiet
times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xtrader.model.market import SIDES
from xtrader.records.batches import Floats, Ints
from xtrader.records.schemas import TRADES
from xtrader.store.read.answer import Answer
from xtrader.store.read.scan import times

COLUMNS: Final = ("ts_recv", "side", "price", "size")
BARS: Final = pa.schema(
    [
        ("ts", TRADES.field("ts_recv").type),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vwap", pa.float64()),
        ("count", pa.int64()),
        ("buy_volume", pa.float64()),
        ("sell_volume", pa.float64()),
    ]
)
_BUY, _SELL = SIDES.index("buy"), SIDES.index("sell")


def bars(trades: Callable[[], Iterable[Any]], every: int) -> Answer:
    """Bars of `every` nanoseconds from tables of trades with COLUMNS; memory is that of the bars and one table."""

    def read() -> Iterator[Any]:
        pieces = [_partial(table, every) for table in trades()]
        if pieces:
            yield _bars(_grouped(*(np.concatenate(column) for column in zip(*pieces, strict=True))))

    return Answer(BARS, read)


def _partial(table: pa.Table, every: int) -> tuple[Ints, Floats]:
    """The bars of one table: their times, and (n, 9) open, high, low, close, volume, turnover, count, bought, sold."""
    price, size = (table[name].to_numpy() for name in ("price", "size"))
    side = table["side"].combine_chunks().indices.to_numpy()
    bought, sold = (np.where(side == code, size, 0) for code in (_BUY, _SELL))
    values = np.stack([price, price, price, price, size, price * size, np.ones(len(price)), bought, sold], axis=1)
    return _grouped(times(table) // every * every, values)


def _grouped(ts: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Rows of the same time as one, in the order of time."""
    order = np.argsort(ts, kind="stable")
    ts, values = ts[order], values[order]
    first = np.flatnonzero(np.concatenate([[True], ts[1:] != ts[:-1]]))
    last = np.concatenate([first[1:], [len(ts)]]) - 1
    found = np.empty((len(first), values.shape[1]))
    found[:, 0] = values[first, 0]
    found[:, 1] = np.maximum.reduceat(values[:, 1], first)
    found[:, 2] = np.minimum.reduceat(values[:, 2], first)
    found[:, 3] = values[last, 3]
    found[:, 4:] = np.add.reduceat(values[:, 4:], first, axis=0)
    return ts[first], found


def _bars(found: tuple[Ints, Floats]) -> Any:
    ts, (opened, high, low, close, volume, turnover, count, bought, sold) = found[0], found[1].T
    # A bar of nothing but trades without a size has no average.
    with np.errstate(invalid="ignore", divide="ignore"):
        vwap = pa.array(turnover / volume, mask=volume == 0)
    floats = [pa.array(np.ascontiguousarray(column)) for column in (opened, high, low, close, volume)]
    rest = [pa.array(count.astype(np.int64)), *(pa.array(np.ascontiguousarray(column)) for column in (bought, sold))]
    return pa.Table.from_arrays([pa.array(ts).cast(BARS.field("ts").type), *floats, vwap, *rest], schema=BARS)
