"""Binance's market messages as typed Structs, and the decoders that check them.

One rule: what a decoder lets through is in range; prices and sizes are finite and not negative, numbers fit 64 bits.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from xtrader.errors import Malformed, ProtocolError
from xtrader.venues.machine.wire import BAD

Number: TypeAlias = Annotated[int, Meta(ge=-1, le=2**63 - 2)]
MILLIS = 9_000_000_000_000
"""The last time in milliseconds since the epoch that is taken; it fits 64 bits as nanoseconds."""
MICROS = 1_000_000_000_000_000
"""The first time in microseconds that is taken: of 16 digits."""
Time: TypeAlias = Annotated[int, Meta(ge=0, le=MILLIS * 1_000)]
"""Milliseconds since the epoch up to MILLIS, microseconds from MICROS on (`timeUnit=MICROSECOND`); see `ns`."""
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e30)]
"""A price or a size."""
Levels: TypeAlias = Annotated[list[tuple[Amount, Amount]], Meta(max_length=50_000)]
"""Ten times the deepest snapshot that the venue serves."""


class DepthEvent(Struct, tag_field="e", tag="depthUpdate", gc=False):
    """`@depth`: `U` to `u` are the update ids it holds, `pu` (futures) the `u` of the event before it."""

    s: str
    E: Time
    U: Number
    u: Number
    b: Levels
    a: Levels
    T: Time | None = None
    pu: Number | None = None


class TradePrint(Struct, tag_field="e", tag="trade", gc=False):
    """`@trade`: one match. `X` is futures only. `m` (the buyer was the maker) is taken as it comes: what it is, is counted."""

    s: str
    t: Number
    p: Amount
    q: Amount
    T: Time
    m: Any = None
    X: str = "MARKET"


class AggTrade(Struct, tag_field="e", tag="aggTrade", gc=False):
    """`@aggTrade`: the matches `f` to `l` of one taker at one price, under the running number `a`."""

    s: str
    a: Number
    p: Amount
    q: Amount
    f: Number
    l: Number  # noqa: E741 (the venue's name)
    T: Time
    m: Any = None


Event: TypeAlias = DepthEvent | TradePrint | AggTrade
EVENTS = {"depthUpdate": "depth", "trade": "trade", "aggTrade": "aggTrade"}
"""Name of an event -> the kind of stream that it is of."""
UNWANTED = frozenset(
    (
        "aggTrade",
        "assetIndex",
        "avgPrice",
        "blockTrade",
        "bookTicker",
        "compositeIndex",
        "continuousKline",
        "contractInfo",
        "depth",
        "forceOrder",
        "indexPrice",
        "indexPriceKline",
        "kline",
        "markPrice",
        "markPriceKline",
        "miniTicker",
        "referencePrice",
        "rpiDepth",
        "ticker",
        "trade",
        "24hrMiniTicker",
        "24hrTicker",
        "continuous_kline",
        "indexPriceUpdate",
        "markPriceUpdate",
    )
)
"""Kinds of streams and events that exist and are not recorded; every other one is counted as unknown."""


class BinanceEnvelope(Struct):
    """A frame of a combined stream."""

    stream: str
    data: Event


class BinanceError(Struct):
    """What the venue says when it refuses, on the socket or over REST."""

    code: int = 0
    msg: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.msg}".strip()


class BinanceFrame(Struct):
    """Any JSON object from the socket, loosely: a combined frame, a raw event, or the answer to a request."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    e: Any = None
    id: int | str | None = None
    error: BinanceError | None = None
    code: int = 0
    msg: str = ""


class EventKind(Struct):
    """The name and the symbol of an event."""

    e: Any = None
    s: Any = None


class Snapshot(Struct):
    """REST `/depth`."""

    lastUpdateId: Number
    bids: Levels
    asks: Levels
    T: Time | None = None
    symbol: str = ""
    """COIN-M only."""


class BinanceLastTrade(Struct):
    """A row of REST `/trades` (`id`, `time`) or `/aggTrades` (`a`, `T`)."""

    id: Number | None = None
    time: Time | None = None
    a: Number | None = None
    T: Time | None = None

    @property
    def number(self) -> int:
        """The number that the stream of the same kind carries; -1 if the row has none."""
        return next((number for number in (self.a, self.id) if number is not None), -1)

    @property
    def ts(self) -> int:
        """When it was made, int ns; 0 if the row does not say."""
        time = self.T or self.time or 0
        return 0 if MILLIS < time < MICROS else time * (1_000_000 if time <= MILLIS else 1_000)


