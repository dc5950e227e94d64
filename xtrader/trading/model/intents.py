"""What a strategy wants: an Intent, which nothing but the gate can turn into an order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from xtrader.trading.model.grid import exact

KINDS: Final = ("NEW", "CANCEL", "REPLACE", "CANCEL_ALL")
ORDER_TYPES: Final = ("limit", "market")
TIMES_IN_FORCE: Final = ("gtc", "ioc", "fok")
SIDES: Final = ("buy", "sell")
VALID_FOR: Final = 500_000_000
"""Nanoseconds after which an intent that was not decided is void."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One wish. Prices and quantities are Decimals; `price` is None for a market order, `order_id` names the order to cancel or
    replace. `valid_until` is int nanoseconds, 0 for VALID_FOR from now. `stop_price` is where the strategy gets out, for the loss
    of a trade at its worst. An intent may say anything: whether it is well-formed is the gate's first question."""

    kind: str
    instrument: str = ""
    side: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    order_type: str = "limit"
    time_in_force: str = "gtc"
    is_post_only: bool = False
    is_reduce_only: bool = False
    stop_price: Decimal | None = None
    order_id: int = 0
    valid_until: int = 0
    reason: str = ""
    tags: Mapping[str, str] = {}


def new(
    side: str,
    instrument: str,
    quantity: Decimal | str | int | float,
    price: Decimal | str | int | float | None = None,
    *,
    time_in_force: str = "gtc",
    post_only: bool = False,
    reduce_only: bool = False,
    stop_price: Decimal | str | int | float | None = None,
    valid_until: int = 0,
    reason: str = "",
    tags: Mapping[str, str] | None = None,
) -> Intent:
    """A new order: a limit order at `price`, a market order without one (which is void as far as it is not filled at once).
    `side` is buy or sell, `instrument` its key; numbers are Decimals, text or floats. Raises ConfigError for what is no number."""
    return Intent(
        kind="NEW",
        instrument=instrument,
        side=side,
        quantity=exact(quantity, "the quantity of an order"),
        price=None if price is None else exact(price, "the price of an order"),
        order_type="market" if price is None else "limit",
        time_in_force="ioc" if price is None and time_in_force == "gtc" else time_in_force,
        is_post_only=post_only,
        is_reduce_only=reduce_only,
        stop_price=None if stop_price is None else exact(stop_price, "the stop price of an order"),
        valid_until=valid_until,
        reason=reason,
        tags=tags or {},
    )


def cancel(order_id: int, reason: str = "") -> Intent:
    """Take an order back."""
    return Intent(kind="CANCEL", order_id=order_id, reason=reason)


def cancel_all(instrument: str = "", reason: str = "") -> Intent:
    """Take all of the strategy's orders back, or those of one instrument."""
    return Intent(kind="CANCEL_ALL", instrument=instrument, reason=reason)


def replace(
    order_id: int,
    quantity: Decimal | str | int | float,
    price: Decimal | str | int | float,
    reason: str = "",
) -> Intent:
    """Take an order back, and place one at this price for this quantity if the venue did take it back."""
    quantity, price = exact(quantity, "the quantity of an order"), exact(price, "the price of an order")
    return Intent(kind="REPLACE", order_id=order_id, quantity=quantity, price=price, reason=reason)
