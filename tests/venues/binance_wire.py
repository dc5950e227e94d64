"""Binance's wire text, written by hand for tests that need one particular thing to happen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output, Send
from xtrader.venues.binance.session import BinanceSession
from xtrader.venues.machine.trades import SeenTrades

S = 1_000_000_000
LEVELS = ([["10", "1"]], [["11", "1"]])


def session_of(exchange: str, *wanted: str, cause: str = "start", resume: dict[str, SeenTrades] | None = None) -> BinanceSession:
    """A session for `STREAM SYMBOL` texts."""
    subscriptions = tuple(Subscription(text.split()[0], exchange, text.split()[1]) for text in wanted)
    made = market(exchange, {}).session(Link(exchange, "test", "", subscriptions), cause, resume or {})
    assert isinstance(made, BinanceSession)
    return made


def spot() -> BinanceSession:
    """A session for one book of the spot market."""
    return session_of("BINANCE_SPOT", "L2 BTCUSDT")


def depth(
    symbol: str,
    first: int,
    last: int,
    previous: int | None = None,
    bids: Sequence[Sequence[str]] = (),
    asks: Sequence[Sequence[str]] = (),
) -> bytes:
    """A depth event in its envelope; with `previous` (pu) and T it is a futures one."""
    data: dict[str, object] = {"e": "depthUpdate", "E": 1000, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    if previous is not None:
        data |= {"pu": previous, "T": 900}
    return framed(f"{symbol.lower()}@depth@100ms", data)


def trade(symbol: str, number: int, ts: int = 1000, **changed: object) -> bytes:
    data = {"e": "trade", "E": ts, "s": symbol, "t": number, "p": "10.5", "q": "2", "T": ts, "m": False}
    return framed(f"{symbol.lower()}@trade", data | changed)


def aggregate(symbol: str, number: int, first: int, last: int, ts: int = 1000, **changed: object) -> bytes:
    data = {"e": "aggTrade", "E": ts, "s": symbol, "a": number, "p": "10.5", "q": "2", "f": first, "l": last, "T": ts, "m": True}
    return framed(f"{symbol.lower()}@aggTrade", data | changed)


def framed(stream: str, data: object) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def book(number: int, bids: object = LEVELS[0], asks: object = LEVELS[1]) -> bytes:
    """A REST snapshot."""
    return json.dumps({"lastUpdateId": number, "bids": bids, "asks": asks}).encode()


def ack(number: int) -> bytes:
    return b'{"result":null,"id":%d}' % number


def fetches(out: Iterable[Output]) -> list[Fetch]:
    return [item for item in out if isinstance(item, Fetch)]


def sends(out: Iterable[Output]) -> list[dict[str, object]]:
    return [json.loads(item.payload) for item in out if isinstance(item, Send)]


def covers(out: Iterable[Output]) -> list[tuple[str, str, int, int | None, str]]:
    """Coverage rows as (state, cause, from, to, detail)."""
    return [(c.state, c.cause, c.ts_from, c.ts_to, c.detail) for c in out if isinstance(c, Coverage)]


def updates(out: Iterable[Output]) -> list[tuple[bool, int | None, int | None, int]]:
    """Book updates as (is_snapshot, prev_sequence, sequence, ts_recv)."""
    return [(u.is_snapshot, u.prev_sequence, u.sequence, u.ts_recv) for u in out if isinstance(u, BookUpdate)]


def trades(out: Iterable[Output]) -> list[Trade]:
    return [item for item in out if isinstance(item, Trade)]
