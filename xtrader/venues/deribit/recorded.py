"""Which subscription a recorded Deribit frame belongs to. One rule: the channel's name tells; a reply may list several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from xtrader.venues.deribit.login import VENUE
from xtrader.venues.recorded import Origin, name_of

_PUSH = re.compile(rb'"method"\s*:\s*"subscription"')
_CHANNEL = re.compile(rb'"channel"\s*:\s*"([^"]+)"')
_REPLY = re.compile(rb'"result"\s*:\s*\[([^\]\[{]*)\]')
_NAME = re.compile(rb'"([^"]+)"')
_HEAD = 300
"""Bytes in which the channel of a push stands: the first ones, or the last if a recorder encoded it anew."""
_STREAMS = {"book": "L2", "trades": "TRADES"}
_RANKS = {"raw": 0, "100ms": 1, "agg2": 2}


def recognise(url: str, payload: bytes, exchange: str) -> Sequence[Origin]:
    """See `venues.recorded.Recognise`. Names in a reply to a subscription count as its data: a quiet one is found by them."""
    if url and not exchange and not _is_deribit(url):
        return ()
    if _PUSH.search(payload, 0, _HEAD) or _PUSH.search(payload, max(0, len(payload) - _HEAD)):
        channel = _CHANNEL.search(payload, 0, _HEAD) or _CHANNEL.search(payload)
        return () if channel is None else (_origin(channel[1], True),)
    if b'"jsonrpc"' not in payload:
        return ()
    reply = _REPLY.search(payload)
    return () if reply is None else [_origin(found, False) for found in _NAME.findall(reply[1])]


def recorded_options(url: str) -> Mapping[str, str]:
    """Recorded on the testnet, or on the production network; the latter where it is not known."""
    host = urlsplit(url).hostname or ""
    return {"DERIBIT_USE_TESTNET": "true" if host.startswith("test.") else "false"}


@cache
def _origin(written: bytes, is_data: bool) -> Origin:
    channel = name_of(written)
    kind, _, rest = channel.partition(".")
    instrument, _, interval = rest.rpartition(".")
    if interval not in _RANKS or "." in instrument:
        return Origin("", VENUE, instrument, channel, 0, is_data)
    return Origin(_STREAMS.get(kind, ""), VENUE, instrument, channel, _RANKS[interval], is_data)


@cache
def _is_deribit(url: str) -> bool:
    return re.fullmatch(r"(?:www|test)\.deribit\.com|drb\.coinbase\.com", urlsplit(url).hostname or "") is not None
