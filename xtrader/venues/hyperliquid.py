"""Hyperliquid's public market data: perpetuals and spot pairs. One rule: nothing has a number, so what is missing shows by silence.

Docs: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api (websocket: subscriptions; info endpoint)

| channel | what | chain |
|---|---|---|
| l2Book | the whole book, 20 levels a side, about twice a second | none: each message replaces the one before |
| trades | every match; the first message after a subscription holds past ones | none: coin, time and tid tell repetitions |

A perpetual is named by its coin (`BTC`), a spot pair `PURR/USDC` or `@107`. `tid` is a hash. Past trades that no earlier connection
saw are recorded after a reconnect, and left out at the start. Limits for an address: 10 connections, 30 new ones and 2,000 messages
a minute, 1,000 subscriptions, REST weight 1,200 a minute; the venue closes a connection on which it said nothing for 60 s.

Options: XTRADER_HYPERLIQUID_WS_URL, XTRADER_HYPERLIQUID_REST_URL (base URLs without path).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from xtrader.errors import Malformed
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed, Output, Rules
from xtrader.venues.machine.channel import SECOND, Channel
from xtrader.venues.machine.channels import BookChannel, TradesChannel
from xtrader.venues.machine.compare import differs
from xtrader.venues.machine.keepalive import KeepAlive
from xtrader.venues.machine.market import StreamMarket
from xtrader.venues.machine.topics import ProbeVerdict, TopicSession
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD, Int64, Milliseconds, Number
from xtrader.venues.recorded import Origin, name_of

EXCHANGES = ("HYPERLIQUID",)
PROVEN = "frames of the venue published by others, its emulated venue"
DEPTH = 20
SIDES = {"B": "buy", "A": "sell"}
PAST = 2 * SECOND
"""A trade that is older than its subscription by this much was there before it."""
OLD = 10 * SECOND
"""For so long messages that are older than the last one are left out; then the venue's time is what they say."""
GREETING = b"Websocket connection established."
NAME = re.compile(r"[A-Za-z0-9]{1,20}(?:/[A-Za-z0-9]{1,20})?|@\d{1,6}|[a-z0-9]{1,10}:[A-Za-z0-9]{1,20}")
_ABOUT = re.compile(r'"type"\s*:\s*"(\w+)".*?"coin"\s*:\s*"([^"]+)"')


class HyperLevel(msgspec.Struct, gc=False):
    px: Number
    sz: Number


HyperSide = Annotated[list[HyperLevel], msgspec.Meta(max_length=50_000)]


class HyperBook(msgspec.Struct, gc=False):
    coin: str
    time: Milliseconds
    levels: tuple[HyperSide, HyperSide]


class HyperTrade(msgspec.Struct, gc=False):
    coin: str
    px: Number
    sz: Number
    time: Milliseconds
    tid: Int64
    side: str = ""


class HyperTopic(msgspec.Struct, gc=False):
    type: str = ""
    coin: str = ""


class HyperEcho(msgspec.Struct, gc=False):
    method: str = ""
    subscription: HyperTopic = msgspec.field(default_factory=HyperTopic)


class HyperFrame(msgspec.Struct, gc=False):
    channel: str
    data: msgspec.Raw = msgspec.Raw()


class HyperMeta(msgspec.Struct):
    """A list of what is traded: with `tokens` of spot pairs, without of perpetuals."""

    universe: list[msgspec.Raw]
    tokens: list[dict[str, msgspec.Raw]] | None = None


class HyperInstrument(msgspec.Struct):
    name: str
    szDecimals: Annotated[int, msgspec.Meta(ge=0, le=18)] | None = None
    isDelisted: bool = False
    tokens: tuple[int, int] | None = None


_decode = msgspec.json.Decoder(HyperFrame).decode
_decode_book = msgspec.json.Decoder(HyperBook, strict=False).decode
_decode_trades = msgspec.json.Decoder(
    Annotated[list[HyperTrade], msgspec.Meta(min_length=1, max_length=10_000)], strict=False
).decode
_decode_recent = msgspec.json.Decoder(list[HyperTrade], strict=False).decode
_decode_echo = msgspec.json.Decoder(HyperEcho).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_meta = msgspec.json.Decoder(HyperMeta).decode


def market(exchange: str, options: Mapping[str, str]) -> HyperMarket:
    """The market of HYPERLIQUID. Raises ConfigError for an option that cannot be used."""
    return HyperMarket(exchange, options)


def rules(exchange: str) -> Rules:
    """Each message of a book is the whole book; `tid` is a hash that tells a trade from others."""
    return Rules(bridges=False, trade_ids="unique", depth=DEPTH, chain="whole")


