"""DeribitSession: one conversation with Deribit's websocket, pure. One rule: the change_id chain is checked on every message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from xtrader.errors import Malformed, ProtocolError, Unresponsive
from xtrader.model.market import BookUpdate, Level, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Link, Output, Send
from xtrader.venues.deribit.login import VENUE, Login
from xtrader.venues.deribit.states import STATES, relisted
from xtrader.venues.deribit.wire import (
    BookAnswer,
    BookData,
    DeribitEnvelope,
    DeribitFrame,
    Failure,
    Refusal,
    Step,
    Token,
    TradeData,
    TradesAnswer,
)
from xtrader.venues.machine.channel import SECOND, Channel
from xtrader.venues.machine.channels import BookChannel, TradesChannel
from xtrader.venues.machine.session import StreamSession
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD

CHANNELS_PER_REQUEST = 100
HEARTBEAT = 30
"""Seconds between the server's heartbeats."""
SILENCE = 60 * SECOND
LOGIN_WITHIN = 30 * SECOND
PENDING_MAX = 1000
"""Requests whose reply is awaited; beyond it the oldest is forgotten, and asked again when it is due."""
RAW_NOT_ALLOWED = 13778
TOO_MANY_REQUESTS = 10028
SIDES = frozenset({"buy", "sell"})
SETS = frozenset({"new", "change"})
NO_SUCH = frozenset({-32602, 10020, 13020})
"""Codes of an answer that says that there is no such instrument; the first one if it does not name another parameter."""
BOOK_PATH = "/api/v2/public/get_order_book"
TRADES_PATH = "/api/v2/public/get_last_trades_by_instrument"

_decode = msgspec.json.Decoder(DeribitFrame).decode
_decode_envelope = msgspec.json.Decoder(DeribitEnvelope).decode
_decode_token = msgspec.json.Decoder(Token).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_decode_refusal = msgspec.json.Decoder(Refusal).decode
_decode_book_answer = msgspec.json.Decoder(BookAnswer).decode
_decode_trades_answer = msgspec.json.Decoder(TradesAnswer).decode


