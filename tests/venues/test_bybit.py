"""Bybit: its catalogue in pages, names, settings, and what answers to questions about silent instruments prove."""

from __future__ import annotations

import json

import pytest

from tests.venues.transcripts import BEGIN, SECOND
from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.market import Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, MarketSession, Notice, Output
from xtrader.venues.bybit import recognise
from xtrader.venues.machine.paging import next_page

BOOK = "orderbook.200.BTCUSDT"


def row(symbol: str, kind: str = "LinearPerpetual", **more: object) -> dict[str, object]:
    lots = {"qtyStep": "0.001", "minOrderQty": "0.001"}
    names = {"symbol": symbol, "contractType": kind, "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT"}
    return {**names, "settleCoin": "USDT", "priceFilter": {"tickSize": "0.10"}, "lotSizeFilter": lots, "deliveryTime": "0"} | more


def page(*rows: object, cursor: str = "", code: int = 0) -> bytes:
    result = {"category": "linear", "nextPageCursor": cursor, "list": rows}
    return json.dumps({"retCode": code, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}).encode()


def test_the_catalogue_is_asked_for_page_by_page_until_there_is_none() -> None:
    (first,) = market("BYBIT_LINEAR", {}).catalogue(())
    second = next_page(first, page(row("BTCUSDT"), cursor="first%3D1"))
    assert second is not None
    assert second.params == (("category", "linear"), ("limit", "1000"), ("cursor", "first%3D1"))
    third = next_page(second, page(cursor="first%3D2"))
    assert third is not None
    assert third.params[-1] == ("cursor", "first%3D2")
    assert next_page(third, page()) is None
    assert next_page(third, page(cursor="first%3D2")) is None, "the same page again"
    assert next_page(third, b"[") is None


def test_contracts_are_read_from_all_pages() -> None:
    dated = row("BTCUSDT-25DEC26", "LinearFutures", deliveryTime="1798185600000")
    found = market("BYBIT_LINEAR", {}).instruments([page(row("BTCUSDT")), page(dated, {"x": 1})], 7)
    perpetual, future = found.instruments
    assert (perpetual.alias, perpetual.kind, perpetual.expiry, perpetual.contract_unit) == ("BTCUSDT", "perpetual", None, "BTC")
    assert (perpetual.tick_size, perpetual.lot_size, perpetual.status) == (0.1, 0.001, "Trading")
    assert (future.alias, future.kind, future.expiry) == ("BTCUSDT-25DEC26", "future", 1_798_185_600_000_000_000)
    assert len(found.unread) == 1


def test_inverse_contracts_are_in_dollars_and_spot_has_steps_of_its_own() -> None:
    inverse = row("BTCUSD", "InversePerpetual", quoteCoin="USD", settleCoin="BTC")
    (one,) = market("BYBIT_INVERSE", {}).instruments([page(inverse)], 7).instruments
    assert (one.is_inverse, one.contract_size, one.contract_unit, one.settle) == (True, 1.0, "USD", "BTC")
    spot = {"symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "lotSizeFilter": {"basePrecision": "0.000001"}}
    (one,) = market("BYBIT_SPOT", {}).instruments([page(spot)], 7).instruments
    assert (one.kind, one.lot_size, one.contract_unit, one.expiry) == ("spot", 1e-6, "BTC", None)


def test_a_refused_catalogue_is_said() -> None:
    with pytest.raises(ProtocolError, match="refused: 10001"):
        market("BYBIT_LINEAR", {}).instruments([page(code=10001)], 7)


@pytest.mark.parametrize(
    ("exchange", "text", "symbol", "alias", "kind"),
    [
        ("BYBIT_SPOT", "btcusdt", "BTCUSDT", "BTCUSDT", "spot"),
        ("BYBIT_LINEAR", "BTCUSDT", "BTCUSDT", "BTCUSDT", "perpetual"),
        ("BYBIT_LINEAR", "BTCPERP", "BTCPERP", "BTCUSDC", "perpetual"),
        ("BYBIT_LINEAR", "BTCUSDC", "BTCPERP", "BTCUSDC", "perpetual"),
        ("BYBIT_LINEAR", "BTCUSDT-25DEC26", "BTCUSDT-25DEC26", "BTCUSDT-25DEC26", "future"),
        ("BYBIT_LINEAR", "BTC-25DEC26", "BTC-25DEC26", "BTC-25DEC26", "future"),
        ("BYBIT_INVERSE", "BTCUSD", "BTCUSD", "BTCUSD", "perpetual"),
        ("BYBIT_INVERSE", "BTCUSDH27", "BTCUSDH27", "BTCUSDH27", "future"),
    ],
)
def test_a_name_tells_what_it_is(exchange: str, text: str, symbol: str, alias: str, kind: str) -> None:
    guessed = market(exchange, {}).guess(text)
    assert guessed is not None
    assert (guessed.symbol, guessed.alias, guessed.kind) == (symbol, alias, kind)


def test_the_depth_is_one_of_those_that_there_are() -> None:
    subscription = Subscription("L2", "BYBIT_SPOT", "BTCUSDT")
    venue = market("BYBIT_SPOT", {"XTRADER_BYBIT_DEPTH": "1000"})
    (link,) = venue.links([subscription])
    assert link.url == "wss://stream.bybit.com/v5/public/spot"
    assert any("orderbook.1000.BTCUSDT" in getattr(one, "payload", "") for one in venue.session(link, "start", {}).start(1))
    with pytest.raises(ConfigError, match="XTRADER_BYBIT_DEPTH must be one of 50, 200, 1000, not '500'"):
        market("BYBIT_SPOT", {"XTRADER_BYBIT_DEPTH": "500"})


def live(stream: str) -> tuple[MarketSession, Subscription]:
    """A session of one subscription that is live, with one bid and ask or one trade."""
    subscription = Subscription(stream, "BYBIT_LINEAR", "BTCUSDT")
    venue = market("BYBIT_LINEAR", {})
    session = venue.session(venue.links([subscription])[0], "start", {})
    list(session.start(BEGIN))
    list(session.receive(b'{"success":true,"ret_msg":"","req_id":"s1","op":"subscribe"}', BEGIN))
    if stream == "L2":
        data = '{"s":"BTCUSDT","b":[["10","1"]],"a":[["11","2"]],"u":5,"seq":9}'
        text = f'{{"topic":"{BOOK}","type":"snapshot","ts":1700000000100,"data":{data},"cts":1700000000090}}'
    else:
        data = '[{"T":1700000000100,"s":"BTCUSDT","S":"Buy","v":"1","p":"10","i":"a"}]'
        text = f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1700000000100,"data":{data}}}'
    assert any(isinstance(one, Coverage | Trade) for one in session.receive(text.encode(), BEGIN + SECOND))
    return session, subscription


