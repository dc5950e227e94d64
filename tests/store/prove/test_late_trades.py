"""Trades that come late, from the wire to every reader: each is stored once, and only what never came is missing anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

import xtrader
from tests.sinks.contract import batches
from tests.store.recordings import SECOND, instrument, record
from tests.venues.tape import EVERY, MS, Tape
from xtrader.feed.coverage import CoverageTracker
from xtrader.model.market import Coverage, Record, Trade
from xtrader.records.batches import FlatBatch, RareBatch
from xtrader.sinks.questdb import table_rows
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.mend.repair import repair
from xtrader.store.prove.verify import verify
from xtrader.store.report.day_report import report_day
from xtrader.store.report.timeline import read_timeline
from xtrader.venues import rules

MIDNIGHT = 1_790_035_200 * SECOND
"""2026-09-22T00:00:00Z."""
CUT = "cut"


class Story(NamedTuple):
    """Numbers as they come, each in a message of its own, seconds (float) in which nothing comes, and cuts. `missing` never come.
    `before` is how many seconds before midnight it begins."""

    steps: Sequence[int | float | str]
    missing: Sequence[int] = ()
    before: float = 3600.0


STORIES = {
    "after the next one": Story([100, 102, 101, 103]),
    "one by one in another order": Story([100, 106, 104, 103, 101, 102, 105, 107]),
    "a half of them": Story([100, 106, 103, 101, 107], missing=[102, 104, 105]),
    "for one of two holes": Story([100, 102, 104, 101, 105], missing=[103]),
    "after the files were rotated": Story([100, 102, 90.0, 103, 90.0, 101, 104]),
    "a half of them after the files were rotated": Story([100, 104, 90.0, 105, 102, 90.0, 101, 106], missing=[103]),
    "over midnight": Story([100, 102, 20.0, 103, 101, 104], before=10.0),
    "a half of them over midnight": Story([100, 104, 101, 20.0, 105, 103, 106], missing=[102], before=10.0),
    "into a hole over midnight": Story([100, 20.0, 103, 104, 102, 101], before=10.0),
    "on the next connection": Story([100, 102, CUT, 101, 103]),
    "into a hole between two connections": Story([100, CUT, 103, 102, 90.0, 101]),
}
every_story = pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
every_venue = pytest.mark.parametrize("exchange", ["BINANCE_SPOT", "BINANCE_FUTURES", "OKX_SWAP", "DERIBIT"])


def told(exchange: str, story: Story) -> list[Record]:
    """What a session makes of a story, as a recorder hands it to its sink."""
    tape = Tape(EVERY[exchange], MIDNIGHT - round(story.before * SECOND))
    symbol = tape.speaker.symbol
    key = f"{exchange}@{symbol}"
    found: list[Record] = [instrument(exchange, symbol, "BTCUSDT", tape.now)]
    for step in story.steps:
        if isinstance(step, int):
            tape.hear(step)
        elif isinstance(step, float):
            tape.now += round(step * SECOND)
        else:
            tape.out.append(Coverage(key, "TRADES", "gap", "disconnect", tape.now, None))
            tape.now += MS
            tape.reconnect()
    tape.out.append(Coverage(key, "TRADES", "gap", "shutdown", tape.now, None))
    tracker = CoverageTracker()
    for one in tape.out:
        if isinstance(one, Coverage):
            found += tracker.rows(one)
        elif isinstance(one, Trade):
            found.append(one)
    return found


def numbers(story: Story) -> list[int]:
    return [step for step in story.steps if isinstance(step, int)]


def named(found: Sequence[Any]) -> set[int]:
    """The numbers that gaps name."""
    return {number for first, last in found if first is not None for number in range(first, last + 1)}


def answers(directory: Path) -> dict[str, Any]:
    """All that readers say of a recording."""
    report = verify(directory, rules, 1)
    timeline = read_timeline(directory)
    dates = sorted({day.date for day in report.days})
    days = [report_day(directory, date)[0].subscriptions[0] for date in dates]
    dataset = xtrader.open(directory)
    coverage = pa.table(dataset.coverage()).to_pylist()
    return {
        "verify": (report.exit_code, sorted((one.level, one.what) for one in report.findings)),
        "days": [(day.date, day.messages, day.rows, day.gaps, day.live) for day in report.days],
        "coverage": [strip.live(timeline.ts_from, timeline.ts_to) for strip in timeline.strips],
        "report": [(day.covered, day.gaps, day.messages, day.damaged) for day in days],
        "trades": [int(row["trade_id"]) for row in pa.table(dataset.trades()).to_pylist()],
        "intervals": [tuple(row.values()) for row in coverage],
        "gaps": [(row["ids_from"], row["ids_to"]) for row in coverage if row["state"] == "gap" and row["cause"] != "shutdown"],
    }


@every_venue
@every_story
def test_only_what_never_came_is_missing_in_what_any_reader_says_before_and_after_a_merge(
    story: Story, exchange: str, tmp_path: Path
) -> None:
    directory = record(tmp_path, told(exchange, story), rotate_seconds=60)
    found = answers(directory)
    is_whole = not story.missing and CUT not in story.steps
    code, findings = found["verify"]
    assert {level for level, _ in findings} <= {"hole"}
    assert code == (0 if is_whole else 1)
    assert found["trades"] == numbers(story)
    assert all((share == 1.0) == is_whole for share in found["coverage"])
    assert all(day[-1] == 1.0 for day in found["days"]) == is_whole
    assert all(covered == 1.0 and not gaps for covered, gaps, *_ in found["report"]) == is_whole
    assert named(found["gaps"]) >= set(story.missing)
    assert bool(named(found["gaps"])) == bool(story.missing)
    assert sum(day[1] for day in found["days"]) == len(numbers(story))
    compact(directory, 24 * HOUR)
    assert answers(directory) == found


@every_venue
@every_story
@pytest.mark.parametrize("is_merged", [False, True])
def test_coverage_that_is_lost_and_made_again_from_the_lists_says_the_same(
    story: Story, exchange: str, is_merged: bool, tmp_path: Path
) -> None:
    directory = record(tmp_path, told(exchange, story), rotate_seconds=60)
    if is_merged:
        compact(directory, 24 * HOUR)
    before = answers(directory)
    for path in (directory / "stream=COVERAGE").rglob("*.parquet"):
        path.unlink()
    repair(directory)
    after = answers(directory)
    assert after["verify"][0] == before["verify"][0]
    same = ("days", "coverage", "trades", "gaps")
    assert [after[name] for name in same] == [before[name] for name in same]


@every_venue
@every_story
def test_a_table_row_says_what_was_filled_and_none_has_the_key_of_another(story: Story, exchange: str) -> None:
    records = told(exchange, story)
    keys: list[tuple[int, int]] = []
    filled, trades = [], []
    for batch in batches(records):
        if isinstance(batch, RareBatch) and batch.stream == "COVERAGE":
            block = table_rows.rare_block([batch], "c1")
            lines = [block.row(place) for place in range(len(block))]
            filled += [(line["ids_from"], line["ids_to"]) for line in lines if line["cause"] == "filled"]
        elif isinstance(batch, FlatBatch):
            block = table_rows.flat_block(batch, "c1")
            trades += [int(block.row(place)["trade_id"]) for place in range(len(block))]
        else:
            continue
        keys += map(tuple, block.held().tolist())
    assert trades == numbers(story)
    highest = list(itertools.accumulate(numbers(story), max))
    late = [number for number, before in zip(numbers(story)[1:], highest, strict=False) if number < before]
    assert filled == [(number, number) for number in late]
    assert len(keys) == len(set(keys))
