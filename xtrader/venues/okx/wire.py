"""OKX's messages as msgspec structs, and the checksum of old recordings. One rule: one typed decode for each message."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest, nsmallest
from typing import Annotated
from zlib import crc32

import msgspec

from xtrader.venues.machine.wire import Int64, Milliseconds, Number


class PriceLevel(msgspec.Struct, array_like=True, gc=False):
    """[price, size, …]; what follows (an old field and the number of orders) is skipped."""

    price: Number
    size: Number


Levels = Annotated[list[PriceLevel], msgspec.Meta(max_length=50_000)]
"""A hundred times the deepest book that the venue serves."""


class Arg(msgspec.Struct, gc=False):
    channel: str = ""
    instId: str = ""


class OkxData(msgspec.Struct, gc=False):
    """One element of `data` of the channels books and trades; the fields of both, so that a message is decoded once."""

    ts: Milliseconds | None = None
    asks: Levels | None = None
    bids: Levels | None = None
    seqId: Int64 | None = None
    prevSeqId: Int64 | None = None
    checksum: Int64 | None = None
    instId: str = ""
    """Trades only."""
    tradeId: str = ""
    px: Number | None = None
    sz: Number | None = None
    side: str = ""
    count: Int64 | None = None
    source: str = ""


class OkxFrame(msgspec.Struct, gc=False):
    """Any message: data has `arg` and `data`, an event has `event`."""

    arg: Arg | None = None
    action: str = ""
    data: Annotated[list[OkxData], msgspec.Meta(max_length=10_000)] | None = None
    event: str = ""
    code: str = ""
    msg: str = ""
    id: str = ""


class OkxEnvelope(msgspec.Struct, gc=False):
    """What can be said of a message that does not fit Frame."""

    arg: Arg | None = None
    event: str = ""


class TextLevel(msgspec.Struct, array_like=True, gc=False):
    price: str
    size: str


class TextRow(msgspec.Struct, gc=False):
    asks: list[TextLevel]
    bids: list[TextLevel]


class TextFrame(msgspec.Struct, gc=False):
    """A books message with its numbers as they were written, which is what the checksum covers."""

    data: list[TextRow]


class TextBook:
    """A book of wire texts, kept only where the venue still sends checksums."""

    def __init__(self) -> None:
        self._bids: dict[float, str] = {}
        self._asks: dict[float, str] = {}

    def apply(self, row: TextRow) -> None:
        """Take one message's levels."""
        _apply(self._bids, row.bids)
        _apply(self._asks, row.asks)

    def checksum(self) -> int:
        """Signed CRC32 of the best 25 levels, bid and ask in turn, a side that has ended being left out."""
        bids = nlargest(25, self._bids)
        asks = nsmallest(25, self._asks)
        parts: list[str] = []
        for n in range(max(len(bids), len(asks))):
            if n < len(bids):
                parts.append(self._bids[bids[n]])
            if n < len(asks):
                parts.append(self._asks[asks[n]])
        unsigned = crc32(":".join(parts).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def _apply(side: dict[float, str], levels: Iterable[TextLevel]) -> None:
    for level in levels:
        price = float(level.price)
        if float(level.size):
            side[price] = f"{level.price}:{level.size}"
        else:
            side.pop(price, None)
