"""What the account is worth while a run goes on: marks, rates to USD, equity, the days, and the curve of it.

The rule: a mark or rate that is missing makes the worth unknown. Coins that stand for a dollar count as one, which the report says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from xtrader.trading.ledger.trade_ledger import ZERO, TradeLedger
from xtrader.trading.risk.gate_state import AccountState, GateState, Tradeable

DOLLARS: Final = frozenset(("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "PYUSD", "USDE", "USDG"))
"""Assets of which one counts as one USD."""
DAY: Final = 86_400_000_000_000
CURVE: Final = 60_000_000_000
"""Nanoseconds between two points of the equity curve."""


class AccountKeeper:
    """Keeps `state.account`. `curve` is (ts, equity in USD or None) a minute, and at the end."""

    def __init__(self, state: GateState, tradeables: Mapping[str, Tradeable], capital: Mapping[str, Decimal]) -> None:
        self._state = state
        self._tradeables = tradeables
        self._rates: dict[str, list[str]] = {}
        state.usd = self.usd
        self.ledger = TradeLedger(lambda key: tradeables[key].grid, self.usd)
        self.capital = dict(capital)
        self.curve: list[tuple[int, Decimal | None]] = []
        self._day = -1
        self._next = 0

    def usd(self, asset: str) -> Decimal | None:
        """What one of an asset is worth, by the mark of an instrument of it against dollars; None if there is none."""
        if asset in DOLLARS:
            return Decimal(1)
        keys = self._rates.get(asset)
        if keys is None:
            found = [key for key, one in self._tradeables.items() if one.grid.base == asset and one.grid.quote in DOLLARS]
            keys = self._rates[asset] = sorted(found)
        return next((mark for key in keys if (mark := self._state.mark(key)) is not None), None)

    def open(self, now: int, fee_rate: Decimal) -> None:
        """Begin with the capital."""
        self.ledger.capital(now, self.capital)
        worth = self.ledger.equity_usd(self._state.mark)
        # Capital in a coin has no worth before its first mark; losses are counted from the first worth that is known.
        account = AccountState(ZERO if worth is None else worth, fee_rate)
        account.equity_usd = worth
        self._state.account = account
        self._state.positions = self.ledger.quantities
        self.refresh()

    def refresh(self) -> None:
        """Reckon the account as it is now."""
        state, account = self._state, self._state.account
        assert account is not None
        equity = self.ledger.equity_usd(state.mark)
        account.equity_usd = equity
        account.free = self._free()
        if equity is None:
            return
        if not account.capital_usd:
            account.capital_usd = account.peak_usd = account.day_start_usd = account.day_peak_usd = equity
        day = state.now // DAY
        if day != self._day:
            self._day = day
            account.day_start_usd = account.day_peak_usd = equity

    def tick(self) -> bool:
        """Reckon again and add a point to the curve where a minute has passed; True if so."""
        if self._state.now < self._next:
            return False
        self.refresh()
        self._next = (self._state.now // CURVE + 1) * CURVE
        assert self._state.account is not None
        self.curve.append((self._state.now, self._state.account.equity_usd))
        return True

    def close(self) -> None:
        """The last point of the curve."""
        self.refresh()
        assert self._state.account is not None
        self.curve.append((self._state.now, self._state.account.equity_usd))

    def _free(self) -> dict[str, Decimal]:
        """Cash by asset, less what covers the positions that are settled in it."""
        free = dict(self.ledger.cash)
        for key, held in self.ledger.quantities.items():
            grid = self._tradeables[key].grid
            mark = self._state.mark(key)
            if held and not grid.is_spot and mark:
                worth = abs(grid.notional(held, mark))
                free[grid.settle] = free.get(grid.settle, ZERO) - (worth if grid.settle == grid.quote else worth / mark)
        return free
