"""KeepAlive: when a client must say something, and when a silent venue is dead. One rule: any message is a sign of life."""

from __future__ import annotations

from xtrader.errors import Unresponsive
from xtrader.venues.machine.channel import SECOND


class KeepAlive:
    """Of one connection, all times in ns. A ping is due `ping_after` the last message, or, where it `is_steady`, after the last
    ping, whatever comes meanwhile; the venue must be heard `pong_within` it."""

    __slots__ = ("_exchange", "_is_steady", "_ping_after", "_pinged", "_pong_within", "_said", "heard")

    def __init__(self, exchange: str, ping_after: int, pong_within: int, *, is_steady: bool = False) -> None:
        self._exchange = exchange
        self._ping_after = ping_after
        self._pong_within = pong_within
        self._is_steady = is_steady
        self._pinged: int | None = None
        """When the ping was sent that waits for a sign of life."""
        self._said = 0
        self.heard = 0
        """`ts_recv` of the last message; the session sets it."""

    def begin(self, now: int) -> None:
        """The connection is there."""
        self.heard = self._said = now

    def is_due(self, now: int) -> bool:
        """True if a ping is to be sent now, urgently. Raises Unresponsive when the venue is dead."""
        self.heard = min(self.heard, now)
        if self._pinged is not None and self.heard > self._pinged:
            self._pinged = None
        if self._pinged is not None:
            if now - self._pinged < self._pong_within:
                return False
            silent = (now - self.heard) // SECOND
            raise Unresponsive(self._exchange, f"nothing was received for {silent} s, no answer to ping")
        if now - (self._said if self._is_steady else self.heard) < self._ping_after:
            return False
        self._pinged = self._said = now
        return True
