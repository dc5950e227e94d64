"""Orders and what a venue says of them: the life of one order, its events, and its executions.

The rule: the state of an order is a function of the venue's events; every event of a state is either applied or counted as one that
changes nothing, and an execution is never lost because of the state that it comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from xtrader.errors import UnknownKind

STATUSES: Final = ("SENT", "OPEN", "PARTIAL", "FILLED", "CANCELED", "REJECTED", "EXPIRED")
ENDED: Final = frozenset(("FILLED", "CANCELED", "REJECTED", "EXPIRED"))
EVENTS: Final = ("ACK", "FILL", "CANCELED", "REJECTED", "EXPIRED", "CANCEL_REJECTED")


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One fill of one order. `ts_event` is when it happened at the venue, `ts` when the engine knew of it (int ns). `liquidity` is
    maker or taker; a `fee` below 0 is a rebate. `number` is unique within a run, `match` the print or message that it came of."""

    number: int
    order_id: int
    strategy: str
    instrument: str
    side: str
    quantity: Decimal
    price: Decimal
    liquidity: str
    fee: Decimal
    fee_asset: str
    ts_event: int
    ts: int
    match: str = ""


class OrderEvent(msgspec.Struct, frozen=True, gc=False):
    """What the venue says of an order, one of EVENTS. `ts_event` is when it happened there, int ns. A FILL has lots, ticks and
    liquidity."""

    kind: str
    order_id: int
    ts_event: int
    lots: int = 0
    ticks: int = 0
    liquidity: str = ""
    detail: str = ""


class WorkingOrder(msgspec.Struct, kw_only=True, gc=False):
    """One order. `ticks` is None for a market order. Times are int ns, None until known. `decision_mid` and `arrival_mid` are the
    mids when it was decided and when the venue had it."""

    id: int
    strategy: str
    instrument: str
    side: str
    lots: int
    ticks: int | None
    time_in_force: str
    is_post_only: bool
    is_reduce_only: bool
    ts_decided: int
    decision_mid: Decimal | None
    replaces: int = 0
    reason: str = ""
    tags: Mapping[str, str] = {}
    status: str = "SENT"
    filled: int = 0
    is_cancelling: bool = False
    ts_acked: int | None = None
    ts_ended: int | None = None
    arrival_mid: Decimal | None = None
    odd_events: int = 0
    """Events that its state did not expect: counted, and never a reason to lose an execution."""

    @property
    def leaves(self) -> int:
        """Lots that may still be filled: none once it has ended."""
        return 0 if self.status in ENDED else self.lots - self.filled

    @property
    def is_ended(self) -> bool:
        """Whether the venue has said its last word."""
        return self.status in ENDED


def advance(order: WorkingOrder, event: OrderEvent) -> bool:
    """Apply a venue's event to an order; True if its state changed. Raises UnknownKind."""
    ended = order.is_ended
    match event.kind:
        case "FILL":
            order.filled += event.lots
            order.odd_events += ended or order.filled > order.lots
            if order.filled >= order.lots:
                order.status, order.ts_ended = "FILLED", event.ts_event
            elif not ended:
                order.status = "PARTIAL"
            return True
        case "ACK":
            if order.status != "SENT":
                order.odd_events += order.ts_acked is not None
                order.ts_acked = order.ts_acked or event.ts_event
                return False
            order.status, order.ts_acked = "OPEN", event.ts_event
            return True
        case "CANCEL_REJECTED":
            order.is_cancelling = False
            return False
        case "CANCELED" | "REJECTED" | "EXPIRED":
            if ended:
                order.odd_events += 1
                return False
            order.status, order.ts_ended = event.kind, event.ts_event
            return True
        case other:
            raise UnknownKind(f"an order event of kind {other}")
