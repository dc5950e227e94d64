"""Generated venue traffic, reproducible by its seed: what the benchmark's server replays, and the book that must come out.

The rule: a level is only taken away if it is there, so that every contender has the same levels to hand on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import listings

MID = 61_660.0
TICKS = 400
"""Levels live within so many ticks of the middle."""
DEPTH_LEVELS = 33
"""Levels of one Binance depth message: what USD-M's busiest symbols send."""

BOOK, TRADES = "book", "trades"


@dataclass(frozen=True)
class Traffic:
    """One venue's traffic: wire frames by channel in their order, REST answers, and what must be recorded."""

    name: str
    exchange: str
    subscriptions: str
    frames: list[tuple[str, bytes]]
    """(channel, payload), channel is `book` or `trades`; sent once the client has subscribed to every channel."""
    answers: dict[str, bytes]
    """Body by path, or by path with the query that it needs."""
    books: int
    """Book messages that must be handed on, snapshots included (also one that comes by REST)."""
    trades: int
    levels: int
    bids: dict[float, float]
    asks: dict[float, float]
    snapshot_path: str = ""
    """REST path of the book's snapshot; the frames wait until it was asked for. Empty where the stream begins with one."""

    @property
    def messages(self) -> int:
        """Frames on the sockets."""
        return len(self.frames)

    @property
    def channels(self) -> set[str]:
        return {channel for channel, _ in self.frames}


@dataclass
class Market:
    """A book that changes at random."""

    noise: random.Random
    mid: float = MID
    tick: float = 0.1
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    levels: int = 0

    def change(self, bids: int, asks: int, size: Callable[[], float]) -> tuple[dict[float, float], dict[float, float]]:
        """Set about so many levels a side, every fourth to nothing if it is there: ({price: size} of bids, of asks)."""
        changed = self._side(self.bids, bids, -1, size), self._side(self.asks, asks, +1, size)
        self.levels += len(changed[0]) + len(changed[1])
        return changed

    def _side(self, book: dict[float, float], count: int, sign: int, size: Callable[[], float]) -> dict[float, float]:
        rows: dict[float, float] = {}
        for _ in range(count):
            price = round(self.mid + sign * self.noise.randint(1, TICKS) * self.tick, 1)
            if price in rows:
                continue
            if price in book and self.noise.random() < 0.25:
                rows[price] = 0.0
                del book[price]
            else:
                rows[price] = book[price] = size()
        return rows


def _pairs(levels: dict[float, float]) -> str:
    return ",".join(f'["{price:.2f}","{size:.3f}"]' for price, size in levels.items())


