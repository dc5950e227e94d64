"""Instrument: what a venue says about one thing that is traded there."""

from __future__ import annotations

from typing import Final

import msgspec

LARGEST: Final = 1e30
"""The largest size of a step, contract or strike that is believed."""
LAST: Final = 9_000_000_000_000_000_000
"""The last time that is believed, int nanoseconds UTC, in 2255: it fits 64 bits, with room for sums."""
_AMOUNTS: Final = ("tick_size", "lot_size", "min_size", "contract_size", "strike")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a venue's catalogue.

    `symbol` is the venue's own name, `alias` base and quote as users type them (`BTCUSDT`). `tick_size`, `lot_size` and
    `min_size` are in quote units and size units. One unit of size is worth `contract_size` of `contract_unit` (1 of the base
    for spot). `expiry` is int nanoseconds UTC, None for what never expires. `status` is the venue's own word,
    or "unlisted" for what its whole catalogue no longer lists.
    `source` is "venue" (asked now), "cache" (asked earlier) or "rule" (made from the name, nothing but names known).
    `ts` is when the venue said so, int nanoseconds UTC.
    """

    exchange: str
    symbol: str
    alias: str
    kind: str
    """spot | perpetual | future | option | combo | unknown"""
    base: str = ""
    quote: str = ""
    settle: str = ""
    tick_size: float | None = None
    lot_size: float | None = None
    min_size: float | None = None
    contract_size: float | None = None
    contract_unit: str = ""
    is_inverse: bool = False
    expiry: int | None = None
    strike: float | None = None
    option_type: str = ""
    """call | put | empty"""
    status: str = ""
    source: str = "venue"
    ts: int = 0

    @property
    def key(self) -> str:
        """`EXCHANGE@SYMBOL`, the name by which records refer to it."""
        return f"{self.exchange}@{self.symbol}"


def same_facts(one: Instrument, other: Instrument) -> bool:
    """True if a venue said the same, whenever it did."""
    return msgspec.structs.replace(one, ts=0) == msgspec.structs.replace(other, ts=0)


def believable(instrument: Instrument) -> tuple[Instrument, list[str]]:
    """The instrument without the numbers that cannot be true (not finite, negative, too large: they become None, which is
    unknown), and a few words about each of them."""
    odd = [name for name in _AMOUNTS if (amount := getattr(instrument, name)) is not None and not 0 <= amount <= LARGEST]
    if instrument.expiry is not None and not 0 <= instrument.expiry <= LAST:
        odd.append("expiry")
    if not odd:
        return instrument, []
    return msgspec.structs.replace(instrument, **dict.fromkeys(odd)), [f"{instrument.symbol}: {name}" for name in odd]
