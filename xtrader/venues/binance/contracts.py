"""Binance's notices of its futures catalogues: the stream of contracts. One rule: a notice says whose changed, REST says how."""

from __future__ import annotations

import msgspec

from xtrader.venues.base import Relisted
from xtrader.venues.machine.wire import BAD

CONTRACTS = "!contractInfo"
"""The stream: a message for each contract that is listed, settled or changed. Spot has none."""
CONTRACT = "contractInfo"
"""The name of its events."""


class Contract(msgspec.Struct):
    s: str


_decode = msgspec.json.Decoder(Contract).decode


def relisted(payload: bytes | bytearray | memoryview | msgspec.Raw) -> tuple[Relisted, ...]:
    """What an event of the stream says; nothing if it cannot be read, for the catalogue is read again anyway."""
    try:
        return (Relisted((_decode(payload).s,)),)
    except BAD:
        return ()
