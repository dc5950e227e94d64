"""Binance: where to connect, how subscriptions are spread, and the instrument catalogue."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.captures import captures
from tests.venues.binance_wire import sends
from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch


def subs(exchange: str, count: int, stream: str = "L2") -> list[Subscription]:
    return [Subscription(stream, exchange, f"S{n}USDT") for n in range(count)]


def test_usdm_books_and_aggregates_are_on_different_routes() -> None:
    wanted = [Subscription(stream, "BINANCE_FUTURES", "BTCUSDT") for stream in ("L2", "TRADES")]
    public, aggregates = market("BINANCE_FUTURES", {}).links(wanted)
    assert (public.url, public.subscriptions) == ("wss://fstream.binance.com/public/stream", (wanted[0],))
    assert (aggregates.url, aggregates.subscriptions) == ("wss://fstream.binance.com/market/stream", (wanted[1],))
    assert (public.name, aggregates.name) == ("BINANCE_FUTURES/0", "BINANCE_FUTURES/1")


def test_usdm_single_trades_share_the_public_route() -> None:
    wanted = [Subscription(stream, "BINANCE_FUTURES", "BTCUSDT") for stream in ("L2", "TRADES")]
    made = market("BINANCE_FUTURES", {"XTRADER_BINANCE_FUTURES_TRADES": "trade"})
    (link,) = made.links(wanted)
    assert link.url == "wss://fstream.binance.com/public/stream"
    assert sends(made.session(link, "start", {}).start(0))[0]["params"] == ["btcusdt@depth@100ms", "btcusdt@trade"]


@pytest.mark.parametrize(
    ("exchange", "url", "stream", "limit"),
    [
        ("BINANCE_SPOT", "wss://stream.binance.com:9443/stream", "btcusdt@trade", (3, 1.0)),
        ("BINANCE_COINM", "wss://dstream.binance.com/stream", "btcusdt@aggTrade", (8, 1.0)),
    ],
)
def test_spot_and_coinm_have_one_route(exchange: str, url: str, stream: str, limit: tuple[int, float]) -> None:
    made = market(exchange, {})
    (link,) = made.links([Subscription(kind, exchange, "BTCUSDT") for kind in ("L2", "TRADES")])
    assert (link.url, link.send_limits, link.lifetime) == (url, (limit,), 86400.0)
    assert sends(made.session(link, "start", {}).start(0))[0]["params"] == ["btcusdt@depth@100ms", stream]


def test_streams_are_spread_over_links_of_two_hundred_and_requests_of_a_hundred() -> None:
    made = market("BINANCE_SPOT", {})
    links = made.links(subs("BINANCE_SPOT", 450))
    assert [len(link.subscriptions) for link in links] == [200, 200, 50]
    assert len({link.name for link in links}) == 3
    requests = sends(made.session(links[0], "start", {}).start(0))
    assert [(r["id"], len(r["params"])) for r in requests] == [(1, 100), (2, 100)]  # type: ignore[arg-type]


def test_own_urls_replace_scheme_and_host_and_keep_the_routes() -> None:
    options = {
        "XTRADER_BINANCE_FUTURES_WS_URL": "ws://127.0.0.1:9001/",
        "XTRADER_BINANCE_FUTURES_REST_URL": "http://127.0.0.1:9002",
    }
    made = market("BINANCE_FUTURES", options)
    assert (made.environment, made.ws_url, made.rest_url) == ("override", "ws://127.0.0.1:9001", "http://127.0.0.1:9002")
    assert made.links(subs("BINANCE_FUTURES", 1, "TRADES"))[0].url == "ws://127.0.0.1:9001/market/stream"
    assert market("BINANCE_FUTURES", {}).environment == "production"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XTRADER_BINANCE_FUTURES_TRADES", "trades"),
        ("XTRADER_BINANCE_FUTURES_WS_URL", "http://127.0.0.1"),
        ("XTRADER_BINANCE_FUTURES_WS_URL", "wss://fstream.binance.com?timeUnit=MICROSECOND"),
        ("XTRADER_BINANCE_FUTURES_WS_URL", "wss://fstream.binance.com/stream?timeUnit=MICROSECOND"),
        ("XTRADER_BINANCE_FUTURES_REST_URL", "127.0.0.1:80"),
        ("XTRADER_BINANCE_FUTURES_REST_URL", "https://fapi.binance.com#a"),
    ],
)
def test_unusable_option_is_refused_in_one_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        market("BINANCE_FUTURES", {name: value})


def test_recorded_catalogue_of_usdm_parses_whole() -> None:
    with gzip.open(captures() / "recorded-1" / "BINANCE_FUTURES.0.gz", "rt", encoding="utf-8") as file:
        line = next(line for line in file if "exchangeInfo" in line)
    body = line.split(": ", 1)[1].strip().encode()
    made = market("BINANCE_FUTURES", {})
    found = {i.symbol: i for i in made.instruments([body], 7).instruments}
    assert len(found) == body.count(b'"contractType"')
    sushi = found["SUSHIUSDT"]
    assert (sushi.kind, sushi.alias, sushi.base, sushi.quote, sushi.settle) == ("perpetual", "SUSHIUSDT", "SUSHI", "USDT", "USDT")
    assert (sushi.contract_size, sushi.contract_unit, sushi.expiry, sushi.ts) == (1.0, "SUSHI", None, 7)
    assert sushi.tick_size is not None


def listed(exchange: str, *rows: object) -> list[Instrument]:
    return market(exchange, {}).instruments([json.dumps({"symbols": rows}).encode()], 1).instruments


def test_spot_catalogue_row() -> None:
    row = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "stepSize": "0.00002"},
        ],
    }
    assert listed("BINANCE_SPOT", row, {"symbol": "BROKEN"}, 5) == [
        Instrument(
            exchange="BINANCE_SPOT",
            symbol="BTCUSDT",
            alias="BTCUSDT",
            kind="spot",
            base="BTC",
            quote="USDT",
            tick_size=0.01,
            lot_size=0.00002,
            min_size=0.00001,
            contract_size=1.0,
            contract_unit="BTC",
            status="TRADING",
            ts=1,
        )
    ]


def test_coinm_catalogue_has_contracts_of_dollars_and_aliases_for_perpetuals_only() -> None:
    common = {"pair": "BTCUSD", "baseAsset": "BTC", "quoteAsset": "USD", "marginAsset": "BTC", "contractSize": 100}
    perpetual, dated = listed(
        "BINANCE_COINM",
        common | {"symbol": "BTCUSD_PERP", "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "contractStatus": "TRADING"},
        common | {"symbol": "BTCUSD_260925", "contractType": "CURRENT_QUARTER", "deliveryDate": 1790323200000},
    )
    assert (perpetual.alias, perpetual.kind, perpetual.expiry, perpetual.status) == ("BTCUSD", "perpetual", None, "TRADING")
    assert (perpetual.contract_size, perpetual.contract_unit, perpetual.is_inverse) == (100.0, "USD", True)
    assert (dated.alias, dated.kind, dated.expiry) == ("BTCUSD_260925", "future", 1790323200_000_000_000)


@pytest.mark.parametrize(
    ("contract", "kind"),
    [
        ("PERPETUAL", "perpetual"),
        ("TRADIFI_PERPETUAL", "perpetual"),
        ("PERPETUAL_DELIVERING", "perpetual"),
        ("NEXT_MONTH", "future"),
        ("NEXT_QUARTER", "future"),
        ("", "unknown"),
        ("NOVELTY", "unknown"),
    ],
)
def test_contract_type_gives_the_kind(contract: str, kind: str) -> None:
    (made,) = listed("BINANCE_FUTURES", {"symbol": "X", "baseAsset": "A", "quoteAsset": "B", "contractType": contract})
    assert made.kind == kind


@pytest.mark.parametrize("body", [b"", b"[]", b'{"symbols":5}', b'{"code":-1,"msg":"x"}'])
def test_what_is_no_catalogue_is_an_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed catalogue"):
        market("BINANCE_SPOT", {}).instruments([body], 1)


@pytest.mark.parametrize(
    ("exchange", "text", "symbol", "alias", "kind"),
    [
        ("BINANCE_SPOT", "btcusdt", "BTCUSDT", "BTCUSDT", "spot"),
        ("BINANCE_FUTURES", "1000shibusdt", "1000SHIBUSDT", "1000SHIBUSDT", "perpetual"),
        ("BINANCE_FUTURES", "BTCUSDT_260925", "BTCUSDT_260925", "BTCUSDT_260925", "future"),
        ("BINANCE_COINM", "BTCUSD", "BTCUSD_PERP", "BTCUSD", "perpetual"),
        ("BINANCE_COINM", "btcusd_perp", "BTCUSD_PERP", "BTCUSD", "perpetual"),
        ("BINANCE_COINM", "BTCUSD_260925", "BTCUSD_260925", "BTCUSD_260925", "future"),
    ],
)
def test_names_are_guessed_by_their_shape(exchange: str, text: str, symbol: str, alias: str, kind: str) -> None:
    made = market(exchange, {}).guess(text)
    assert made is not None
    assert (made.symbol, made.alias, made.kind, made.source) == (symbol, alias, kind, "rule")
    assert (made.expiry == 1790323200_000_000_000) is (kind == "future")


@pytest.mark.parametrize(
    ("exchange", "text"),
    [
        ("BINANCE_SPOT", "BTC-USDT"),
        ("BINANCE_SPOT", "BTCUSDT_260925"),
        ("BINANCE_FUTURES", "BTCUSDT_PERP"),
        ("BINANCE_FUTURES", "BTCUSDT_"),
        ("BINANCE_FUTURES", "BTCUSDT_269999"),
        ("BINANCE_COINM", "BTCUSD_260925_X"),
        ("BINANCE_SPOT", ""),
    ],
)
def test_names_of_another_shape_are_not_guessed(exchange: str, text: str) -> None:
    assert market(exchange, {}).guess(text) is None


def test_catalogue_weighs_what_the_venue_charges() -> None:
    assert market("BINANCE_SPOT", {}).catalogue([]) == (Fetch("catalogue", "catalogue", "/api/v3/exchangeInfo", weight=20),)
    assert market("BINANCE_COINM", {}).catalogue(["X"]) == (Fetch("catalogue", "catalogue", "/dapi/v1/exchangeInfo", weight=1),)
