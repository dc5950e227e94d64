"""Deribit v2 (JSON-RPC) public market data. One rule: raw books need a login; without one the same books come every 100 ms.

Docs: https://docs.deribit.com/ (subscriptions: book, trades; methods: public/auth, public/set_heartbeat, public/get_instruments)

| channel | what | chain |
|---|---|---|
| book.{instrument}.raw or .100ms | all levels, then new, change and delete by price | prev_change_id == change_id before |
| trades.{instrument}.raw or .100ms | every trade, block and combo trades included | trade_seq, one by one |

The amount of inverse futures and perpetuals is USD, of everything else the base coin. Limits: 32 connections an address, about
three subscribe requests a second, 32 kB a request; too many requests end the session (10028). The server's heartbeat (every 30 s)
asks for an answer now and then.

Options: DERIBIT_CLIENT_ID, DERIBIT_CLIENT_SECRET (both or neither), DERIBIT_USE_TESTNET (default true), XTRADER_DERIBIT_WS_URL,
XTRADER_DERIBIT_REST_URL (base URLs without path). The secret itself is never sent: the login is signed with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from xtrader.venues.base import Rules
from xtrader.venues.deribit.fields import FIELDS
from xtrader.venues.deribit.market import DeribitMarket
from xtrader.venues.deribit.recorded import recognise, recorded_options

__all__ = ["EXCHANGES", "FIELDS", "DeribitMarket", "market", "recognise", "recorded_options", "rules"]

EXCHANGES = ("DERIBIT",)
PROVEN = "recordings of the venue, its emulated venue"
VARIABLES = {
    "DERIBIT_CLIENT_ID": ("", "Deribit: raw books need credentials; without them books come every 100 ms."),
    "DERIBIT_CLIENT_SECRET": ("", ""),
    "DERIBIT_USE_TESTNET": ("true", "Deribit's test network (true) or the real one (false)."),
}
SECRETS = ("DERIBIT_CLIENT_ID", "DERIBIT_CLIENT_SECRET")


def market(exchange: str, options: Mapping[str, str]) -> DeribitMarket:
    """The market of DERIBIT. Raises ConfigError for an option that cannot be used."""
    return DeribitMarket(exchange, options)


def rules(exchange: str) -> Rules:
    """`trade_id` counts over all instruments; the instrument's own `trade_seq` is checked while recording, and not stored."""
    return Rules(bridges=False, trade_ids="unique", numbered="contiguous")
