"""Strategies from files: found, or refused in one sentence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from xtrader.errors import ConfigError
from xtrader.trading.strategy_files import load_strategy, parameters

CLASS = """
import msgspec
from xtrader.trading.model.strategy import Strategy
class P(msgspec.Struct, forbid_unknown_fields=True):
    size: float = 1.0
class Mine(Strategy):
    Params = P
    def on_quote(self, context, book):
        return []
"""


def test_the_shipped_one_is_found_by_name_with_its_parameters() -> None:
    found = load_strategy("simple_spread")
    assert len(found.digest) == 64
    params = parameters(found, {"order_size": "0.2", "spread_bps": 7}, "test")
    assert (params.order_size, params.spread_bps, params.skew_bps) == (Decimal("0.2"), 7, 5)


def test_a_class_or_a_function_of_a_file_is_a_strategy(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CLASS)
    found = load_strategy(str(path))
    assert (found.name, type(found.make()).__name__) == ("mine", "Mine")
    assert parameters(found, {"size": "2.5"}, "test").size == 2.5
    path.write_text("def on_tick(context):\n    return []\n")
    assert load_strategy(str(path)).make()(None) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_at_all\n", r"cannot be imported: ModuleNotFoundError: .*nowhere_at_all.* \(line 1\)"),
        ("x = 1\nfor\n", r"cannot be imported: SyntaxError: .*\(line 2\)"),
        ("x = 1\n", "has no strategy: it needs one class with callbacks such as on_quote, or a function on_tick"),
        ("class A:\n    def on_qoute(self): ...\n", "it has on_qoute, the callbacks are on_start"),
        ("class A:\n    def on_quote(self): ...\nclass B:\n    def on_quote(self): ...\n", "has 2 classes of strategies: A, B"),
        ("class A:\n    Params = 3\n    def on_quote(self): ...\n", "has Params that are no msgspec.Struct"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_strategy(str(path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("simple_spred", "did you mean simple_spread"),
        ("zzz", "shipped are simple_spread"),
        ("none.py", "cannot be read: No such file"),
    ],
)
def test_a_name_that_is_none_is_one_sentence(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_strategy(name)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"order_sise": 1}, "x sets 'order_sise', which is no parameter of simple_spread; did you mean order_size"),
        ({"order_size": "much"}, "x has a parameter of simple_spread that cannot be used"),
    ],
)
def test_a_parameter_that_is_none_is_one_sentence(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parameters(load_strategy("simple_spread"), given, "x")
