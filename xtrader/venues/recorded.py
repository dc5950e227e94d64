"""What recordings of a venue's traffic need to know of the venue: what a recorded frame belongs to.

A venue module that can be replayed defines `recognise(url, payload, exchange)`, and `recorded_options(url)` if its settings follow
from where a recording was made. One rule: the venue answers; nothing outside it looks into its frames.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from xtrader.venues import exchanges


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


Recognise: TypeAlias = Callable[[str, bytes, str], Sequence[Origin]]
"""(url, payload, exchange) -> the origins of a frame: one for data, several for a message that confirms several subscriptions, none
for what is no data of this venue. `url` is empty where it is not known, `exchange` is empty or the token under which it is known
to have been recorded."""


def recognisers(exchange: str) -> list[Recognise]:
    """The venues' answers to what a frame is: all of them, or that of one exchange token."""
    names = [exchanges()[exchange]] if exchange else list(dict.fromkeys(exchanges().values()))
    found = (getattr(importlib.import_module(name), "recognise", None) for name in names)
    return [recognise for recognise in found if recognise is not None]


def options(exchange: str, url: str) -> Mapping[str, str]:
    """The venue's settings under which a recording made at `url` is read."""
    ask = getattr(importlib.import_module(exchanges()[exchange]), "recorded_options", None)
    given: Mapping[str, str] = {} if ask is None else ask(url)
    return given
