"""What a paper venue takes and how long it takes for it: fees and delays.

The rule: a delay by chance is a function of the seed and the order's number, so the same run has the same ones.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from math import exp
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec

from xtrader.errors import ConfigError

MILLISECOND: Final = 1_000_000
BPS: Final = Decimal(10_000)
_NORMAL: Final = NormalDist()


class Fees(msgspec.Struct, frozen=True):
    """Fees in basis points of the notional; a rebate is below 0. `asset` is quote, base (spot: what is bought), or a third
    asset's name, whose amount is by its value at the fill."""

    maker_bps: Decimal = Decimal(2)
    taker_bps: Decimal = Decimal(5)
    asset: str = "quote"

    def rate(self, liquidity: str) -> Decimal:
        """The fee as a share of the notional."""
        return (self.maker_bps if liquidity == "maker" else self.taker_bps) / BPS


class OrderDelay(NamedTuple):
    """Nanoseconds until an order is at the venue, and until its answer is back."""

    entry: int
    response: int


class Delays:
    """`constant`: always the same; `lognormal`: times e^(sigma·z) by the seed; `table`: (ts, entry, response) rows, of which the
    last one before counts. All in nanoseconds."""

    def __init__(
        self,
        entry: int = 50 * MILLISECOND,
        response: int = 50 * MILLISECOND,
        *,
        sigma: float = 0.0,
        seed: int = 0,
        table: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        if entry < 0 or response < 0 or sigma < 0:
            raise ConfigError("a delay is 0 or more")
        self._constant = OrderDelay(entry, response)
        self._sigma = sigma
        self._seed = seed
        self._table = sorted(table)
        self._times = [row[0] for row in self._table]

    def of(self, number: int, strategy: str, ts: int) -> OrderDelay:
        """The delays of the order with this number, sent at `ts`."""
        if self._table:
            row = self._table[max(0, bisect_right(self._times, ts) - 1)]
            return OrderDelay(row[1], row[2])
        if not self._sigma:
            return self._constant
        found = hashlib.sha256(f"{self._seed}/{strategy}/{number}".encode()).digest()
        shares = [(int.from_bytes(found[place : place + 6]) + 1) / (2**48 + 2) for place in (0, 8)]
        entry, response = (exp(self._sigma * _NORMAL.inv_cdf(share)) for share in shares)
        return OrderDelay(round(self._constant.entry * entry), round(self._constant.response * response))
