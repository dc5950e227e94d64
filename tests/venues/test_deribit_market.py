"""DeribitMarket: names, catalogue, links, options."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.captures import captures
from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues import exchanges, market


def listed(*rows: dict[str, Any]) -> list[Instrument]:
    return market("DERIBIT", {}).instruments([json.dumps({"result": rows}).encode()], 5).instruments


def test_the_token_is_found_by_name() -> None:
    assert exchanges()["DERIBIT"] == "xtrader.venues.deribit"


@pytest.mark.parametrize(
    ("text", "symbol", "kind"),
    [
        ("BTCUSD", "BTC-PERPETUAL", "perpetual"),
        ("btcusdc", "BTC_USDC-PERPETUAL", "perpetual"),
        ("BTC-PERPETUAL", "BTC-PERPETUAL", "perpetual"),
        ("BTC_USDC-PERPETUAL", "BTC_USDC-PERPETUAL", "perpetual"),
        ("BTC_USDC", "BTC_USDC", "spot"),
        ("BTC-5AUG23", "BTC-5AUG23", "future"),
        ("BTC_USDC-6SEP26", "BTC_USDC-6SEP26", "future"),
        ("BTC-27DEC24-50000-C", "BTC-27DEC24-50000-C", "option"),
        ("XRP_USDC-30JUN23-0d625-C", "XRP_USDC-30JUN23-0d625-C", "option"),
        ("BTC-FS-27DEC24_PERP", "BTC-FS-27DEC24_PERP", "combo"),
        ("BTC-FS-27DEC24_28MAR25", "BTC-FS-27DEC24_28MAR25", "combo"),
        ("BTC-STRG-19MAY26-74000_79000", "BTC-STRG-19MAY26-74000_79000", "combo"),
        ("BTC-CSR12-19MAY26-74000_79000", "BTC-CSR12-19MAY26-74000_79000", "combo"),
        ("BTC-CDIAG-28JUN24-60000_26JUL24-70000", "BTC-CDIAG-28JUN24-60000_26JUL24-70000", "combo"),
        ("XRP_USDC-CS-30JUN23-0d625_0d75", "XRP_USDC-CS-30JUN23-0d625_0d75", "combo"),
    ],
)
def test_names_are_guessed_by_rule(text: str, symbol: str, kind: str) -> None:
    for typed in (text, text.lower(), text.upper()):
        guessed = market("DERIBIT", {}).guess(typed)
        assert guessed is not None
        assert (guessed.symbol, guessed.kind, guessed.source) == (symbol, kind, "rule")


@pytest.mark.parametrize("text", ["BTC", "BTCUSDT", "", "BTC-USDT-SWAP", "B!T"])
def test_what_fits_no_rule_is_not_guessed(text: str) -> None:
    assert market("DERIBIT", {}).guess(text) is None


def test_perpetuals_have_the_alias_and_spot_has_its_own_name() -> None:
    inverse, linear, spot = listed(
        {
            "instrument_name": "BTC-PERPETUAL",
            "kind": "future",
            "instrument_type": "reversed",
            "settlement_period": "perpetual",
            "base_currency": "BTC",
            "quote_currency": "USD",
            "settlement_currency": "BTC",
            "contract_size": 10.0,
            "tick_size": 0.5,
            "min_trade_amount": 10.0,
            "expiration_timestamp": 32503708800000,
            "is_active": True,
            "state": "open",
        },
        {
            "instrument_name": "BTC_USDC-PERPETUAL",
            "kind": "future",
            "instrument_type": "linear",
            "settlement_period": "perpetual",
            "base_currency": "BTC",
            "quote_currency": "USDC",
            "contract_size": 0.0001,
        },
        {"instrument_name": "BTC_USDC", "kind": "spot", "base_currency": "BTC", "quote_currency": "USDC"},
    )
    assert (inverse.alias, linear.alias, spot.alias) == ("BTCUSD", "BTCUSDC", "BTC_USDC")
    assert [row.kind for row in (inverse, linear, spot)] == ["perpetual", "perpetual", "spot"]
    assert [row.is_inverse for row in (inverse, linear, spot)] == [True, False, False]
    assert inverse.expiry is None
    assert (inverse.tick_size, inverse.lot_size, inverse.status, inverse.ts) == (0.5, 10.0, "open", 5)


def test_a_unit_of_size_is_a_dollar_of_inverse_futures_and_a_coin_of_everything_else() -> None:
    rows = listed(
        {
            "instrument_name": "BTC-27DEC24",
            "kind": "future",
            "instrument_type": "reversed",
            "base_currency": "BTC",
            "contract_size": 10,
        },
        {"instrument_name": "ETH-27DEC24-1-C", "kind": "option", "instrument_type": "reversed", "base_currency": "ETH"},
        {"instrument_name": "ETH_USDC-6SEP26", "kind": "future", "instrument_type": "linear", "base_currency": "ETH"},
    )
    assert [(row.contract_size, row.contract_unit) for row in rows] == [(1.0, "USD"), (1.0, "ETH"), (1.0, "ETH")]


def test_combos_have_their_kind_expiry_and_units_and_are_subscribed_by_their_own_names() -> None:
    spread, strangle = listed(
        {
            "instrument_name": "BTC-FS-27DEC24_PERP",
            "kind": "future_combo",
            "instrument_type": "reversed",
            "settlement_period": "month",
            "base_currency": "BTC",
            "quote_currency": "USD",
            "tick_size": 0.5,
            "expiration_timestamp": 1735286400000,
        },
        {
            "instrument_name": "XRP_USDC-STRG-30JUN23-0d45_0d625",
            "kind": "option_combo",
            "instrument_type": "linear",
            "base_currency": "XRP",
            "quote_currency": "USDC",
            "expiration_timestamp": 1688112000000,
        },
    )
    assert [(row.kind, row.is_inverse, row.contract_unit) for row in (spread, strangle)] == [
        ("combo", True, "USD"),
        ("combo", False, "XRP"),
    ]
    assert (spread.expiry, strangle.expiry) == (1735286400000 * 1_000_000, 1688112000000 * 1_000_000)
    deribit = market("DERIBIT", {})
    wanted = [Subscription("L2", "DERIBIT", row.symbol) for row in (spread, strangle)]
    sent = " ".join(str(said) for said in deribit.session(deribit.links(wanted)[0], "start", {}).start(0))
    assert all(f"book.{one.instrument}.100ms" in sent for one in wanted)


def test_the_recorded_catalogues_of_2021_give_what_is_traded() -> None:
    bodies = []
    with gzip.open(captures() / "recorded-1" / "DERIBIT.0.gz", "rt") as lines:
        bodies = [line.partition(": ")[2].encode() for line in lines if line.startswith("https://")]
    found = {row.symbol: row for row in market("DERIBIT", {}).instruments(bodies, 0).instruments}
    assert len(found) == 398 + 426 + 177 + 16
    option = found["BTC-24SEP21-40000-P"]
    assert (option.kind, option.strike, option.option_type, option.contract_unit) == ("option", 40000.0, "put", "BTC")
    assert option.expiry == 1632470400000 * 1_000_000
    assert (found["BTC-PERPETUAL"].alias, found["BTC-PERPETUAL"].is_inverse) == ("BTCUSD", True)
    assert (found["UNI_USDC-PERPETUAL"].alias, found["UNI_USDC-PERPETUAL"].is_inverse) == ("UNIUSDC", False)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error":{"code":10028}}', b"\xff"])
def test_a_catalogue_that_is_none_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        market("DERIBIT", {}).instruments([body], 0)


def test_an_instrument_of_a_new_kind_is_listed_as_unknown() -> None:
    assert [(row.symbol, row.kind) for row in listed({"instrument_name": "X", "kind": "mystery"})] == [("X", "unknown")]


def test_a_connection_carries_at_most_400_channels() -> None:
    wanted = [Subscription("L2", "DERIBIT", f"C{n}-PERPETUAL") for n in range(900)]
    links = market("DERIBIT", {}).links([*wanted, wanted[0]])
    assert [len(link.subscriptions) for link in links] == [400, 400, 100]
    assert len({link.name for link in links}) == 3


def test_the_testnet_is_used_unless_told_otherwise() -> None:
    testnet = market("DERIBIT", {})
    assert (testnet.environment, testnet.ws_url) == ("testnet", "wss://test.deribit.com/ws/api/v2")
    production = market("DERIBIT", {"DERIBIT_USE_TESTNET": "No"})
    assert (production.environment, production.rest_url) == ("production", "https://www.deribit.com")
    theirs = market("DERIBIT", {"XTRADER_DERIBIT_WS_URL": "ws://127.0.0.1:9001"})
    assert (theirs.environment, theirs.ws_url) == ("override", "ws://127.0.0.1:9001/ws/api/v2")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"DERIBIT_USE_TESTNET": "perhaps"}, "DERIBIT_USE_TESTNET 'perhaps' is neither true nor false"),
        ({"DERIBIT_CLIENT_ID": "me"}, "DERIBIT_CLIENT_ID is set, but DERIBIT_CLIENT_SECRET is not"),
        ({"DERIBIT_CLIENT_SECRET": "hunter2"}, "DERIBIT_CLIENT_SECRET is set, but DERIBIT_CLIENT_ID is not"),
    ],
)
def test_options_that_cannot_be_used_get_one_sentence(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        market("DERIBIT", options)
    assert str(refused.value) == sentence
