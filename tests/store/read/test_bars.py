"""Bars are what SQL over the same trades says."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

import xtrader
from tests.store.recordings import SECOND, START, record
from xtrader.model.market import Trade

KEY = "OKX_SWAP@BTC-USDT-SWAP"
QUERY = """
SELECT ts_recv // {every} * {every} AS ts, first(price ORDER BY number), max(price), min(price), last(price ORDER BY number),
    sum(size), sum(price * size) / sum(size), count(*),
    coalesce(sum(size) FILTER (side = 'buy'), 0), coalesce(sum(size) FILTER (side = 'sell'), 0)
FROM trades GROUP BY 1 ORDER BY 1
"""


def trades(count: int, seed: int) -> list[Trade]:
    rng = random.Random(seed)
    ts = START
    found = []
    for number in range(count):
        ts += int(rng.expovariate(3) * SECOND)
        price, size = round(60_000 + rng.gauss(0, 50), 1), rng.randrange(1, 1000) / 8
        found.append(Trade(KEY, str(number), rng.choice(("buy", "sell", "unknown")), price, size, None, ts))
    return found


@pytest.mark.parametrize("every", [1, 7, 60])
@pytest.mark.parametrize("rotate", [11.0, 900.0])
def test_bars_are_what_sql_makes_of_the_trades(tmp_path: Path, every: int, rotate: float) -> None:
    written = trades(1001, every)
    data = xtrader.open(record(tmp_path, written, rotate_seconds=rotate))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE trades (number INT, side VARCHAR, price DOUBLE, size DOUBLE, ts_recv BIGINT)")
        rows = [(number, one.side, one.price, one.size, one.ts_recv) for number, one in enumerate(written)]
        connection.executemany("INSERT INTO trades VALUES (?, ?, ?, ?, ?)", rows[:1000])
        found = data.bars(KEY, every=f"{every}s", end=written[1000].ts_recv).to_arrow()
        expected = connection.execute(QUERY.format(every=every * SECOND)).fetchall()
    found = found.set_column(0, "ts", found["ts"].cast("int64"))
    for row, true in zip(found.to_pylist(), expected, strict=True):
        assert list(row.values()) == pytest.approx(list(true), rel=1e-12)
        assert list(row.values())[:5] == list(true)[:5]


def test_a_bar_of_trades_without_size_has_no_average_and_a_quiet_one_is_not_there(tmp_path: Path) -> None:
    written = [Trade(KEY, str(n), "buy", 5.0, 0.0, None, START + n * 10 * SECOND) for n in range(2)]
    found = xtrader.open(record(tmp_path, written)).bars(KEY, every="1s").to_arrow()
    assert found["vwap"].to_pylist() == [None, None]
    assert found["ts"].cast("int64").to_pylist() == [START, START + 10 * SECOND]
