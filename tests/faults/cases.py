"""Every fault, with what it takes to make it happen: a name, and the faults for one venue's instrument."""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.emulator.faults import BOOKS_ONLY, KINDS, TRADES_ONLY, Fault, parse

SYMBOLS = {
    "BINANCE_SPOT": "BTCUSDT",
    "BINANCE_FUTURES": "BTCUSDT",
    "OKX_SWAP": "BTC-USDT-SWAP",
    "DERIBIT": "BTC-PERPETUAL",
    "BYBIT_LINEAR": "BTCUSDT",
}
SNAPSHOTS_BY_REST = ("BINANCE_SPOT", "BINANCE_FUTURES")

TOGETHER: dict[str, tuple[str, ...]] = {
    "several polite closes in a row": ("close_1001:L2:{target}:after=5,times=4,every=6",),
    "a second cut during the recovery": ("close_1006:L2:{target}:after=5,times=2",),
    "a cut, refused connections, then a cut handshake": (
        "close_1006:L2:{target}:after=5",
        "refuse:{exchange}:times=3,code=503",
        "abort_connect:{exchange}:times=2",
    ),
    "wrong route: acknowledged, then silence": ("close_1006:TRADES:{target}:after=5", "never_delivers:TRADES:{target}:times=2"),
    "a socket that dies while the venue stands still": (
        "freeze:L2:{target}:after=5,seconds=20",
        "half_open:L2:{target}:after=6",
    ),
    "crossings, and a cut before the resync": ("crossings:L2:{target}:after=5", "close_1006:L2:{target}:after=7"),
    "crossings that do not end for a while": ("crossings:L2:{target}:after=5,times=40",),
    "a loss in a crossed book": ("crossings:L2:{target}:after=5,times=4", "lost:L2:{target}:after=7"),
    "a loss while the resync is under way": ("lost:L2:{target}:after=5,times=3,every=2",),
}
"""Faults that make one story."""
SNAPSHOT_STORIES: dict[str, tuple[str, ...]] = {
    "several failed snapshots in a row": ("lost:L2:{target}:after=5", "rest_5xx:{exchange}:times=5"),
    "banned in the middle of a resync": (
        "lost:L2:{target}:after=5",
        "rest_429:{exchange}:times=2,seconds=3",
        "rest_418:{exchange}:seconds=20",
    ),
    "snapshots that are refused, as those of a new listing": (
        "lost:L2:{target}:after=5",
        "refused_snapshot:{exchange}@{symbol}:times=4",
    ),
    "a stale snapshot, then a slow one, while messages are lost": (
        "lost:L2:{target}:after=5,times=2,every=15",
        "stale_snapshot:{exchange}@{symbol}:times=2",
        "slow_snapshot:{exchange}@{symbol}:seconds=3",
    ),
}
"""Stories of venues whose books start from REST."""
STORIES = [*KINDS, *TOGETHER, *SNAPSHOT_STORIES]


def faults(story: str, exchange: str, cannot: frozenset[str]) -> list[Fault]:
    """The faults of a story at one exchange; none where it cannot happen."""
    symbol = SYMBOLS[exchange]
    target = f"{exchange}@{symbol}"
    templates: Sequence[str]
    if story in TOGETHER:
        templates = TOGETHER[story]
    elif story in SNAPSHOT_STORIES:
        templates = SNAPSHOT_STORIES[story] if exchange in SNAPSHOTS_BY_REST else ()
    elif story in cannot:
        templates = ()
    else:
        templates = _single(story, exchange in SNAPSHOTS_BY_REST)
    return [parse(template.format(exchange=exchange, symbol=symbol, target=target)) for template in templates]


def _single(kind: str, rest: bool) -> Sequence[str]:
    """One kind at a book and then at trades; one that strikes requests needs something that makes them."""
    match KINDS[kind].place:
        case "rest":
            # Only a probe asks where books start on the socket, and only a silence makes one.
            trigger = "lost:L2:{target}:after=5" if rest else "silent:L2:{target}:after=5"
            return (trigger, kind + ":{exchange}@{symbol}")
        case "connect":
            return ("close_1006:L2:{target}:after=5", kind + ":{exchange}:times=2")
        case "subscribe":
            stream = "TRADES" if kind in TRADES_ONLY else "L2"
            return (f"close_1006:{stream}:{{target}}:after=25", f"{kind}:{stream}:{{target}}")
    if kind in BOOKS_ONLY:
        return (kind + ":L2:{target}:after=5",)
    if kind in TRADES_ONLY:
        return (kind + ":TRADES:{target}:after=5",)
    return (kind + ":L2:{target}:after=5", kind + ":TRADES:{target}:after=12")
