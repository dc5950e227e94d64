"""TopicSession: a session at a venue whose wire channels have names. One rule: a wire channel is no subscription. Several may hear
one of them, which is subscribed once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from xtrader.errors import Malformed, ProtocolError
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Link, Output, Send
from xtrader.venues.machine.channel import Channel
from xtrader.venues.machine.keepalive import KeepAlive
from xtrader.venues.machine.session import StreamSession
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD


class ProbeVerdict(msgspec.Struct, frozen=True):
    """What a venue's answer says of a silent subscription: that it `is_ahead` of what came here, or, in the venue's words, that
    there is `no_such` instrument."""

    is_ahead: bool = False
    no_such: str = ""


class TopicSession(StreamSession):
    """What a venue's own session adds: `receive`, and the methods that are abstract here."""

    per_request = 10
    """Topics in one request."""
    has_numbers = True
    """Whether trades have running numbers."""

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades], alive: KeepAlive) -> None:
        super().__init__(link, cause, resume)
        self._alive = alive
        for trades in self._channels.trades.values():
            trades.has_numbers = self.has_numbers
        self._topics = {channel: self._topic(channel.subscription) for channel in self._channels.all}
        self._hearers: dict[str, list[Channel]] = {}
        for channel, topic in self._topics.items():
            self._hearers.setdefault(topic, []).append(channel)

    def start(self, now: int) -> list[Output]:
        self._alive.begin(now)
        out: list[Output] = [*self._channels.open(now), *self._subscribe(self._channels.all)]
        for channel in self._channels.all:
            channel.asked(now)
        return out

    def idle(self, now: int) -> list[Output]:
        out: list[Output] = [*self._channels.idle(now), *self._questions.due(now)]
        return [*out, Send(self._ping(), urgent=True)] if self._alive.is_due(now) else out

    def answer(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> list[Output]:
        question = self._questions.answered(fetch)
        if question is None:
            self._counts["late_answers"] += 1
            return []
        subscription, asked = question
        try:
            verdict = self._judge(subscription, status, body)
        except (*BAD, ValueError):
            verdict = None
        channel = self._channels.of(subscription)
        if verdict is None or verdict.no_such:
            self._counts["probe_errors"] += 1
            is_news = verdict is not None and self._questions.no(subscription, asked, ts_recv)
            return channel.gone(0, verdict.no_such, ts_recv) if verdict is not None and is_news else []
        if self._questions.yes(subscription):
            return channel.back(ts_recv)
        if verdict.is_ahead and asked >= channel.ts_turned:
            channel.ahead(ts_recv)
        return []

    def listen(self, now: int) -> Iterable[Output]:
        return ()

    @abstractmethod
    def _topic(self, subscription: Subscription) -> str:
        """The wire channel that a subscription is heard on."""

    @abstractmethod
    def _wire(self, operation: str, number: int, topics: Sequence[str]) -> str:
        """The request to "subscribe" or "unsubscribe" topics, with an id made of `number`."""

    @abstractmethod
    def _ping(self) -> str:
        """What a client says to be kept alive."""

    @abstractmethod
    def _judge(self, subscription: Subscription, status: int, body: bytes) -> ProbeVerdict | None:
        """What the answer to `_question` says; None, or one of BAD or ValueError raised, for one that says nothing."""

    def _confirmed(self, channels: Iterable[Channel], ts_recv: int) -> list[Output]:
        """The venue subscribed these."""
        return [output for channel in channels for output in channel.acked(ts_recv)]

    def _refused(self, channels: Iterable[Channel], words: str, ts_recv: int) -> list[Output]:
        """The venue did not subscribe these; what delivers all the same is not refused."""
        out: list[Output] = []
        for channel in channels:
            self._counts["errors"] += 1
            delivers = channel.activity.ts_last > channel.ts_turned
            out += channel.acked(ts_recv) if delivers else channel.reject(words, ts_recv)
        return out

    def _unread(
        self, payload: bytes | bytearray | memoryview, error: Exception, topic: str, is_other: bool, ts_recv: int
    ) -> Sequence[Output]:
        """A message that cannot be decoded. One of a topic that is heard costs its subscriptions a resync; one that is known to be
        of nothing that was asked for (`is_other`) is counted; what cannot be attributed ends the session."""
        hearers = self._hearers.get(topic, ())
        if hearers:
            odd = Malformed(self._exchange, "a message that cannot be read", str(error))
            return [output for channel in hearers for output in self._malformed(channel, odd, ts_recv)]
        if is_other:
            self._counts["ignored" if topic else "unknown"] += 1
            return ()
        raise ProtocolError(self._exchange, f"{bytes(payload[:200]).decode(errors='replace')}: {error}") from error

    def _ask(self, channel: Channel) -> list[Output]:
        again: list[Output] = []
        if channel.held:
            self._requests += 1
            again.append(Send(self._wire("unsubscribe", self._requests, [self._topics[channel]])))
        return [*again, *self._subscribe([channel])]

    def _subscribe(self, channels: Sequence[Channel], most: int | None = None) -> list[Output]:
        """The requests that subscribe the topics of channels, at most so many in each."""
        wanted: dict[str, list[Channel]] = {}
        for channel in channels:
            wanted.setdefault(self._topics[channel], []).append(channel)
        topics, most = list(wanted), most or self.per_request
        out: list[Output] = []
        for n in range(0, len(topics), most):
            some = topics[n : n + most]
            self._requests += 1
            self._open.put(str(self._requests), [channel for topic in some for channel in wanted[topic]])
            out.append(Send(self._wire("subscribe", self._requests, some)))
        return out
