"""Deribit's messages as msgspec structs. One rule: one typed decode for each message; a reply's result only when it matters."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from xtrader.venues.machine.wire import Int64, Milliseconds

Price = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
"""Finite; combos have negative prices."""
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e300)]


class Step(msgspec.Struct, array_like=True, gc=False):
    """[action, price, amount]: what became of one price."""

    action: str
    price: Price
    amount: Amount


Steps = Annotated[list[Step], msgspec.Meta(max_length=50_000)]
"""Many times the levels of the venue's largest book."""


class BookData(msgspec.Struct, gc=False):
    type: str
    timestamp: Milliseconds
    change_id: Int64
    bids: Steps
    asks: Steps
    prev_change_id: Int64 | None = None
    instrument_name: str = ""


class TradeData(msgspec.Struct, gc=False):
    trade_id: str
    trade_seq: Int64
    timestamp: Milliseconds
    price: Price
    amount: Amount
    direction: str = ""
    instrument_name: str = ""


class Params(msgspec.Struct, gc=False):
    """Of a subscription push `channel` and `data`, of a heartbeat `type`."""

    channel: str = ""
    data: BookData | Annotated[list[TradeData], msgspec.Meta(max_length=10_000)] | None = None
    type: str = ""


class Failure(msgspec.Struct):
    code: int
    message: str = ""


class RefusalError(Failure):
    data: Any = None
    """What is said about it, mostly {"param": …, "reason": …}."""


class Refusal(msgspec.Struct):
    """A REST answer that says no."""

    error: RefusalError


class DeribitFrame(msgspec.Struct, gc=False):
    """Any message: a push has `method` and `params`, a reply has `id`, and `result` or `error`."""

    method: str = ""
    params: Params | None = None
    id: str | int | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: Failure | None = None


class EnvelopeParams(msgspec.Struct, gc=False):
    channel: str = ""


class DeribitEnvelope(msgspec.Struct, gc=False):
    """What can be said of a message that does not fit Frame."""

    method: str = ""
    params: EnvelopeParams | None = None
    id: str | int | None = None


class Token(msgspec.Struct):
    """The result of a login. Never shown: its repr names no token."""

    refresh_token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Token(expires_in={self.expires_in})"


class LastBook(msgspec.Struct):
    change_id: Int64
    timestamp: Milliseconds = 0
    instrument_name: str = ""


class DeribitLastTrade(msgspec.Struct):
    trade_seq: Int64
    timestamp: Milliseconds
    instrument_name: str = ""


class LastTrades(msgspec.Struct):
    trades: list[DeribitLastTrade]


class BookAnswer(msgspec.Struct):
    result: LastBook


class TradesAnswer(msgspec.Struct):
    result: LastTrades
