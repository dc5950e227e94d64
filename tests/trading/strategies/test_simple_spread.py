"""simple_spread: where it quotes, and when it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.trading.market import KEY, SECOND, START, Rows, engine, inputs, instrument, live, snapshot, trade, update
from xtrader.model.market import Record
from xtrader.trading.core.engine import Engine
from xtrader.trading.strategies.simple_spread import SimpleSpread, SimpleSpreadParams

D = Decimal
STATED = {
    "spread_bps": D(10),
    "order_size": D("0.1"),
    "min_spread_bps": D(2),
    "max_spread_bps": D(50),
    "min_valid_price": D(1),
    "max_valid_price": D(1_000_000),
    "min_size_threshold": D("0.001"),
    "skew_bps": D(5),
    "refresh_bps": D(2),
}


def ran(*records: Record, **params: Any) -> tuple[Engine, Rows]:
    found, rows = engine(SimpleSpread)
    found.host.hosted["s"].context.params = SimpleSpreadParams(**{name: D(str(value)) for name, value in params.items()})
    found.run(inputs([instrument(), live(), snapshot(START), *records]))
    return found, rows


def quotes(rows: Rows) -> list[tuple[str, Decimal]]:
    return [(row.intent.side, row.intent.price) for row in rows.of("decision") if row.intent.kind == "NEW"]


def test_its_parameters_are_the_stated_ones() -> None:
    found = msgspec.structs.asdict(SimpleSpreadParams())
    assert {name: found[name] for name in STATED} == STATED


def test_it_quotes_round_the_mid_rounded_away_from_it() -> None:
    """The mid is 100.1: 5 bps below is 100.04995, above 100.15005."""
    _, rows = ran()
    assert quotes(rows) == [("buy", D("100.0")), ("sell", D("100.2"))]


@pytest.mark.parametrize(
    "params",
    [{"min_spread_bps": 20}, {"max_spread_bps": 19}, {"min_valid_price": 101}, {"max_valid_price": 100}, {"min_size_threshold": 6}],
)
def test_it_does_not_quote_out_of_its_bounds(params: dict[str, Any]) -> None:
    _, rows = ran(**params)
    assert quotes(rows) == []


def test_a_position_moves_both_quotes_against_it() -> None:
    bought = trade(START + SECOND, 100.0, 5.1)
    _, rows = ran(bought, update(START + 2 * SECOND, [(100.1, 1.0)], []), max_position="0.1", skew_bps=30)
    prices = quotes(rows)[2:]
    assert prices == []
    _, rows = ran(bought, update(START + 2 * SECOND, [(100.1, 1.0)], []), max_position=1, skew_bps=300)
    assert quotes(rows)[2:] == [("buy", D("99.7"))]


def test_it_replaces_what_the_market_left_and_keeps_what_it_did_not() -> None:
    still = update(START + SECOND, [(100.0, 4.0)], [])
    found, rows = ran(still)
    assert len(quotes(rows)) == 2
    moved = snapshot(START + SECOND, 100.1, 100.3)
    found, rows = ran(moved, update(START + 2 * SECOND, [(100.1, 4.0)], []))
    assert [order.status for order in found.desk.orders.values()][:2] == ["CANCELED", "CANCELED"]
    assert quotes(rows)[2:] == [("buy", D("100.1")), ("sell", D("100.3"))]


def test_it_takes_its_quotes_back_when_the_market_is_out_of_bounds_or_lost() -> None:
    wide = update(START + SECOND, [(100.0, 0.0), (99.9, 0.0), (99.8, 0.0), (99.7, 0.0)], [])
    found, _ = ran(wide, max_spread_bps=25)
    assert {order.status for order in found.desk.orders.values()} == {"CANCELED"}
    assert found.desk.orders[1].ts_ended == START + SECOND
    lost, _ = ran(live(ts=START + SECOND, state="gap"), trade(START + 2 * SECOND, 99.0, 9.0))
    assert {order.ts_ended for order in lost.desk.orders.values()} == {START + SECOND}
    assert lost.state.positions == {}
    assert KEY in lost.slots
