"""What recordings of a venue's traffic need to know of the venue: what a recorded frame belongs to.

A venue module that can be replayed defines `recognise(url, payload, exchange)`, and `recorded_options(url)` if its settings follow
from where a recording was made. One rule: the venue answers; nothing outside it looks into its frames.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from xtrader.errors import ConfigError
from xtrader.venues import exchanges, module


class Origin(NamedTuple):
    """Where a data frame comes from. `stream` is empty for data that is not recorded (tickers, candles).

    `channel` is the venue's own name for it. Where a recording has several channels of one subscription, a live run would have
    taken the one with the lowest `rank`.
    """

    stream: str
    exchange: str
    symbol: str
    channel: str
    rank: int
    is_data: bool = True
    """False for what only confirms the subscription."""


def name_of(written: bytes) -> str:
    """A name as it is written inside a JSON string, escapes and all: recorders that decode and encode again write `\\u5e01`."""
    if b"\\" in written:
        with contextlib.suppress(ValueError):
            return str(json.loads(b'"' + written + b'"'))
    return written.decode(errors="replace")


Recognise: TypeAlias = Callable[[str, bytes, str], Sequence[Origin]]
"""(url, payload, exchange) -> the origins of a frame: one for data, several for a message that confirms several subscriptions, none
for what is no data of this venue. `url` is empty where it is not known, `exchange` is empty or the token under which it is known
to have been recorded."""


def recognisers(exchange: str) -> list[Recognise]:
    """The venues' answers to what a frame is: all of them, or that of one exchange token."""
    if exchange:
        return _recogniser(exchange)
    found: list[Recognise] = []
    for one in {name: token for token, name in exchanges().items()}.values():
        with contextlib.suppress(ConfigError):  # A venue that cannot be used here knows none of its frames.
            found += _recogniser(one)
    return found


def _recogniser(exchange: str) -> list[Recognise]:
    found = getattr(module(exchange), "recognise", None)
    return [] if found is None else [found]


def options(exchange: str, url: str) -> Mapping[str, str]:
    """The venue's settings under which a recording made at `url` is read."""
    ask = getattr(module(exchange), "recorded_options", None)
    given: Mapping[str, str] = {} if ask is None else ask(url)
    return given
