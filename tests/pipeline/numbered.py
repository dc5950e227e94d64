"""Records by formula, each with a number of its own: what a process that must start fast records."""

from __future__ import annotations

from collections.abc import Iterator

from xtrader.model.market import SIDES, BookUpdate, Record, Trade

DAY_START = 1_795_219_200_000_000_000
"""2026-11-21T00:00:00Z."""
KEYS = ("OKX_SWAP@BTC-USDT-SWAP", "DERIBIT@BTC-27NOV26-100000-C", "BINANCE_SPOT@币安人生USDT", "OKX_SPOT@a/b%20=c d")


def update(number: int, key: str = KEYS[0], ts_recv: int | None = None) -> BookUpdate:
    """The book message with this number: every number makes another one."""
    ts = DAY_START + number * 1_000_000 if ts_recv is None else ts_recv
    bids = [(60_000.0 - place / 10, float(number + place)) for place in range(number % 4)]
    asks = [(60_001.0 + place / 10, float(number + place)) for place in range(number % 3)]
    return BookUpdate(key, number % 50 == 0, bids, asks, number, number - 1 if number % 50 else None, ts - 5, ts)


def trade(number: int, key: str = KEYS[0], ts_recv: int | None = None) -> Trade:
    ts = DAY_START + number * 1_000_000 if ts_recv is None else ts_recv
    return Trade(key, str(number), SIDES[number % 3], 60_000.0 + number, 0.5, ts - 5, ts)


def load(count: int, instruments: int = 1) -> Iterator[Record]:
    """Half book messages, half trades, spread over instruments."""
    for number in range(count):
        key = f"OKX_SWAP@SYM{number % instruments}-USDT-SWAP"
        yield update(number, key) if number % 2 else trade(number, key)
