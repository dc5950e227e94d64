"""Which subscription a recorded OKX frame belongs to. One rule: one connection carries all kinds of instruments; the name tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import urlsplit

from xtrader.venues.okx.market import exchange_of
from xtrader.venues.recorded import Origin, name_of

_ARG = re.compile(rb'"arg"\s*:\s*\{([^}]*)\}')
_CHANNEL = re.compile(rb'"channel"\s*:\s*"([^"]+)"')
_SYMBOL = re.compile(rb'"instId"\s*:\s*"([^"]+)"')
_DATA = re.compile(rb'"data"\s*:')
_HEAD = 300
"""Bytes in which the `arg` of a frame stands: the first ones, or the last if a recorder encoded it anew."""
_STREAMS = {
    "books": ("L2", 0),
    "books-l2-tbt": ("L2", 1),
    "books50-l2-tbt": ("L2", 2),
    "trades": ("TRADES", 0),
    "funding-rate": ("FUNDING", 0),
}


def recognise(url: str, payload: bytes, exchange: str) -> Sequence[Origin]:
    """See `venues.recorded.Recognise`. Confirmations of a subscription count as its data: a quiet one is found by them."""
    if url and not exchange and not _is_okx(url):
        return ()
    arg = _ARG.search(payload, 0, _HEAD) or _ARG.search(payload, max(0, len(payload) - _HEAD))
    if arg is None:
        return ()
    channel, symbol = _CHANNEL.search(arg[1]), _SYMBOL.search(arg[1])
    if channel is None:
        return ()
    kind = name_of(channel[1])
    instrument = "" if symbol is None else name_of(symbol[1])
    place = exchange_of(instrument)
    stream, rank = _STREAMS.get(kind, ("", 0))
    if not place or (exchange and place != exchange):
        stream = ""
    is_data = _DATA.search(payload) is not None
    return (Origin(stream, place, instrument, f"{kind} {instrument}", rank, is_data),)


@cache
def _is_okx(url: str) -> bool:
    return re.fullmatch(r"(?:.*\.)?(?:okx|okex)\.com", urlsplit(url).hostname or "") is not None
