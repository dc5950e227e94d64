"""What the venues answer over REST when a contender asks which instruments there are: one instrument each, whole rows."""

from __future__ import annotations

import json
from typing import Any


def _body(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _binance(symbol: str) -> dict[str, Any]:
    base = symbol.removesuffix("USDT")
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "4529764.00", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000.000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120.000", "stepSize": "0.001"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


BINANCE = {
    "/fapi/v1/exchangeInfo": _body(
        {
            "timezone": "UTC",
            "serverTime": 1786541222000,
            "futuresType": "U_MARGINED",
            "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [_binance("BTCUSDT")],
        }
    ),
    "/fapi/v1/time": _body({"serverTime": 1786541222000}),
    "/fapi/v1/ping": _body({}),
}

_OKX_SWAP = {
    "alias": "",
    "auctionEndTime": "",
    "baseCcy": "",
    "category": "1",
    "ctMult": "1",
    "ctType": "linear",
    "ctVal": "0.01",
    "ctValCcy": "BTC",
    "contTdSwTime": "",
    "expTime": "",
    "futureSettlement": False,
    "groupId": "1",
    "instFamily": "BTC-USDT",
    "instId": "BTC-USDT-SWAP",
    "instIdCode": 10459,
    "instType": "SWAP",
    "lever": "100",
    "listTime": "1573557408000",
    "lotSz": "0.01",
    "maxIcebergSz": "100000000.0000000000000000",
    "maxLmtAmt": "20000000",
    "maxLmtSz": "100000000",
    "maxMktAmt": "",
    "maxMktSz": "12000",
    "maxPlatOILmt": "1000000000",
    "maxStopSz": "12000",
    "maxTriggerSz": "100000000.0000000000000000",
    "maxTwapSz": "100000000.0000000000000000",
    "minSz": "0.01",
    "openType": "",
    "optType": "",
    "quoteCcy": "",
    "tradeQuoteCcyList": [],
    "settleCcy": "USDT",
    "state": "live",
    "ruleType": "normal",
    "stk": "",
    "tickSz": "0.1",
    "uly": "BTC-USDT",
}
OKX = {
    "/api/v5/public/instruments": _body({"code": "0", "msg": "", "data": []}),
    "/api/v5/public/instruments?instType=SWAP": _body({"code": "0", "msg": "", "data": [_OKX_SWAP]}),
    "/api/v5/public/underlying": _body({"code": "0", "msg": "", "data": [["BTC-USD"]]}),
    "/api/v5/public/time": _body({"code": "0", "msg": "", "data": [{"ts": "1791369350000"}]}),
}

_DERIBIT_PERPETUAL = {
    "base_currency": "BTC",
    "block_trade_commission": 0.00025,
    "block_trade_min_trade_amount": 200000,
    "block_trade_tick_size": 0.01,
    "contract_size": 10.0,
    "counter_currency": "USD",
    "creation_timestamp": 1534167754000,
    "expiration_timestamp": 32503708800000,
    "future_type": "reversed",
    "instrument_id": 210838,
    "instrument_name": "BTC-PERPETUAL",
    "instrument_type": "reversed",
    "is_active": True,
    "kind": "future",
    "maker_commission": 0.0,
    "max_leverage": 50,
    "max_liquidation_commission": 0.0075,
    "min_trade_amount": 10.0,
    "price_index": "btc_usd",
    "quote_currency": "USD",
    "rfq": False,
    "settlement_currency": "BTC",
    "settlement_period": "perpetual",
    "state": "open",
    "taker_commission": 0.0005,
    "tick_size": 0.5,
    "tick_size_steps": [],
}
_COMMON = {"jsonrpc": "2.0", "usIn": 1791369350000000, "usOut": 1791369350000100, "usDiff": 100, "testnet": False}
DERIBIT = {
    "/api/v2/public/get_instruments": _body({**_COMMON, "result": []}),
    "/api/v2/public/get_instruments?currency=BTC": _body({**_COMMON, "result": [_DERIBIT_PERPETUAL]}),
    "/api/v2/public/get_instruments?currency=any": _body({**_COMMON, "result": [_DERIBIT_PERPETUAL]}),
    "/api/v2/public/get_time": _body({**_COMMON, "result": 1791369350000}),
}
