"""Bybit v5 public market data: spot, linear, inverse. One rule: the URL says the category, for one name may be in several.

Docs: https://bybit-exchange.github.io/docs/v5/ (websocket public; market: instruments-info, orderbook, recent-trade)

| channel | what | chain |
|---|---|---|
| orderbook.{50, 200, 1000}.{symbol} | snapshot of so many levels a side, then every change (20, 100, 200 ms) | u == u before + 1 |
| publicTrade.{symbol} | every match, up to 1,024 a message | none: `i` tells repetitions, a loss cannot be told |

A snapshot may come at any time and replaces the book, also one whose u is 1, after a restart of the venue. Levels that leave the
window are removed by the venue. Sizes are in the base coin (spot, linear) or USD (inverse). Limits: 500 connections in five
minutes and address, 21,000 characters of topics a connection, ten topics a request; a client says ping every 20 s. REST: 600
requests in 5 s.

Options: XTRADER_BYBIT_DEPTH, and XTRADER_<EXCHANGE>_WS_URL, XTRADER_<EXCHANGE>_REST_URL (base URLs without path).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from xtrader.errors import Malformed
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed, Output, Rules
from xtrader.venues.machine.channel import SECOND
from xtrader.venues.machine.channels import BookChannel, TradesChannel
from xtrader.venues.machine.compare import differs
from xtrader.venues.machine.keepalive import KeepAlive
from xtrader.venues.machine.market import StreamMarket, choice
from xtrader.venues.machine.topics import ProbeVerdict, TopicSession
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD, Int64, Levels, Milliseconds, Number, heads, ns, number
from xtrader.venues.recorded import Origin, name_of

EXCHANGES = ("BYBIT_SPOT", "BYBIT_LINEAR", "BYBIT_INVERSE")
VARIABLES = {"XTRADER_BYBIT_DEPTH": ("200", "Bybit books: levels a side, 50 (every 20 ms), 200 (100 ms) or 1000 (200 ms).")}
PROVEN = "frames of the venue published by others, its emulated venue"
DEPTHS = (50, 200, 1000)
DEPTH = 200
SIDES = {"Buy": "buy", "Sell": "sell"}
KINDS = {"": "spot", "Perpetual": "perpetual", "Futures": "future"}
SHAPES = {
    "BYBIT_SPOT": re.compile(r"([A-Z0-9]+?)(USDT|USDC|USDE|EUR|BTC|ETH|BRL|TRY)()"),
    "BYBIT_LINEAR": re.compile(r"([A-Z0-9]+?)(USDT|USDC|PERP|(?=-))(-\d{1,2}[A-Z]{3}\d{2})?"),
    "BYBIT_INVERSE": re.compile(r"([A-Z0-9]+?)(USD)([HMUZ]\d{2})?"),
}
_REFUSED = re.compile("symbol", re.IGNORECASE)
"""What an answer with the code of wrong parameters (10001) names where there is no such instrument."""


class BybitBook(msgspec.Struct, gc=False):
    s: str
    b: Levels
    a: Levels
    u: Int64


class BybitTrade(msgspec.Struct, gc=False):
    T: Milliseconds
    s: str
    v: Number
    p: Number
    i: str
    S: str = ""


class BybitFrame(msgspec.Struct, gc=False):
    """Any message: data has a `topic`, an answer an `op`. Their order in the text differs."""

    topic: str = ""
    type: str = ""
    ts: Milliseconds | None = None
    cts: Milliseconds | None = None
    data: BybitBook | Annotated[list[BybitTrade], msgspec.Meta(max_length=10_000)] | None = None
    op: str = ""
    success: bool = True
    ret_msg: str = ""
    req_id: str = ""


class BybitRows(msgspec.Struct):
    rows: list[msgspec.Raw] = msgspec.field(default_factory=list, name="list")
    s: str = ""
    b: Levels = []
    a: Levels = []


class BybitAnswer(msgspec.Struct):
    retCode: int
    retMsg: str = ""
    result: BybitRows = msgspec.field(default_factory=BybitRows)


class BybitLastTrade(msgspec.Struct):
    execId: str
    time: Milliseconds
    symbol: str = ""


class BybitFilter(msgspec.Struct):
    tickSize: msgspec.Raw = msgspec.Raw()
    qtyStep: msgspec.Raw = msgspec.Raw()
    basePrecision: msgspec.Raw = msgspec.Raw()
    minOrderQty: msgspec.Raw = msgspec.Raw()


class BybitInstrument(msgspec.Struct):
    symbol: str
    contractType: str = ""
    status: str = ""
    baseCoin: str = ""
    quoteCoin: str = ""
    settleCoin: str = ""
    deliveryTime: msgspec.Raw = msgspec.Raw()
    priceFilter: BybitFilter = msgspec.field(default_factory=BybitFilter)
    lotSizeFilter: BybitFilter = msgspec.field(default_factory=BybitFilter)


_decode = msgspec.json.Decoder(BybitFrame, strict=False).decode
_decode_answer = msgspec.json.Decoder(BybitAnswer, strict=False).decode
_decode_last = msgspec.json.Decoder(BybitLastTrade, strict=False).decode


def market(exchange: str, options: Mapping[str, str]) -> BybitMarket:
    """The market of one of EXCHANGES. Raises ConfigError for an option that cannot be used."""
    return BybitMarket(exchange, options)


def rules(exchange: str) -> Rules:
    """Ids of trades are names (linear, inverse) or numbers with gaps (spot): only that each is there once can be proven."""
    return Rules(bridges=False, trade_ids="unique", depth=DEPTH)


class BybitMarket(StreamMarket):
    """One category. See venues/base.py (Market) for what the methods return."""

    limits = Limits(rest_weight=600, rest_seconds=5.0, connects=500, connect_seconds=300.0)
    per_link = 200
    send_limits = ((10, 1.0),)

    def __init__(self, exchange: str, options: Mapping[str, str]) -> None:
        self.category = exchange.removeprefix("BYBIT_").lower()
        path = f"/v5/public/{self.category}"
        super().__init__(exchange, options, "wss://stream.bybit.com", path, "https://api.bybit.com")
        self._depth = choice(options, "XTRADER_BYBIT_DEPTH", DEPTH, DEPTHS)
        self.depth_window = f"snapshot of up to {self._depth} levels a side, then every change within that window"

    def catalogue(self, wanted: Sequence[str]) -> list[Fetch]:
        """What trades now, in pages of 1,000."""
        params = (("category", self.category), ("limit", "1000"))
        path = "/v5/market/instruments-info"
        return [Fetch("catalogue", "catalogue", path, params, cursor=(("result", "nextPageCursor"), "cursor"))]

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """The instruments in the bodies, each once, and what is said of the rows that are none."""
        return self._listed(
            bodies, _rows, lambda row: self._instrument(msgspec.json.decode(row, type=BybitInstrument), now), "symbol"
        )

    def guess(self, text: str) -> Instrument | None:
        """By name alone: `BTCUSDT`, `BTCPERP`, `BTCUSDT-25DEC26`, `BTCUSD`, `BTCUSDH27`; `BTCUSDC` is the perpetual `BTCPERP`."""
        symbol = text.strip().upper()
        shape = SHAPES[self.exchange].fullmatch(symbol)
        if shape is None:
            return None
        base, quote, dated = shape[1], {"PERP": "USDC", "": "USDC"}.get(shape[2], shape[2]), shape[3] or ""
        if self.exchange == "BYBIT_LINEAR" and shape[2] == "USDC":
            symbol = f"{base}PERP"
        kind = "spot" if self.exchange == "BYBIT_SPOT" else "future" if dated else "perpetual"
        alias = symbol if dated else f"{base}{quote}"
        return Instrument(exchange=self.exchange, symbol=symbol, alias=alias, kind=kind, base=base, quote=quote, source="rule")

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> BybitSession:
        """A fresh conversation."""
        return BybitSession(link, cause, resume, self.category, self._depth)

    def _instrument(self, row: BybitInstrument, now: int) -> Instrument:
        kind = KINDS.get(row.contractType.removeprefix("Linear").removeprefix("Inverse"), "unknown")
        is_inverse = self.exchange == "BYBIT_INVERSE"
        lots = row.lotSizeFilter
        return Instrument(
            exchange=self.exchange,
            symbol=row.symbol,
            alias=row.symbol if kind == "future" else f"{row.baseCoin}{row.quoteCoin}",
            kind=kind,
            base=row.baseCoin,
            quote=row.quoteCoin,
            settle=row.settleCoin,
            tick_size=number(row.priceFilter.tickSize),
            lot_size=number(lots.basePrecision if kind == "spot" else lots.qtyStep),
            min_size=number(lots.minOrderQty),
            contract_size=1.0,
            contract_unit=row.quoteCoin if is_inverse else row.baseCoin,
            is_inverse=is_inverse,
            expiry=ns(row.deliveryTime) if row.deliveryTime else None,
            status=row.status,
            ts=now,
        )


def _rows(body: bytes) -> list[msgspec.Raw]:
    answer = _decode_answer(body)
    if answer.retCode:
        raise ValueError(f"refused: {answer.retCode} {answer.retMsg[:200]}")
    return answer.result.rows


class BybitSession(TopicSession):
    """See venues/base.py (MarketSession) for what the methods return and raise."""

    has_numbers = False

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades], category: str, depth: int) -> None:
        self._category = category
        self._depth = depth
        super().__init__(link, cause, resume, KeepAlive(link.exchange, 20 * SECOND, 10 * SECOND, is_steady=True))

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        self._alive.heard = ts_recv
        self._messages += 1
        try:
            frame = _decode(payload)
        except BAD as error:
            return self._odd(payload, error, ts_recv)
        if not frame.topic:
            return self._event(frame, ts_recv)
        hearers = self._hearers.get(frame.topic)
        if hearers is None:
            self._counts["ignored"] += 1
            return ()
        channel, data = hearers[0], frame.data
        try:
            if isinstance(channel, BookChannel) and isinstance(data, BybitBook):
                return self._book_message(channel, frame, data, ts_recv)
            if isinstance(channel, TradesChannel) and data and isinstance(data, list):
                return self._trades_message(channel, data, ts_recv)
            raise Malformed(self._exchange, "a message with no data of its topic's kind")
        except Malformed as error:
            return self._malformed(channel, error, ts_recv)

    def _topic(self, subscription: Subscription) -> str:
        kind = f"orderbook.{self._depth}" if subscription.stream == "L2" else "publicTrade"
        return f"{kind}.{subscription.instrument}"

    def _wire(self, operation: str, number: int, topics: Sequence[str]) -> str:
        return msgspec.json.encode({"req_id": f"{operation[0]}{number}", "op": operation, "args": list(topics)}).decode()

    def _ping(self) -> str:
        return '{"req_id":"ping","op":"ping"}'

    def _question(self, subscription: Subscription) -> Fetch:
        about = (("category", self._category), ("symbol", subscription.instrument))
        if subscription.stream == "L2":
            return Fetch(subscription.key, "probe", "/v5/market/orderbook", (*about, ("limit", str(self._depth))))
        return Fetch(subscription.key, "probe", "/v5/market/recent-trade", (*about, ("limit", "1")))

    def _judge(self, subscription: Subscription, status: int, body: bytes) -> ProbeVerdict | None:
        answer = _decode_answer(body)
        if answer.retCode == 10001 and _REFUSED.search(answer.retMsg):
            return ProbeVerdict(no_such=f"{answer.retCode} {answer.retMsg}".strip())
        if status != 200 or answer.retCode:
            return None
        channel = self._channels.of(subscription)
        if isinstance(channel, BookChannel):
            if answer.result.s != subscription.instrument:
                return None
            return ProbeVerdict(differs(channel.book, answer.result.b, answer.result.a, self._depth))
        assert isinstance(channel, TradesChannel)
        for last in map(_decode_last, answer.result.rows[:1]):
            is_new = last.time * 1_000_000 > channel.activity.ts_acked + SECOND
            is_seen = (last.execId, last.time * 1_000_000) in channel.names
            return None if last.symbol not in ("", subscription.instrument) else ProbeVerdict(is_new and not is_seen)
        return ProbeVerdict()

    def _event(self, frame: BybitFrame, ts_recv: int) -> Sequence[Output]:
        if frame.op in ("ping", "pong", "unsubscribe"):
            return ()
        if frame.op != "subscribe":
            self._counts["unknown"] += 1
            return ()
        asked = self._open.take(frame.req_id.removeprefix("s"))
        channels = [channel for channel in asked if not channel.is_late(frame.req_id.removeprefix("s"))]
        if frame.success:
            return self._confirmed(channels, ts_recv)
        if len({self._topics[channel] for channel in channels}) > 1:
            # It is not known which of them it means: each is asked for alone.
            return self._subscribe(channels, 1)
        return self._refused(channels, frame.ret_msg, ts_recv)

    def _book_message(self, channel: BookChannel, frame: BybitFrame, data: BybitBook, ts_recv: int) -> Sequence[Output]:
        ts = frame.ts if frame.cts is None else frame.cts
        is_snapshot = frame.type == "snapshot"
        if not is_snapshot and frame.type != "delta":
            raise Malformed(self._exchange, "a book message of another type", repr(frame.type[:40]))
        if data.s != channel.symbol or ts is None:
            raise Malformed(self._exchange, "a book message of another instrument, or without a time", data.s)
        if data.u < 1:
            raise Malformed(self._exchange, "a book message with an impossible u", f"{data.u}")
        previous = None if is_snapshot else data.u - 1
        if is_snapshot:
            channel.activity.depth = self._depth
        return channel.take(BookUpdate(channel.key, is_snapshot, data.b, data.a, data.u, previous, ts * 1_000_000, ts_recv))

    def _trades_message(self, channel: TradesChannel, rows: Sequence[BybitTrade], ts_recv: int) -> list[Output]:
        if odd := next((row.s for row in rows if row.s != channel.symbol), ""):
            raise Malformed(self._exchange, "a trade of another instrument", odd)
        out: list[Output] = []
        for row in rows:
            side = SIDES.get(row.S, "unknown")
            self._counts["unknown_side"] += side == "unknown"
            out += channel.take(Trade(channel.key, row.i, side, row.p, row.v, row.T * 1_000_000, ts_recv), None)
        return out

    def _odd(self, payload: bytes | bytearray | memoryview, error: Exception, ts_recv: int) -> Sequence[Output]:
        topic, operation = heads(payload, "topic", "op")
        return self._unread(payload, error, topic, bool(topic) or operation not in ("", "subscribe"), ts_recv)


_TOPIC = re.compile(rb'"topic"\s*:\s*"(orderbook|publicTrade)\.(?:(\d+)\.)?([^"]+)"')


def recognise(url: str, payload: bytes, exchange: str) -> Sequence[Origin]:
    """See `venues.recorded.Recognise`. The URL, or the token that the recording was made under, tells the category."""
    parts = urlsplit(url)
    if not exchange.startswith("BYBIT_"):
        if not re.fullmatch(r"stream(-testnet)?\.bybit\.[a-z]+", parts.hostname or ""):
            return ()
        exchange = f"BYBIT_{parts.path.rpartition('/')[2].upper()}"
    topic = _TOPIC.search(payload)
    if topic is None or exchange not in EXCHANGES:
        return ()
    kind, depth, symbol = topic[1].decode(), int(topic[2] or 0), name_of(topic[3])
    stream = "TRADES" if kind == "publicTrade" else "L2" if depth in DEPTHS else ""
    return (Origin(stream, exchange, symbol, f"{kind}.{depth}.{symbol}", -depth),)
