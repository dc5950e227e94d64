"""Instrument: what a venue says about one thing that is traded there."""

from __future__ import annotations

import msgspec


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
