"""OKX's notices of its own catalogue: the channel `instruments`. One rule: a notice says which rows changed, REST says how."""

from __future__ import annotations

import msgspec

from xtrader.venues.base import Relisted
from xtrader.venues.machine.wire import BAD

LISTING = "instruments"
"""The channel; the venue may send the whole list when it is subscribed, and then what changes."""


class Named(msgspec.Struct):
    instId: str


class NamedRows(msgspec.Struct):
    data: list[Named]


_decode = msgspec.json.Decoder(NamedRows).decode


def listing_request(exchange: str, number: int) -> str:
    """The request to be told of the instruments of an exchange token's type."""
    arg = {"channel": LISTING, "instType": exchange.removeprefix("OKX_")}
    return msgspec.json.encode({"id": f"s{number}", "op": "subscribe", "args": [arg]}).decode()


def relisted(payload: bytes | bytearray | memoryview) -> tuple[Relisted, ...]:
    """What a message of the channel says; nothing if it cannot be read, for the catalogue is read again anyway."""
    try:
        return (Relisted(tuple(row.instId for row in _decode(payload).data)),)
    except BAD:
        return ()
