"""BinanceSession: one connection's conversation with Binance, spot or futures.

One rule: every frame is either taken, counted as not wanted, or an error; none goes by unseen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from xtrader.errors import Malformed, ProtocolError
from xtrader.model.book import Book
from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues.base import ORDERED, Activity, Fetch, Link, Notice, Output, Send, counted
from xtrader.venues.binance.contracts import CONTRACT, CONTRACTS, relisted
from xtrader.venues.binance.depth import ASK_AGAIN, DepthSync
from xtrader.venues.binance.dialect import Dialect
from xtrader.venues.binance.tape import Tape
from xtrader.venues.binance.wire import (
    EVENTS,
    UNWANTED,
    BinanceFrame,
    Event,
    decode_envelope,
    decode_event,
    decode_frame,
    decode_last_trade,
    decode_snapshot,
    event_name,
    kind_of,
    refusal,
    refusal_code,
    stream_of,
    why_malformed,
)
from xtrader.venues.machine.odd import Oddities
from xtrader.venues.machine.questions import Questions
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD

SECOND = 1_000_000_000
BATCH = 100
"""Streams in one SUBSCRIBE."""
NO_ANSWER = 30 * SECOND
"""A request that is not answered for this long is made again; the venue takes a repeated SUBSCRIBE as one."""
ODD_WAIT = 5 * SECOND
"""Trades of which a message could not be used are subscribed again after this: the acknowledgement says that they still come."""
NO_SUCH = frozenset({-1121, -4108, -4141})
"""REST codes: no valid symbol; a contract that is delivered or closed; a closed symbol."""
SECOND_LOOK = 3 * SECOND
"""What REST already shows may be on its way here; only after this long is it missing."""

Handler: TypeAlias = Callable[[Event, int], Sequence[Output]]


class Request(msgspec.Struct, frozen=True):
    """A SUBSCRIBE or UNSUBSCRIBE that waits for its answer."""

    subscriptions: tuple[Subscription, ...]
    """What it subscribes; empty for UNSUBSCRIBE."""
    ts: int


class BinanceSession:
    """See `venues.base.MarketSession`. `closing` turns True when the venue announces that it will shut this connection down
    (`serverShutdown`): whoever owns the link replaces it then."""

    def __init__(self, dialect: Dialect, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> None:
        self._counts: Counter[str] = Counter()
        self._messages = 0
        self.activity: Mapping[Subscription, Activity] = {s: Activity(s) for s in link.subscriptions}
        self.closing = False
        self._venue = link.exchange
        self._dialect = dialect
        self._cause = cause
        self._last_id = 0
        self._requests: dict[int, Request] = {}
        self._routes: dict[str, Handler] = {}
        self._bound: dict[Subscription, str] = {}
        self._oddities = Oddities(self._counts)
        self._questions = Questions(dialect.question, self.activity)
        self._asked: dict[Subscription, int] = {}
        """The newest SUBSCRIBE of each."""
        self._suspects: dict[Subscription, tuple[int, int]] = {}
        self._again: dict[Subscription, int] = {}
        """When a subscription is to be made again (int ns)."""
        self._books: dict[Subscription, DepthSync] = {}
        self._tapes: dict[Subscription, Tape] = {}
        self._wanted: dict[tuple[str, str], Subscription] = {}
        for subscription, activity in self.activity.items():
            self._wanted[subscription.stream, subscription.instrument.lower()] = subscription
            if subscription.stream == "L2":
                self._books[subscription] = DepthSync(
                    self._venue,
                    activity,
                    cause,
                    self._counts,
                    dialect.depth_path,
                    dialect.depths,
                    is_futures=dialect.is_futures,
                )
            else:
                self._tapes[subscription] = Tape(self._venue, activity, cause, self._counts, resume.get(subscription.key))

    @property
    def counts(self) -> Counter[str]:
        """See MarketSession; added up when asked for."""
        return counted(self._counts, self._messages, self.activity)

    def start(self, now: int) -> Iterable[Output]:
        """Every subscription opens as syncing; then the SUBSCRIBE requests."""
        syncing = [Coverage(s.key, s.stream, "syncing", self._cause, now, None) for s in self.activity]
        return [*syncing, *self._subscribe(list(self.activity), now)]

    def _subscribe(self, subscriptions: Sequence[Subscription], now: int) -> list[Output]:
        out: list[Output] = []
        for at in range(0, len(subscriptions), BATCH):
            batch = tuple(subscriptions[at : at + BATCH])
            out.append(self._request("SUBSCRIBE", batch, Request(batch, now)))
        return out

    def _request(self, method: str, subscriptions: Sequence[Subscription], request: Request) -> Send:
        return self._call(method, [self._dialect.stream(s) for s in subscriptions], request)

    def _call(self, method: str, streams: Sequence[str], request: Request) -> Send:
        number = self._last_id = self._last_id + 1
        self._requests[number] = request
        self._asked.update(dict.fromkeys(request.subscriptions, number))
        return Send(json.dumps({"method": method, "params": streams, "id": number}, ensure_ascii=False, separators=(",", ":")))

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        """Take one message. Raises ProtocolError."""
        self._messages += 1
        try:
            frame = decode_envelope(payload)
        except BAD:
            return self._unusual(payload, ts_recv)
        handler = self._routes.get(frame.stream) or self._route(frame.stream)
        if handler is None:
            self._counts["ignored"] += 1
            return ()
        try:
            return handler(frame.data, ts_recv)
        except Malformed as error:
            return self._malformed(frame.stream, error, ts_recv)

    def _route(self, stream: str) -> Handler | None:
        """Who takes a stream that was not seen before, None if nobody does.

        Recordings use other names than ours for the same thing (`@depth`, `@depth@0ms`). The first one of a subscription that
        comes is the one that is taken: two at once would be two chains. Partial books (`@depth5`) are none.
        """
        symbol, _, kind = stream.partition("@")
        if kind == "depth" or kind.startswith("depth@"):
            subscription = self._wanted.get(("L2", symbol))
        elif kind in ("trade", "aggTrade"):
            subscription = self._wanted.get(("TRADES", symbol))
        else:
            return None
        if subscription is None or self._bound.setdefault(subscription, stream) != stream:
            return None
        handler = self._routes[stream] = self._part(subscription).receive
        return handler

    def _malformed(self, stream: str, error: Malformed, ts_recv: int) -> list[Output]:
        """A message of a stream that has a handler cannot be used."""
        subscription = next(one for one, bound in self._bound.items() if bound == stream)
        out = list(self._part(subscription).malformed(error.what, ts_recv))
        if out and subscription.stream == "TRADES":
            self._again[subscription] = ts_recv + ODD_WAIT
        return [*out, *self._oddities.say(subscription, error)]

    def _unusual(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Sequence[Output]:
        """Everything but a wanted event in its envelope: answers, raw events, events that nobody asked for, and the malformed."""
        frame = decode_frame(self._venue, payload)
        if frame is None:
            self._counts["ignored"] += 1
        elif frame.stream:
            name = event_name(frame.data)
            is_wanted = (self._routes.get(frame.stream) or self._route(frame.stream)) is not None
            if name == "serverShutdown":
                self.closing = True
            elif name == CONTRACT:
                return relisted(frame.data)
            elif is_wanted and (name in EVENTS or not name):
                return self._malformed(frame.stream, why_malformed(self._venue, frame.data), ts_recv)
            elif is_wanted:
                self._counts["unknown"] += 1
            else:
                self._count_unwanted(kind_of(frame.stream))
        elif isinstance(frame.e, str) and frame.e in EVENTS:
            return self._raw_event(payload, ts_recv)
        elif frame.e == "serverShutdown":
            self.closing = True
        elif frame.e == CONTRACT:
            return relisted(payload)
        elif frame.e is not None:
            self._count_unwanted(str(frame.e))
        elif frame.error is not None or frame.msg:
            return self._on_error(frame, ts_recv)
        elif frame.id is not None:
            return self._on_ack(frame.id, ts_recv)
        else:
            self._counts["ignored"] += 1
        return ()

    def _count_unwanted(self, kind: str) -> None:
        self._counts["ignored" if kind in UNWANTED else "unknown"] += 1

    def _raw_event(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Sequence[Output]:
        """An event without its envelope: the stream is told by the event's own name and symbol. Raises ProtocolError without."""
        stream = stream_of(self._venue, payload)
        handler = self._routes.get(stream) or self._route(stream)
        if handler is None:
            self._counts["ignored"] += 1
            return ()
        try:
            return handler(decode_event(self._venue, payload), ts_recv)
        except Malformed as error:
            return self._malformed(stream, error, ts_recv)

    def _on_ack(self, number: int | str, ts_recv: int) -> Sequence[Output]:
        if not isinstance(number, int) or number not in self._requests:
            self._counts["ignored"] += 1
            return ()
        out: list[Output] = []
        for subscription in self._waiting(number):
            self.activity[subscription].ts_acked = ts_recv
            out += self._part(subscription).acked(ts_recv)
        return out

    def _waiting(self, number: int) -> list[Subscription]:
        """What an answered request asked for, without what a later request asked for again: that waits for its own answer."""
        subscriptions = self._requests.pop(number).subscriptions
        waiting = [subscription for subscription in subscriptions if self._asked[subscription] == number]
        self._counts["late_answers"] += len(subscriptions) - len(waiting)
        return waiting

    def _on_error(self, frame: BinanceFrame, ts_recv: int) -> Sequence[Output]:
        """A request was refused. Without an id it can only be meant for the one that is under way; one that is made anew already
        does not matter any more."""
        words = str(frame.error) if frame.error is not None else f"{frame.code} {frame.msg}".strip()
        number = frame.id
        if number is None and len(self._requests) == 1:
            number = next(iter(self._requests))
        if not isinstance(number, int) or not 0 < number <= self._last_id:
            raise ProtocolError(self._venue, f"refused: {words}")
        if number not in self._requests:
            self._counts["late_answers"] += 1
            return ()
        out: list[Output] = []
        for subscription in self._waiting(number):
            self._again[subscription] = ts_recv + ASK_AGAIN
            out += self._part(subscription).stream_refused(words, ts_recv)
        return out

    def answer(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> Iterable[Output]:
        """Take the answer to a snapshot or a probe. Raises ProtocolError."""
        if fetch.purpose != "snapshot":
            return self._probed(fetch, status, body, ts_recv)
        subscription = self._wanted.get(("L2", fetch.key.partition("@")[2].lower()))
        if subscription is None:
            return ()
        sync = self._books[subscription]
        if status != 200:
            self._counts["refused"] += 1
            return sync.snapshot_refused(refusal(status, body), ts_recv, fetch)
        return sync.snapshot(decode_snapshot(self._venue, subscription.instrument, body), ts_recv, fetch)

    def _probed(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> Sequence[Output]:
        """The answer to a probe: the instrument is known or not, its numbers went on or did not; what is neither proves nothing."""
        question = self._questions.answered(fetch)
        if question is None:
            self._counts["late_answers"] += 1
            return ()
        subscription, asked = question
        if status != 200:
            self._counts["refused"] += 1
            is_news = refusal_code(body) in NO_SUCH and self._questions.no(subscription, asked, ts_recv)
            return self.gone(subscription, 0, refusal(status, body), ts_recv) if is_news else ()
        try:
            number = self._number(subscription, body)
        except ProtocolError:
            self._counts["probe_errors"] += 1
            return ()
        if self._questions.yes(subscription):
            return [Notice("listed", subscription, "the venue knows it again"), *self._subscribe([subscription], ts_recv)]
        if self.activity[subscription].state == "live" and number > self._seen(subscription):
            self._suspects[subscription] = (number, ts_recv)
        return ()

    def probe(self, subscription: Subscription, now: int) -> Iterable[Output]:
        """Ask REST whether the venue's numbers went on without us; nothing while it is not live or under suspicion already."""
        if self.activity[subscription].state != "live" or subscription in self._suspects:
            return ()
        return (self._questions.put(subscription, now),)

    def gone(self, subscription: Subscription, since: int, words: str, now: int) -> Sequence[Output]:
        """See MarketSession."""
        self._counts["delisted"] += 1
        self._suspects.pop(subscription, None)
        self._again.pop(subscription, None)
        return [*self._part(subscription).gone(since, words, now), Notice("delisted", subscription, words)]

    def _number(self, subscription: Subscription, body: bytes) -> int:
        """The venue's last number; -1 where there is none, or only that of a trade from before the subscription, which proves
        nothing. Raises ProtocolError."""
        if subscription.stream == "L2":
            return decode_snapshot(self._venue, subscription.instrument, body).lastUpdateId
        trade = decode_last_trade(self._venue, body)
        if trade is None or trade.ts <= self.activity[subscription].ts_acked + SECOND:
            return -1
        return trade.number

    def _seen(self, subscription: Subscription) -> int:
        """The last number that this subscription reached; -1 before the first."""
        last = self._part(subscription).last
        return -1 if last is None or not self.activity[subscription].ts_last else last

    def _part(self, subscription: Subscription) -> DepthSync | Tape:
        return self._books[subscription] if subscription.stream == "L2" else self._tapes[subscription]

    def idle(self, now: int) -> Iterable[Output]:
        """Second looks at suspects; subscriptions and snapshots that are due. Never raises: the shell sees a dead socket itself."""
        out: list[Output] = []
        for subscription, (number, ts) in list(self._suspects.items()):
            if now - ts >= SECOND_LOOK:
                del self._suspects[subscription]
                out += self._judge(subscription, number, now)
        again = [subscription for subscription, ts in self._again.items() if now >= ts]
        for subscription in again:
            del self._again[subscription]
        for number, request in list(self._requests.items()):
            if now - request.ts >= NO_ANSWER:
                del self._requests[number]
                self._counts["unanswered"] += 1
                again += request.subscriptions
        out += self._subscribe(again, now)
        out += self._questions.due(now)
        for sync in self._books.values():
            out += sync.idle(now)
        return out

    def _judge(self, subscription: Subscription, number: int, now: int) -> Sequence[Output]:
        """Dead if the stream has still not reached `number`: declare the gap and subscribe anew."""
        if self.activity[subscription].state != "live" or self._seen(subscription) >= number:
            return ()
        self._counts["silent"] += 1
        part = self._part(subscription)
        detail = f"the venue is at {number}, the stream stopped at {part.last}"
        out = [*part.lost("silent", detail, now), self._request("UNSUBSCRIBE", [subscription], Request((), now))]
        return [*out, *self._subscribe([subscription], now)]

    def listen(self, now: int) -> Iterable[Output]:
        """Ask for the stream of contracts; spot has none, and no link that is for notices."""
        return [self._call("SUBSCRIBE", [CONTRACTS], Request((), now))]

    def resync(self, subscription: Subscription, now: int) -> Iterable[Output]:
        """See MarketSession. The stream goes on meanwhile: for a book only the snapshot is asked for, by the next delta."""
        if self.activity[subscription].state != "live":
            return ()
        again = [] if subscription.stream == "L2" else self._subscribe([subscription], now)
        return [*self._part(subscription).lost("operator", ORDERED, now), *again]

    def book(self, key: str) -> Book | None:
        """The live book of an instrument, None if it is not in sync."""
        subscription = self._wanted.get(("L2", key.partition("@")[2].lower()))
        sync = None if subscription is None else self._books[subscription]
        return None if sync is None or sync.is_crossed else sync.book

    def resume(self) -> Mapping[str, SeenTrades]:
        """Instrument key -> the trades seen."""
        return {s.key: seen for s, tape in self._tapes.items() if (seen := tape.seen()) is not None}
