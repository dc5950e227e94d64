"""From intents to orders to fills: the gate decides, the venue is told, its answers move orders, and the ledger books.

The rule: everything that is decided, and everything that becomes of it, is written before anything else happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from xtrader.trading.core.account_keeper import AccountKeeper
from xtrader.trading.ledger.trade_ledger import TradeLedger
from xtrader.trading.model.decisions import CheckResult, Rejected
from xtrader.trading.model.intents import VALID_FOR, Intent
from xtrader.trading.model.order_state import Execution, OrderEvent, WorkingOrder, advance
from xtrader.trading.paper.paper_venue import PaperVenue
from xtrader.trading.paper.venue_rules import Fees
from xtrader.trading.risk.gate import Approved, decide, same_as
from xtrader.trading.risk.gate_state import MINUTE, SAME_WITHIN, GateState
from xtrader.trading.risk.risk_breaker import RiskBreaker

MOST_INTENTS: Final = 100
"""Intents of one answer that are decided; more is a strategy gone wrong."""
Write = Callable[[str, object], None]
"""Writes one row, of a kind, to the run's log."""


class DecisionRow(msgspec.Struct):
    """A decision as it is logged. `values` are those of the checks in the gate's order."""

    ts: int
    strategy: str
    intent: Intent
    verdict: str
    code: str
    order_id: int
    failed: Sequence[CheckResult]
    values: Sequence[object]
    limits: str


