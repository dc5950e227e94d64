"""After `compact`, what several collectors recorded of the same is there once for who reads the bare files, and answers stay.

XTRADER_COMPACT_KILLS sets how many kills are tried, XTRADER_OVERLAPS how many recordings are drawn, XTRADER_SEED the first seed.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

import xtrader
from tests import reading
from tests.store import made, side_by_side
from tests.store.compacting import killed
from tests.store.recordings import record
from tests.store.side_by_side import KEY, Life, number, recorded
from xtrader.errors import DamagedFile
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.mend.repair import repair
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

KILLS = int(os.environ.get("XTRADER_COMPACT_KILLS", "4"))
OVERLAPS = int(os.environ.get("XTRADER_OVERLAPS", "4"))
SEED = int(os.environ.get("XTRADER_SEED", "1"))
SECOND = 10**9
CASES: dict[str, tuple[list[Life], list[Life]]] = {
    "a change": ([Life(0, 300)], [Life(200, 500)]),
    "the new one is slower": ([Life(0, 300)], [Life(200, 500, 350_000_000)]),
    "the old one is slower": ([Life(0, 300, 350_000_000)], [Life(200, 500)]),
    "other messages": ([Life(0, 300)], [Life(200, 500, 70_000_000, 3)]),
    "there and back": ([Life(0, 300), Life(400, 600, 5_000_000)], [Life(200, 500, 70_000_000)]),
    "one beside the other": ([Life(0, 500)], [Life(100, 400, 70_000_000)]),
    "one beside the other, which was cut off": ([Life(0, 200, cause="disconnect"), Life(250, 500)], [Life(100, 400, 70_000_000)]),
    "one after the other": ([Life(0, 200)], [Life(300, 500)]),
}


def deltas(directory: Path) -> Counter[int]:
    """How often each change of the book is in the bare files, by its number."""
    return Counter(
        one.sequence for one in reading.messages(directory, "OKX_SWAP", "BTC-USDT-SWAP") if not one.is_snapshot and one.sequence
    )


def answers(directory: Path) -> list[Any]:
    data = xtrader.open(directory)
    books = data.books(KEY, every="730ms", depth=50).to_arrow().to_pylist()
    trades = sorted(map(int, data.trades(KEY).to_arrow()["trade_id"].to_pylist()))
    return [books, trades, data.coverage(KEY).to_arrow().to_pylist()]


def require_once(directory: Path, collectors: dict[str, list[Life]], numbered: bool = True) -> None:
    """Each trade and each change of the book is in the bare files once."""
    made = side_by_side.steps(*collectors.values())
    found = duckdb.sql(f"select count(*), count(distinct trade_id) from '{directory}/stream=TRADES/**/*.parquet'").fetchall()
    assert found == [(len(made), len(made))]
    if numbered:
        counts = deltas(directory)
        assert set(counts.values()) == {1}
        if all(life.size == 1 for lives in collectors.values() for life in lives):
            assert set(counts) == {number(step) for step in made}


def findings(directory: Path) -> list[tuple[str, str]]:
    return sorted((one.level, one.what) for one in verify(directory, rules, 1).findings)


@pytest.mark.parametrize(("old", "new"), CASES.values(), ids=CASES)
def test_every_event_is_in_the_files_once_and_all_answers_stay(tmp_path: Path, old: list[Life], new: list[Life]) -> None:
    directory = recorded(tmp_path, old=old, new=new)
    before, was = answers(directory), verify(directory, rules, 1)
    compact(directory, HOUR)
    require_once(directory, {"old": old, "new": new})
    assert answers(directory) == before
    now = verify(directory, rules, 1)
    assert sorted((one.level, one.what) for one in now.findings) == sorted((one.level, one.what) for one in was.findings)
    assert [(day.subscription, day.live, day.gaps) for day in now.days] == [
        (day.subscription, day.live, day.gaps) for day in was.days
    ]
    lists = {path: path.read_bytes() for path in (directory / "_manifest").glob("*.jsonl")}
    again = compact(directory, HOUR)
    assert (again.merged, again.repeated) == (0, 0)
    assert {path: path.read_bytes() for path in lists} == lists


@pytest.mark.parametrize("seed", range(SEED, SEED + OVERLAPS))
def test_so_it_is_however_the_lives_of_two_or_three_collectors_lie(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    collectors, numbered = side_by_side.drawn(chance), chance.random() < 0.8
    directory = recorded(tmp_path, numbered, chance.choice([1.5, 7, 60]), **collectors)
    (books, *rest), was = answers(directory), findings(directory)
    if chance.random() < 0.5:
        compact(directory, 5 * SECOND)
    compact(directory, HOUR)
    (books_now, *rest_now), now = answers(directory), findings(directory)
    assert (rest_now, now) == (rest, was)
    if numbered:
        assert books_now == books
    require_once(directory, collectors, numbered)
    again = compact(directory, HOUR)
    assert (again.merged, again.repeated) == (0, 0)


def test_other_instruments_and_streams_of_two_collectors_stay_as_they_are(tmp_path: Path) -> None:
    made.record(tmp_path, "c1")
    record(tmp_path, side_by_side.records([Life(0, 50)], key="DERIBIT@BTC-PERPETUAL"), "c2")
    assert compact(tmp_path, HOUR).repeated == 0


def test_nothing_is_left_out_for_rows_that_are_damaged(tmp_path: Path) -> None:
    old, new = CASES["a change"]
    directory = recorded(tmp_path, old=old, new=new)
    for path in directory.glob("stream=*/**/part-old-*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert compact(directory, HOUR).repeated == 0


def test_rows_that_are_said_to_be_another_collector_s_and_are_not_there_are_damage(tmp_path: Path) -> None:
    old, new = CASES["a change"]
    directory = recorded(tmp_path, old=old, new=new)
    compact(directory, HOUR)
    for path in [*directory.glob("stream=*/**/part-old-*.parquet"), *directory.glob("_manifest/old.*")]:
        path.unlink()
    assert {level for level, what in findings(directory) if "another collector has the rows" in what} == {"damage"}


def test_a_lost_list_of_what_was_made_is_made_again_from_the_files(tmp_path: Path) -> None:
    old, new = CASES["a change"]
    directory = recorded(tmp_path, old=old, new=new)
    compact(directory, HOUR)
    before, was = answers(directory), findings(directory)
    (directory / "_manifest" / "new.compacted.jsonl").unlink()
    repair(directory)
    assert (answers(directory), findings(directory)) == (before, was)
    require_once(directory, {"old": old, "new": new})


def test_an_answer_that_was_begun_before_says_that_it_must_be_asked_anew(tmp_path: Path) -> None:
    old, new = CASES["a change"]
    directory = recorded(tmp_path, old=old, new=new)
    rows = xtrader.open(directory).trades(KEY)
    compact(directory, HOUR)
    with pytest.raises(DamagedFile, match="ask again"):
        rows.to_arrow()


@pytest.mark.slow
def test_killed_at_any_instant_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    lives = {"old": CASES["there and back"][0], "new": CASES["there and back"][1]}
    whole = recorded(tmp_path / "whole", seconds=7, **lives)
    before, was = answers(whole), findings(whole)
    directory = tmp_path / "first"
    shutil.copytree(whole, directory)
    began = time.monotonic()
    assert not killed(directory, 60)
    usual = time.monotonic() - began
    kills = 0
    for number_ in range(20 * KILLS):
        if kills == KILLS:
            break
        if not number_ or not killed(directory, chance.random() * usual):
            shutil.rmtree(directory)
            shutil.copytree(whole, directory)
            continue
        kills += 1
        assert answers(directory) == before, f"XTRADER_SEED={SEED} kill {kills}"
        assert {level for level, _ in findings(directory)} <= {level for level, _ in was} | {"note"}
    assert kills == KILLS
    assert compact(directory, HOUR).problems == []
    assert (answers(directory), findings(directory)) == (before, was)
    require_once(directory, lives)
