"""OkxMarket: names, catalogue, links, options."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.captures import captures
from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.subscription import Subscription
from xtrader.venues import exchanges, market
from xtrader.venues.okx import EXCHANGES, exchange_of


def recorded_catalogue(inst_type: str) -> bytes:
    with gzip.open(captures() / "recorded-1" / "OKX.0.gz", "rt") as lines:
        for line in lines:
            if f"instType={inst_type}" in line.partition(" ")[0]:
                return line.partition(": ")[2].encode()
    raise AssertionError(inst_type)


def test_every_token_is_found_by_name() -> None:
    assert {token: exchanges()[token] for token in EXCHANGES} == dict.fromkeys(EXCHANGES, "xtrader.venues.okx")


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [
        ("BTC-USDT", "OKX_SPOT"),
        ("UNI-USD-SWAP", "OKX_SWAP"),
        ("BTC-USD_UM-SWAP", "OKX_SWAP"),
        ("BTC-USD-220527", "OKX_FUTURES"),
        ("BTC-USD-241013-70000-P", "OKX_OPTION"),
        ("BTCUSDT", ""),
        ("", ""),
    ],
)
def test_an_instrument_shows_its_exchange_by_its_shape(symbol: str, exchange: str) -> None:
    assert exchange_of(symbol) == exchange


@pytest.mark.parametrize(
    ("exchange", "text", "symbol"),
    [
        ("OKX_SPOT", "btcusdt", "BTC-USDT"),
        ("OKX_SPOT", "ETHBTC", "ETH-BTC"),
        ("OKX_SWAP", "BTCUSDT", "BTC-USDT-SWAP"),
        ("OKX_SWAP", "BTCUSD", "BTC-USD-SWAP"),
        ("OKX_SWAP", "BTCUSD_UM", "BTC-USD_UM-SWAP"),
        ("OKX_SWAP", "1INCHUSDC", "1INCH-USDC-SWAP"),
        ("OKX_SWAP", "BTC-USDT-SWAP", "BTC-USDT-SWAP"),
        ("OKX_FUTURES", "BTCUSDT250808", "BTC-USDT-250808"),
        ("OKX_OPTION", "BTCUSD24101370000P", "BTC-USD-241013-70000-P"),
    ],
)
def test_names_are_guessed_by_rule(exchange: str, text: str, symbol: str) -> None:
    guessed = market(exchange, {}).guess(text)
    assert guessed is not None
    assert (guessed.symbol, guessed.exchange, guessed.source) == (symbol, exchange, "rule")


@pytest.mark.parametrize("text", ["BTC-USDT", "BTC", "USDT", "BTC-USDT-250808", "", "B!T"])
def test_what_fits_no_rule_is_not_guessed(text: str) -> None:
    assert market("OKX_SWAP", {}).guess(text) is None


def test_the_recorded_catalogue_gives_what_is_traded() -> None:
    found = {row.symbol: row for row in market("OKX_SWAP", {}).instruments([recorded_catalogue("SWAP")], 5).instruments}
    linear, inverse = found["BTC-USDT-SWAP"], found["BTC-USD-SWAP"]
    assert (linear.alias, linear.base, linear.quote, linear.settle) == ("BTCUSDT", "BTC", "USDT", "USDT")
    assert (linear.contract_size, linear.contract_unit, linear.is_inverse) == (0.01, "BTC", False)
    assert (linear.tick_size, linear.lot_size, linear.min_size, linear.expiry) == (0.1, 1.0, 1.0, None)
    assert (inverse.alias, inverse.contract_size, inverse.contract_unit, inverse.is_inverse) == ("BTCUSD", 100.0, "USD", True)
    assert {row.kind for row in found.values()} == {"perpetual"}
    assert (linear.status, linear.source, linear.ts) == ("live", "venue", 5)


def test_spot_futures_and_options_come_out_of_the_recorded_catalogue() -> None:
    spot = {row.symbol: row for row in market("OKX_SPOT", {}).instruments([recorded_catalogue("SPOT")], 0).instruments}["BTC-USDT"]
    assert (spot.alias, spot.kind, spot.contract_size, spot.contract_unit) == ("BTCUSDT", "spot", 1.0, "BTC")
    future = {row.symbol: row for row in market("OKX_FUTURES", {}).instruments([recorded_catalogue("FUTURES")], 0).instruments}
    assert future["BTC-USD-220527"].expiry == 1653638400000 * 1_000_000
    body = recorded_catalogue("OPTION")
    option = {row.symbol: row for row in market("OKX_OPTION", {}).instruments([body], 0).instruments}["BTC-USD-220514-22000-C"]
    assert (option.kind, option.strike, option.option_type) == ("option", 22000.0, "call")
    assert (option.contract_size, option.contract_unit) == (0.1, "BTC")


LINEAR = {"ctType": "linear", "ctVal": "0.01", "ctMult": "1", "settleCcy": "USDC", "tickSz": "0.1", "state": "live"}


@pytest.mark.parametrize(
    ("exchange", "row", "currencies"),
    [
        ("OKX_SPOT", {"instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT"}, ("BTC", "USDT", "BTC")),
        ("OKX_SPOT", {"instId": "odd.name", "baseCcy": "ABC", "quoteCcy": "EUR"}, ("ABC", "EUR", "ABC")),
        ("OKX_SWAP", {"instId": "BTC-USD_UM-SWAP", "uly": "BTC-USD", "ctValCcy": "BTC", **LINEAR}, ("BTC", "USD", "BTC")),
        ("OKX_FUTURES", {"instId": "ABC-X-LONG-SHAPE", "uly": "ABC-USDC", "ctValCcy": "ABC", **LINEAR}, ("ABC", "USDC", "ABC")),
        ("OKX_OPTION", {"instId": "XBT-EUR-261225-5-C", "uly": "BTC-USD", "ctValCcy": "BTC", **LINEAR}, ("BTC", "USD", "BTC")),
        ("OKX_SWAP", {"instId": "odd.name", "ctValCcy": "BTC", **LINEAR}, ("BTC", "USDC", "BTC")),
        ("OKX_SWAP", {"instId": "odd.name", "ctType": "inverse", "ctValCcy": "USD", "settleCcy": "BTC"}, ("BTC", "USD", "USD")),
        ("OKX_SWAP", {"instId": "BTC-USDT-SWAP", "ctValCcy": "BTC"}, ("BTC", "USDT", "BTC")),
        ("OKX_SWAP", {"instId": "odd.name"}, ("", "", "")),
    ],
)
def test_currencies_are_those_of_the_venues_fields_and_of_the_name_only_where_it_says_none(
    exchange: str, row: dict[str, str], currencies: tuple[str, str, str]
) -> None:
    body = json.dumps({"code": "0", "data": [row]}).encode()
    (found,), unread, doubtful = market(exchange, {}).instruments([body], 0)
    assert (found.symbol, found.base, found.quote, found.contract_unit) == (row["instId"], *currencies)
    assert unread == doubtful == []


def test_a_row_of_another_type_than_was_asked_for_is_not_listed() -> None:
    rows = [{"instId": "BTC-USDT-SWAP", "instType": kind} for kind in ("SWAP", "FUTURES")]
    found, unread, _ = market("OKX_SWAP", {}).instruments([json.dumps({"code": "0", "data": rows}).encode()], 0)
    assert [row.symbol for row in found] == ["BTC-USDT-SWAP"]
    assert unread == []


def test_options_are_asked_for_by_family() -> None:
    asked = market("OKX_OPTION", {}).catalogue(["SOL-USD-241013-70-P", "BTCUSD24101370000P", "nonsense"])
    assert [dict(fetch.params)["instFamily"] for fetch in asked] == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert len(market("OKX_SPOT", {}).catalogue(["BTC-USDT"])) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"code":"50011","msg":"Too Many Requests","data":[]}', b"\xff", b"<html>"])
def test_a_catalogue_that_is_none_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        market("OKX_SPOT", {}).instruments([body], 0)


def test_links_stay_within_the_recommended_number_of_books() -> None:
    wanted = [Subscription(stream, "OKX_SWAP", f"C{n}-USDT-SWAP") for stream in ("L2", "TRADES") for n in range(100)]
    links = market("OKX_SWAP", {}).links(wanted + wanted[:3])
    assert len({link.name for link in links}) == len(links) == 4
    for link in links:
        streams = [subscription.stream for subscription in link.subscriptions]
        assert streams.count("L2") <= 28
        assert streams.count("TRADES") <= 100
    assert sorted(subscription for link in links for subscription in link.subscriptions) == sorted(wanted)
    assert market("OKX_SWAP", {}).links([]) == []


def test_endpoints_are_the_venues_own_or_the_users() -> None:
    own = market("OKX_SWAP", {"XTRADER_OKX_SPOT_WS_URL": "ws://127.0.0.1:1"})
    assert (own.ws_url, own.rest_url, own.environment) == ("wss://ws.okx.com/ws/v5/public", "https://www.okx.com", "production")
    theirs = market("OKX_SWAP", {"XTRADER_OKX_SWAP_WS_URL": "ws://127.0.0.1:9001/"})
    assert (theirs.ws_url, theirs.environment) == ("ws://127.0.0.1:9001/ws/v5/public", "override")


@pytest.mark.parametrize("url", ["127.0.0.1:9001", "http://user:hunter2@host", "ws://"])
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="XTRADER_OKX_SPOT_WS_URL must be") as refused:
        market("OKX_SPOT", {"XTRADER_OKX_SPOT_WS_URL": url})
    assert "hunter2" not in str(refused.value)
