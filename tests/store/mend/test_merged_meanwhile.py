"""What is read while `compact` runs is what would have been read without it: nothing twice, nothing missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import xtrader
from tests.pipeline.numbered import DAY_START, trade
from tests.store import made
from tests.store.recordings import SECOND, record
from xtrader.errors import DamagedFile
from xtrader.sinks.manifest import lines_in_force
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.read.dataset import Dataset


def told(rows: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made.record(tmp_path / "data", seconds=20)
    return tmp_path / "data"


@pytest.mark.parametrize(("taken", "every"), [(0, [HOUR]), (3, [60 * SECOND, HOUR])])
def test_an_answer_that_was_begun_goes_on_in_the_merged_parts(directory: Path, taken: int, every: list[int]) -> None:
    dataset = xtrader.open(directory)
    expected = told(dataset.book_updates().to_arrow())
    tables = dataset.book_updates().tables()
    found = [next(tables) for _ in range(taken)]
    before = len(lines_in_force(directory))
    for length in every:
        compact(directory, length)
    assert len(lines_in_force(directory)) < before // 2
    assert told(pa.concat_tables([*found, *tables])) == expected
    assert told(dataset.book_updates().to_arrow()) == expected


def test_a_range_is_the_same_rows_from_merged_parts(directory: Path) -> None:
    chance = random.Random(5)
    ranges = [sorted(chance.randrange(made.BEGIN, made.END) for _ in range(2)) for _ in range(10)]
    dataset = xtrader.open(directory)
    expected = [told(dataset.trades(made.OKX, start=start, end=end).to_arrow()) for start, end in ranges]
    asked = [dataset.trades(made.OKX, start=start, end=end) for start, end in ranges]
    compact(directory, HOUR)
    assert [told(rows.to_arrow()) for rows in asked] == expected


def test_a_part_that_is_gone_and_in_no_other_is_an_error(directory: Path) -> None:
    rows = xtrader.open(directory).trades(made.OKX)
    line = next(line for line in lines_in_force(directory) if (line.stream, line.instrument) == ("TRADES", made.OKX))
    (directory / line.path).unlink()
    with pytest.raises(DamagedFile, match=Path(line.path).name):
        rows.to_arrow()


def test_rows_are_each_there_once_however_reading_and_merging_meet(tmp_path: Path) -> None:
    """`compact` in a process of its own, with ever longer periods, while the same questions are asked again and again."""
    record(tmp_path, (trade(number, ts_recv=DAY_START + number * SECOND) for number in range(1500)), rotate_seconds=10)
    process = get_context("forkserver").Process(target=merge_again_and_again, args=(tmp_path,))
    process.start()
    dataset = xtrader.open(tmp_path)
    rounds = 0
    while process.is_alive() or not rounds:
        assert list(numbers(dataset)) == list(range(1500))
        rounds += 1
    process.join()
    assert process.exitcode == 0
    assert len(lines_in_force(tmp_path)) <= 2
    assert list(numbers(dataset)) == list(range(1500))


def numbers(dataset: Dataset) -> Iterator[int]:
    for table in dataset.trades(columns=["trade_id"]).tables():
        yield from map(int, table["trade_id"].to_pylist())


def merge_again_and_again(directory: Path) -> None:
    for seconds in (30, 120, 600, 7200):
        compact(directory, seconds * SECOND)
