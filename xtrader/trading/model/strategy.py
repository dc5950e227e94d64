"""What a strategy is: a class with some of these methods, or one function `on_tick(context)`.

The rule: a strategy is told the time and what is known, answers with intents, and reaches nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol, TypeAlias

from xtrader.model.market import Trade
from xtrader.trading.model.intents import Intent
from xtrader.trading.model.order_state import Execution, WorkingOrder

Intents: TypeAlias = Iterable[Intent] | None
"""What a callback answers: intents in the order in which they are decided, or nothing."""
STATES: Final = ("CREATED", "WARMING", "RUNNING", "PAUSED", "DRAINING", "STOPPED", "FAILED")
CALLBACKS: Final = (
    *("on_start", "on_book", "on_quote", "on_trade", "on_fill", "on_order", "on_timer", "on_disconnect"),
    *("on_trading_disabled", "on_stop"),
)


class BookView(Protocol):
    """A book as a strategy sees it. Every price is None while the book is not live. Ticks and lots are whole numbers of the
    instrument's steps; prices and sizes are exact Decimals."""

    @property
    def state(self) -> str: ...
    @property
    def best_bid(self) -> int | None: ...
    @property
    def best_ask(self) -> int | None: ...
    @property
    def bid(self) -> Decimal | None: ...
    @property
    def ask(self) -> Decimal | None: ...
    @property
    def bid_size(self) -> Decimal | None: ...
    @property
    def ask_size(self) -> Decimal | None: ...
    @property
    def mid(self) -> Decimal | None: ...
    @property
    def spread_bps(self) -> Decimal | None: ...
    @property
    def instrument(self) -> str: ...
    def price(self, ticks: int) -> Decimal: ...
    def round_price(self, price: Decimal, side: str) -> Decimal: ...
    def round_size(self, size: Decimal) -> Decimal: ...
    def vwap(self, side: str, quantity: Decimal) -> Decimal | None: ...
    def imbalance(self, levels: int = 5) -> float | None: ...
    def liquidity(self, bps: float) -> tuple[Decimal, Decimal] | None: ...
    def levels(self, side: str, n: int | None = None) -> list[tuple[int, int]]: ...


class StrategyContext(Protocol):
    """What a strategy is handed with every callback. `now` is int nanoseconds UTC; `instruments` are the keys that it trades."""

    now: int
    instruments: Sequence[str]
    params: Any

    @property
    def orders(self) -> Sequence[WorkingOrder]:
        """The strategy's orders that have not ended, oldest first."""
        ...

    def book(self, instrument: str) -> BookView: ...
    def position(self, instrument: str) -> Decimal:
        """The strategy's quantity, below 0 for a short position."""
        ...

    def queue_ahead(self, order_id: int) -> Decimal | None:
        """What is displayed before an order at its price, as far as the paper venue knows; None if it does not rest."""
        ...

    def param(self, name: str) -> Any: ...
    def timer(self, seconds: float, name: str = "") -> None:
        """Call `on_timer` once, so many seconds from now."""
        ...

    def log(self, event: str, **facts: object) -> None: ...


class Strategy:
    """Base of strategies. Write only the methods that you need: what is not overridden is not called. `Params` is a msgspec
    Struct with a default for each parameter; `context.params` is one of it."""

    Params: type[Any] | None = None

    def on_start(self, context: StrategyContext) -> Intents: ...
    def on_book(self, context: StrategyContext, book: BookView) -> Intents:
        """After every book message."""

    def on_quote(self, context: StrategyContext, book: BookView) -> Intents:
        """After a book message that changed a best price or its size."""

    def on_trade(self, context: StrategyContext, trade: Trade) -> Intents: ...
    def on_fill(self, context: StrategyContext, fill: Execution) -> Intents: ...
    def on_order(self, context: StrategyContext, order: WorkingOrder) -> Intents:
        """After the venue said something of an order."""

    def on_timer(self, context: StrategyContext, name: str) -> Intents: ...
    def on_disconnect(self, context: StrategyContext, instrument: str) -> Intents:
        """The book of an instrument was lost."""

    def on_trading_disabled(self, context: StrategyContext, why: str) -> Intents: ...
    def on_stop(self, context: StrategyContext) -> Intents: ...
