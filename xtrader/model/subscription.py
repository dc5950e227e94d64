"""Subscription: `STREAM:EXCHANGE@INSTRUMENT`, both ways."""

from __future__ import annotations

import msgspec

STREAMS = ("L2", "TRADES")


class Subscription(msgspec.Struct, frozen=True, order=True):
    """One stream of one instrument. `instrument` is what the user typed until it was looked up, then the venue's own symbol."""

    stream: str
    exchange: str
    instrument: str

    @property
    def key(self) -> str:
        """`EXCHANGE@INSTRUMENT`: the instrument key that records carry."""
        return f"{self.exchange}@{self.instrument}"

    def __str__(self) -> str:
        return f"{self.stream}:{self.exchange}@{self.instrument}"
