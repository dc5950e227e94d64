"""How venues tell that their catalogue changed: what is asked, on which connection, and what comes of an answer."""

from __future__ import annotations

import json

import pytest

from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Link, MarketSession, Relisted, Send

NOW = 1_800_000_000_000_000_000
SYMBOLS = {"BINANCE_FUTURES": "BTCUSDT", "BINANCE_COINM": "BTCUSD_PERP", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}
ASKED = {
    "BINANCE_FUTURES": ("SUBSCRIBE", ["!contractInfo"]),
    "BINANCE_COINM": ("SUBSCRIBE", ["!contractInfo"]),
    "OKX_SWAP": ("subscribe", [{"channel": "instruments", "instType": "SWAP"}]),
    "DERIBIT": ("public/subscribe", {"channels": ["instrument.state.any.any"]}),
}
CONTRACT = '{"e":"contractInfo","E":1669647330375,"s":"IOTAUSDT","ps":"IOTAUSDT","ct":"PERPETUAL","cs":"TRADING"}'
OKX_ROW = '{"instId":"BTC-USDT-SWAP","instType":"SWAP","tickSz":"0.1","expTime":"","state":"suspend","count":"x","ts":[]}'
TOLD = {
    "BINANCE_FUTURES": (f'{{"stream":"!contractInfo","data":{CONTRACT}}}', ("IOTAUSDT",)),
    "BINANCE_COINM": (CONTRACT, ("IOTAUSDT",)),
    "OKX_SWAP": (f'{{"arg":{{"channel":"instruments","instType":"SWAP"}},"data":[{OKX_ROW}]}}', ("BTC-USDT-SWAP",)),
    "DERIBIT": (
        '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"instrument.state.any.any","data":'
        '{"timestamp":1553080940000,"state":"created","instrument_name":"BTC-22MAR19"}}}',
        ("BTC-22MAR19",),
    ),
}
REFUSED = {
    "BINANCE_FUTURES": '{"error":{"code":2,"msg":"Invalid request"},"id":%s}',
    "BINANCE_COINM": '{"error":{"code":2,"msg":"Invalid request"},"id":%s}',
    "OKX_SWAP": '{"event":"error","code":"60018","msg":"Wrong URL or channel:instruments","connId":"a","id":%s}',
    "DERIBIT": '{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"Invalid params"}}',
}


def links(exchange: str, *streams: str) -> list[Link]:
    return market(exchange, {}).links([Subscription(stream, exchange, SYMBOLS[exchange]) for stream in streams])


def begun(exchange: str) -> MarketSession:
    """A session on the connection that hears notices, just started."""
    (link,) = [link for link in links(exchange, "L2", "TRADES") if link.notices]
    session = market(exchange, {}).session(link, "start", {})
    assert list(session.start(NOW))
    return session


@pytest.mark.parametrize("exchange", ASKED)
def test_one_connection_of_a_market_asks_and_only_when_it_is_told_to(exchange: str) -> None:
    session = begun(exchange)
    for seconds in (5, 10, 15):
        assert all(json.dumps(ASKED[exchange][1])[1:-1] not in str(said) for said in session.idle(NOW + seconds * 10**9))
    (said,) = session.listen(NOW)
    assert isinstance(said, Send)
    request = json.loads(said.payload)
    method = request.get("method") or request["op"]
    assert (method, request.get("params") or request["args"]) == ASKED[exchange]


def test_usdm_contracts_are_told_on_the_route_of_the_aggregates_only_and_spot_has_no_notices() -> None:
    assert [(link.url.rpartition("com")[2], link.notices) for link in links("BINANCE_FUTURES", "L2", "TRADES")] == [
        ("/public/stream", False),
        ("/market/stream", True),
    ]
    assert [link.notices for link in links("BINANCE_FUTURES", "L2")] == [False]
    spot = market("BINANCE_SPOT", {}).links([Subscription("L2", "BINANCE_SPOT", "BTCUSDT")])
    assert [link.notices for link in spot] == [False]


def test_of_many_connections_one_hears_notices() -> None:
    wanted = [Subscription("L2", "OKX_SWAP", f"C{n}-USDT-SWAP") for n in range(100)]
    assert [link.notices for link in market("OKX_SWAP", {}).links(wanted)] == [True, False, False, False]


@pytest.mark.parametrize("exchange", TOLD)
def test_a_notice_names_the_instruments_that_changed(exchange: str) -> None:
    text, symbols = TOLD[exchange]
    assert list(begun(exchange).receive(text.encode(), NOW)) == [Relisted(symbols)]


@pytest.mark.parametrize("exchange", TOLD)
@pytest.mark.parametrize("name", ["instId", "instrument_name", "s"])
def test_a_notice_that_cannot_be_read_costs_nothing(exchange: str, name: str) -> None:
    text, _ = TOLD[exchange]
    broken = text.replace(f'"{name}":', '"other":')
    outputs = list(begun(exchange).receive(broken.encode(), NOW))
    assert outputs == ([] if broken != text else [Relisted(TOLD[exchange][1])])


@pytest.mark.parametrize("exchange", REFUSED)
def test_a_refused_request_for_notices_costs_nothing(exchange: str) -> None:
    session = begun(exchange)
    (said,) = session.listen(NOW)
    assert isinstance(said, Send)
    answer = REFUSED[exchange] % json.dumps(json.loads(said.payload)["id"])
    assert list(session.receive(answer.encode(), NOW)) == []
    assert {one.state for one in session.activity.values()} == {"syncing"}
