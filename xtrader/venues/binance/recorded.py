"""Which subscription a recorded Binance frame belongs to, by the place where it was recorded, else by the frame's own shape.

One rule: the three markets speak alike, so a frame of a place that is not known is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import urlsplit

from xtrader.venues.recorded import Origin, name_of

_COMBINED = re.compile(rb'\s*\{\s*"stream"\s*:\s*"([^"@]+)@([^"]+)"')
_COMBINED_LAST = re.compile(rb'"stream"\s*:\s*"([^"@]+)@([^"]+)"\s*\}\s*\Z')
_SINGLE = re.compile(rb'\s*\{\s*"e"\s*:')
_EVENT = re.compile(rb'"e"\s*:\s*"(depthUpdate|trade|aggTrade)"')
_SYMBOL = re.compile(rb'"s"\s*:\s*"([^"]+)"')
_PREVIOUS = re.compile(rb'"pu"\s*:')
_BEST_MATCH = re.compile(rb'"M"\s*:\s*(?:true|false)')
_COINM_SYMBOL = re.compile(r"[A-Z0-9]+USD_(?:PERP|\d{6})")
_HEAD = 400
"""Bytes in which everything but the levels of a depth event stands, as the venue sends it. A recorder that encoded it anew may have
put it in another order, which is looked for only if this one is not there."""
_HOSTS = (
    (re.compile(r"(?:.*[-.])?dstream\.binance(?:future)?\.com"), "BINANCE_COINM"),
    (re.compile(r"(?:.*[-.])?fstream\.binance(?:future)?\.com|stream\.binancefuture\.com"), "BINANCE_FUTURES"),
    (re.compile(r"(?:demo-)?stream\.binance\.com|(?:data-stream|stream\.testnet|testnet)\.binance\.vision"), "BINANCE_SPOT"),
)
_RAW = {b"depthUpdate": b"depth", b"trade": b"trade", b"aggTrade": b"aggTrade"}


def recognise(url: str, payload: bytes, exchange: str) -> Sequence[Origin]:
    """See `venues.recorded.Recognise`."""
    place = exchange or _exchange_at(url)
    if url and not place:
        return ()
    head = payload[:_HEAD]
    combined = _COMBINED.match(head)
    if combined is None and _SINGLE.match(head) is None:
        head = payload
    combined = combined or _COMBINED_LAST.search(payload, max(0, len(payload) - _HEAD))
    if combined is not None:
        written, kind = combined.groups()
    else:
        event, symbol = _EVENT.search(head), _SYMBOL.search(head)
        if event is None or symbol is None:
            return ()
        written, kind = symbol[1], _RAW[event[1]]
    stream, rank = _stream(kind)
    text = name_of(written)
    exchange = place or _exchange_of(text.upper(), stream, head)
    if stream == "TRADES" and exchange == "BINANCE_SPOT":
        rank = 1 - rank
    return (Origin(stream, exchange, text.upper(), f"{text.lower()}@{kind.decode(errors='replace')}", rank),)


@cache
def _exchange_at(url: str) -> str:
    """The exchange token whose streams are at a URL; empty if none are."""
    host = urlsplit(url).hostname or ""
    return next((exchange for pattern, exchange in _HOSTS if pattern.fullmatch(host)), "")


@cache
def _stream(kind: bytes) -> tuple[str, int]:
    """What a kind of stream is recorded as, and the rank that it has for futures: live runs take the aggregates there."""
    if kind == b"depth" or kind.startswith(b"depth@"):
        return "L2", 0 if kind == b"depth@100ms" else 1
    if kind == b"aggTrade":
        return "TRADES", 0
    return ("TRADES", 1) if kind == b"trade" else ("", 0)


def _exchange_of(symbol: str, stream: str, head: bytes) -> str:
    """By the frame itself: only futures' depth names its predecessor, only spot's trades carry the old field `M`."""
    if _COINM_SYMBOL.fullmatch(symbol):
        return "BINANCE_COINM"
    if stream == "L2":
        return "BINANCE_FUTURES" if _PREVIOUS.search(head) else "BINANCE_SPOT"
    return "BINANCE_SPOT" if _BEST_MATCH.search(head) else "BINANCE_FUTURES"
