"""Trades of two connections that waited for each other over midnight: every reader has them in the order in which they were stored,
and what really is out of order is still damage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import xtrader
from tests.pipeline.parts import part_paths
from tests.store.recordings import SECOND, instrument, record
from xtrader.clock import MILLISECOND
from xtrader.feed.coverage import CoverageTracker
from xtrader.feed.redundant import Redundant
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.model.subscription import Subscription
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.mend.repair import repair
from xtrader.store.prove.verify import verify
from xtrader.store.prove.verify_parts import date_differs
from xtrader.venues import rules

MIDNIGHT = 1_790_035_200 * SECOND
"""2026-09-22T00:00:00Z."""
ONE = Subscription("TRADES", "BINANCE_SPOT", "BTCUSDT")
Heard = tuple[int, int, int]
"""(connection, number, milliseconds after midnight)"""
STORIES: dict[str, Sequence[Heard]] = {
    "one": [(0, 10, -900), (1, 12, -200), (0, 11, 50), (0, 12, 60), (0, 13, 300), (1, 13, 310)],
    "several": [(0, 10, -900), (1, 12, -200), (1, 13, -100), (1, 14, 10), (0, 11, 50), (0, 12, 60), (0, 15, 300)],
    "and is given up": [(0, 10, -900), (1, 12, -200), (0, 11, 5000), (0, 12, 5010), (0, 13, 5300), (1, 13, 5310)],
    "not at all": [(0, 10, -900), (0, 11, -10), (0, 12, 10), (1, 12, 11), (1, 13, 300)],
}


def a_trade(number: int, ms: int) -> Trade:
    ts = MIDNIGHT + ms * MILLISECOND
    return Trade(ONE.key, str(number), "buy", 1.0, 1.0, MIDNIGHT - SECOND, ts, number)


def covered(rows: Sequence[Trade | BookUpdate | Coverage]) -> list[Record]:
    """What a recorder hands to its sink."""
    tracker = CoverageTracker()
    found: list[Record] = [instrument(ONE.exchange, ONE.instrument, "BTCUSDT", MIDNIGHT - SECOND)]
    for row in rows:
        found += tracker.rows(row) if isinstance(row, Coverage) else [row]
    return found


LOST, BACK = -1, -2
"""In the place of a number: the connection is lost then, or there again."""


def told(story: Sequence[Heard]) -> list[Record]:
    out: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([ONE], [lambda key: None, lambda key: None], out.append)
    for number in (0, 1):
        merged.take(number, Coverage(ONE.key, "TRADES", "live", "start", MIDNIGHT - SECOND, None))
    for connection, number, ms in story:
        ts = MIDNIGHT + ms * MILLISECOND
        if number in (LOST, BACK):
            merged.take(connection, Coverage(ONE.key, "TRADES", "gap" if number == LOST else "live", "disconnect", ts, None))
        else:
            merged.take(connection, a_trade(number, ms))
    for number in (0, 1):
        merged.take(number, Coverage(ONE.key, "TRADES", "gap", "shutdown", MIDNIGHT + story[-1][2] * MILLISECOND, None))
    return covered(out)


def answers(directory: Path) -> dict[str, Any]:
    report = verify(directory, rules, 1)
    return {
        "verify": (report.exit_code, [one.what for one in report.findings]),
        "days": [(day.date, day.messages, day.live) for day in report.days],
        "trades": [int(one) for one in pa.table(xtrader.open(directory).trades())["trade_id"].to_pylist()],
    }


@pytest.mark.parametrize("fate", ["as it was written", "merged", "coverage made again"])
@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
def test_what_waited_over_midnight_is_no_damage_to_any_reader(story: Sequence[Heard], fate: str, tmp_path: Path) -> None:
    records = told(story)
    stored = [int(one.trade_id) for one in records if isinstance(one, Trade)]
    directory = record(tmp_path, records)
    if fate == "merged":
        compact(directory, 24 * HOUR)
    if fate == "coverage made again":
        for path in (directory / "stream=COVERAGE").rglob("*.parquet"):
            path.unlink()
        repair(directory)
    found = answers(directory)
    assert found["verify"][1] == []
    assert found["verify"] == (0, [])
    assert found["trades"] == stored
    assert sum(day[1] for day in found["days"]) == len(stored)
    assert all(day[2] == 1.0 for day in found["days"])
    in_files = [one for path in part_paths(directory, "TRADES") for one in pq.read_table(path)["trade_id"].to_pylist()]
    assert [int(one) for one in in_files] == stored, "the files of the days one after the other"


def test_coverage_in_which_a_row_is_there_twice_is_made_again_from_the_lists_as_it_was(tmp_path: Path) -> None:
    """Live again, a hole that ends at the same instant, and live again, each time with the same words."""
    records = told([(0, 9, -500), (0, 10, 100), (1, LOST, 200), (0, LOST, 200), (0, BACK, 210), (0, 12, 210), (0, 13, 300)])
    rows = [one for one in records if isinstance(one, Coverage)]
    assert len(set(rows)) < len(rows)
    directory = record(tmp_path, records)
    before = answers(directory)
    assert before["verify"][0] == 1
    for path in (directory / "stream=COVERAGE").rglob("*.parquet"):
        path.unlink()
    repair(directory)
    after = answers(directory)
    assert (after["verify"][0], after["days"], after["trades"]) == (1, before["days"], before["trades"])
    assert len(after["verify"][1]) == len(before["verify"][1])


@pytest.mark.parametrize(
    "heard",
    [
        [(10, -900), (12, -200), (11, 50), (13, 60)],
        [(10, -900), (11, 50), (13, -100), (12, -200), (14, 60)],
        [(10, -900), (11, 50), (13, -100), (14, 60)],
    ],
    ids=["late without a row that says so", "out of order behind midnight", "one is missing"],
)
def test_trades_that_are_really_out_of_order_or_missing_at_midnight_are_damage(
    heard: Sequence[tuple[int, int]], tmp_path: Path
) -> None:
    live = Coverage(ONE.key, "TRADES", "live", "start", MIDNIGHT - SECOND, None)
    end = Coverage(ONE.key, "TRADES", "gap", "shutdown", MIDNIGHT + 60 * MILLISECOND, None)
    directory = record(tmp_path, covered([live, *(a_trade(number, ms) for number, ms in heard), end]))
    report = verify(directory, rules, 1)
    assert report.exit_code == 2
    assert any("no gap row says why" in one.what for one in report.findings)


@pytest.mark.parametrize(
    ("times", "differs"),
    [
        ([0, 1], False),
        ([0, -3_599_999], False),
        ([0, -3_600_001], True),
        ([-2, -1], True),
        ([0, 86_400_000], True),
    ],
    ids=["of the day", "waited for under an hour", "is an hour older", "nothing is of the day", "of the next day"],
)
def test_a_file_of_a_day_has_trades_of_that_day_and_what_waited_for_them(times: Sequence[int], differs: bool) -> None:
    received = pa.array([MIDNIGHT + ms * MILLISECOND for ms in times])
    assert date_differs(pa.table({"ts_recv": received}), "2026-09-22", "TRADES") == differs