class HyperMarket(StreamMarket):
    """See venues/base.py (Market) for what the methods return."""

    limits = Limits(rest_weight=1200, rest_seconds=60.0, connects=30, connect_seconds=60.0)
    per_link = 100
    send_limits = ((20, 1.0), (2000, 60.0))
    depth_window = f"the whole book of {DEPTH} levels a side in every message"

    def __init__(self, exchange: str, options: Mapping[str, str]) -> None:
        super().__init__(exchange, options, "wss://api.hyperliquid.xyz", "/ws", "https://api.hyperliquid.xyz")

    def catalogue(self, wanted: Sequence[str]) -> list[Fetch]:
        """The perpetuals and the spot pairs."""
        return [Fetch("catalogue", "catalogue", "/info", weight=20, body=f'{{"type":"{kind}"}}') for kind in ("meta", "spotMeta")]

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """The instruments in the bodies, each once, and what is said of the rows that are none."""
        tokens: dict[int, tuple[str, int]] = {}

        def rows(body: bytes) -> list[msgspec.Raw]:
            meta = _decode_meta(body)
            for row in meta.tokens or ():
                name, size, index = (msgspec.json.decode(row[field]) for field in ("name", "szDecimals", "index"))
                tokens[int(index)] = (str(name), int(size))
            return meta.universe

        return self._listed(
            bodies,
            lambda body: _guarded(rows, body),
            lambda row: self._instrument(msgspec.json.decode(row, type=HyperInstrument), tokens, now),
            "name",
        )

    def guess(self, text: str) -> Instrument | None:
        """By name alone, as the venue writes it: `BTC`, `kPEPE`, `PURR/USDC`, `@107`; `BTCUSD` is the perpetual `BTC`."""
        name = text.strip()
        if NAME.fullmatch(name) is None:
            return None
        if "/" in name or name.startswith("@"):
            base, _, quote = name.partition("/")
            return Instrument(
                exchange=self.exchange, symbol=name, alias=base + quote, kind="spot", base=base, quote=quote, source="rule"
            )
        base = name.removesuffix("USD") or name
        return Instrument(
            exchange=self.exchange, symbol=base, alias=f"{base}USD", kind="perpetual", base=base, quote="USD", source="rule"
        )

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> HyperSession:
        """A fresh conversation."""
        return HyperSession(link, cause, resume)

    def _instrument(self, row: HyperInstrument, tokens: Mapping[int, tuple[str, int]], now: int) -> Instrument:
        spot = row.tokens is not None
        base, decimals = tokens.get(row.tokens[0], ("", None)) if row.tokens is not None else (row.name, row.szDecimals)
        quote = tokens.get(row.tokens[1], ("", 0))[0] if row.tokens is not None else "USD"
        lot = None if decimals is None else 10.0**-decimals
        return Instrument(
            exchange=self.exchange,
            symbol=row.name,
            alias=f"{base}{quote}" if base and quote else row.name,
            kind="spot" if spot else "perpetual",
            base=base,
            quote=quote,
            settle="" if spot else "USDC",
            lot_size=lot,
            min_size=lot,
            contract_size=1.0,
            contract_unit=base,
            status="delisted" if row.isDelisted else "trading",
            ts=now,
        )


def _guarded(rows: Callable[[bytes], list[msgspec.Raw]], body: bytes) -> list[msgspec.Raw]:
    try:
        return rows(body)
    except (LookupError, TypeError) as error:
        raise ValueError(f"a token without name, szDecimals or index: {error}") from error


