"""OKX's channel `funding-rate`. One rule: what the venue leaves empty is unknown, never zero.

`fundingRate` is a fraction of the position's value, charged at `fundingTime`; `nextFundingTime` is the time after it, so their
difference is the period. `nextFundingRate` is filled by few instruments.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated

import msgspec

from xtrader.errors import Malformed
from xtrader.model.streams import Funding
from xtrader.venues.machine.wire import BAD, Milliseconds

CHANNEL = "funding-rate"
PATH = "/api/v5/public/funding-rate"
_MS = 1_000_000


class FundingRow(msgspec.Struct, gc=False):
    """Numbers are texts, empty where there is none."""

    ts: Milliseconds
    instId: str = ""
    fundingRate: str = ""
    fundingTime: str = ""
    nextFundingRate: str = ""
    nextFundingTime: str = ""


class FundingFrame(msgspec.Struct, gc=False):
    data: Annotated[list[FundingRow], msgspec.Meta(min_length=1, max_length=1000)]


_decode = msgspec.json.Decoder(FundingFrame, strict=False).decode


def funding(exchange: str, symbol: str, payload: bytes | bytearray | memoryview, ts_recv: int) -> list[Funding]:
    """The values of a message about one instrument. Raises Malformed."""
    try:
        rows = _decode(payload).data
        if odd := next((row.instId for row in rows if row.instId not in ("", symbol)), ""):
            raise Malformed(exchange, "a funding rate of another instrument", odd)
        return [_record(exchange, symbol, row, ts_recv) for row in rows]
    except (*BAD, ValueError) as error:
        raise Malformed(exchange, "a funding rate that cannot be read", str(error)) from error


def _record(exchange: str, symbol: str, row: FundingRow, ts_recv: int) -> Funding:
    paid, after = _time(row.fundingTime), _time(row.nextFundingTime)
    rate = _rate(row.fundingRate)
    if rate is None:
        raise ValueError("no fundingRate")
    period = None if paid is None or after is None or after <= paid else after - paid
    predicted = _rate(row.nextFundingRate)
    return Funding(f"{exchange}@{symbol}", rate, "fraction", period, predicted, paid, row.ts * _MS, ts_recv)


def _rate(text: str) -> float | None:
    if not text:
        return None
    rate = float(text)
    if not isfinite(rate):
        raise ValueError(f"a rate of {text}")
    return rate


def _time(text: str) -> int | None:
    """Milliseconds as nanoseconds; None for none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 13:
        return None
    return int(text) * _MS or None
