"""The gate: the only place where an intent becomes an order, or does not.

The rule: every check is made, in one order, by what is known; what is not known fails. The first that fails is the reason. Nothing
but `decide` makes an Approved, and a venue takes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from msgspec import structs

from xtrader.errors import UnknownKind
from xtrader.trading.model.decisions import CheckResult, Rejected
from xtrader.trading.model.intents import KINDS, ORDER_TYPES, SIDES, TIMES_IN_FORCE, Intent
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.risk import exposure_checks, order_checks
from xtrader.trading.risk.gate_state import CATALOGUE_AGE, MODES, PHASES, SAME_WITHIN, TRADING, GateState, Tradeable

CODES: Final = (
    *("MALFORMED", "EXPIRED", "LOG", "MODE", "HALTED", "PAUSED", "PHASE", "BREAKER", "UNKNOWN_ORDER"),
    *("INSTRUMENT", "NOT_TRADING", "CATALOGUE_AGE", "BOOK", "CONNECTION"),
    *("PRICE", "OFF_TICK", "FAR_FROM_MID", "VENUE_BAND", "OFF_LOT", "ORDER_SIZE", "MIN_NOTIONAL", "ORDER_NOTIONAL", "SLIPPAGE"),
    *("POSITION", "PER_SYMBOL", "GROSS", "NET", "ADDED_PER_MINUTE", "POSITION_COUNT", "LEVERAGE", "BANKROLL"),
    *("TRADE_LOSS", "DAILY_LOSS", "DAILY_LOSS_PCT", "DAY_DRAWDOWN", "PEAK_DRAWDOWN"),
    *("OPEN_ORDERS", "OPEN_ORDERS_SYMBOL", "RATE", "BALANCE", "SELF_CROSS", "DUPLICATE", "NOT_REDUCING", "TIME_WINDOW"),
)
"""The checks in their order."""
LARGEST: Final = 24
"""Powers of ten beyond which no price and no quantity lies."""
_NUMBERS: Final = ("price", "quantity", "stop_price")
_SEAL: Final = object()


class Approved:
    """An intent that may go to a venue: `kind` NEW or REPLACE with its lots and ticks, CANCEL or CANCEL_ALL. Only `decide` can
    make one: anything else gets a TypeError."""

    __slots__ = ("checks", "intent", "limits", "lots", "strategy", "ticks", "ts")

    def __init__(
        self,
        seal: object,
        intent: Intent,
        strategy: str,
        state: GateState,
        checks: tuple[CheckResult, ...],
        lots: int,
        ticks: int | None,
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("only the gate approves")
        self.intent = intent
        self.strategy = strategy
        self.checks = checks
        self.limits = state.limits.digest
        self.lots = lots
        self.ticks = ticks
        self.ts = state.now


def decide(intent: Intent, strategy: str, state: GateState) -> Approved | Rejected:
    """Whether an intent of a strategy may go to the venue now, by what is known in `state`. Cancels always may."""
    if intent.kind in ("CANCEL", "CANCEL_ALL"):
        return Approved(_SEAL, intent, strategy, state, (), 0, None)
    replaced = _replaced(intent, state)
    odd = next((f"{name} {value}" for name in _NUMBERS if not _is_sane(value := getattr(intent, name))), "")
    clean = structs.replace(intent, price=None, quantity=None, stop_price=None) if odd else intent
    asked = clean if replaced is None else _as_new(clean, replaced)
    checks: list[CheckResult] = []

    def note(code: str, value: object, limit: object, is_ok: bool) -> None:
        checks.append(CheckResult(code, value, limit, is_ok))

    found = state.instruments.get(asked.instrument)
    wrong = odd or _malformed(intent, asked)
    note("MALFORMED", wrong, "", not wrong)
    _standing(intent, asked, strategy, state, found, note)
    lots, ticks = order_checks.check(asked, state, found, note)
    exposure_checks.check(asked, strategy, state, found, replaced, note)
    _order_of_things(asked, strategy, state, found, replaced, note)
    failed = next((check for check in checks if not check.is_ok), None)
    if failed is not None or lots is None:
        return Rejected(intent, "MALFORMED" if failed is None else failed.code, tuple(checks), state.limits.digest, state.now)
    return Approved(_SEAL, intent, strategy, state, tuple(checks), lots, ticks)


def same_as(intent: Intent, strategy: str) -> object:
    """What is equal for two intents that want the same."""
    of = intent.order_id if intent.kind == "REPLACE" else (intent.instrument, intent.side, intent.order_type)
    return strategy, intent.kind, of, intent.quantity, intent.price


def _is_sane(number: Decimal | None) -> bool:
    """Whether a number is finite, and of a size that can be reckoned with."""
    return number is None or (number.is_finite() and abs(number.adjusted()) <= LARGEST)


def _replaced(intent: Intent, state: GateState) -> WorkingOrder | None:
    return (state.orders or {}).get(intent.order_id) if intent.kind == "REPLACE" else None


def _as_new(intent: Intent, order: WorkingOrder) -> Intent:
    return Intent(
        kind="REPLACE",
        instrument=order.instrument,
        side=order.side,
        quantity=intent.quantity,
        price=intent.price,
        order_type="limit",
        time_in_force=order.time_in_force,
        is_post_only=order.is_post_only,
        is_reduce_only=order.is_reduce_only,
        stop_price=intent.stop_price,
        order_id=order.id,
        valid_until=intent.valid_until,
    )


def _malformed(intent: Intent, asked: Intent) -> str:
    """What is wrong with an intent's form; empty if nothing is."""
    if intent.kind not in KINDS:
        raise UnknownKind(f"an intent of kind {intent.kind}")
    if intent.kind == "REPLACE" and not asked.instrument:
        return f"order {intent.order_id} is not open"
    for name, value, known in (
        ("side", asked.side, SIDES),
        ("order_type", asked.order_type, ORDER_TYPES),
        ("time_in_force", asked.time_in_force, TIMES_IN_FORCE),
    ):
        if value not in known:
            return f"{name} {value!r}"
    if (asked.price is None) != (asked.order_type == "market"):
        return "a limit order without a price" if asked.price is None else "a market order with a price"
    if asked.is_post_only and asked.time_in_force != "gtc":
        return f"post-only and {asked.time_in_force}"
    return ""


