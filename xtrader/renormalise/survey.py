"""Survey: the first look through a recording: which subscriptions it holds, on which connections, from which channels.

One rule: a subscription is taken from one channel only, the one that a live run would have taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import assert_never

from xtrader.model.subscription import Subscription
from xtrader.recordings.detect import Recording
from xtrader.recordings.events import Answered, Closed, Opened, Received, Sent, Torn
from xtrader.venues.recorded import Origin, Recognise, recognisers

DAY = 86_400_000_000_000
"""Nanoseconds; an answer that came this long after the last message, or before the first, was not part of the session."""


class Survey:
    """What is in one recording. `exchange` (may be empty) overrides what the recording itself tells."""

    def __init__(self, recording: Recording, exchange: str, is_catalogue: Callable[[str], bool] = lambda url: False) -> None:
        self.begin = 0
        """Time of the first frame, int ns; 0 if there is none."""
        self.end = 0
        """Time of the last frame."""
        self.urls: dict[str, str] = {}
        """Exchange token -> URL at which it was recorded; empty where the format has none."""
        self.catalogues: list[Answered] = []
        """The REST answers whose URL `is_catalogue`, in their order; of a run of equal ones the first and the last."""
        self.messages: Counter[Subscription] = Counter()
        """Data frames of the chosen channel."""
        self._exchange = exchange
        self._is_catalogue = is_catalogue
        self._places: dict[str, Opened] = {}
        self._carried: dict[str, dict[Subscription, None]] = {}
        self._known: dict[str, list[Recognise]] = {}
        self._chosen: dict[Subscription, tuple[int, str]] = {}
        self._look(recording)

    def carried(self, connection: str) -> list[Subscription]:
        """The subscriptions of a connection."""
        return list(self._carried.get(connection, ()))

    def subscriptions(self) -> list[Subscription]:
        """Every subscription of the recording."""
        return sorted(self._chosen)

    def channel(self, subscription: Subscription) -> str:
        """The channel from which a subscription is taken, by the venue's own name."""
        return self._chosen[subscription][1]

    def opened(self, event: Opened) -> None:
        """A connection was made: where its frames come from."""
        self._places[event.connection] = event

    def origins(self, event: Received) -> Sequence[Origin]:
        """Where a frame comes from; none for what is no data, or of no venue that is known."""
        place = self._places.get(event.connection)
        url, exchange = ("", self._exchange) if place is None else (place.url, self._exchange or place.exchange)
        known = self._known.get(exchange)
        if known is None:
            known = self._known[exchange] = recognisers(exchange)
        for recognise in known:
            origins = recognise(url, event.payload, exchange)
            if origins:
                return origins
        return ()

    def _look(self, recording: Recording) -> None:
        frames: Counter[tuple[Subscription, str]] = Counter()
        for event in recording.events():
            match event:
                case Received():
                    self.begin = self.begin or event.ts
                    self.end = max(self.end, event.ts)
                    for origin in self.origins(event):
                        if origin.stream:
                            self._found(event.connection, origin, frames)
                case Opened():
                    self.opened(event)
                case Answered():
                    if event.url and self._is_catalogue(event.url):
                        self._listed(event)
                case Closed() | Sent() | Torn():
                    continue
                case _:
                    assert_never(event)
        self.messages.update({found: frames[found, channel] for found, (_, channel) in self._chosen.items()})
        self.catalogues = [answer for answer in self.catalogues if answer.ts <= self.end + DAY]
        self._places.clear()

    def _listed(self, event: Answered) -> None:
        before = [one for one in self.catalogues if one.url == event.url][-2:]
        if len(before) == 2 and before[0].body == before[1].body == event.body:
            self.catalogues.remove(before[1])
        self.catalogues.append(event)

    def _found(self, connection: str, origin: Origin, frames: Counter[tuple[Subscription, str]]) -> None:
        subscription = Subscription(origin.stream, origin.exchange, origin.symbol)
        frames[subscription, origin.channel] += origin.is_data
        chosen = self._chosen.get(subscription)
        if chosen is None or origin.rank < chosen[0]:
            self._chosen[subscription] = (origin.rank, origin.channel)
        carried = self._carried.setdefault(connection, {})
        if subscription not in carried:
            carried[subscription] = None
            place = self._places.get(connection)
            self.urls.setdefault(origin.exchange, "" if place is None else place.url)
