"""What a recording is: a stream of these events in the order of time. Every time is int nanoseconds UTC of the recorder's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias


class Opened(NamedTuple):
    """A websocket connection was made. `connection` names it within its recording. `url` is empty where the format has none.

    `exchange` is the token under which it was recorded, where the format says so, else empty.
    """

    connection: str
    url: str
    ts: int
    exchange: str = ""


class Closed(NamedTuple):
    """A connection came to its end, or what came next on it was lost (`detail` says which)."""

    connection: str
    ts: int
    detail: str


class Torn(NamedTuple):
    """Something that may have been of a connection cannot be used and was left out; the connection itself went on. `fragment` is
    what is left of it, `ts` the time of what came before."""

    connection: str
    ts: int
    fragment: bytes
    detail: str


class Sent(NamedTuple):
    """The client sent a text message."""

    connection: str
    payload: bytes
    ts: int


class Received(NamedTuple):
    """One whole message came from the socket."""

    connection: str
    payload: bytes
    ts: int

    @property
    def ts_recv(self) -> int:
        """The same as `ts`, under the name that records use."""
        return self.ts


class Answered(NamedTuple):
    """A REST answer. `url` is the whole request; empty where the format does not say what was asked."""

    url: str
    status: int
    body: bytes
    headers: Mapping[str, str]
    ts: int
    connection: str = ""
    """Which asked; empty where the format does not say."""


Event: TypeAlias = Opened | Closed | Torn | Sent | Received | Answered
