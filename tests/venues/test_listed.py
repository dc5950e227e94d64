"""What is wrong with a catalogue, on every venue: a row that cannot be read costs nobody else, a number that cannot be true is
unknown, and both are said with their names."""

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
    wrong = {name: {"a": 1} for name in ("baseAsset", "state", "kind")}
    rows = [{field: 5}, good, 7, {**good, field: "BAD\N{SNOWMAN}", **wrong}, "x" * 500, {}]
    found, unread, doubtful = market(exchange, {}).instruments([body(exchange, rows)], 3)
    assert [row.symbol for row in found] == [good[field]]
    assert [said.partition(": ")[0] for said in unread] == ["5", "7", "BAD\N{SNOWMAN}", '"' + "x" * 79, "{}"]
    assert all(0 < len(said) <= 300 for said in unread)
    assert doubtful == []


FIELDS = {
    "BINANCE_SPOT": ("tick_size", "lot_size", "min_size"),
    "BINANCE_FUTURES": ("tick_size", "lot_size", "min_size", "expiry"),
    "BINANCE_COINM": ("tick_size", "lot_size", "min_size", "expiry", "contract_size"),
    "OKX_SPOT": ("tick_size", "lot_size", "min_size", "expiry"),
    "OKX_SWAP": ("tick_size", "lot_size", "min_size", "expiry", "contract_size"),
    "OKX_FUTURES": ("tick_size", "lot_size", "min_size", "expiry", "contract_size"),
    "OKX_OPTION": ("tick_size", "lot_size", "min_size", "expiry", "contract_size", "strike"),
    "DERIBIT": ("tick_size", "lot_size", "expiry", "strike"),
}
"""The numbers of each venue's rows."""
WIRE = {
    "BINANCE": {"expiry": "deliveryDate", "contract_size": "contractSize"},
    "OKX": {
        "tick_size": "tickSz",
        "lot_size": "lotSz",
        "min_size": "minSz",
        "expiry": "expTime",
        "contract_size": "ctVal",
        "strike": "stk",
    },
    "DERIBIT": {"tick_size": "tick_size", "lot_size": "min_trade_amount", "expiry": "expiration_timestamp", "strike": "strike"},
}
FILTERS = {"tick_size": ("PRICE_FILTER", "tickSize"), "lot_size": ("LOT_SIZE", "stepSize"), "min_size": ("LOT_SIZE", "minQty")}
EVERY = [(exchange, name) for exchange, names in FIELDS.items() for name in names]


def with_number(exchange: str, name: str, text: str) -> bytes:
    """A catalogue of one row that has `text`, as it stands there, for a number."""
    _, good = GOOD[exchange]
    venue = exchange.partition("_")[0]
    if venue == "BINANCE" and name in FILTERS:
        kind, field = FILTERS[name]
        row: dict[str, Any] = {**good, "filters": [{"filterType": kind, field: "HERE"}]}
    else:
        row = {**good, WIRE[venue][name]: "HERE"}
    return body(exchange, [row]).replace(b'"HERE"', text.encode())


WRONG = ["-1", "-0.1", "1e31", "1e999", "9" * 400, '"nan"', '"inf"', '"1_0"', '"abc"', "true", "[1]", '{"a": 1}']
WRONG_TIMES = ["9999999999999", "253402300799999", "-1", "1e13", "9" * 30, '"2026-01-01"', "1792800000.5"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(("exchange", "name"), EVERY)
def test_a_number_that_cannot_be_true_is_unknown_and_told_by_name_and_the_row_is_kept(
    exchange: str, name: str, quoted: bool
) -> None:
    field, good = GOOD[exchange]
    for text in WRONG_TIMES if name == "expiry" else WRONG:
        told = text if not quoted or text[0] in '"[{' else f'"{text}"'
        found, unread, doubtful = market(exchange, {}).instruments([with_number(exchange, name, told)], 3)
        assert [(row.symbol, getattr(row, name)) for row in found] == [(good[field], None)]
        assert unread == []
        assert f"{good[field]}: {name}" in doubtful


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(("exchange", "name"), EVERY)
def test_the_same_numbers_are_read_as_numbers_and_as_texts(exchange: str, name: str, quoted: bool) -> None:
    texts = ["1792800000000", "8999999999999"] if name == "expiry" else ["0.1", "1e-8", "1e30", "10", "0"]
    for text in texts:
        told = f'"{text}"' if quoted else text
        (row,), unread, doubtful = market(exchange, {}).instruments([with_number(exchange, name, told)], 3)
        assert getattr(row, name) == (int(text) * 10**6 if name == "expiry" else float(text))
        assert (unread, doubtful) == ([], [])


@pytest.mark.parametrize(("exchange", "name"), EVERY)
@pytest.mark.parametrize("text", ["null", '""'])
def test_a_number_that_a_venue_does_not_give_is_unknown_without_a_word(exchange: str, name: str, text: str) -> None:
    (row,), unread, doubtful = market(exchange, {}).instruments([with_number(exchange, name, text)], 3)
    assert getattr(row, name) is None
    assert (unread, doubtful) == ([], [])


NEVER = {"BINANCE_FUTURES": "4133404800000", "BINANCE_COINM": "4133404800000", "OKX_SWAP": '""', "DERIBIT": "32503708800000"}


@pytest.mark.parametrize("exchange", NEVER)
def test_a_perpetual_expires_only_if_the_venue_names_a_day(exchange: str) -> None:
    for text, expiry in ((NEVER[exchange], None), ("1792800000000", 1_792_800_000_000_000_000)):
        (row,), unread, doubtful = market(exchange, {}).instruments([with_number(exchange, "expiry", text)], 3)
        assert (row.expiry, unread, doubtful) == (expiry, [], [])