class DeribitSession(StreamSession):
    """See venues/base.py (MarketSession). A channel's data is taken from whichever interval (raw, 100ms) it comes by first."""

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades], login: Login | None) -> None:
        super().__init__(link, cause, resume, PENDING_MAX)
        self._login = login
        self._by_name: dict[str, Channel] = {}
        self._names: dict[Channel, str] = {}
        self._only_100ms: set[Channel] = set()
        self._refresh_token = ""
        self._refresh_at: int | None = None
        self._login_since: int | None = None
        self._opened = False
        self._heard = 0

    def start(self, now: int) -> list[Output]:
        self._heard = now
        out = self._channels.open(now)
        out.append(self._request("set_heartbeat", {"interval": HEARTBEAT}))
        if self._login is None:
            return out + self._subscribe_all(now)
        return [*out, self._log_in(self._login.by_signature(now), now)]

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        self._heard = ts_recv
        self._messages += 1
        try:
            frame = _decode(payload)
        except BAD as error:
            return self._odd(payload, error, ts_recv)
        if frame.method != "subscription":
            return self._heartbeat(frame) if frame.method else self._reply(frame, ts_recv)
        params = frame.params
        if params is None or not params.channel:
            raise ProtocolError(VENUE, "a subscription message without channel")
        name = params.channel
        channel = self._by_name.get(name) or self._bind(name)
        if channel is None:
            self._counts["ignored"] += 1
            return ()
        data = params.data
        try:
            if isinstance(channel, BookChannel) and isinstance(data, BookData):
                return self._book_message(channel, data, ts_recv)
            if isinstance(channel, TradesChannel) and data and isinstance(data, list):
                return self._trades_message(channel, data, ts_recv)
            raise Malformed(VENUE, "a message with no data of its channel's kind")
        except Malformed as error:
            return self._malformed(channel, error, ts_recv)

    def answer(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> list[Output]:
        question = self._questions.answered(fetch)
        if question is None:
            self._counts["late_answers"] += 1
            return []
        subscription, asked = question
        try:
            numbers = _numbers(subscription, body)
        except BAD:
            self._counts["probe_errors"] += 1
            words = _refused(body)
            is_news = bool(words) and self._questions.no(subscription, asked, ts_recv)
            return self.gone(subscription, 0, words, ts_recv) if is_news else []
        if self._questions.yes(subscription):
            return self._channels.of(subscription).back(ts_recv)
        for number, ms in numbers:
            self._channels.probed(subscription, asked, number, ms * 1_000_000, ts_recv)
        return []

    def idle(self, now: int) -> list[Output]:
        self._heard = min(self._heard, now)
        if now - self._heard > SILENCE:
            raise Unresponsive(VENUE, f"nothing was received for {(now - self._heard) // SECOND} s, not even a heartbeat")
        if self._login_since is not None and now - self._login_since > LOGIN_WITHIN:
            raise Unresponsive(VENUE, f"no answer to the login for {(now - self._login_since) // SECOND} s")
        out = [*self._channels.idle(now), *self._questions.due(now)]
        if self._refresh_at is not None and now >= self._refresh_at:
            out.append(self._log_in({"grant_type": "refresh_token", "refresh_token": self._refresh_token}, now))
        return out

    def listen(self, now: int) -> list[Output]:
        return [self._request("subscribe", {"channels": [STATES]})]

    def _book_message(self, channel: BookChannel, data: BookData, ts_recv: int) -> Sequence[Output]:
        is_snapshot = data.type == "snapshot"
        if not is_snapshot and data.type != "change":
            raise Malformed(VENUE, "a book message of another type", repr(data.type[:40]))
        if data.instrument_name and data.instrument_name != channel.symbol:
            raise Malformed(VENUE, "a book message of another instrument", data.instrument_name)
        previous = None if is_snapshot else data.prev_change_id
        if data.change_id < 0 or (previous is not None and previous >= data.change_id):
            raise Malformed(VENUE, "a book message with impossible ids", f"change_id {data.change_id} after {previous}")
        update = BookUpdate(
            channel.key,
            is_snapshot,
            [(step.price, step.amount) if step.action in SETS else self._other(step) for step in data.bids],
            [(step.price, step.amount) if step.action in SETS else self._other(step) for step in data.asks],
            data.change_id,
            previous,
            data.timestamp * 1_000_000,
            ts_recv,
        )
        return channel.take(update)

    def _other(self, step: Step) -> Level:
        if step.action == "delete":
            return (step.price, 0.0)
        self._counts["unknown_action"] += 1
        return (step.price, step.amount)

    def _trades_message(self, channel: TradesChannel, rows: Sequence[TradeData], ts_recv: int) -> list[Output]:
        out: list[Output] = []
        # By their numbers, so that none is missing that comes further on in the same message.
        for row in sorted(rows, key=attrgetter("trade_seq")):
            if row.instrument_name and row.instrument_name != channel.symbol:
                out += self._malformed(channel, Malformed(VENUE, "a trade of another instrument", row.instrument_name), ts_recv)
                continue
            side = row.direction
            if side not in SIDES:
                side = "unknown"
                self._counts["unknown_side"] += 1
            number = row.trade_seq
            ts_event = row.timestamp * 1_000_000
            trade = Trade(channel.key, row.trade_id, side, row.price, row.amount, ts_event, ts_recv, number)
            out.extend(channel.take(trade, number))
        return out

    def _question(self, subscription: Subscription) -> Fetch:
        instrument = ("instrument_name", subscription.instrument)
        if subscription.stream == "L2":
            return Fetch(subscription.key, "probe", BOOK_PATH, (instrument, ("depth", "1")))
        return Fetch(subscription.key, "probe", TRADES_PATH, (instrument, ("count", "1")))

    def _heartbeat(self, frame: DeribitFrame) -> list[Output]:
        if frame.method != "heartbeat":
            self._counts["unknown"] += 1
        elif frame.params is not None and frame.params.type == "test_request":
            return [self._request("test", {}, urgent=True)]
        return []

    def _reply(self, frame: DeribitFrame, ts_recv: int) -> list[Output]:
        number = frame.id if isinstance(frame.id, str) else ""
        method = number.partition("-")[0]
        asked = tuple(channel for channel in self._open.take(number) if not channel.is_late(number))
        try:
            if frame.error is not None:
                return self._failed(method, asked, frame.error, ts_recv)
            if method == "auth":
                return self._logged_in(_decode_token(frame.result), ts_recv)
            if method in ("subscribe", "") and bytes(frame.result).startswith(b"["):
                return self._subscribed(number, asked, _decode_names(frame.result), ts_recv)
        except BAD as error:
            raise ProtocolError(VENUE, f"the reply to {method or 'a request'} cannot be read: {error}") from None
        if frame.id is None:
            self._counts["unknown"] += 1
        return []

    def _subscribed(self, number: str, asked: Sequence[Channel], names: Sequence[str], ts_recv: int) -> list[Output]:
        """The venue lists what it subscribed; what it does not know it leaves out without a word."""
        out: list[Output] = []
        there = {channel for channel in map(self._channel, names) if channel is not None and not channel.is_late(number)}
        for channel in self._channels.all:
            if channel in there:
                out += channel.acked(ts_recv)
        for channel in asked:
            if channel not in there:
                out += channel.reject(f"the venue did not subscribe {self._name(channel)}", ts_recv)
        return out

    def _failed(self, method: str, asked: Sequence[Channel], failure: Failure, ts_recv: int) -> list[Output]:
        self._counts["errors"] += 1
        if failure.code == TOO_MANY_REQUESTS:
            raise ProtocolError(VENUE, f"{failure.code} {failure.message[:100]}: the venue ends this session")
        if method == "auth" and self._login is not None:
            if not self._refresh_token:
                raise self._login.refusal(failure.code, failure.message)
            self._refresh_token = ""
            return [self._log_in(self._login.by_signature(ts_recv), ts_recv)]
        if failure.code == RAW_NOT_ALLOWED and not self._only_100ms.issuperset(asked):
            self._counts["raw_refused"] += 1
            self._only_100ms.update(asked)
            self._by_name.clear()
            for channel in asked:
                self._names.pop(channel, None)
            return [self._subscribe(asked)]
        out: list[Output] = []
        for channel in asked:
            out += channel.reject(f"{failure.code} {failure.message}", ts_recv)
        return out

    def _log_in(self, params: dict[str, Any], now: int) -> Send:
        self._login_since = now
        self._refresh_at = None
        return self._request("auth", params)

    def _logged_in(self, token: Token, ts_recv: int) -> list[Output]:
        self._login_since = None
        self._refresh_token = token.refresh_token
        self._refresh_at = ts_recv + token.expires_in * SECOND * 4 // 5
        return [] if self._opened else self._subscribe_all(ts_recv)

    def _odd(self, payload: bytes | bytearray | memoryview, error: Exception, ts_recv: int) -> Sequence[Output]:
        """A message that is not a Frame: a channel or method that is not ours, or a malformed one of ours, which ends the session
        only if it does not say of which channel it is.

        Its text goes into no error, because the reply to a login holds tokens.
        """
        try:
            envelope = _decode_envelope(payload)
        except BAD:
            raise ProtocolError(VENUE, f"a message that cannot be read: {error}") from None
        name = "" if envelope.params is None else envelope.params.channel
        if envelope.method == "subscription" and name:
            channel = self._by_name.get(name) or self._bind(name)
            if name == STATES:
                return relisted(payload)
            if channel is None:
                self._counts["ignored"] += 1
                return ()
            return self._malformed(channel, Malformed(VENUE, "a message that cannot be read", str(error)), ts_recv)
        asked = self._open.take(envelope.id) if isinstance(envelope.id, str) else ()
        if asked:
            reply = Malformed(VENUE, "a reply that cannot be read")
            return [one for channel in asked for one in self._malformed(channel, reply, ts_recv)]
        if envelope.method not in ("", "subscription", "heartbeat"):
            self._counts["unknown"] += 1
            return ()
        raise ProtocolError(VENUE, f"a message that cannot be read: {error}") from None

    def _bind(self, name: str) -> Channel | None:
        """The channel that this name's data is for, None if it is none of ours or comes by another interval already."""
        channel = self._channel(name)
        if channel is not None and self._names.setdefault(channel, name) != name:
            channel = None
        if channel is not None:
            self._by_name[name] = channel
        return channel

    def _channel(self, name: str) -> Channel | None:
        parts = name.split(".")
        if len(parts) != 3:
            return None
        if parts[0] == "book":
            return self._channels.books.get(parts[1])
        return self._channels.trades.get(parts[1]) if parts[0] == "trades" else None

    def _name(self, channel: Channel) -> str:
        """What to subscribe for a channel."""
        stream = "book" if isinstance(channel, BookChannel) else "trades"
        interval = "100ms" if self._login is None or channel in self._only_100ms else "raw"
        return f"{stream}.{channel.symbol}.{interval}"

    def _subscribe_all(self, now: int) -> list[Output]:
        self._opened = True
        every = self._channels.all
        for channel in every:
            channel.asked(now)
        return [self._subscribe(every[n : n + CHANNELS_PER_REQUEST]) for n in range(0, len(every), CHANNELS_PER_REQUEST)]

    def _subscribe(self, channels: Sequence[Channel]) -> Send:
        return self._request("subscribe", {"channels": [self._name(channel) for channel in channels]}, asked=channels)

    def _ask(self, channel: Channel) -> list[Output]:
        again: list[Output] = []
        if channel.held:
            again.append(self._request("unsubscribe", {"channels": [self._names.get(channel) or self._name(channel)]}))
        return [*again, self._subscribe([channel])]

    def _request(self, method: str, params: dict[str, Any], *, urgent: bool = False, asked: Sequence[Channel] = ()) -> Send:
        """A call. Its id tells what it was, so that a reply means something even where the request is not remembered."""
        self._requests += 1
        number = f"{method}-{self._requests}"
        if asked:
            self._open.put(number, asked)
        call = {"jsonrpc": "2.0", "id": number, "method": f"public/{method}", "params": params}
        return Send(msgspec.json.encode(call).decode(), urgent=urgent)


def _numbers(subscription: Subscription, body: bytes) -> list[tuple[int, int]]:
    """The venue's last number of a subscription and its time (ms) as a probe's answer has them; none before the first trade. Raises
    one of BAD, also for an answer about another instrument."""
    if subscription.stream == "L2":
        book = _decode_book_answer(body).result
        found = [(book.instrument_name, book.change_id, book.timestamp)]
    else:
        trades = _decode_trades_answer(body).result.trades[:1]
        found = [(trade.instrument_name, trade.trade_seq, trade.timestamp) for trade in trades]
    if any(name not in ("", subscription.instrument) for name, _, _ in found):
        raise msgspec.ValidationError("an answer about another instrument")
    return [(number, ms) for _, number, ms in found]


def _refused(body: bytes) -> str:
    """What an answer says if it is that there is no such instrument; empty for any other."""
    try:
        error = _decode_refusal(body).error
    except BAD:
        return ""
    about = error.data if isinstance(error.data, dict) else {}
    if error.code not in NO_SUCH or about.get("param", "instrument_name") != "instrument_name":
        return ""
    return " ".join(str(word) for word in (error.code, error.message, about.get("reason", "")) if word != "")
