"""The risk breaker: watches the market and the account, blocks quoting, stops for the day, halts.

The rule: what halts stays halted until a person says otherwise; the breaker only ever makes things stricter.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from xtrader.trading.risk.gate_state import GateState

DAY: Final = 86_400_000_000_000


class RiskBreaker:
    """Keeps `halted`, `stopped_until` and `blocked` of a state. `trips` is everything that it did, as (ts, what)."""

    def __init__(self, state: GateState) -> None:
        limits = state.limits
        self._state = state
        self._jump = limits["circuit_breakers.price_jump_pct"]
        self._spread = limits["circuit_breakers.spread_bps"]
        self._violations = int(limits["circuit_breakers.consecutive_violations"])
        self._mids: dict[str, int] = {}
        self._wide: dict[str, int] = {}
        self.trips: list[tuple[int, str]] = []

    def halt(self, why: str) -> None:
        """Stop everything until a person says otherwise."""
        if self._state.halted is None:
            self._state.halted = why
            self.trips.append((self._state.now, f"halted: {why}"))

    def quote(self, key: str, bid: int | None, ask: int | None) -> None:
        """The best prices of a live book changed; in ticks, None for an empty side."""
        if bid is None or ask is None:
            return
        middle = bid + ask
        before = self._mids.get(key)
        self._mids[key] = middle
        if before is not None and abs(middle - before) * 100 > self._jump * before:
            self.halt(f"the price of {key} jumped by more than {self._jump} % in one tick")
        if (ask - bid) * 20_000 > self._spread * middle:
            self._wide[key] = self._wide.get(key, 0) + 1
            if key not in self._state.blocked:
                self._state.blocked[key] = f"a spread of more than {self._spread} bps"
                self.trips.append((self._state.now, f"blocked {key}: its spread is more than {self._spread} bps"))
            if self._wide[key] == self._violations:
                self.halt(f"the spread of {key} was more than {self._spread} bps {self._violations} times in a row")
        elif self._wide.get(key):
            self._wide[key] = 0
            self._state.blocked.pop(key, None)

    def gap(self, key: str) -> None:
        """The book was lost: the next price follows no other."""
        self._mids.pop(key, None)

    def account(self) -> None:
        """The account's worth may have changed: day's loss and drawdown stop for the day, the drawdown from the peak halts."""
        state = self._state
        account, limits = state.account, state.limits
        if account is None or account.equity_usd is None:
            return
        equity = account.equity_usd
        if not equity.is_finite():
            self.halt("the account's worth is no finite number")
            return
        account.day_peak_usd = max(account.day_peak_usd, equity)
        account.peak_usd = max(account.peak_usd, equity)
        if (account.peak_usd - equity) * 100 >= limits["circuit_breakers.max_drawdown_pct"] * account.peak_usd:
            self.halt(f"the account is down {limits['circuit_breakers.max_drawdown_pct']} % or more from its peak")
        loss = account.day_start_usd - equity
        is_lost = loss >= limits["max_loss.daily_usd"] or loss * 100 >= limits["max_loss.daily_loss_pct"] * account.day_start_usd
        is_down = (account.day_peak_usd - equity) * 100 >= limits["circuit_breakers.pnl_drawdown_pct"] * account.day_peak_usd
        until = (state.now // DAY + 1) * DAY
        if (is_lost or is_down) and state.stopped_until != until:
            state.stopped_until = until
            self.trips.append((state.now, "stopped for the day: its loss or drawdown reached the limit"))

    def filled(self, key: str) -> None:
        """A fill was booked: a position beyond its limits halts, for the gate should not have let it come to that."""
        state = self._state
        found, mark, held = state.instruments.get(key), state.mark(key), (state.positions or {}).get(key)
        if found is None or mark is None or not held:
            return
        base = found.grid.base_quantity(held, mark)
        most = state.limits.unit(found.grid.base, "max_position" if held > 0 else "max_short")
        if most is not None and abs(base) > most:
            self.halt(f"a fill made the position in {key} {abs(base)}, which is more than {most}")

    def finite(self, *numbers: Decimal | None) -> bool:
        """Halt if one of the numbers is not finite; True if all are."""
        is_finite = all(number is None or number.is_finite() for number in numbers)
        if not is_finite:
            self.halt("a strategy gave a number that is not finite")
        return is_finite
