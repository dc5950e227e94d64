"""A new strategy: its own test passes at once, and it trades."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trading.days import recording
from xtrader.errors import ConfigError
from xtrader.trading.app import TradeOptions, replay
from xtrader.trading.strategy_template import new_strategy


def test_a_new_strategy_passes_its_test_and_trades(tmp_path: Path) -> None:
    paths = new_strategy("my_maker", tmp_path / "mine")
    assert [path.name for path in paths] == ["my_maker.py", "my_maker.toml", "test_my_maker.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_my_maker.py"]
    done = subprocess.run(command, cwd=tmp_path / "mine", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    day = recording(tmp_path / "day", seconds=6)
    run = replay(TradeOptions(strategy=str(paths[0]), places=(str(day),), runs=tmp_path / "runs"))
    assert run.report.orders > 1


def test_it_sees_the_model_alone(tmp_path: Path) -> None:
    tree = ast.parse(new_strategy("one", tmp_path)[0].read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(module.startswith("xtrader.trading.model") for module in modules if module.startswith("xtrader"))


@pytest.mark.parametrize(("name", "words"), [("my-maker", "is no name of a strategy"), ("class", "is no name of a strategy")])
def test_a_name_that_is_none_is_one_sentence(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        new_strategy(name, tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        new_strategy("one", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["one.toml"]


def test_the_files_parameters_are_taken_and_checked(tmp_path: Path) -> None:
    day = recording(tmp_path / "day", seconds=3)
    path = new_strategy("one", tmp_path)[0]
    base = TradeOptions(strategy=str(path), places=(str(day),), runs=tmp_path / "runs", params={"away_bps": "7"})
    (tmp_path / "one.toml").write_text("size = 0.02\naway_bps = 9\n")
    found = replay(base)
    assert {str(row["quantity"]) for row in found.orders.to_pylist()} == {"0.020000000000000000"}
    for text, words in (
        ("sise = 1", "one.toml' sets 'sise', which is no parameter of one; did you mean size"),
        ("x", "are no TOML"),
    ):
        (tmp_path / "one.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            replay(base)
