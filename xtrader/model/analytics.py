"""What a book says at one instant: mid, spread, micro-price, price and cost of a quantity, imbalance, depth.

The rule: pure functions of a book's sides; nothing is estimated. What the levels do not answer is None.

Prices are in the quote currency. Sizes and quantities are in the venue's unit; `quote_value` turns them into quote currency.
Averages are weighted by size, for inverse contracts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from xtrader.errors import ConfigError
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import Level

BPS = 10_000.0
ROUNDING = 1e-12
"""Sizes are rounded decimals: a share of a quantity that is smaller than this is no quantity."""


class Sides(NamedTuple):
    """A book, or the best part of one: (price, size) with sizes above 0, best first, so bids fall and asks rise."""

    bids: Sequence[Level]
    asks: Sequence[Level]


class Cost(NamedTuple):
    """What a market order would pay beyond the mid: `price` is its average price, `bps` the distance of that from the mid,
    `quote` that distance times the quantity. Both are above 0 unless the book is crossed."""

    price: float
    bps: float
    quote: float


def sides(book: Book, n: int | None = None) -> Sides:
    """All levels of a book, or the best `n` of each side."""
    return Sides(book.bids.levels(n), book.asks.levels(n))


def mid(book: Sides) -> float | None:
    """(best bid + best ask) / 2; None if a side is empty."""
    if not book.bids or not book.asks:
        return None
    return (book.bids[0][0] + book.asks[0][0]) / 2


def spread(book: Sides) -> float | None:
    """best ask - best bid in quote currency, below 0 in a crossed book; None if a side is empty."""
    if not book.bids or not book.asks:
        return None
    return book.asks[0][0] - book.bids[0][0]


def spread_bps(book: Sides) -> float | None:
    """spread / mid x 10,000; None if a side is empty or the mid is 0."""
    middle, width = mid(book), spread(book)
    return None if not middle or width is None else width / middle * BPS


def micro_price(book: Sides) -> float | None:
    """(bid price x ask size + ask price x bid size) / (bid size + ask size) of the best levels: the mid, drawn to the side that
    has less. None if a side is empty."""
    if not book.bids or not book.asks:
        return None
    (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
    return bid + (ask - bid) * (bid_size / (bid_size + ask_size))


def vwap(levels: Sequence[Level], quantity: float) -> float | None:
    """The average price at which `quantity` is filled from one side, best level first, the last one in part; None if the side
    has less (by more than its last digits). Raises ConfigError for a quantity that is not a number above 0."""
    if not 0 < quantity < inf:
        raise ConfigError(f"the quantity {quantity:g} is not a number above 0")
    left = quantity
    paid = 0.0
    for price, size in levels:
        taken = min(size, left)
        paid += price * taken
        left -= taken
        if left <= quantity * ROUNDING:
            return paid / (quantity - left)
    return None


def cost_to_trade(book: Sides, side: str, quantity: float) -> Cost | None:
    """What buying ("buy": from the asks) or selling ("sell": into the bids) `quantity` at once costs against the mid.

    None if a side is empty, the mid is 0, or the book has less than the quantity. Raises ConfigError.
    """
    middle = mid(book)
    price = vwap(book.asks if side == "buy" else book.bids, quantity)
    if not middle or price is None:
        return None
    away = price - middle if side == "buy" else middle - price
    return Cost(price, away / middle * BPS, away * quantity)


def imbalance(book: Sides, n: int) -> float | None:
    """(B - A) / (B + A) with B and A the sizes of the best `n` bids and asks together: 1 is all bids, -1 all asks. None for an
    empty book."""
    bids = sum(size for _, size in book.bids[:n])
    asks = sum(size for _, size in book.asks[:n])
    return None if not bids + asks else (bids - asks) / (bids + asks)


def depth_within(book: Sides, bps: float) -> tuple[float, float] | None:
    """(size of bids, size of asks) at prices no further than `bps` from the mid, ends included; None if a side is empty."""
    middle = mid(book)
    if middle is None:
        return None
    reach = abs(middle) * bps / BPS
    return _sum_until(book.bids, reach, middle), _sum_until(book.asks, reach, middle)


def quote_value(instrument: Instrument, price: float, size: float) -> float:
    """What `size` of an instrument is worth in quote currency at `price`: size x contract size, x price unless the contract is
    in quote currency itself. A contract size that is not known counts as 1."""
    units = size * (instrument.contract_size or 1.0)
    return units if instrument.is_inverse and instrument.contract_unit == instrument.quote else units * price


def grouped(levels: Sequence[Level], step: float, sign: int) -> list[Level]:
    """One side in price steps: bids (`sign` -1) rounded down, asks (+1) up to a multiple of `step`, sizes added; best first."""
    groups: dict[int, float] = {}
    for price, size in levels:
        # Prices and steps are decimals: the nearest multiple counts as reached however the division is rounded.
        ticks = sign * price / step
        whole = round(ticks)
        if whole < ticks and ticks - whole > 1e-6:
            whole += 1
        groups[whole] = groups.get(whole, 0.0) + size
    return [(sign * whole * step, size) for whole, size in groups.items()]


def _sum_until(levels: Sequence[Level], reach: float, middle: float) -> float:
    total = 0.0
    for price, size in levels:
        if abs(price - middle) > reach:
            break
        total += size
    return total
