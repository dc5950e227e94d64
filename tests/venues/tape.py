"""The trades of one instrument as a venue says them, heard by sessions one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.venues.speakers import SPEAKERS, Binance, Speaker
from xtrader.model.market import Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import MarketSession, Output
from xtrader.venues.machine.trades import SeenTrades

EVERY = {**SPEAKERS, "BINANCE_COINM": Binance("BINANCE_COINM")}
LISTS = ["OKX_SWAP", "DERIBIT"]
"""Venues whose messages hold several trades."""
MS = 1_000_000
NOW = 1_790_000_000_000
"""Time of the trade 0, in ms."""


class Tape:
    """Sessions of one instrument's trades, one after the other, and what they made of them. The first begins at `now` (int ns)."""

    def __init__(self, speaker: Speaker, now: int = NOW * MS) -> None:
        self.speaker = speaker
        self.now = now
        self.out: list[Output] = []
        self.session: MarketSession
        self.connect({})

    def connect(self, resume: dict[str, SeenTrades]) -> None:
        venue = market(self.speaker.exchange, {})
        (link,) = venue.links([Subscription("TRADES", self.speaker.exchange, self.speaker.symbol)])
        self.session = venue.session(link, "disconnect" if resume else "start", resume)
        self.out += self.session.start(self.now)
        for text in self.speaker.hello():
            self.out += self.session.receive(text, self.now)

    def reconnect(self) -> None:
        self.connect(dict(self.session.resume()))

    def hear(self, *numbers: int, at: Callable[[int], int] = lambda number: NOW + number) -> None:
        """Each number in a message of its own; `at` is its time in ms."""
        for number in numbers:
            self.hear_text(self.speaker.trade(number, number, at(number)))

    def hear_list(self, *numbers: int) -> None:
        """All of them in one message."""
        messages = [json.loads(self.speaker.trade(number, number, NOW + number)) for number in numbers]
        place = messages[0].get("params", messages[0])
        place["data"] = [row for message in messages for row in message.get("params", message)["data"]]
        self.hear_text(json.dumps(messages[0]).encode())

    def hear_text(self, text: bytes) -> None:
        self.now += MS
        self.out += self.session.receive(text, self.now)

    @property
    def stored(self) -> list[int | None]:
        return [row.sequence for row in self.out if isinstance(row, Trade)]

    def rows(self) -> list[tuple[str, str, int | None, int | None]]:
        """Closed coverage rows as (state, cause, ids)."""
        closed = [row for row in self.out if isinstance(row, Coverage) and row.ts_to is not None]
        return [(row.state, row.cause, row.ids_from, row.ids_to) for row in closed]
