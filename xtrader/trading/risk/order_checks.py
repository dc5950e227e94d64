"""Checks of an order by itself: its price, its size, what it is worth, what it would pay beyond the mid."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.model.intents import Intent
from xtrader.trading.risk.gate_state import GateState, Tradeable

Note = Callable[[str, object, object, bool], None]


def check(intent: Intent, state: GateState, found: Tradeable | None, note: Note) -> tuple[int | None, int | None]:
    """Makes the checks from PRICE to SLIPPAGE of an intent whose numbers are finite; returns the order's lots, None if it has none,
    and its ticks (None for a market order)."""
    limits = state.limits
    book = state.books.get(intent.instrument)
    mid = None if book is None else book.mid
    is_market = intent.order_type == "market"
    price = mid if is_market else intent.price
    if price is not None and price <= 0:
        price = None
    least, most = limits["price_sanity.min_valid_price"], limits["price_sanity.max_valid_price"]
    note("PRICE", intent.price if price is None else price, most, price is not None and least <= price <= most)
    ticks = None
    if is_market:
        note("OFF_TICK", "market", None, found is not None)
    else:
        ticks = None if found is None or price is None else found.grid.ticks_of(price)
        note("OFF_TICK", price, None if found is None else found.grid.tick, ticks is not None)
    away = abs(price / mid - 1) * 100 if price is not None and mid else None
    furthest = limits["price_sanity.max_deviation_from_mid_pct"]
    note("FAR_FROM_MID", away, furthest, away is not None and away <= furthest)
    band = None if found is None else found.band
    is_within = found is not None and (band is None or (price is not None and band[0] <= price <= band[1]))
    note("VENUE_BAND", price, band, is_within)
    quantity = intent.quantity if intent.quantity is not None and intent.quantity > 0 else None
    lots = found.grid.lots_of(quantity) if found is not None and quantity is not None else None
    note("OFF_LOT", intent.quantity, None if found is None else found.grid.lot, lots is not None)
    if found is None or price is None or quantity is None:
        for code in ("ORDER_SIZE", "MIN_NOTIONAL", "ORDER_NOTIONAL"):
            note(code, None, None, False)
    else:
        _size(intent, state, found, price, quantity, note)
    _slippage(intent, state, found, book, mid, quantity, note)
    return lots, ticks


def _size(intent: Intent, state: GateState, found: Tradeable, price: Decimal, quantity: Decimal, note: Note) -> None:
    base = found.grid.base_quantity(quantity, price)
    least, most = (state.limits.unit(found.grid.base, f"{side}_order_size") for side in ("min", "max"))
    # The venue's own word counts too, and a position that is smaller than the least order can still be closed.
    is_least = intent.is_reduce_only or least is None or base >= least
    is_venue = quantity >= found.grid.minimum and (found.max_size is None or quantity <= found.max_size)
    note("ORDER_SIZE", base, most, is_least and (most is None or base <= most) and is_venue)
    notional = found.grid.notional(quantity, price)
    note(
        "MIN_NOTIONAL",
        notional,
        found.min_notional,
        found.min_notional is None or notional >= found.min_notional or intent.is_reduce_only,
    )
    rate = state.usd(found.grid.quote)
    worth = None if rate is None else notional * rate
    highest = state.limits["position_limits.order_notional_usd"]
    note("ORDER_NOTIONAL", worth, highest, worth is not None and worth <= highest)


def _slippage(
    intent: Intent,
    state: GateState,
    found: Tradeable | None,
    book: InstrumentBook | None,
    mid: Decimal | None,
    quantity: Decimal | None,
    note: Note,
) -> None:
    """What an order that takes would pay beyond the mid; nothing for one that rests. One that the book cannot fill is refused only
    where its price does not bound it."""
    most = state.limits["slippage.max_bps"]
    is_market = intent.order_type == "market"
    if found is None or book is None or not mid or quantity is None or (intent.price is None and not is_market):
        note("SLIPPAGE", None, most, False)
        return
    sign = 1 if intent.side == "buy" else -1
    limit = None if intent.price is None else intent.price / found.grid.tick
    left, paid = quantity / found.grid.lot, Decimal(0)
    best = book.best_ask if sign > 0 else book.best_bid
    is_taking = best is not None and not intent.is_post_only and (limit is None or sign * (best - limit) <= 0)
    for level, size in book.levels("sell" if sign > 0 else "buy") if is_taking else ():
        if not left or (limit is not None and sign * (level - limit) > 0):
            break
        part = min(left, Decimal(size))
        paid += part * level
        left -= part
    filled = quantity / found.grid.lot - left
    away = sign * (found.grid.tick * paid / filled - mid) / mid * 10_000 if filled else None if is_market else Decimal(0)
    note("SLIPPAGE", away, most, away is not None and away <= most and (not is_market or not left))