Note = Callable[[str, object, object, bool], None]


def _standing(intent: Intent, asked: Intent, strategy: str, state: GateState, found: Tradeable | None, note: Note) -> None:
    """Whether anything may be traded now at all."""
    now = state.now
    note("EXPIRED", now, intent.valid_until, now <= intent.valid_until)
    note("LOG", state.is_log_writable, True, state.is_log_writable)
    note("MODE", state.mode, "/".join(MODES), state.mode in MODES)
    note("HALTED", state.halted, None, state.halted is None)
    venue = None if found is None else found.venue
    paused = state.paused & {"all", f"venue:{venue}", f"strategy:{strategy}", f"instrument:{asked.instrument}"}
    note("PAUSED", ", ".join(sorted(paused)), "", not paused)
    note("PHASE", state.phase, "/".join(PHASES), state.phase in PHASES)
    blocked = state.blocked.get(asked.instrument)
    if blocked is None and state.stopped_until is not None and now < state.stopped_until:
        blocked = "a loss stopped trading for the day"
    note("BREAKER", blocked, None, blocked is None)
    is_unknown = asked.instrument in state.unknown
    note("UNKNOWN_ORDER", is_unknown, False, not is_unknown)
    note("INSTRUMENT", asked.instrument, "in the catalogue", found is not None)
    note("NOT_TRADING", None if found is None else found.status, "traded", found is not None and found.status.lower() in TRADING)
    age = None if found is None or found.known is None else now - found.known
    note("CATALOGUE_AGE", age, CATALOGUE_AGE, age is not None and age <= CATALOGUE_AGE)
    book = state.books.get(asked.instrument)
    if book is not None:
        book.now = now
    condition = "missing" if book is None else book.state
    note("BOOK", condition, "live", condition == "live")
    is_connected = state.connected.get(asked.instrument, False)
    note("CONNECTION", is_connected, True, is_connected)


def _order_of_things(
    intent: Intent, strategy: str, state: GateState, found: Tradeable | None, replaced: WorkingOrder | None, note: Note
) -> None:
    """What an order is beside those that are there already."""
    limits, orders, now = state.limits, state.orders, state.now
    more = 0 if replaced is not None else 1
    count = None if orders is None else len(orders) + more
    most = limits["position_limits.max_open_orders"]
    note("OPEN_ORDERS", count, most, count is not None and count <= most)
    own = None if orders is None else [one for one in orders.values() if one.instrument == intent.instrument]
    count = None if own is None else len(own) + more
    most = limits["position_limits.max_open_orders_per_symbol"]
    note("OPEN_ORDERS_SYMBOL", count, most, count is not None and count <= most)
    tokens = None if state.rate is None else int(state.rate.tokens(now))
    note("RATE", tokens, 1, tokens is not None and tokens >= 1)
    exposure_checks.balance(intent, state, found, replaced, note)
    crossed = None if own is None else _crossed(intent, found, own, replaced)
    note("SELF_CROSS", crossed, 0, crossed == 0)
    last = state.recent.get(same_as(intent, strategy))
    is_new = last is None or now - last > SAME_WITHIN
    note("DUPLICATE", None if last is None else now - last, SAME_WITHIN, is_new)
    exposure_checks.reducing(intent, state, found, replaced, note)
    closed = _closed(state, found)
    note("TIME_WINDOW", closed, None, closed is None)


def _crossed(intent: Intent, found: Tradeable | None, own: list[WorkingOrder], replaced: WorkingOrder | None) -> int | None:
    """The first own order that this one could trade with; 0 if there is none."""
    if found is None:
        return None
    sign = 1 if intent.side == "buy" else -1
    limit = intent.price
    for order in own:
        if order.side != intent.side and order is not replaced:
            if limit is None or order.ticks is None:
                return order.id
            if not limit.is_finite() or sign * (limit - found.grid.price(order.ticks)) >= Decimal(0):
                return order.id
    return 0


def _closed(state: GateState, found: Tradeable | None) -> str | None:
    day = state.now % 86_400_000_000_000
    for start, end in state.windows:
        if start <= day < end:
            return "a closed time of the day"
    if found is not None and found.expiry is not None and state.now >= found.expiry - 60_000_000_000:
        return "the last minute before it expires"
    return None
