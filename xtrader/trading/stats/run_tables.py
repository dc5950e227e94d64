"""What a run left as Arrow tables: fills, orders, positions, the curve of its worth.

The rule: times are timestamps in UTC to the nanosecond, numbers decimals of 18 digits behind the point; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import pyarrow as pa

from xtrader.trading.model.grid import Grid
from xtrader.trading.model.order_state import Execution, WorkingOrder
from xtrader.trading.stats.run_report import HoldingResult

TIME: Final = pa.timestamp("ns", "UTC")
NUMBER: Final = pa.decimal128(38, 18)
_PLACES: Final = Decimal(1).scaleb(-18)
_WIDE: Final = Context(prec=60)


def fills_table(fills: Iterable[Execution]) -> Any:
    """A row a fill, in the order in which they were known."""
    names = {"number": pa.int64(), "order_id": pa.int64(), "strategy": pa.string(), "instrument": pa.string(), "side": pa.string()}
    names |= {"quantity": NUMBER, "price": NUMBER, "liquidity": pa.string(), "fee": NUMBER, "fee_asset": pa.string()}
    names |= {"ts_event": TIME, "ts": TIME, "match": pa.string()}
    return _table(names, [{name: getattr(one, name) for name in names} for one in fills])


def orders_table(orders: Iterable[WorkingOrder], grids: Mapping[str, Grid]) -> Any:
    """A row an order, as it was at the end; `price` is null for a market order."""
    names = {"id": pa.int64(), "strategy": pa.string(), "instrument": pa.string(), "side": pa.string(), "quantity": NUMBER}
    names |= {"filled": NUMBER, "price": NUMBER, "time_in_force": pa.string(), "status": pa.string(), "reason": pa.string()}
    names |= {"ts_decided": TIME, "ts_acked": TIME, "ts_ended": TIME, "decision_mid": NUMBER, "arrival_mid": NUMBER}
    rows = []
    for one in orders:
        grid = grids[one.instrument]
        row = {name: getattr(one, name, None) for name in names}
        row |= {"quantity": grid.size(one.lots), "filled": grid.size(one.filled)}
        rows.append(row | {"price": None if one.ticks is None else grid.price(one.ticks)})
    return _table(names, rows)


def positions_table(holdings: Iterable[HoldingResult]) -> Any:
    """A row for what each strategy made of each instrument, in USD."""
    names = {"strategy": pa.string(), "instrument": pa.string(), "quantity": NUMBER, "entry": NUMBER, "realised": NUMBER}
    names |= dict.fromkeys(("unrealised", "fees", "rebates", "funding", "net"), NUMBER)
    return _table(names, [{name: getattr(one, name) for name in names} for one in holdings])


def pnl_table(curve: Sequence[tuple[int, Decimal | None]]) -> Any:
    """The account's worth in USD by the minute, and what that is beside its beginning."""
    first = next((worth for _, worth in curve if worth is not None), None)
    rows = [{"ts": ts, "equity": worth, "pnl": None if worth is None or first is None else worth - first} for ts, worth in curve]
    return _table({"ts": TIME, "equity": NUMBER, "pnl": NUMBER}, rows)


def _table(names: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Any:
    columns = []
    for name, kind in names.items():
        values = [row[name] for row in rows]
        if kind == NUMBER:
            values = [None if one is None else one.quantize(_PLACES, ROUND_HALF_EVEN, _WIDE) for one in values]
        columns.append(pa.array(values, pa.int64()).cast(TIME) if kind == TIME else pa.array(values, kind))
    return pa.Table.from_arrays(columns, names=list(names))