decode_envelope = msgspec.json.Decoder(BinanceEnvelope, strict=False).decode
_event = msgspec.json.Decoder(Event, strict=False)
_frame: msgspec.json.Decoder[BinanceFrame | list[msgspec.Raw]] = msgspec.json.Decoder(BinanceFrame | list[msgspec.Raw])
_kind = msgspec.json.Decoder(EventKind)
_snapshot = msgspec.json.Decoder(Snapshot, strict=False)
_last_trades = msgspec.json.Decoder(list[BinanceLastTrade], strict=False)
_problem = msgspec.json.Decoder(BinanceError)


def ns(venue: str, time: int) -> int:
    """A Time -> int nanoseconds. Raises Malformed if it is neither milliseconds nor microseconds."""
    if MILLIS < time < MICROS:
        raise Malformed(venue, "a time in no known unit", str(time))
    return time * (1_000_000 if time <= MILLIS else 1_000)


def kind_of(stream: str) -> str:
    """`depth` of `btcusdt@depth5@100ms`, `ticker` of `!ticker@arr`."""
    symbol, _, kind = stream.partition("@")
    words = re.match(r"[A-Za-z]*", symbol[1:] if symbol.startswith("!") else kind)
    return words.group() if words else ""


def decode_event(venue: str, payload: bytes | bytearray | memoryview | msgspec.Raw) -> Event:
    """A known event without its envelope. Raises Malformed."""
    try:
        event: Event = _event.decode(payload)
    except BAD as bad:
        raise Malformed(venue, "malformed event", str(bad)) from None
    return event


def why_malformed(venue: str, payload: msgspec.Raw) -> Malformed:
    """What is wrong with an event that could not be read inside its envelope."""
    try:
        decode_event(venue, payload)
    except Malformed as error:
        return error
    return Malformed(venue, "malformed message")


def stream_of(venue: str, payload: bytes | bytearray | memoryview) -> str:
    """The stream of a known event without its envelope, whatever else is in it. Raises ProtocolError if its symbol is none."""
    found = _kind.decode(payload)
    if not isinstance(found.s, str) or not found.s:
        raise ProtocolError(venue, f"malformed event: {found.e} of no symbol")
    return f"{found.s.lower()}@{EVENTS[found.e]}"


def decode_frame(venue: str, payload: bytes | bytearray | memoryview) -> BinanceFrame | None:
    """Any JSON object; None for a list, which only streams that are not recorded send. Raises ProtocolError for anything else."""
    try:
        frame = _frame.decode(payload)
    except BAD as bad:
        raise ProtocolError(venue, f"malformed message: {bad}") from None
    return frame if isinstance(frame, BinanceFrame) else None


def event_name(payload: msgspec.Raw) -> str:
    """The event name inside a combined frame; empty where there is none (`bookTicker` of spot, lists)."""
    try:
        name = _kind.decode(payload).e
    except BAD:
        return ""
    return name if isinstance(name, str) else ""


def decode_snapshot(venue: str, symbol: str, body: bytes) -> Snapshot:
    """The answer to `/depth` of a symbol. Raises ProtocolError, also for the book of another one."""
    try:
        found = _snapshot.decode(body)
    except BAD as bad:
        raise ProtocolError(venue, f"malformed depth snapshot: {bad}") from None
    if found.symbol not in ("", symbol):
        raise ProtocolError(venue, f"malformed depth snapshot: that of {found.symbol[:40]!r}, not {symbol}")
    return found


def decode_last_trade(venue: str, body: bytes) -> BinanceLastTrade | None:
    """The last row of `/trades` or `/aggTrades`; None where nothing was traded yet. Raises ProtocolError."""
    try:
        rows = _last_trades.decode(body)
    except BAD as bad:
        raise ProtocolError(venue, f"malformed trades: {bad}") from None
    return rows[-1] if rows else None


def refusal_code(body: bytes) -> int:
    """The venue's number for a REST error; 0 where there is none."""
    try:
        return _problem.decode(body).code
    except BAD:
        return 0


def refusal(status: int, body: bytes) -> str:
    """What the venue said in a REST error, in words: `400 -1121 Invalid symbol.`"""
    try:
        return f"{status} {_problem.decode(body)}".strip()
    except BAD:
        return str(status)