def binance(depths: int, seed: int = 7, levels: int = DEPTH_LEVELS, symbol: str = "BTCUSDT") -> Traffic:
    """USD-M: `depths` deltas of about `levels` levels, and as many aggregated trades."""
    noise = random.Random(seed)
    market = Market(noise)

    def size() -> float:
        return round(noise.uniform(0.001, 20), 3)

    first_bids, first_asks = market.change(300, 300, size)
    last = 5_123_107_852_948
    snapshot = (
        f'{{"lastUpdateId":{last},"E":1786541223000,"T":1786541223000,"bids":[{_pairs(first_bids)}],"asks":[{_pairs(first_asks)}]}}'
    )
    stream = symbol.lower()
    frames = []
    for i in range(depths):
        first, final = last if i == 0 else last + noise.randint(1, 40), last + noise.randint(50, 500)
        b, a = market.change(levels - levels // 2, levels // 2, size)
        now = 1_786_541_223_421 + i
        depth = (
            f'{{"stream":"{stream}@depth@100ms","data":{{"e":"depthUpdate","E":{now},"T":{now - 2},"s":"{symbol}","ps":"{symbol}",'
            f'"U":{first},"u":{final},"pu":{last},"b":[{_pairs(b)}],"a":[{_pairs(a)}],"st":1}}}}'
        )
        price, amount, sold = MID + noise.randint(-9, 9) / 10, noise.uniform(0.001, 3), "true" if i % 2 else "false"
        trade = (
            f'{{"stream":"{stream}@aggTrade","data":{{"e":"aggTrade","E":{now},"a":{87_353_269 + i},"s":"{symbol}",'
            f'"p":"{price:.2f}","q":"{amount:.3f}","nq":"0.001","f":{126_903_004 + i},"l":{126_903_004 + i},'
            f'"T":{now},"m":{sold},"st":1}}}}'
        )
        frames += [(BOOK, depth.encode()), (TRADES, trade.encode())]
        last = final
    return Traffic(
        name="Binance mix",
        exchange="BINANCE_FUTURES",
        subscriptions=f"L2:BINANCE_FUTURES@{symbol},TRADES:BINANCE_FUTURES@{symbol}",
        frames=frames,
        answers={"/fapi/v1/depth": snapshot.encode(), **listings.BINANCE},
        books=depths + 1,
        trades=depths,
        levels=market.levels,
        bids=market.bids,
        asks=market.asks,
        snapshot_path="/fapi/v1/depth",
    )


def okx(deltas: int, seed: int = 7, levels: int = 9) -> Traffic:
    """OKX swap: a snapshot and `deltas` book messages of about `levels` levels."""
    noise = random.Random(seed)
    market = Market(noise)
    last = 344_430_848_984
    frames = []
    for i in range(deltas + 1):
        many = (300, 300) if i == 0 else (levels - levels // 2, levels // 2)
        b, a = market.change(*many, lambda: round(noise.uniform(0.01, 1999), 2))
        following = last + noise.randint(1, 300)
        texts = [",".join(f'["{price:.1f}","{size:g}","0","4"]' for price, size in side.items()) for side in (a, b)]
        action, previous = ("snapshot", -1) if i == 0 else ("update", last)
        head = f'{{"arg":{{"channel":"books","instId":"BTC-USDT-SWAP"}},"action":"{action}","data":[{{'
        chain = f'"ts":"{1_791_369_350_776 + i}","checksum":0,"seqId":{following},"prevSeqId":{previous}'
        frames.append((BOOK, f'{head}"asks":[{texts[0]}],"bids":[{texts[1]}],{chain}}}]}}'.encode()))
        last = following
    return Traffic(
        name="OKX books",
        exchange="OKX_SWAP",
        subscriptions="L2:OKX_SWAP@BTC-USDT-SWAP",
        frames=frames,
        answers=listings.OKX,
        books=deltas + 1,
        trades=0,
        levels=market.levels,
        bids=market.bids,
        asks=market.asks,
    )


def deribit(deltas: int, seed: int = 7, levels: int = 9) -> Traffic:
    """Deribit: a snapshot and `deltas` changes of about `levels` levels, as JSON numbers."""
    noise = random.Random(seed)
    market = Market(noise, tick=0.5)
    last = 77_146_000_000
    frames = []
    for i in range(deltas + 1):
        many = (300, 300) if i == 0 else (levels - levels // 2, levels // 2)
        before = market.bids.keys() | market.asks.keys()
        changed = market.change(*many, lambda: noise.randint(1, 5000) * 10.0)
        bids, asks = (
            [["delete" if not size else "change" if price in before else "new", price, size] for price, size in side.items()]
            for side in changed
        )
        following = last + noise.randint(1, 30)
        data = {"type": "change", "timestamp": 1_791_369_350_776 + i, "prev_change_id": last, "instrument_name": "BTC-PERPETUAL"}
        if i == 0:
            del data["prev_change_id"]
            data["type"] = "snapshot"
        data |= {"change_id": following, "bids": bids, "asks": asks}
        push = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "book.BTC-PERPETUAL.100ms", "data": data}}
        frames.append((BOOK, json.dumps(push, separators=(",", ":")).encode()))
        last = following
    return Traffic(
        name="Deribit books",
        exchange="DERIBIT",
        subscriptions="L2:DERIBIT@BTC-PERPETUAL",
        frames=frames,
        answers=listings.DERIBIT,
        books=deltas + 1,
        trades=0,
        levels=market.levels,
        bids=market.bids,
        asks=market.asks,
    )
