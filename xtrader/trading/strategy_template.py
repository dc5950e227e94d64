"""A strategy to begin with: its file, its parameters and a test that passes at once."""

from __future__ import annotations

import keyword
from pathlib import Path

from xtrader.errors import ConfigError

CODE = '''"""{title}: quotes one bid and one ask a few ticks from the best prices. A beginning, not an edge."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from xtrader.trading.model.intents import Intent, cancel, cancel_all, new
from xtrader.trading.model.strategy import BookView, Intents, Strategy, StrategyContext


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What {name}.toml and --param may set."""

    size: Decimal = Decimal("0.01")
    away_bps: Decimal = Decimal(5)
    max_position: Decimal = Decimal("0.05")


class {title}(Strategy):
    Params = Params

    def on_quote(self, context: StrategyContext, book: BookView) -> Intents:
        key, mid = book.instrument, book.mid
        own = [order for order in context.orders if order.instrument == key]
        if mid is None:
            return [cancel(order.id, "no price") for order in own]
        intents: list[Intent] = []
        position = context.position(key)
        for side, sign in (("buy", -1), ("sell", 1)):
            price = book.round_price(mid * (1 + sign * context.params.away_bps / 10_000), side)
            mine = [order for order in own if order.side == side]
            moved = [order for order in mine if order.ticks is None or book.price(order.ticks) != price]
            intents += [cancel(order.id, "the market moved") for order in moved]
            if not mine and -sign * position < context.params.max_position:
                intents.append(new(side, key, context.params.size, price, post_only=True, reason="quote"))
        return intents

    def on_disconnect(self, context: StrategyContext, instrument: str) -> Intents:
        return [cancel_all(instrument, "the book was lost")]
'''
PARAMS = """# Parameters of {name}: xtrader trade --strategy {name}.py takes them from here; --param NAME=VALUE goes before.
size = 0.01
away_bps = 5
max_position = 0.05
"""
TEST = '''"""What {name} does, by literals: pytest test_{name}.py"""

from decimal import Decimal
from types import SimpleNamespace

from {name} import Params, {title}


def market(mid):
    def round_price(price, side):
        return price.quantize(Decimal("0.1"))

    def price(ticks):
        return Decimal(ticks) / 10

    book = SimpleNamespace(instrument="EXCHANGE@BTCUSDT", mid=mid, round_price=round_price, price=price)
    return SimpleNamespace(orders=[], params=Params(), position=lambda key: Decimal(0)), book


def test_it_quotes_both_sides_of_the_mid():
    context, book = market(Decimal("1000.0"))
    bid, ask = {title}().on_quote(context, book)
    assert (bid.side, bid.price, ask.side, ask.price) == ("buy", Decimal("999.5"), "sell", Decimal("1000.5"))
    assert bid.is_post_only and ask.is_post_only


def test_it_takes_its_quotes_back_without_a_price():
    context, book = market(None)
    context.orders = [SimpleNamespace(id=7, instrument=book.instrument, side="buy", ticks=9995)]
    assert [(intent.kind, intent.order_id) for intent in {title}().on_quote(context, book)] == [("CANCEL", 7)]
'''


def new_strategy(name: str, directory: Path) -> list[Path]:
    """Write NAME.py, NAME.toml and test_NAME.py; returns them. Raises ConfigError for a name that is none, or a file that is there
    already, OSError."""
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise ConfigError(f"'{name}' is no name of a strategy: give letters, digits and underscores, such as my_maker")
    title = "".join(part.capitalize() for part in name.split("_")) or "Strategy"
    files = {f"{name}.py": CODE, f"{name}.toml": PARAMS, f"test_{name}.py": TEST}
    paths = [directory / file for file in files]
    for path in paths:
        if path.exists():
            raise ConfigError(f"'{path}' is there already: give another name")
    directory.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text.replace("{name}", name).replace("{title}", title), encoding="utf-8")
    return paths
