"""A small market for the tests of trading: one perpetual, its books and trades, a state in which everything may be traded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.core.engine import Engine, EngineSetup
from xtrader.trading.core.strategy_host import StrategyPlan
from xtrader.trading.model.grid import Grid
from xtrader.trading.model.inputs import Input
from xtrader.trading.model.intents import Intent
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.paper.venue_rules import Delays, Fees
from xtrader.trading.risk.gate_state import AccountState, GateState, OrderRate, Tradeable
from xtrader.trading.risk.limit_table import LimitFile, RiskLimits, limits_in_force

SECOND = 10**9
MILLISECOND = 10**6
START = 1_795_219_200 * SECOND
"""2026-11-21T00:00:00Z."""
KEY = "OKX_SWAP@ETH-USDT-SWAP"
OTHER = "OKX_SWAP@BTC-USDT-SWAP"
INVERSE = "DERIBIT@BTC-PERPETUAL"
SPOT = "BINANCE_SPOT@ETHUSDT"


def instrument(key: str = KEY, ts: int = START, **facts: Any) -> Instrument:
    """A perpetual in USDT with ticks of 0.1 and lots of 0.01, unless told otherwise."""
    exchange, _, symbol = key.partition("@")
    told = {"kind": "perpetual", "base": "ETH", "quote": "USDT", "settle": "USDT", "status": "live"}
    sizes = {"tick_size": 0.1, "lot_size": 0.01, "min_size": 0.01, "contract_size": 1.0}
    return Instrument(exchange=exchange, symbol=symbol, alias=symbol.replace("-", ""), ts=ts, **{**told, **sizes, **facts})


def inverse() -> Instrument:
    """A perpetual of 10 USD a lot that is settled in BTC."""
    facts = {"base": "BTC", "quote": "USD", "settle": "BTC", "contract_unit": "USD", "is_inverse": True}
    return instrument(INVERSE, tick_size=0.5, lot_size=10.0, min_size=10.0, **facts)


def spot() -> Instrument:
    return instrument(SPOT, kind="spot", settle="", lot_size=0.001, min_size=0.001)


def live(key: str = KEY, ts: int = START, state: str = "live", stream: str = "L2") -> Coverage:
    return Coverage(key, stream, state, "start" if state == "live" else "disconnect", ts, None)


def update(
    ts: int,
    bids: Sequence[tuple[float, float]],
    asks: Sequence[tuple[float, float]],
    *,
    key: str = KEY,
    snapshot: bool = False,
    event: int | None = None,
) -> BookUpdate:
    return BookUpdate(key, snapshot, list(bids), list(asks), None, None, event, ts)


def snapshot(ts: int, bid: float = 100.0, ask: float = 100.2, size: float = 5.0, key: str = KEY, levels: int = 5) -> BookUpdate:
    """A book with levels a tick apart."""
    bids = [(round(bid - place / 10, 1), size) for place in range(levels)]
    asks = [(round(ask + place / 10, 1), size) for place in range(levels)]
    return update(ts, bids, asks, key=key, snapshot=True)


def trade(
    ts: int, price: float, size: float, side: str = "sell", *, key: str = KEY, event: int | None = None, id: str = "1"
) -> Trade:
    return Trade(key, id, side, price, size, event, ts)


def book(grid: Grid | None = None, ts: int = START, **facts: Any) -> InstrumentBook:
    """A live book as of `ts`."""
    found = InstrumentBook(grid or Grid(instrument()))
    found.cover(live(found.grid.key, ts))
    found.apply(snapshot(ts, **facts), ts)
    found.now = ts
    return found


def buy(price: str | None = "99.0", quantity: str = "1", **facts: Any) -> Intent:
    """A limit order that rests a little below the mid, unless told otherwise."""
    told: dict[str, Any] = {"kind": "NEW", "instrument": KEY, "side": "buy", "quantity": Decimal(quantity)}
    told |= {"price": None if price is None else Decimal(price), "order_type": "market" if price is None else "limit"}
    return Intent(**{**told, "valid_until": START + SECOND, **facts})


def order(id: int, side: str = "buy", lots: int = 100, ticks: int | None = 990, *, key: str = KEY, **facts: Any) -> WorkingOrder:
    told: dict[str, Any] = {"strategy": "s", "time_in_force": "gtc", "is_post_only": False, "is_reduce_only": False}
    told |= {"ts_decided": START, "decision_mid": None}
    return WorkingOrder(id=id, instrument=key, side=side, lots=lots, ticks=ticks, **{**told, **facts})


def limits(**values: Any) -> RiskLimits:
    """The default limits, with others for dotted keys whose dots are written as two underscores."""
    return limits_in_force(LimitFile("test", {key.replace("__", "."): (Decimal(str(value)), 0) for key, value in values.items()}))


def open_state(found: RiskLimits | None = None) -> GateState:
    """A state in which `buy()` is approved."""
    grids = {KEY: Grid(instrument()), OTHER: Grid(instrument(OTHER, base="BTC"))}
    state = GateState(found or limits(), lambda asset: Decimal(1))
    state.now = START
    state.mode, state.phase, state.is_log_writable, state.halted = "replay", "paper", True, None
    state.instruments = {key: Tradeable(grid, "OKX_SWAP", "live", START) for key, grid in grids.items()}
    state.books = {key: book(grid) for key, grid in grids.items()}
    state.connected = dict.fromkeys(grids, True)
    state.positions = {}
    state.orders = {}
    state.account = AccountState(Decimal(10_000))
    state.account.free = {"USDT": Decimal(10_000), "ETH": Decimal(10)}
    state.rate = OrderRate(Decimal(10), Decimal(20), Decimal(120), Decimal(120))
    state.added = deque()
    return state


def inputs(records: Iterable[Record], delay: int = 0) -> list[Input]:
    """Records as an engine takes them, in the order in which they are given."""
    found = []
    latest = 0
    for record in records:
        ts = record.ts_from if isinstance(record, Coverage) else record.ts if isinstance(record, Instrument) else record.ts_recv
        latest = max(latest, ts)
        found.append(Input(latest, latest + delay, record))
    return found


class Rows(list[tuple[str, Any]]):
    """What an engine wrote."""

    def of(self, kind: str) -> list[Any]:
        return [row for name, row in self if name == kind]


def engine(
    strategy: Callable[[], Any],
    *,
    instruments: Sequence[Instrument] | None = None,
    found: RiskLimits | None = None,
    fees: Fees | None = None,
    entry: int = 0,
    response: int = 0,
    queue: str = "risk_averse",
    capital: str = "10000",
    stopwatch: Callable[[], int] = lambda: 0,
) -> tuple[Engine, Rows]:
    """An engine with one strategy, and the rows that it writes."""
    rows = Rows()
    known = {one.key: Tradeable(Grid(one), one.exchange, one.status, one.ts) for one in instruments or [instrument()]}
    setup = EngineSetup(
        mode="replay",
        plans=(StrategyPlan("s", strategy, None, sorted(known)),),
        tradeables=known,
        limits=found or limits(),
        capital={"USDT": Decimal(capital)},
        fees=lambda _: fees or Fees(),
        delays=Delays(entry, response),
        queue=queue,
        write=lambda kind, row: rows.append((kind, row)),
        stopwatch=stopwatch,
    )
    return Engine(setup), rows
