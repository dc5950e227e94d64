"""Arrow tables of a run, from Python."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import xtrader
from tests.trading.days import recording, strategy_file
from xtrader.errors import ConfigError
from xtrader.trading.stats.run_tables import fills_table, pnl_table


def test_a_run_from_python_has_its_tables(tmp_path: Path) -> None:
    day = recording(tmp_path / "day", seconds=8)
    run = xtrader.trade(day, strategy=str(strategy_file(tmp_path)), runs=tmp_path / "runs")
    fills, orders, positions, pnl = (table.to_pylist() for table in (run.fills, run.orders, run.positions, run.pnl))
    assert len(fills) == run.report.fills > 0
    assert len(orders) == run.report.orders
    for row in positions:
        signed = [one["quantity"] * (1 if one["side"] == "buy" else -1) for one in fills if one["instrument"] == row["instrument"]]
        assert row["quantity"] == sum(signed)
    assert sum(row["filled"] for row in orders) == sum(row["quantity"] for row in fills)
    assert pnl[-1]["equity"] == pnl[0]["equity"] + pnl[-1]["pnl"]
    assert run.fills["ts"].type.tz == "UTC"


def test_no_rows_are_a_table_too() -> None:
    assert fills_table([]).num_rows == 0
    assert pnl_table([(1, None), (2, Decimal(1) / 3)]).to_pylist()[0]["equity"] is None


@pytest.mark.parametrize(
    ("options", "words"), [({"sed": 1}, "trade takes no 'sed'"), ({"mode": "paper"}, "from Python there is the mode replay")]
)
def test_what_it_does_not_take_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        xtrader.trade("x", strategy="simple_spread", **options)