def asked(session: MarketSession, subscription: Subscription, result: object, code: int = 0) -> list[Output]:
    """What a silent minute, a question and this answer lead to."""
    now = BEGIN + 60 * SECOND
    (fetch,) = session.probe(subscription, now)
    assert isinstance(fetch, Fetch)
    body = json.dumps({"retCode": code, "retMsg": "OK" if not code else "params error: Symbol Is Invalid", "result": result})
    return [*session.answer(fetch, 200, body.encode(), now), *session.idle(now + 4 * SECOND)]


@pytest.mark.parametrize(("bid", "causes"), [("10", []), ("10.5", ["silent"])])
def test_a_silent_book_is_compared_with_what_the_venue_answers(bid: str, causes: list[str]) -> None:
    session, subscription = live("L2")
    out = asked(session, subscription, {"s": "BTCUSDT", "b": [[bid, "1"]], "a": [["11", "2"]], "u": 77, "seq": 99})
    assert [row.cause for row in out if isinstance(row, Coverage) and row.state == "gap"] == causes


@pytest.mark.parametrize(
    ("name", "ms", "causes"), [("a", 1700000000100, []), ("b", 1700000030000, ["silent"]), ("b", 1700000000500, [])]
)
def test_silent_trades_are_dead_if_the_venue_has_a_newer_one(name: str, ms: int, causes: list[str]) -> None:
    session, subscription = live("TRADES")
    out = asked(session, subscription, {"list": [{"execId": name, "symbol": "BTCUSDT", "time": str(ms), "price": "10"}]})
    assert [row.cause for row in out if isinstance(row, Coverage) and row.state == "gap"] == causes


def test_trades_that_fell_silent_are_live_again_with_the_first_one_that_comes() -> None:
    session, subscription = live("TRADES")
    asked(session, subscription, {"list": [{"execId": "b", "symbol": "BTCUSDT", "time": "1700000030000"}]})
    assert not list(session.receive(b'{"success":true,"req_id":"s3","op":"subscribe"}', BEGIN + 65 * SECOND))
    data = '[{"T":1700000066000,"s":"BTCUSDT","S":"Sell","v":"1","p":"10","i":"c"}]'
    text = f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1700000066000,"data":{data}}}'
    out = list(session.receive(text.encode(), BEGIN + 66 * SECOND))
    assert [row.state for row in out if isinstance(row, Coverage)] == ["live"]


def test_an_instrument_that_the_venue_denies_twice_is_delisted() -> None:
    session, subscription = live("L2")
    assert not [one for one in asked(session, subscription, {}, code=10001) if isinstance(one, Notice)]
    out = asked(session, subscription, {}, code=10001)
    assert [one.event for one in out if isinstance(one, Notice)] == ["delisted"]


def test_recorded_frames_are_of_the_category_of_their_url() -> None:
    frame = b'{"topic":"orderbook.200.BTCUSDT","type":"delta"}'
    (origin,) = recognise("wss://stream.bybit.com/v5/public/inverse", frame, "")
    assert origin[:3] == ("L2", "BYBIT_INVERSE", "BTCUSDT")
    assert recognise("wss://example.com/v5/public/inverse", frame, "") == ()
    (origin,) = recognise("", b'{"topic":"publicTrade.BTCUSDT"}', "BYBIT_SPOT")
    assert origin[:3] == ("TRADES", "BYBIT_SPOT", "BTCUSDT")
    (origin,) = recognise("", b'{"topic":"orderbook.1.BTCUSDT"}', "BYBIT_SPOT")
    assert origin.stream == ""
