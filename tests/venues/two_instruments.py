"""A session of any venue with books and trades of two instruments, for tests of what one of them costs the other."""

from __future__ import annotations

from tests.venues.speakers import SPEAKERS, Binance
from tests.venues.transcripts import BEGIN, SECOND
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output

ALL = {**SPEAKERS, "BINANCE_COINM": Binance("BINANCE_COINM")}
BIDS, ASKS = [(5, 1), (4, 2)], [(11, 3)]
MS = BEGIN // 1_000_000


def other(text: bytes) -> bytes:
    """The same said of another instrument."""
    return text.replace(b"BTC", b"ETH").replace(b"btc", b"eth")


class Talk:
    """A session with books and trades of two instruments, all live. Every message comes a second after the one before."""

    def __init__(self, exchange: str) -> None:
        self.speaker = ALL[exchange]
        self.symbols = (self.speaker.symbol, other(self.speaker.symbol.encode()).decode())
        wanted = [Subscription(stream, exchange, symbol) for symbol in self.symbols for stream in ("L2", "TRADES")]
        self.session = market(exchange, {}).session(Link(exchange, "test", "", tuple(wanted)), "start", {})
        self.now = BEGIN
        self.numbers = {False: 100, True: 100}
        """Of the last state of each book."""
        list(self.session.start(self.now))
        for text in self.speaker.hello():
            self.hear(text)
            self.hear(other(text))
        for is_other in (False, True):
            self.sync(is_other=is_other)
            self.trade(1, is_other=is_other)

    def hear(self, text: bytes) -> list[Output]:
        self.now += SECOND
        return list(self.session.receive(text, self.now))

    def say(self, text: bytes, *, is_other: bool = False) -> list[Output]:
        return self.hear(other(text) if is_other else text)

    def sync(self, *, is_other: bool = False) -> list[Output]:
        """What brings a book in sync: the stream's own snapshot, or a change and the snapshot that it makes the session ask for."""
        self.numbers[is_other] += 10
        out = []
        if self.speaker.exchange.startswith("BINANCE"):
            asked = self.change(is_other=is_other)
            fetch = next(one for one in asked if isinstance(one, Fetch))
            answer = self.speaker.snapshot(self.numbers[is_other], BIDS, ASKS, MS)
            out = [*asked, *self.session.answer(fetch, 200, answer, self.now)]
        else:
            out = self.say(self.speaker.snapshot(self.numbers[is_other], BIDS, ASKS, MS), is_other=is_other)
        assert self.live(is_other)
        return out

    def change(self, *, is_other: bool = False) -> list[Output]:
        """A change that follows the book."""
        text = self.next_change(is_other)
        self.numbers[is_other] += 1
        return self.say(text, is_other=is_other)

    def next_change(self, is_other: bool = False) -> bytes:
        number = self.numbers[is_other]
        return self.speaker.delta(number, number + 1, [(5, 2)], [(11, 1)], MS)

    def trade(self, number: int, *, is_other: bool = False) -> list[Output]:
        return self.say(self.speaker.trade(number, number, MS), is_other=is_other)

    def live(self, is_other: bool = False) -> bool:
        return self.session.book(f"{self.speaker.exchange}@{self.symbols[is_other]}") is not None
