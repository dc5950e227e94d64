"""A row of a catalogue that cannot be read costs nobody else, and is said with its name, on every venue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xtrader.venues import market

BINANCE = {"baseAsset": "BTC", "quoteAsset": "USDT"}
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "BINANCE_SPOT": ("symbol", {"symbol": "BTCUSDT", **BINANCE}),
    "BINANCE_FUTURES": ("symbol", {"symbol": "BTCUSDT", **BINANCE, "contractType": "PERPETUAL"}),
    "BINANCE_COINM": ("symbol", {"symbol": "BTCUSD_PERP", **BINANCE, "contractType": "PERPETUAL"}),
    "OKX_SPOT": ("instId", {"instId": "BTC-USDT"}),
    "OKX_SWAP": ("instId", {"instId": "BTC-USDT-SWAP"}),
    "OKX_FUTURES": ("instId", {"instId": "BTC-USDT-261225"}),
    "OKX_OPTION": ("instId", {"instId": "BTC-USD-261225-50000-C"}),
    "DERIBIT": ("instrument_name", {"instrument_name": "BTC-PERPETUAL", "kind": "future"}),
}


def body(exchange: str, rows: list[Any]) -> bytes:
    return json.dumps({"symbols": rows} if exchange.startswith("BINANCE") else {"code": "0", "data": rows, "result": rows}).encode()


@pytest.mark.parametrize("exchange", GOOD)
def test_rows_that_cannot_be_read_are_said_by_name_and_the_others_are_listed(exchange: str) -> None:
    field, good = GOOD[exchange]
    wrong = {name: {"a": 1} for name in ("baseAsset", "tickSz", "tick_size")}
    rows = [{field: 5}, good, 7, {**good, field: "BAD\N{SNOWMAN}", **wrong}, "x" * 500, {}]
    found, unread = market(exchange, {}).instruments([body(exchange, rows)], 3)
    assert [row.symbol for row in found] == [good[field]]
    assert [said.partition(": ")[0] for said in unread] == ["5", "7", "BAD\N{SNOWMAN}", '"' + "x" * 79, "{}"]
    assert all(0 < len(said) <= 300 for said in unread)
