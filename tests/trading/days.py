"""Recordings to trade, made by formula through the real journal and files."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tests.store.recordings import record
from tests.trading.market import KEY, MILLISECOND, OTHER, SECOND, START, instrument, live, snapshot, trade, update
from xtrader.model.market import Coverage, Record

STRATEGY = """
from decimal import Decimal
import msgspec
from xtrader.trading.model.intents import cancel_all, new
from xtrader.trading.model.strategy import Strategy

class Params(msgspec.Struct, forbid_unknown_fields=True):
    size: Decimal = Decimal("0.5")

class Follower(Strategy):
    Params = Params

    def __init__(self):
        self.count = 0

    def on_start(self, context):
        context.timer(1.0, "tidy")

    def on_quote(self, context, book):
        self.count += 1
        if self.count % 3 or book.mid is None:
            return []
        side = "buy" if context.position(book.instrument) <= 0 else "sell"
        price = book.bid if side == "buy" else book.ask
        return [new(side, book.instrument, context.params.size, price, reason="follow")]

    def on_timer(self, context, name):
        context.timer(1.0, name)
        return [cancel_all(reason=name)]
"""


def walk(seconds: int = 20, keys: tuple[str, ...] = (KEY, OTHER), seed: int = 1, gap: bool = True) -> Iterator[Record]:
    """Books that wander, trades at their best prices, and a gap of a second in the middle."""
    chance = random.Random(seed)
    for key in keys:
        yield instrument(key, base=key.split("@")[1].split("-")[0])
        yield live(key)
        yield live(key, stream="TRADES")
        yield snapshot(START, key=key)
    bids = dict.fromkeys(keys, 1000)
    number = 0
    for step in range(1, seconds * 50):
        now = START + step * 20 * MILLISECOND
        if gap and step == seconds * 25:
            lost, back = now, now + SECOND
            yield Coverage(keys[0], "L2", "live", "start", START, lost)
            yield Coverage(keys[0], "L2", "gap", "disconnect", lost, None)
            yield Coverage(keys[0], "L2", "gap", "disconnect", lost, back)
            yield Coverage(keys[0], "L2", "live", "start", back, None)
            yield snapshot(back, bids[keys[0]] / 10, bids[keys[0]] / 10 + 0.2, key=keys[0], levels=30)
        for key in keys:
            if gap and key == keys[0] and seconds * 25 <= step <= seconds * 25 + 50:
                continue
            bid = bids[key]
            if chance.random() < 0.4:
                moved = bid + chance.choice((-1, 1))
                # Going up, the ask that becomes the bid is gone, and the other way round.
                gone_bids = [(bid / 10, 0.0)] if moved < bid else []
                gone_asks = [((bid + 2) / 10, 0.0)] if moved > bid else []
                bids[key] = bid = moved
                levels = (
                    [(bid / 10, float(chance.randrange(1, 900)) / 100)],
                    [((bid + 2) / 10, float(chance.randrange(1, 900)) / 100)],
                )
                yield update(now, [*gone_bids, *levels[0]], [*gone_asks, *levels[1]], key=key, event=now - 5 * MILLISECOND)
            number += 1
            side = chance.choice(("buy", "sell"))
            price = (bid + 2) / 10 if side == "buy" else bid / 10
            yield trade(now, price, chance.randrange(1, 400) / 100, side, key=key, event=now - 6 * MILLISECOND, id=str(number))


def recording(directory: Path, **facts: object) -> Path:
    """A recording of `walk`."""
    return record(directory, walk(**facts), rotate_seconds=5)  # type: ignore[arg-type]


def strategy_file(directory: Path, text: str = STRATEGY) -> Path:
    path = directory / "follower.py"
    path.write_text(text)
    return path
