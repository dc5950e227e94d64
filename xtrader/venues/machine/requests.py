"""OpenRequests: what was asked of a venue and is not answered yet. One rule: an answer counts for the request that it names."""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.venues.machine.channel import Channel


class OpenRequests:
    """Those of one connection, by their ids. Beyond `most` of them the oldest is forgotten: what it was about is asked for again
    when it is due."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, dict[Channel, None]] = {}

    def put(self, number: str, channels: Sequence[Channel]) -> None:
        """A request with this id, which subscribes `channels`, is on its way."""
        self._waiting[number] = dict.fromkeys(channels)
        for channel in channels:
            channel.sent(number)
        if len(self._waiting) > self._most:
            del self._waiting[next(iter(self._waiting))]

    def of(self, number: str) -> tuple[Channel, ...]:
        """What a request still waits for, in its order."""
        return tuple(self._waiting.get(number, ()))

    def take(self, number: str) -> tuple[Channel, ...]:
        """The same; the request is answered."""
        return tuple(self._waiting.pop(number, ()))

    def settled(self, channel: Channel) -> None:
        """The venue answered for this channel: its requests wait for it no longer."""
        for number, waiting in list(self._waiting.items()):
            waiting.pop(channel, None)
            if not waiting:
                del self._waiting[number]
