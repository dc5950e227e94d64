"""The ledger: every fill, fee and funding as postings by asset that add up to zero, and the positions that they make.

The rule: nothing is rounded here and nothing is a float; a position is the sum of its fills, less the fees that were paid in what
it consists of. An asset that has no price in USD makes what depends on it unknown, never 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from xtrader.trading.model.grid import Grid
from xtrader.trading.model.order_state import Execution

ACCOUNTS: Final = ("cash", "position", "fee", "rebate", "funding", "adjustment")
ZERO: Final = Decimal(0)


class Posting(NamedTuple):
    """One line: `amount` of `asset` to an account of a strategy (empty for the whole account), because of `cause` (a fill's number,
    funding, capital) at `ts` (int ns)."""

    ts: int
    cause: str
    strategy: str
    instrument: str
    account: str
    asset: str
    amount: Decimal


class PositionState:
    """What one strategy has of one instrument. `quantity` is below 0 for a short one. `cost` is Σ quantity·price of what is open
    (Σ quantity/price for an inverse contract), with the quantity's sign. Money is in the settlement asset."""

    __slots__ = ("_in_quote", "cost", "funding", "grid", "quantity", "realised")

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.quantity = self.cost = self.realised = self.funding = ZERO
        self._in_quote = grid.is_inverse

    @property
    def entry(self) -> Decimal | None:
        """The average price of what is open; None for no position."""
        if not self.quantity:
            return None
        return self.quantity / self.cost if self._in_quote else self.cost / self.quantity

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Buy (above 0) or sell at a price; returns what was realised by it."""
        value = quantity / price if self._in_quote else quantity * price
        if not self.quantity or (self.quantity > 0) == (quantity > 0):
            self.quantity += quantity
            self.cost += value
            return ZERO
        closed = min(abs(quantity), abs(self.quantity))
        share = self.cost * closed / abs(self.quantity)
        exit_value = value * closed / abs(quantity)
        # Of a long one, what came in less what it had cost; of a short one `share` is below 0 and `exit_value` above it.
        gained = -(exit_value + share) if not self._in_quote else exit_value + share
        realised = gained * self.grid.multiplier
        before = self.quantity
        self.quantity += quantity
        if not self.quantity:
            self.cost = ZERO
        elif (self.quantity > 0) == (before > 0):
            self.cost -= share
        else:
            self.cost = value - exit_value
        self.realised += realised
        return realised

    def unrealised(self, mark: Decimal) -> Decimal:
        """What closing all at a mark would realise."""
        if self._in_quote:
            return (self.cost - self.quantity / mark) * self.grid.multiplier
        return (self.quantity * mark - self.cost) * self.grid.multiplier


class TradeLedger:
    """The books of one run. `grid` gives the grid of an instrument, `usd` what one of an asset is worth, None if unknown."""

    def __init__(self, grid: Callable[[str], Grid], usd: Callable[[str], Decimal | None]) -> None:
        self._grid = grid
        self._usd = usd
        self.postings: list[Posting] = []
        self.positions: dict[tuple[str, str], PositionState] = {}
        """By strategy and instrument."""
        self.quantities: dict[str, Decimal] = {}
        """By instrument, of all strategies."""
        self.cash: dict[str, Decimal] = defaultdict(lambda: ZERO)
        self.components: dict[tuple[str, str], dict[str, Decimal | None]] = {}
        """(strategy, instrument) -> realised, fees, rebates and funding in USD, each valued when it happened."""

    def capital(self, ts: int, amounts: Mapping[str, Decimal]) -> None:
        """What the account begins with."""
        for asset, amount in amounts.items():
            self._post(ts, "capital", "", "", asset, "cash", "adjustment", amount)

    def fill(self, one: Execution) -> None:
        """Book a fill and its fee."""
        grid = self._grid(one.instrument)
        place = one.strategy, one.instrument
        position = self.positions.get(place)
        if position is None:
            position = self.positions[place] = PositionState(grid)
            self.components[place] = {"realised": ZERO, "fees": ZERO, "rebates": ZERO, "funding": ZERO}
        signed = one.quantity if one.side == "buy" else -one.quantity
        cause = f"fill {one.number}"
        if grid.is_spot:
            self._move(one, signed, one.price, position, cause)
        else:
            realised = position.trade(signed, one.price)
            self._count(place, "realised", realised, grid.settle)
            self._post(one.ts, cause, *place, grid.settle, "cash", "position", realised)
            self._hold(one.instrument, signed)
        if one.fee:
            account, component = ("fee", "fees") if one.fee > 0 else ("rebate", "rebates")
            # A fee in what the position consists of makes it smaller, at the price of the fill.
            if grid.is_spot and one.fee_asset == grid.base:
                realised = position.trade(-one.fee, one.price)
                self._count(place, "realised", realised, grid.quote)
                self._hold(one.instrument, -one.fee)
                worth = one.fee * one.price
                self._count(place, component, abs(worth), grid.quote)
            else:
                self._count(place, component, abs(one.fee), one.fee_asset)
            self._post(one.ts, cause, *place, one.fee_asset, "cash", account, -one.fee)

    def fund(self, ts: int, strategy: str, instrument: str, amount: Decimal) -> None:
        """Book funding that was received (above 0) or paid, in the settlement asset."""
        place = strategy, instrument
        settle = self._grid(instrument).settle
        self.positions[place].funding += amount
        self._count(place, "funding", amount, settle)
        self._post(ts, "funding", *place, settle, "cash", "funding", amount)

    def equity_usd(self, mark: Callable[[str], Decimal | None]) -> Decimal | None:
        """What all is worth in USD; None where a mark is missing."""
        total = ZERO
        for asset, amount in self.cash.items():
            if amount:
                rate = self._usd(asset)
                if rate is None:
                    return None
                total += amount * rate
        for (_, key), position in self.positions.items():
            if position.quantity and not position.grid.is_spot:
                at, rate = mark(key), self._usd(position.grid.settle)
                if at is None or rate is None:
                    return None
                total += position.unrealised(at) * rate
        return total

    def _move(self, one: Execution, signed: Decimal, price: Decimal, position: PositionState, cause: str) -> None:
        grid, place = position.grid, (one.strategy, one.instrument)
        realised = position.trade(signed, price)
        self._count(place, "realised", realised, grid.quote)
        self._hold(one.instrument, signed)
        self._post(one.ts, cause, *place, grid.base, "cash", "position", signed * grid.multiplier)
        self._post(one.ts, cause, *place, grid.quote, "cash", "position", -grid.notional(signed, price))

    def _hold(self, instrument: str, signed: Decimal) -> None:
        self.quantities[instrument] = self.quantities.get(instrument, ZERO) + signed

    def _count(self, place: tuple[str, str], component: str, amount: Decimal, asset: str) -> None:
        if amount:
            found, rate = self.components[place], self._usd(asset)
            before = found[component]
            found[component] = None if rate is None or before is None else before + amount * rate

    def _post(
        self, ts: int, cause: str, strategy: str, instrument: str, asset: str, account: str, contra: str, amount: Decimal
    ) -> None:
        if amount:
            self.postings.append(Posting(ts, cause, strategy, instrument, account, asset, amount))
            self.postings.append(Posting(ts, cause, strategy, instrument, contra, asset, -amount))
            self.cash[asset] += amount
