"""OkxSession: one conversation with OKX's public websocket, pure. One rule: the seqId chain is checked on every book message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from xtrader.errors import Malformed, ProtocolError
from xtrader.model.market import BookUpdate, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Link, Output, Send
from xtrader.venues.machine.channel import SECOND, Channel
from xtrader.venues.machine.channels import BookChannel, LatestChannel, TradesChannel
from xtrader.venues.machine.keepalive import KeepAlive
from xtrader.venues.machine.session import StreamSession
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD
from xtrader.venues.okx import funding
from xtrader.venues.okx.listing import LISTING, listing_request, relisted
from xtrader.venues.okx.wire import Arg, OkxData, OkxEnvelope, OkxFrame, TextBook, TextFrame

ARGS_PER_REQUEST = 20
PING_AFTER = 20 * SECOND
"""The venue closes connections that are silent for 30 s."""
PONG_WITHIN = 10 * SECOND
PENDING_MAX = 256
"""Requests that are remembered for the sake of error replies; older ones are forgotten."""
BOOK_DEPTH = 400
BOOK_CHANNELS = {"books": BOOK_DEPTH, "books-l2-tbt": BOOK_DEPTH, "books50-l2-tbt": 50}
"""What speaks the books protocol, and how many levels a side it has; the venue lets only one of them be subscribed for an
instrument. Only `books` is asked for."""
SIDES = frozenset({"buy", "sell"})
SOURCES = frozenset({"", "0", "1"})
EVENTS = frozenset({"subscribe", "error", "notice", "channel-conn-count-error"})
QUIET_EVENTS = frozenset({"unsubscribe", "login", "channel-conn-count"})
NO_SUCH = frozenset({"51001", "51027"})
"""REST codes: the instrument does not exist; the contract has expired."""
BOOKS_PATH = "/api/v5/market/books"
TRADES_PATH = "/api/v5/market/trades"

_decode = msgspec.json.Decoder(OkxFrame, strict=False).decode
_decode_envelope = msgspec.json.Decoder(OkxEnvelope, strict=False).decode
_decode_text = msgspec.json.Decoder(TextFrame).decode
_CONCERNS = re.compile(r"channel:\s*([\w-]+),\s*instId:\s*([\w-]+)")


class OkxSession(StreamSession):
    """See venues/base.py (MarketSession) for what the methods return and raise."""

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> None:
        super().__init__(link, cause, resume, PENDING_MAX)
        self._books = self._channels.books
        self._trades = self._channels.trades
        self._texts: dict[str, TextBook] = {}
        self._alive = KeepAlive(link.exchange, PING_AFTER, PONG_WITHIN)

    def start(self, now: int) -> list[Output]:
        self._alive.begin(now)
        out = self._channels.open(now)
        every = self._channels.all
        for n in range(0, len(every), ARGS_PER_REQUEST):
            out.append(self._request("subscribe", every[n : n + ARGS_PER_REQUEST]))
        for channel in every:
            channel.asked(now)
        return out

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        self._alive.heard = ts_recv
        self._messages += 1
        try:
            frame = _decode(payload)
        except BAD as error:
            return self._odd(payload, error, ts_recv)
        arg = frame.arg
        if arg is None or frame.event:
            return self._event(frame, ts_recv)
        if arg.channel in BOOK_CHANNELS:
            book = self._books.get(arg.instId)
            if book is not None:
                try:
                    return self._book_message(book, frame, payload, ts_recv)
                except Malformed as error:
                    return self._malformed(book, error, ts_recv)
        elif arg.channel == "trades":
            trades = self._trades.get(arg.instId)
            if trades is not None:
                return self._trade_message(trades, frame, ts_recv)
        elif arg.channel == funding.CHANNEL:
            values = self._channels.latest.get(("FUNDING", arg.instId))
            if values is not None:
                return self._funding_message(values, payload, ts_recv)
        elif arg.channel == LISTING:
            return relisted(payload)
        self._counts["ignored"] += 1
        return ()

    def answer(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> list[Output]:
        question = self._questions.answered(fetch)
        if question is None:
            self._counts["late_answers"] += 1
            return []
        subscription, asked = question
        try:
            frame = _decode(body)
        except BAD:
            frame = OkxFrame()
        named = {row.instId for row in frame.data or ()}
        if frame.code in NO_SUCH:
            self._counts["probe_errors"] += 1
            is_news = self._questions.no(subscription, asked, ts_recv)
            return self.gone(subscription, 0, f"{frame.code} {frame.msg}".strip(), ts_recv) if is_news else []
        if status != 200 or frame.code != "0" or not named <= {"", subscription.instrument}:
            self._counts["probe_errors"] += 1
            return []
        if self._questions.yes(subscription):
            return self._channels.of(subscription).back(ts_recv)
        for row in frame.data[:1] if frame.data else ():
            number = {"L2": row.seqId, "FUNDING": 0}.get(subscription.stream, _number(row.tradeId))
            if number is not None:
                self._channels.probed(subscription, asked, number, (row.ts or 0) * 1_000_000, ts_recv)
        return []

    def idle(self, now: int) -> list[Output]:
        out: list[Output] = [*self._channels.idle(now), *self._questions.due(now)]
        return [*out, Send("ping", urgent=True)] if self._alive.is_due(now) else out

    def listen(self, now: int) -> list[Output]:
        self._requests += 1
        return [Send(listing_request(self._exchange, self._requests))]

    def _book_message(
        self, channel: BookChannel, frame: OkxFrame, payload: bytes | bytearray | memoryview, ts_recv: int
    ) -> Sequence[Output]:
        rows = frame.data
        if not rows:
            raise Malformed(self._exchange, "a books message without data")
        if len(rows) > 1:
            raise Malformed(self._exchange, "a books message with several books", f"{len(rows)}")
        row = rows[0]
        bids, asks, ts, sequence, previous = row.bids, row.asks, row.ts, row.seqId, row.prevSeqId
        if bids is None or asks is None or ts is None:
            raise Malformed(self._exchange, "a books message without bids, asks or ts")
        if sequence is not None and sequence < 0:
            raise Malformed(self._exchange, "a books message with an impossible seqId", f"{sequence}")
        is_snapshot = frame.action == "snapshot"
        if is_snapshot:
            previous = None
            channel.activity.depth = BOOK_CHANNELS[frame.arg.channel] if frame.arg is not None else None
        elif frame.action != "update":
            raise Malformed(self._exchange, "a books message with another action", repr(frame.action[:40]))
        elif (sequence is None) != (previous is None):
            raise Malformed(self._exchange, "a books message with only one of seqId and prevSeqId")
        elif sequence == previous and sequence is not None:
            if bids or asks:
                raise Malformed(self._exchange, "a books message with changes that lead to no other seqId", f"{sequence}")
            self._counts["keepalives"] += 1
        update = BookUpdate(
            channel.key,
            is_snapshot,
            [(level.price, level.size) for level in bids],
            [(level.price, level.size) for level in asks],
            sequence,
            previous,
            ts * 1_000_000,
            ts_recv,
        )
        if row.checksum or channel.symbol in self._texts:
            return self._checksummed(channel, update, row.checksum, payload)
        return channel.take(update)

    def _checksummed(
        self, channel: BookChannel, update: BookUpdate, checksum: int | None, payload: bytes | bytearray | memoryview
    ) -> Sequence[Output]:
        """Verify the checksum where the message would otherwise be taken; one that differs is a break like any other."""
        if update.is_snapshot:
            self._texts[channel.symbol] = TextBook()
        elif channel.book is None or update.prev_sequence != channel.sequence:
            return channel.take(update)
        text = self._texts.get(channel.symbol)
        if text is None:
            return channel.take(update)
        try:
            text.apply(_decode_text(payload).data[0])
        except (*BAD, ValueError) as error:
            raise Malformed(self._exchange, "a books message whose checksum cannot be computed", str(error)) from error
        if checksum:
            computed = text.checksum()
            if computed != checksum:
                self._counts["breaks"] += 1
                return channel.lose("venue_gap", f"checksum {checksum}, the book has {computed}", update.ts_recv)
            self._counts["checksums"] += 1
        return channel.take(update)

    def _trade_message(self, channel: TradesChannel, frame: OkxFrame, ts_recv: int) -> Sequence[Output]:
        rows = frame.data
        if not rows:
            return self._malformed(channel, Malformed(self._exchange, "a trades message without data"), ts_recv)
        if len(rows) == 1:
            return self._trade(channel, rows[0], ts_recv)
        out: list[Output] = []
        for row in _in_order(rows):
            out.extend(self._trade(channel, row, ts_recv))
        return out

    def _trade(self, channel: TradesChannel, row: OkxData, ts_recv: int) -> Sequence[Output]:
        price, size, ts, text = row.px, row.sz, row.ts, row.tradeId
        if price is None or size is None or ts is None or not text:
            return self._malformed(channel, Malformed(self._exchange, "a trade without px, sz, ts or tradeId"), ts_recv)
        if row.instId and row.instId != channel.symbol:
            return self._malformed(channel, Malformed(self._exchange, "a trade of another instrument", row.instId), ts_recv)
        side = row.side
        if side not in SIDES:
            side = "unknown"
            self._counts["unknown_side"] += 1
        if row.source not in SOURCES:
            self._counts["unknown_source"] += 1
        number = _number(text)
        count = row.count
        first = number - count + 1 if number is not None and count is not None and count > 0 else None
        return channel.take(Trade(channel.key, text, side, price, size, ts * 1_000_000, ts_recv, number, first), first)

    def _funding_message(self, channel: LatestChannel, payload: bytes | bytearray | memoryview, ts_recv: int) -> Sequence[Output]:
        try:
            records = funding.funding(self._exchange, channel.symbol, payload, ts_recv)
        except Malformed as error:
            return self._malformed(channel, error, ts_recv)
        return [output for record in records for output in channel.take(record)]

    def _event(self, frame: OkxFrame, ts_recv: int) -> list[Output]:
        event = frame.event
        if event == "subscribe" and frame.arg is not None:
            channel = self._find(frame.arg.channel, frame.arg.instId)
            if channel is None:
                self._counts["ignored"] += frame.arg.channel != LISTING
                return []
            if channel.is_late(frame.id):
                self._counts["late_answers"] += 1
                return []
            self._open.settled(channel)
            return channel.acked(ts_recv)
        if event in ("error", "channel-conn-count-error"):
            return self._error(frame, ts_recv)
        if event == "notice":
            self._counts["notices"] += 1
            self.closing = self.closing or frame.code == "64008"
        elif event not in QUIET_EVENTS:
            self._counts["unknown"] += 1
        return []

    def _error(self, frame: OkxFrame, ts_recv: int) -> list[Output]:
        """The subscriptions that an error concerns are refused: those it names, else what its request still waits for."""
        self._counts["errors"] += 1
        named = _CONCERNS.search(frame.msg)
        concerned: Iterable[Channel] = ()
        if frame.id.startswith("u"):
            return []
        if frame.arg is not None:
            concerned = filter(None, [self._find(frame.arg.channel, frame.arg.instId)])
        elif named is not None:
            concerned = filter(None, [self._find(*named.groups())])
        else:
            concerned = self._open.of(frame.id)
        out: list[Output] = []
        for channel in concerned:
            if channel.is_late(frame.id):
                self._counts["late_answers"] += 1
                continue
            self._open.settled(channel)
            out += channel.reject(f"{frame.code} {frame.msg}".strip(), ts_recv)
        return out

    def _odd(self, payload: bytes | bytearray | memoryview, error: Exception, ts_recv: int) -> Sequence[Output]:
        """A message that is not a Frame: pong, a channel or event that is not ours, or a malformed one of ours, which ends the
        session only if it does not say of which channel it is."""
        if bytes(payload[:8]) == b"pong":
            return ()
        try:
            envelope = _decode_envelope(payload)
        except BAD:
            envelope = None
        if envelope is not None:
            arg = envelope.arg or Arg()
            channel = self._find(arg.channel, arg.instId)
            if channel is not None:
                return self._malformed(channel, Malformed(self._exchange, "a message that cannot be read", str(error)), ts_recv)
            if arg.channel == LISTING:
                return relisted(payload)
            is_ours = arg.channel in BOOK_CHANNELS or arg.channel in ("trades", funding.CHANNEL)
            if envelope.event not in EVENTS and not (is_ours and not arg.instId):
                self._counts["ignored" if arg.channel else "unknown"] += 1
                return ()
        raise ProtocolError(self._exchange, f"{bytes(payload[:200]).decode(errors='replace')}: {error}") from error

    def _question(self, subscription: Subscription) -> Fetch:
        instrument = ("instId", subscription.instrument)
        if subscription.stream == "L2":
            return Fetch(subscription.key, "probe", BOOKS_PATH, (instrument, ("sz", "1")))
        if subscription.stream == "FUNDING":
            return Fetch(subscription.key, "probe", funding.PATH, (instrument,))
        return Fetch(subscription.key, "probe", TRADES_PATH, (instrument, ("limit", "1")))

    def _find(self, name: str, symbol: str) -> Channel | None:
        if name in BOOK_CHANNELS:
            return self._books.get(symbol)
        if name == funding.CHANNEL:
            return self._channels.latest.get(("FUNDING", symbol))
        return self._trades.get(symbol) if name == "trades" else None

    def _ask(self, channel: Channel) -> list[Output]:
        again: list[Output] = [self._request("unsubscribe", [channel])] if channel.held else []
        self._texts.pop(channel.symbol, None)
        return [*again, self._request("subscribe", [channel])]

    def _request(self, op: str, channels: Sequence[Channel]) -> Send:
        self._requests += 1
        number = f"{op[0]}{self._requests}"
        if op == "subscribe":
            self._open.put(number, channels)
        args = [{"channel": _name(channel), "instId": channel.symbol} for channel in channels]
        return Send(msgspec.json.encode({"id": number, "op": op, "args": args}).decode(), weight=len(args))


def _name(channel: Channel) -> str:
    return {"L2": "books", "TRADES": "trades", "FUNDING": funding.CHANNEL}[channel.subscription.stream]


def _in_order(rows: Sequence[OkxData]) -> Sequence[OkxData]:
    """The trades of one message by their numbers, so that none is missing that comes further on; those without one at the end."""
    numbers = [_number(row.tradeId) for row in rows]
    return [rows[place] for place in sorted(range(len(rows)), key=lambda place: (numbers[place] is None, numbers[place] or 0))]


def _number(trade_id: str) -> int | None:
    """A trade id as a number; None for what is none, which then cannot be checked."""
    return int(trade_id) if len(trade_id) < 19 and trade_id.isascii() and trade_id.isdecimal() else None
