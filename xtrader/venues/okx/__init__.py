"""OKX v5 public market data: spot, swaps, futures and options. One rule: nothing here knows more than the messages say.

Docs: https://www.okx.com/docs-v5/en/ (WebSocket: order book trading > market data; public data > REST instruments)

| channel | what | chain |
|---|---|---|
| books | snapshot of 400 levels a side, then every change, 100 ms | prevSeqId == seqId of the message before; -1 on the snapshot |
| trades | one taker order at one price | tradeId - count + 1 follows the tradeId before |
| funding-rate | the rate that is charged next, every 30 to 90 s | none |

A message without levels whose seqId equals its prevSeqId is a keep-alive; a seqId below its prevSeqId is a reset after maintenance;
both belong to the chain. The checksum is 0 or absent since 2026 and is verified where it is anything else. Sizes of derivatives are
contracts. Limits: 3 connections a second and address, 480 subscriptions an hour and connection, fewer than 30 book channels a
connection, text `ping` within 30 s of silence.

Options: XTRADER_<EXCHANGE>_WS_URL, XTRADER_<EXCHANGE>_REST_URL (base URLs without path) for each of EXCHANGES.
"""

from __future__ import annotations

from collections.abc import Mapping

from xtrader.venues.base import Rules
from xtrader.venues.okx.fields import FIELDS
from xtrader.venues.okx.market import OkxMarket, exchange_of
from xtrader.venues.okx.recorded import recognise
from xtrader.venues.okx.session import BOOK_DEPTH

__all__ = ["EXCHANGES", "FIELDS", "OkxMarket", "exchange_of", "market", "recognise", "rules"]

EXCHANGES = ("OKX_SPOT", "OKX_SWAP", "OKX_FUTURES", "OKX_OPTION")
PROVEN = "recordings of the venue, its emulated venue"
STREAMS = {"OKX_SWAP": ("FUNDING",)}


def market(exchange: str, options: Mapping[str, str]) -> OkxMarket:
    """The market of one of EXCHANGES. Raises ConfigError for an option that cannot be used."""
    return OkxMarket(exchange, options)


def rules(exchange: str) -> Rules:
    """A trade message stands for `count` numbers and only the last is stored, so numbers grow by more than one."""
    return Rules(bridges=False, trade_ids="increasing", depth=BOOK_DEPTH)
