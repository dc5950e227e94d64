"""Generated venue traffic, reproducible by its seed: what the benchmark's server replays, and the book that must come out."""

from __future__ import annotations

import random
from dataclasses import dataclass

MID = 61_660.0
TICKS = 400
"""Levels live within so many ticks of the middle."""


@dataclass(frozen=True)
class Traffic:
    """One venue's traffic: wire frames per connection route, REST answers by path, and what must be recorded."""

    exchange: str
    subscriptions: str
    routes: dict[str, list[bytes]]
    """Path that the client connects to -> payloads in order, to be sent once it has subscribed."""
    answers: dict[str, bytes]
    messages: int
    levels: int
    bids: dict[float, float]
    asks: dict[float, float]


def _levels(noise: random.Random, n: int, sign: int, book: dict[float, float]) -> list[tuple[str, str]]:
    rows = {}
    for _ in range(n):
        price = round(MID + sign * noise.randint(1, TICKS) * 0.1, 1)
        size = 0.0 if noise.random() < 0.25 else round(noise.uniform(0.001, 20), 3)
        rows[price] = size
        if size:
            book[price] = size
        else:
            book.pop(price, None)
    return [(f"{price:.2f}", f"{size:.3f}") for price, size in rows.items()]


def _pairs(levels: list[tuple[str, str]], tail: str = "") -> str:
    return ",".join(f'["{price}","{size}"{tail}]' for price, size in levels)


def binance(depths: int, seed: int = 7) -> Traffic:
    """USD-M: `depths` deltas of 33 levels, and as many aggregated trades on the other route."""
    noise = random.Random(seed)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    first_bids, first_asks = _levels(noise, 300, -1, bids), _levels(noise, 300, +1, asks)
    last = 5_123_107_852_948
    snapshot = (
        f'{{"lastUpdateId":{last},"E":1786541223000,"T":1786541223000,"bids":[{_pairs(first_bids)}],"asks":[{_pairs(first_asks)}]}}'
    )
    levels = len(first_bids) + len(first_asks)
    book, tape = [], []
    for i in range(depths):
        first, final = last if i == 0 else last + noise.randint(1, 40), last + noise.randint(50, 500)
        b, a = _levels(noise, 17, -1, bids), _levels(noise, 16, +1, asks)
        levels += len(b) + len(a)
        now = 1_786_541_223_421 + i
        book.append(
            f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{now},"T":{now - 2},"s":"BTCUSDT","ps":"BTCUSDT",'
            f'"U":{first},"u":{final},"pu":{last},"b":[{_pairs(b)}],"a":[{_pairs(a)}],"st":1}}}}'.encode()
        )
        price, size, sold = MID + noise.randint(-9, 9) / 10, noise.uniform(0.001, 3), "true" if i % 2 else "false"
        tape.append(
            f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{now},"a":{87_353_269 + i},"s":"BTCUSDT","p":"{price:.2f}",'
            f'"q":"{size:.3f}","nq":"0.001","f":{126_903_004 + i},"l":{126_903_004 + i},"T":{now},"m":{sold},"st":1}}}}'.encode()
        )
        last = final
    return Traffic(
        "BINANCE_FUTURES",
        "L2:BINANCE_FUTURES@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT",
        {"/public/stream": book, "/market/stream": tape},
        {"/fapi/v1/depth": snapshot.encode()},
        2 * depths,
        levels,
        bids,
        asks,
    )


def okx(deltas: int, seed: int = 7) -> Traffic:
    """OKX swap: `deltas` book messages of 9 levels."""
    noise = random.Random(seed)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    last = 344_430_848_984
    book = []
    levels = 0
    for i in range(deltas + 1):
        many = 300 if i == 0 else 5
        b, a = _levels(noise, many, -1, bids), _levels(noise, many if i == 0 else 4, +1, asks)
        levels += len(b) + len(a)
        following = last + noise.randint(1, 300)
        tail = ',"0","4"'
        action, previous = ("snapshot", -1) if i == 0 else ("update", last)
        head = f'{{"arg":{{"channel":"books","instId":"BTC-USDT-SWAP"}},"action":"{action}","data":[{{'
        chain = f'"ts":"{1_791_369_350_776 + i}","checksum":0,"seqId":{following},"prevSeqId":{previous}'
        book.append(f'{head}"asks":[{_pairs(a, tail)}],"bids":[{_pairs(b, tail)}],{chain}}}]}}'.encode())
        last = following
    return Traffic("OKX_SWAP", "L2:OKX_SWAP@BTC-USDT-SWAP", {"/ws/v5/public": book}, {}, deltas + 1, levels, bids, asks)
