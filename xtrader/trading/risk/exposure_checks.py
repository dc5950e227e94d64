"""Checks of what an order adds: position, exposure, leverage, losses, balance.

The rule: every order that has not ended counts as filled where that is worse, and a position without a mark refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from xtrader.trading.model.grid import Grid
from xtrader.trading.model.intents import Intent
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.risk.gate_state import MINUTE, GateState, Tradeable

Note = Callable[[str, object, object, bool], None]
ZERO = Decimal(0)


def leaves(orders: Iterable[WorkingOrder], side: str) -> int:
    """Lots that may still be filled on a side."""
    return sum(order.leaves for order in orders if order.side == side)


def check(
    intent: Intent, strategy: str, state: GateState, found: Tradeable | None, replaced: WorkingOrder | None, note: Note
) -> None:
    """Makes the checks from POSITION to PEAK_DRAWDOWN."""
    quantity = intent.quantity
    if state.orders is None or state.positions is None or found is None or quantity is None or not quantity.is_finite():
        for code in ("POSITION", "PER_SYMBOL", "GROSS", "NET", "ADDED_PER_MINUTE", "POSITION_COUNT", "LEVERAGE", "BANKROLL"):
            note(code, None, None, False)
    else:
        _exposure(intent, quantity, strategy, state, found, replaced, note)
    _losses(intent, state, found, note)


def _exposure(
    intent: Intent,
    quantity: Decimal,
    strategy: str,
    state: GateState,
    found: Tradeable,
    replaced: WorkingOrder | None,
    note: Note,
) -> None:
    limits, grid, key = state.limits, found.grid, intent.instrument
    assert state.orders is not None
    assert state.positions is not None
    ways: dict[str, list[Decimal]] = {name: [held, held] for name, held in state.positions.items() if held}
    mine: set[str] = set()
    for order in state.orders.values():
        if order is not replaced:
            known = state.instruments.get(order.instrument)
            size = ZERO if known is None else known.grid.lot * order.leaves
            pair = ways.setdefault(order.instrument, [ZERO, ZERO])
            pair[order.side == "sell"] += size if order.side == "buy" else -size
            if order.strategy == strategy:
                mine.add(order.instrument)
    before = list(ways.get(key, (ZERO, ZERO)))
    pair = ways.setdefault(key, [ZERO, ZERO])
    pair[intent.side == "sell"] += quantity if intent.side == "buy" else -quantity
    mark = state.mark(key)
    longest = shortest = None
    if mark:
        longest, shortest = (grid.base_quantity(size, mark) for size in pair)
    most_long, most_short = limits.unit(grid.base, "max_position"), limits.unit(grid.base, "max_short")
    is_long_ok = intent.side == "sell" or most_long is None or (longest is not None and longest <= most_long)
    is_short_ok = intent.side == "buy" or most_short is None or (shortest is not None and -shortest <= most_short)
    worst = longest if intent.side == "buy" else shortest
    note("POSITION", worst, most_long if intent.side == "buy" else most_short, is_long_ok and is_short_ok and worst is not None)
    usd: dict[str, tuple[Decimal, Decimal] | None] = {name: _usd(state, name, two[0], two[1]) for name, two in ways.items()}
    this = usd[key]
    most = limits["position_limits.per_symbol_usd"]
    side = None if this is None else abs(this[0] if intent.side == "buy" else this[1])
    note("PER_SYMBOL", side, most, side is not None and side <= most)
    valued = [two for two in usd.values() if two is not None]
    is_known = len(valued) == len(usd)
    gross = sum((max(abs(up), abs(down)) for up, down in valued), ZERO) if is_known else None
    most = limits["position_limits.gross_exposure_usd"]
    note("GROSS", gross, most, gross is not None and gross <= most)
    net = None
    if is_known:
        net = max(abs(sum((up for up, _ in valued), ZERO)), abs(sum((down for _, down in valued), ZERO)))
    most = limits["position_limits.net_exposure_usd"]
    note("NET", net, most, net is not None and net <= most)
    earlier = _usd(state, key, before[0], before[1])
    more = None
    if earlier is not None and this is not None:
        more = max(ZERO, max(map(abs, this)) - max(map(abs, earlier)))
    lately = None if state.added is None else sum((worth for ts, worth in state.added if ts > state.now - MINUTE), ZERO)
    total = None if more is None or lately is None else lately + more
    most = limits["position_limits.exposure_per_minute_usd"]
    note("ADDED_PER_MINUTE", total, most, total is not None and total <= most)
    note("POSITION_COUNT", len(ways), limits["position_limits.max_positions"], len(ways) <= limits["position_limits.max_positions"])
    equity = None if state.account is None else state.account.equity_usd
    leverage = gross / equity if gross is not None and equity is not None and equity > 0 else None
    most = limits["position_limits.max_leverage"]
    note("LEVERAGE", leverage, most, leverage is not None and leverage <= most)
    bankroll = state.bankrolls.get(strategy, None if state.account is None else state.account.capital_usd)
    note("BANKROLL", gross, bankroll, gross is not None and bankroll is not None and gross <= bankroll)


def _usd(state: GateState, key: str, *sizes: Decimal) -> tuple[Decimal, Decimal] | None:
    """Quantities of an instrument in USD; None where a mark is missing."""
    found, mark = state.instruments.get(key), state.mark(key)
    rate = None if found is None else state.usd(found.grid.quote)
    if found is None or mark is None or rate is None:
        return None
    up, down = (found.grid.notional(size, mark) * rate for size in sizes)
    return up, down


def _losses(intent: Intent, state: GateState, found: Tradeable | None, note: Note) -> None:
    limits, account = state.limits, state.account
    price = intent.price if intent.price is not None else state.mark(intent.instrument)
    worst = None
    if (
        found is not None
        and price is not None
        and price.is_finite()
        and intent.quantity is not None
        and intent.quantity.is_finite()
    ):
        rate = state.usd(found.grid.quote)
        share = limits["max_loss.adverse_move_pct"] / 100
        if intent.stop_price is not None and price > 0:
            share = abs(intent.stop_price / price - 1) if intent.stop_price.is_finite() else Decimal("Infinity")
        worst = None if rate is None else abs(found.grid.notional(intent.quantity, price)) * rate * share
    most = limits["max_loss.per_trade_usd"]
    note("TRADE_LOSS", worst, most, worst is not None and worst <= most)
    equity = None if account is None else account.equity_usd
    if account is None or equity is None or account.day_start_usd <= 0:
        for code in ("DAILY_LOSS", "DAILY_LOSS_PCT", "DAY_DRAWDOWN", "PEAK_DRAWDOWN"):
            note(code, None, None, False)
        return
    loss = account.day_start_usd - equity
    most = limits["max_loss.daily_usd"]
    note("DAILY_LOSS", loss, most, loss < most)
    most = limits["max_loss.daily_loss_pct"]
    note("DAILY_LOSS_PCT", loss / account.day_start_usd * 100, most, loss / account.day_start_usd * 100 < most)
    for code, peak, key in (
        ("DAY_DRAWDOWN", account.day_peak_usd, "circuit_breakers.pnl_drawdown_pct"),
        ("PEAK_DRAWDOWN", account.peak_usd, "circuit_breakers.max_drawdown_pct"),
    ):
        down = (peak - equity) / peak * 100
        note(code, down, limits[key], down < limits[key])


def balance(intent: Intent, state: GateState, found: Tradeable | None, replaced: WorkingOrder | None, note: Note) -> None:
    """Makes the check BALANCE: what the order needs with its fee, beside what the open ones have reserved."""
    account, orders = state.account, state.orders
    quantity = intent.quantity
    price = intent.price if intent.price is not None else state.mark(intent.instrument)
    if account is None or orders is None or found is None or quantity is None or price is None:
        note("BALANCE", None, None, False)
        return
    if not quantity.is_finite() or not price.is_finite():
        note("BALANCE", None, None, False)
        return
    grid = found.grid
    # Spot is paid in full. What is settled in money is covered in full too, as far as it adds to the position.
    asset = _paid_in(grid, intent.side)
    needed = _needed(grid, state, intent.instrument, intent.side, quantity, price, account.fee_rate)
    for order in orders.values():
        other = state.instruments.get(order.instrument)
        if other is None or order is replaced:
            continue
        if _paid_in(other.grid, order.side) == asset:
            at = state.mark(order.instrument) if order.ticks is None else other.grid.price(order.ticks)
            size = other.grid.size(order.leaves)
            if at is None:
                needed = None
                break
            reserved = _needed(other.grid, state, order.instrument, order.side, size, at, account.fee_rate)
            needed = None if needed is None or reserved is None else needed + reserved
    free = account.free.get(asset, ZERO)
    note("BALANCE", needed, free, needed is not None and needed <= free)


def _paid_in(grid: Grid, side: str) -> str:
    """The asset that an order uses up."""
    if not grid.is_spot:
        return grid.settle
    return grid.base if side == "sell" else grid.quote


def _needed(grid: Grid, state: GateState, key: str, side: str, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal | None:
    if grid.is_spot:
        return quantity if side == "sell" else grid.notional(quantity, price) * (1 + fee)
    held = (state.positions or {}).get(key, ZERO)
    closes = max(ZERO, -held if side == "buy" else held)
    adds = max(ZERO, quantity - closes)
    worth = grid.notional(adds, price) + grid.notional(quantity, price) * fee
    if grid.settle == grid.quote:
        return worth
    return worth / price if grid.settle == grid.base and price > 0 else None


def reducing(intent: Intent, state: GateState, found: Tradeable | None, replaced: WorkingOrder | None, note: Note) -> None:
    """Makes the check NOT_REDUCING: a reduce-only order and those beside it are no larger than the position they close."""
    if not intent.is_reduce_only:
        note("NOT_REDUCING", None, None, True)
        return
    if state.positions is None or state.orders is None or found is None or intent.quantity is None:
        note("NOT_REDUCING", None, None, False)
        return
    held = state.positions.get(intent.instrument, ZERO)
    closes = -held if intent.side == "buy" else held
    same = [one for one in state.orders.values() if one.instrument == intent.instrument and one is not replaced]
    size = found.grid.size(leaves(same, intent.side))
    note("NOT_REDUCING", intent.quantity + size, closes, intent.quantity.is_finite() and intent.quantity + size <= closes)