class OrderDesk:
    """Holds all orders of a run. `changed` is what happened to orders since somebody looked: (order, fill or None)."""

    def __init__(
        self,
        state: GateState,
        venue: PaperVenue,
        keeper: AccountKeeper,
        breaker: RiskBreaker,
        fees: Callable[[str], Fees],
        write: Write,
        schedule: Callable[[int, str], None],
    ) -> None:
        self._state = state
        self._venue = venue
        self._keeper = keeper
        self._breaker = breaker
        self._fees = fees
        self._write = write
        self._schedule = schedule
        self.orders: dict[int, WorkingOrder] = {}
        """Every order of the run."""
        self.open: dict[int, WorkingOrder] = {}
        """Those that have not ended."""
        self.fills: list[Execution] = []
        self.codes: Counter[str] = Counter()
        """Rejections by code."""
        self.approved = 0
        self.large = 0
        """Orders of more than a twentieth of their level when they were decided."""
        self.changed: list[tuple[WorkingOrder, Execution | None]] = []
        state.orders = self.open

    @property
    def ledger(self) -> TradeLedger:
        """The books of the run."""
        return self._keeper.ledger

    def queue_ahead(self, order: WorkingOrder) -> int | None:
        """Lots that the paper venue knows to be before an order; None if it does not rest."""
        return self._venue.queue_ahead(order)

    def handle(self, strategy: str, intents: Sequence[Intent]) -> bool:
        """Decide a strategy's answer; False if it had so many intents that some were not even looked at."""
        for intent in intents[:MOST_INTENTS]:
            self._one(strategy, intent)
        for intent in intents[MOST_INTENTS:]:
            self.codes["TOO_MANY"] += 1
            check = CheckResult("TOO_MANY", len(intents), MOST_INTENTS, False)
            self._decided(strategy, Rejected(intent, "TOO_MANY", (check,), self._state.limits.digest, self._state.now), 0)
        return len(intents) <= MOST_INTENTS

    def _one(self, strategy: str, intent: Intent) -> None:
        state = self._state
        if intent.kind in ("CANCEL", "CANCEL_ALL"):
            self._cancel(strategy, intent)
            return
        if not intent.valid_until:
            intent = msgspec.structs.replace(intent, valid_until=state.now + VALID_FOR)
        self._keeper.refresh()
        self._breaker.account()
        verdict = decide(intent, strategy, state)
        self._breaker.finite(intent.price, intent.quantity, intent.stop_price)
        if isinstance(verdict, Rejected):
            self.codes[verdict.code] += 1
            self._decided(strategy, verdict, 0)
            return
        replaced = self.open.get(intent.order_id) if intent.kind == "REPLACE" else None
        order = self._order(verdict, replaced)
        self._remember(intent, strategy, order)
        self._decided(strategy, verdict, order.id)
        self.orders[order.id] = self.open[order.id] = order
        self._write_order(order)
        self._schedule(self._venue.submit(verdict, order, replaced), order.instrument)

    def _order(self, verdict: Approved, replaced: WorkingOrder | None) -> WorkingOrder:
        intent = verdict.intent
        like = intent if replaced is None else replaced
        book = self._state.books[like.instrument]
        order = WorkingOrder(
            id=len(self.orders) + 1,
            strategy=verdict.strategy,
            instrument=like.instrument,
            side=like.side,
            lots=verdict.lots,
            ticks=verdict.ticks,
            time_in_force=like.time_in_force,
            is_post_only=like.is_post_only,
            is_reduce_only=like.is_reduce_only,
            ts_decided=verdict.ts,
            decision_mid=book.mid,
            replaces=0 if replaced is None else replaced.id,
            reason=intent.reason,
            tags=intent.tags,
        )
        if order.ticks is not None and order.lots * 20 > book.lots_at(order.side, order.ticks) > 0:
            self.large += 1
        return order

    def _remember(self, intent: Intent, strategy: str, order: WorkingOrder) -> None:
        state = self._state
        self.approved += 1
        assert state.rate is not None
        state.rate.take(state.now)
        if len(state.recent) > 64:
            state.recent = {key: ts for key, ts in state.recent.items() if state.now - ts <= SAME_WITHIN}
        state.recent[same_as(intent, strategy)] = state.now
        grid = state.instruments[order.instrument].grid
        rate, mark = state.usd(grid.quote), state.mark(order.instrument)
        assert state.added is not None
        while state.added and state.added[0][0] <= state.now - MINUTE:
            state.added.popleft()
        held = (state.positions or {}).get(order.instrument, Decimal(0))
        if rate is not None and mark is not None and not order.replaces:
            size = grid.size(order.lots)
            closes = max(Decimal(0), -held if order.side == "buy" else held)
            state.added.append((state.now, grid.notional(max(Decimal(0), size - closes), mark) * rate))

    def _cancel(self, strategy: str, intent: Intent) -> None:
        if intent.kind == "CANCEL_ALL":
            wanted = [one for one in self.open.values() if one.strategy == strategy and intent.instrument in ("", one.instrument)]
        else:
            own = self.open.get(intent.order_id)
            wanted = [own] if own is not None and own.strategy == strategy else []
        verdict = decide(intent, strategy, self._state)
        assert isinstance(verdict, Approved)
        self._decided(strategy, verdict, intent.order_id)
        for order in wanted:
            if not order.is_cancelling:
                order.is_cancelling = True
                if self._state.rate is not None:
                    self._state.rate.cancelled(self._state.now)
                self._schedule(self._venue.cancel(verdict, order), order.instrument)

    def answer(self, event: OrderEvent) -> None:
        """What the venue said is known now."""
        order = self.orders[event.order_id]
        if not advance(order, event) and event.kind != "CANCEL_REJECTED":
            return
        fill = self._fill(order, event) if event.kind == "FILL" else None
        if order.is_ended:
            self.open.pop(order.id, None)
        self._write_order(order)
        if fill is not None:
            self._write("fill", fill)
            self._keeper.refresh()
            self._breaker.account()
            self._breaker.filled(order.instrument)
        self.changed.append((order, fill))

    def _fill(self, order: WorkingOrder, event: OrderEvent) -> Execution:
        grid = self._state.instruments[order.instrument].grid
        quantity, price = grid.size(event.lots), grid.price(event.ticks)
        fees = self._fees(order.instrument)
        rate = fees.rate(event.liquidity)
        fee, asset = grid.notional(quantity, price) * rate, grid.quote
        if grid.is_spot and fees.asset == "base" and order.side == "buy":
            fee, asset = quantity * rate, grid.base
        elif fees.asset not in ("quote", "base"):
            worth, unit = self._keeper.usd(grid.quote), self._keeper.usd(fees.asset)
            # A third asset without a price cannot be paid in.
            if worth is not None and unit:
                fee, asset = fee * worth / unit, fees.asset
        elif not grid.is_spot and grid.settle != grid.quote:
            fee, asset = fee / price, grid.settle
        found = Execution(
            number=len(self.fills) + 1,
            order_id=order.id,
            strategy=order.strategy,
            instrument=order.instrument,
            side=order.side,
            quantity=quantity,
            price=price,
            liquidity=event.liquidity,
            fee=fee,
            fee_asset=asset,
            ts_event=event.ts_event,
            ts=self._state.now,
            match=event.detail,
        )
        self.fills.append(found)
        self._keeper.ledger.fill(found)
        return found

    def _decided(self, strategy: str, verdict: Approved | Rejected, order_id: int) -> None:
        is_approved = isinstance(verdict, Approved)
        row = DecisionRow(
            ts=verdict.ts,
            strategy=strategy,
            intent=verdict.intent,
            verdict="approved" if is_approved else "rejected",
            code="" if isinstance(verdict, Approved) else verdict.code,
            order_id=order_id,
            failed=() if isinstance(verdict, Approved) else verdict.failed,
            values=[check.value for check in verdict.checks],
            limits=verdict.limits,
        )
        self._write("decision", row)

    def _write_order(self, order: WorkingOrder) -> None:
        self._write("order", order)
