"""A conversation with an OkxSession, message by message, for tests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.venues.transcripts import BEGIN, SECOND
from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Output
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.okx import OkxMarket
from xtrader.venues.okx.session import OkxSession

SYMBOL = "BTC-USDT-SWAP"
KEY = f"OKX_SWAP@{SYMBOL}"
L2 = Subscription("L2", "OKX_SWAP", SYMBOL)
TRADES = Subscription("TRADES", "OKX_SWAP", SYMBOL)


class Talk:
    """A session and its clock: every message comes a second after the one before."""

    def __init__(self, *subscriptions: Subscription, resume: Mapping[str, SeenTrades] | None = None, cause: str = "start") -> None:
        okx = OkxMarket("OKX_SWAP", {})
        self.session: OkxSession = okx.session(okx.links(subscriptions or (L2, TRADES))[0], cause, resume or {})
        self.now: int = BEGIN
        self.started: list[Output] = list(self.session.start(self.now))

    @property
    def counts(self) -> Counter[str]:
        return self.session.counts

    def hear(self, message: dict[str, Any] | str) -> list[Output]:
        self.now += SECOND
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        return list(self.session.receive(text.encode(), self.now))

    def wait(self, seconds: int) -> list[Output]:
        self.now += seconds * SECOND
        return list(self.session.idle(self.now))

    def book(self, previous: int | None, sequence: int | None, bids: str = "", asks: str = "", **more: Any) -> list[Output]:
        return self.hear(book_message(previous, sequence, bids, asks, **more))

    def trade(self, trade_id: int | str, **more: Any) -> list[Output]:
        row = {"instId": SYMBOL, "tradeId": str(trade_id), "px": "83725.9", "sz": "5", "side": "buy", "ts": "1791369350776"}
        return self.hear({"arg": {"channel": "trades", "instId": SYMBOL}, "data": [row | more]})

    def ack(self, channel: str) -> list[Output]:
        return self.hear({"event": "subscribe", "arg": {"channel": channel, "instId": SYMBOL}, "connId": "a"})


def levels(text: str) -> list[list[str]]:
    """ "10x1 11x2" -> wire levels."""
    return [[*level.split("x"), "0", "1"] for level in text.split()]


def book_message(previous: int | None, sequence: int | None, bids: str = "", asks: str = "", **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"asks": levels(asks), "bids": levels(bids), "ts": "1791369350776"}
    if sequence is not None:
        data |= {"checksum": 0, "prevSeqId": previous, "seqId": sequence}
    action = "snapshot" if previous == -1 else "update"
    return {"arg": {"channel": "books", "instId": SYMBOL}, "action": action, "data": [data | more]}


def live_talk() -> Talk:
    talk = Talk()
    talk.ack("trades")
    talk.ack("books")
    talk.book(-1, 10, "10x1 9x1", "11x1 12x1")
    return talk


def kinds(outputs: list[Output]) -> list[str]:
    return [output.state if isinstance(output, Coverage) else type(output).__name__ for output in outputs]
