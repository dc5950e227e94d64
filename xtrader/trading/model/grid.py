"""Exact numbers: the grid of an instrument's prices and sizes.

The rule: orders, fills, positions and limits are whole ticks and lots, or Decimals, never floats. A record's float64 becomes a
whole number of steps or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.model.market import Level

PRECISION: Final = 50
"""Digits of money. Nothing is rounded to fewer digits but where a statement is printed."""
NEAREST: Final = 1e-9
"""A number is on the grid if it is no further from it than this share of itself, or of a step where it is smaller."""
CACHED: Final = 1 << 17
"""Prices of which the number of ticks is remembered."""
_UNSEEN: Final = object()


def exact(number: object, what: str) -> Decimal:
    """A Decimal of a Decimal, int, float (by its shortest text) or text. Raises ConfigError if it is none; NaN and infinity pass,
    and are refused where they are used."""
    if isinstance(number, Decimal):
        return number
    try:
        if isinstance(number, float):
            return Decimal(repr(number))
        if isinstance(number, (int, str)) and not isinstance(number, bool):
            return Decimal(number)
    except InvalidOperation:
        pass
    raise ConfigError(f"{what} is {number!r}, which is no number: give a Decimal, text such as '0.1', an int or a float")


def steps_in(number: float, step: float) -> int | None:
    """How many whole steps a recorded number is; None if it is not on the grid, or not finite."""
    try:
        count = round(number / step)
    except (ValueError, OverflowError):
        return None
    return count if abs(count * step - number) <= NEAREST * max(abs(number), step) else None


class Grid:
    """Prices of one instrument as whole ticks, sizes as whole lots, and what they are worth.

    `tick_steps` is ((from_price, tick), …) where the tick depends on the price; one tick of this grid is then the smallest of
    them. `off_grid` counts the recorded levels and trades that are not on it. Raises ConfigError for an instrument whose catalogue
    gives no tick or lot.
    """

    __slots__ = (
        *("base", "is_inverse", "is_spot", "key", "lot", "minimum", "multiplier", "off_grid", "quote", "settle", "tick"),
        *("_in_quote", "_lot", "_seen", "_tick", "_tiers"),
    )

    def __init__(self, instrument: Instrument, tick_steps: Sequence[tuple[Decimal, Decimal]] = ()) -> None:
        ticks = [tick for _, tick in tick_steps] or [_step(instrument, "tick_size", instrument.tick_size)]
        self.key = instrument.key
        self.tick = min(ticks)
        self.lot = _step(instrument, "lot_size", instrument.lot_size or instrument.min_size)
        if any(tick <= 0 or tick % self.tick for tick in ticks):
            raise ConfigError(f"{instrument.key} has ticks that are no multiples of the smallest: {', '.join(map(str, ticks))}")
        self._tiers = sorted(((start, tick) for start, tick in tick_steps), reverse=True)
        self._tick, self._lot = float(self.tick), float(self.lot)
        self._seen: dict[float, int | None] = {}
        self.minimum = exact(instrument.min_size or 0.0, "min_size")
        self.multiplier = exact(instrument.contract_size or 1.0, "contract_size")
        self.is_inverse = instrument.is_inverse
        self._in_quote = instrument.is_inverse and instrument.contract_unit in ("", instrument.quote)
        self.is_spot = instrument.kind == "spot"
        self.base, self.quote = instrument.base, instrument.quote
        self.settle = instrument.settle or (instrument.base if instrument.is_inverse else instrument.quote)
        self.off_grid = 0

    def ticks(self, price: float) -> int | None:
        """The whole ticks of a recorded price; None, and counted, if it is off the grid."""
        found = self._seen.get(price, _UNSEEN)
        if found is _UNSEEN:
            if len(self._seen) >= CACHED:
                self._seen.clear()
            found = self._seen[price] = steps_in(price, self._tick)
        if found is None:
            self.off_grid += 1
        return found  # type: ignore[return-value]

    def lots(self, size: float) -> int | None:
        """The whole lots of a recorded size; None, and counted, if it is off the grid."""
        found = steps_in(size, self._lot)
        if found is None:
            self.off_grid += 1
        return found

    def levels(self, levels: Sequence[Level]) -> list[tuple[int, int]]:
        """Recorded levels as (ticks, lots), without those off the grid, which are counted."""
        seen, step = self._seen, self._lot
        found = []
        for price, size in levels:
            ticks = seen.get(price)
            if ticks is None:
                ticks = self.ticks(price)
                if ticks is None:
                    continue
            try:
                lots = round(size / step)
            except (ValueError, OverflowError):
                self.off_grid += 1
                continue
            if lots * step != size and steps_in(size, step) is None:
                self.off_grid += 1
                continue
            found.append((ticks, lots))
        return found

    def price(self, ticks: int) -> Decimal:
        """The exact price of so many ticks."""
        return self.tick * ticks

    def size(self, lots: int) -> Decimal:
        """The exact size of so many lots."""
        return self.lot * lots

    def ticks_of(self, price: Decimal) -> int | None:
        """The ticks of an exact price; None if it is on no tick that is allowed there."""
        tick = next((tick for start, tick in self._tiers if price >= start), self.tick)
        return None if not price.is_finite() or price % tick else int(price / self.tick)

    def lots_of(self, size: Decimal) -> int | None:
        """The lots of an exact size; None if it is no whole number of them."""
        return None if not size.is_finite() or size % self.lot else int(size / self.lot)

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """What a quantity is worth in quote currency at a price."""
        units = quantity * self.multiplier
        return units if self._in_quote else units * price

    def base_quantity(self, quantity: Decimal, price: Decimal) -> Decimal:
        """A quantity in units of the base."""
        units = quantity * self.multiplier
        return units / price if self._in_quote else units

    def round_price(self, price: Decimal, side: str) -> Decimal:
        """The nearest price on the grid that is no better for whoever takes it: bids down, asks up."""
        tick = next((tick for start, tick in self._tiers if price >= start), self.tick)
        whole = price // tick
        return (whole + (1 if side == "sell" and price % tick else 0)) * tick

    def round_size(self, size: Decimal) -> Decimal:
        """The size without what is no whole lot."""
        return size // self.lot * self.lot


def _step(instrument: Instrument, name: str, value: float | None) -> Decimal:
    if not value:
        raise ConfigError(f"{instrument.key} cannot be traded: its catalogue gives no {name}")
    return exact(value, name)