class HyperSession(TopicSession):
    """See venues/base.py (MarketSession) for what the methods return and raise."""

    per_request = 1
    has_numbers = False

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> None:
        super().__init__(link, cause, resume, KeepAlive(link.exchange, 30 * SECOND, 15 * SECOND))
        self._is_first = {channel: not resume.get(channel.key) for channel in self._channels.all}
        """Whether trades from before the subscription are of no interest: nothing was recorded then."""

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        self._alive.heard = ts_recv
        self._messages += 1
        try:
            frame = _decode(payload)
        except BAD as error:
            return () if bytes(payload[: len(GREETING)]) == GREETING else self._unread(payload, error, "", False, ts_recv)
        if frame.channel == "l2Book":
            return self._book_message(frame.data, ts_recv)
        if frame.channel == "trades":
            return self._trades_message(frame.data, ts_recv)
        return self._event(frame, ts_recv)

    def _topic(self, subscription: Subscription) -> str:
        return f"{'l2Book' if subscription.stream == 'L2' else 'trades'}:{subscription.instrument}"

    def _wire(self, operation: str, number: int, topics: Sequence[str]) -> str:
        kind, _, coin = topics[0].partition(":")
        return msgspec.json.encode({"method": operation, "subscription": {"type": kind, "coin": coin}}).decode()

    def _ping(self) -> str:
        return '{"method":"ping"}'

    def _question(self, subscription: Subscription) -> Fetch:
        kind = "l2Book" if subscription.stream == "L2" else "recentTrades"
        body = msgspec.json.encode({"type": kind, "coin": subscription.instrument}).decode()
        return Fetch(subscription.key, "probe", "/info", weight=2 if kind == "l2Book" else 20, body=body)

    def _judge(self, subscription: Subscription, status: int, body: bytes) -> ProbeVerdict | None:
        if status != 200:
            return None
        if body.strip() == b"null":
            return ProbeVerdict(no_such="the venue knows no such coin")
        channel = self._channels.of(subscription)
        if isinstance(channel, BookChannel):
            book = _decode_book(body)
            bids, asks = ([(level.px, level.sz) for level in side] for side in book.levels)
            return None if book.coin != channel.symbol else ProbeVerdict(differs(channel.book, bids, asks, DEPTH))
        assert isinstance(channel, TradesChannel)
        rows = [row for row in _decode_recent(body) if row.coin == channel.symbol]
        newer = [row for row in rows if row.time * 1_000_000 > channel.activity.ts_acked + SECOND]
        return ProbeVerdict(any((str(row.tid), row.time * 1_000_000) not in channel.names for row in newer))

    def _event(self, frame: HyperFrame, ts_recv: int) -> Sequence[Output]:
        if frame.channel == "pong":
            return ()
        try:
            if frame.channel == "subscriptionResponse":
                echo = _decode_echo(frame.data)
                channels = self._hearers.get(f"{echo.subscription.type}:{echo.subscription.coin}", [])
                return self._confirmed(self._settled(channels), ts_recv) if echo.method == "subscribe" else ()
            if frame.channel == "error":
                words = _decode_text(frame.data)
                about = _ABOUT.search(words)
                refused = [] if about is None else self._hearers.get(f"{about[1]}:{about[2]}", [])
                return self._refused(self._settled(refused), words, ts_recv)
        except BAD as error:
            return self._unread(bytes(frame.data), error, "", False, ts_recv)
        self._counts["unknown"] += 1
        return ()

    def _settled(self, channels: Sequence[Channel]) -> Sequence[Channel]:
        for channel in channels:
            self._open.settled(channel)
        return channels

    def _book_message(self, data: msgspec.Raw, ts_recv: int) -> Sequence[Output]:
        try:
            book = _decode_book(data)
        except BAD as error:
            return self._lost("l2Book", bytes(data), error, ts_recv)
        channel = self._channels.books.get(book.coin)
        if channel is None:
            self._counts["ignored"] += 1
            return ()
        if channel.sequence is not None and book.time < channel.sequence and ts_recv - channel.ts_good < OLD:
            channel.activity.ts_last = ts_recv
            self._counts["skipped"] += 1
            return ()
        bids, asks = ([(level.px, level.sz) for level in side] for side in book.levels)
        channel.activity.depth = DEPTH
        # The time of the block is the one name of a state that there is.
        return channel.take(BookUpdate(channel.key, True, bids, asks, book.time, None, book.time * 1_000_000, ts_recv))

    def _lost(self, kind: str, data: bytes, error: Exception, ts_recv: int) -> Sequence[Output]:
        """A book or trades that cannot be read."""
        coin = _COIN.search(data, 0, 400)
        return self._unread(data, error, f"{kind}:{'' if coin is None else name_of(coin[1])}", coin is not None, ts_recv)

    def _trades_message(self, data: msgspec.Raw, ts_recv: int) -> Sequence[Output]:
        try:
            rows = _decode_trades(data)
        except BAD as error:
            return self._lost("trades", bytes(data), error, ts_recv)
        channel = self._channels.trades.get(rows[0].coin)
        if channel is None:
            self._counts["ignored"] += 1
            return ()
        if odd := next((row.coin for row in rows if row.coin != channel.symbol), ""):
            return self._malformed(channel, Malformed(self._exchange, "a trade of another instrument", odd), ts_recv)
        is_first, self._is_first[channel] = self._is_first[channel], False
        out: list[Output] = []
        for row in sorted(rows, key=lambda row: row.time):
            ts = row.time * 1_000_000
            if is_first and ts < (channel.activity.ts_acked or ts_recv) - PAST:
                channel.names.add((str(row.tid), ts))
                self._counts["skipped"] += 1
                continue
            side = SIDES.get(row.side, "unknown")
            self._counts["unknown_side"] += side == "unknown"
            out += channel.take(Trade(channel.key, str(row.tid), side, row.px, row.sz, ts, ts_recv), None)
        return out


_CHANNEL = re.compile(rb'"channel"\s*:\s*"(l2Book|trades)"')
_COIN = re.compile(rb'"coin"\s*:\s*"([^"]+)"')


def recognise(url: str, payload: bytes, exchange: str) -> Sequence[Origin]:
    """See `venues.recorded.Recognise`."""
    if exchange != "HYPERLIQUID" and not re.fullmatch(r"api\.hyperliquid(-testnet)?\.xyz", urlsplit(url).hostname or ""):
        return ()
    channel, coin = _CHANNEL.search(payload), _COIN.search(payload)
    if channel is None or coin is None:
        return ()
    stream, symbol = "L2" if channel[1] == b"l2Book" else "TRADES", name_of(coin[1])
    return (Origin(stream, "HYPERLIQUID", symbol, f"{stream} {symbol}", 0),)
