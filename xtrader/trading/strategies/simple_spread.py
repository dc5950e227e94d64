"""simple_spread: quotes a bid and an ask round the mid. It claims no edge: it is there to show that everything works.

The rule: it quotes only while the market's spread, its prices and its best sizes are within its bounds.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from xtrader.trading.model.intents import Intent, cancel, cancel_all, new
from xtrader.trading.model.order_state import Execution
from xtrader.trading.model.strategy import BookView, Intents, Strategy, StrategyContext

BPS = Decimal(10_000)


class SimpleSpreadParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`spread_bps` is the distance between its quotes; it quotes while the market's spread is between `min_spread_bps` and
    `max_spread_bps`. `order_size` and `min_size_threshold` are in the venue's unit of size, `max_position` too. `skew_bps` moves
    both quotes down by so much at a full long position; a quote is replaced when it would move by `refresh_bps` or more."""

    spread_bps: Decimal = Decimal(10)
    order_size: Decimal = Decimal("0.1")
    min_spread_bps: Decimal = Decimal(2)
    max_spread_bps: Decimal = Decimal(50)
    min_valid_price: Decimal = Decimal(1)
    max_valid_price: Decimal = Decimal(1_000_000)
    min_size_threshold: Decimal = Decimal("0.001")
    skew_bps: Decimal = Decimal(5)
    refresh_bps: Decimal = Decimal(2)
    max_position: Decimal = Decimal(1)


class SimpleSpread(Strategy):
    """See the module."""

    Params = SimpleSpreadParams

    def on_quote(self, context: StrategyContext, book: BookView) -> Intents:
        params: SimpleSpreadParams = context.params
        key = book.instrument
        own = [order for order in context.orders if order.instrument == key]
        mid, spread = book.mid, book.spread_bps
        if mid is None or spread is None or not self._is_quotable(params, book, mid, spread):
            return [cancel(order.id, "the market is out of bounds") for order in own if not order.is_cancelling]
        intents: list[Intent] = []
        position = context.position(key)
        share = max(Decimal(-1), min(Decimal(1), position / params.max_position))
        skew = mid * params.skew_bps / BPS * share
        for side, sign in (("buy", -1), ("sell", 1)):
            wanted = mid * (1 + sign * params.spread_bps / BPS / 2) - skew
            price = book.round_price(wanted, side)
            mine = [order for order in own if order.side == side]
            stays = False
            for order in mine:
                if order.ticks is None or order.is_cancelling:
                    stays = stays or order.is_cancelling
                    continue
                if abs(book.price(order.ticks) / price - 1) * BPS >= params.refresh_bps:
                    intents.append(cancel(order.id, "the market moved"))
                stays = True
            if not stays and self._has_room(params, position, side):
                intents.append(new(side, key, book.round_size(params.order_size), price, post_only=True, reason="quote"))
        return intents

    def on_fill(self, context: StrategyContext, fill: Execution) -> Intents:
        context.log("filled", side=fill.side, price=str(fill.price), quantity=str(fill.quantity))
        return None

    def on_disconnect(self, context: StrategyContext, instrument: str) -> Intents:
        return [cancel_all(instrument, "the book was lost")]

    def _is_quotable(self, params: SimpleSpreadParams, book: BookView, mid: Decimal, spread: Decimal) -> bool:
        bid_size, ask_size = book.bid_size, book.ask_size
        return (
            params.min_spread_bps <= spread <= params.max_spread_bps
            and params.min_valid_price <= mid <= params.max_valid_price
            and bid_size is not None
            and ask_size is not None
            and min(bid_size, ask_size) >= params.min_size_threshold
        )

    def _has_room(self, params: SimpleSpreadParams, position: Decimal, side: str) -> bool:
        return position < params.max_position if side == "buy" else position > -params.max_position
