"""What several collectors recorded of one venue, by formula: the venue's own truth, and what each collector saw of it, and when."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.store.recordings import START, record
from xtrader.clock import SECOND
from xtrader.feed.coverage import CoverageTracker
from xtrader.model.market import BookUpdate, Coverage, Record, Trade

KEY = "OKX_SWAP@BTC-USDT-SWAP"
STEP = SECOND // 10
BEGIN = START + 86_400 * SECOND - 300 * STEP
"""Midnight is at step 300, when the first recorder usually stops."""
Levels = list[tuple[float, float]]


class Life(NamedTuple):
    """A stretch of a collector's life: it has the venue's steps [first, last), and then stops, or loses its connection. Messages
    come `late` ns after the venue made them; every `size` changes are one message."""

    first: int
    last: int
    late: int = 0
    size: int = 1
    cause: str = "shutdown"


def changes(step: int) -> tuple[Levels, Levels]:
    """What the venue changes in its book at a step."""
    chance = random.Random(step)
    bids = [(float(price), float(chance.randint(0, 3))) for price in chance.sample(range(980, 1000), 2)]
    asks = [(float(price), float(chance.randint(0, 3))) for price in chance.sample(range(1001, 1020), 2)]
    return bids, asks


def book(step: int) -> tuple[dict[float, float], dict[float, float]]:
    """The venue's book after a step."""
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for one in range(step + 1):
        for side, levels in zip(sides, changes(one), strict=True):
            for price, size in levels:
                side[price] = size
                if not size:
                    del side[price]
    return sides


def records(lives: Sequence[Life], numbered: bool = True, key: str = KEY) -> Iterator[Record]:
    """What a collector writes in these lives."""
    tracker = CoverageTracker()
    for life in lives:
        ts = at(life.first) + life.late
        for stream in ("L2", "TRADES"):
            yield from tracker.rows(Coverage(key, stream, "syncing", "start", ts - 1, None))
        bids, asks = (sorted(side.items()) for side in book(life.first))
        last = number(life.first) if numbered else None
        yield BookUpdate(key, True, bids, asks, last, None, None, ts)
        for stream in ("L2", "TRADES"):
            yield from tracker.rows(Coverage(key, stream, "live", "start", ts, None))
        for step in range(life.first + 1, life.last):
            ts = at(step) + life.late
            yield Trade(key, str(step), "buy", 1000.5, 0.25, at(step), ts)
            if (step - life.first) % life.size == 0:
                levels = [changes(one) for one in range(step - life.size + 1, step + 1)]
                sides = [list({price: size for one in levels for price, size in one[side]}.items()) for side in range(2)]
                before, last = last, number(step) if numbered else None
                yield BookUpdate(key, False, *sides, last, before, at(step), ts)
        for stream in ("L2", "TRADES"):
            yield from tracker.rows(Coverage(key, stream, "gap", life.cause, ts, None))


def drawn(chance: random.Random) -> dict[str, list[Life]]:
    """Two or three collectors, each with some lives."""
    collectors = {}
    for name in ("c0", "c1", "c2")[: chance.choice([2, 2, 3])]:
        lives: list[Life] = []
        first, size = chance.randrange(300), chance.choice([1, 1, 2, 3])
        for _ in range(chance.choice([1, 1, 2, 3])):
            last = min(first + chance.randrange(5, 300), 600)
            if last - first > 2:
                late = chance.choice([0, 0, 1_000_000, 70_000_000, 350_000_000])
                lives.append(Life(first, last, late, size, chance.choice(["shutdown", "disconnect"])))
            first = last + chance.randrange(5, 80)
        collectors[name] = lives
    return collectors


def steps(*collectors: Sequence[Life]) -> set[int]:
    """The steps whose trade and change any of them received."""
    return {step for lives in collectors for life in lives for step in range(life.first + 1, life.last)}


def number(step: int) -> int:
    """The venue's number of a change."""
    return 1000 + 3 * step


def at(step: int) -> int:
    """When the venue makes it, int ns."""
    return BEGIN + step * STEP


def recorded(directory: Path, numbered: bool = True, seconds: float = 5, **collectors: Sequence[Life]) -> Path:
    """Recordings of several collectors in one directory, in parts of so many seconds."""
    for name, lives in collectors.items():
        record(directory, records(lives, numbered), name, seconds)
    return directory
