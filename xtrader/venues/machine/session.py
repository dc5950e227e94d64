"""StreamSession: what the sessions of venues that push their own book snapshots have in common. One rule: it knows no wire text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping

from xtrader.errors import Malformed
from xtrader.model.book import Book
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Activity, Fetch, Link, Output, counted
from xtrader.venues.machine.channel import Channel
from xtrader.venues.machine.channels import Channels
from xtrader.venues.machine.odd import Oddities
from xtrader.venues.machine.questions import Questions
from xtrader.venues.machine.requests import OpenRequests
from xtrader.venues.machine.trades import SeenTrades


class StreamSession(ABC):
    """See venues/base.py (MarketSession) for what the methods return and raise. `most` requests are remembered."""

    def __init__(self, link: Link, cause: str, resume: Mapping[str, SeenTrades], most: int = 256) -> None:
        self._counts: Counter[str] = Counter()
        self._messages = 0
        self.closing = False
        self._exchange = link.exchange
        self._channels = Channels(link.subscriptions, cause, resume, self._counts, self._ask)
        self._oddities = Oddities(self._counts)
        self.activity: Mapping[Subscription, Activity] = self._channels.activity
        self._questions = Questions(self._question, self.activity)
        self._open = OpenRequests(most)
        self._requests = 0

    @property
    def counts(self) -> Counter[str]:
        """See MarketSession; added up when asked for."""
        return counted(self._counts, self._messages, self.activity)

    def probe(self, subscription: Subscription, now: int) -> list[Fetch]:
        return [self._questions.put(subscription, now)]

    def gone(self, subscription: Subscription, since: int, words: str, now: int) -> list[Output]:
        return self._channels.of(subscription).gone(since, words, now)

    def resync(self, subscription: Subscription, now: int) -> list[Output]:
        return self._channels.of(subscription).resync(now)

    def book(self, key: str) -> Book | None:
        return self._channels.book(key)

    def resume(self) -> dict[str, SeenTrades]:
        return self._channels.resume()

    @abstractmethod
    def _ask(self, channel: Channel) -> list[Output]:
        """The messages that subscribe a channel, after unsubscribing it if the venue may hold a subscription (`channel.held`)."""

    @abstractmethod
    def _question(self, subscription: Subscription) -> Fetch:
        """The request whose answer tells whether a silent subscription is quiet or dead."""

    def _malformed(self, channel: Channel, error: Malformed, ts_recv: int) -> list[Output]:
        return [*channel.malformed(error.what, ts_recv), *self._oddities.say(channel.subscription, error)]
