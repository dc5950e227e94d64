"""Binance: spot, USD-M futures and COIN-M futures. One conversation, three dialects.

| | BINANCE_SPOT | BINANCE_FUTURES (USD-M) | BINANCE_COINM |
|---|---|---|---|
| websocket | stream.binance.com:9443/stream | fstream.binance.com/public/stream, /market/stream | dstream.binance.com/stream |
| REST | api.binance.com/api/v3 | fapi.binance.com/fapi/v1 | dapi.binance.com/dapi/v1 |
| L2 | `<s>@depth@100ms` | the same, route /public | the same |
| TRADES | `<s>@trade` | `<s>@aggTrade`, route /market | `<s>@aggTrade` |
| book's chain | `U == previous u + 1` | `pu == previous u` | `pu == previous u` |
| size is in | base | base | contracts of `contractSize` USD |
| messages we may send | 5 a second | 10 a second | 10 a second |
| REST weight a minute | 6000 | 2400 (shared with COIN-M) | 2400 (shared with USD-M) |

Everywhere: 1024 streams a connection, 300 connection attempts in 5 minutes, cut after 24 h, server pings. A SUBSCRIBE is
acknowledged whether or not the stream exists, and on the wrong USD-M route it stays silent for ever: only data proves a stream.
The aggressor is the seller where `m` (the buyer was the maker) is true.

Settings: `XTRADER_<EXCHANGE>_WS_URL` and `XTRADER_<EXCHANGE>_REST_URL` replace scheme and host; `XTRADER_BINANCE_FUTURES_TRADES`
is `aggTrade` (default) or `trade`, an undocumented stream of single matches on /public.

Documentation: https://github.com/binance/binance-spot-api-docs and https://developers.binance.com/docs/derivatives
"""

from __future__ import annotations

from collections.abc import Mapping

from xtrader.venues.base import Rules
from xtrader.venues.binance.fields import FIELDS
from xtrader.venues.binance.market import FUTURES_DEPTHS, SPOT_DEPTHS, BinanceMarket
from xtrader.venues.binance.recorded import recognise

__all__ = ["EXCHANGES", "FIELDS", "BinanceMarket", "market", "recognise", "rules"]

EXCHANGES = ("BINANCE_SPOT", "BINANCE_FUTURES", "BINANCE_COINM")
PROVEN = "recordings of the venue, its emulated venue"
VARIABLES = {
    "XTRADER_BINANCE_FUTURES_TRADES": (
        "aggTrade",
        "Binance USD-M trades: aggTrade (documented) or trade (single matches, undocumented).",
    ),
}


def market(exchange: str, options: Mapping[str, str]) -> BinanceMarket:
    """The Market of one of EXCHANGES. `options` are the settings by variable name. Raises ConfigError."""
    return BinanceMarket(exchange, options)


def rules(exchange: str) -> Rules:
    """A futures' stream of single matches has numbers without a print of the market (insurance fund), which are not stored."""
    depths = SPOT_DEPTHS if exchange == "BINANCE_SPOT" else FUTURES_DEPTHS
    return Rules(bridges=True, trade_ids="contiguous" if exchange == "BINANCE_SPOT" else "increasing", depth=depths[0][0])
