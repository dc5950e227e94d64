"""A list that was damaged is made whole again when its sink starts: it goes on, every part is in force once, and nothing waits."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.pipeline.killing import check, last_numbers, newest, published, start, stop, wait_for_a_new_run
from tests.pipeline.numbered import KEYS, trade, update
from tests.pipeline.parts import manifest, part_paths, read_trades
from tests.sinks.contract import SESSION, feed
from tests.store import made
from tests.waiting import wait_until
from xtrader.sinks.manifest import lines_in_force, replaced_paths
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

COMMITS = 4


def commit(sink: ParquetSink, number: int) -> None:
    feed(sink, [trade(10 * number + one, key) for one in range(3) for key in KEYS[:2]] + [update(10 * number + 50 * 10)])
    sink.commit(8 + 8 * number, 16 + 8 * number)


def opened(directory: Path, first: int) -> ParquetSink:
    sink = ParquetSink(directory, "c1")
    sink.open(first)
    sink.write(SESSION)
    return sink


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "data"
    sink = opened(directory, 8)
    for number in range(COMMITS):
        commit(sink, number)
    sink.close()
    return directory


def paths(directory: Path) -> list[str]:
    return sorted(line.path for line in lines_in_force(directory))


def damage(directory: Path, place: int, byte: int) -> None:
    path = directory / "_manifest" / "c1.jsonl"
    content = bytearray(path.read_bytes())
    content[place] = byte
    path.write_bytes(content)


def check_it_goes_on(whole: Path, directory: Path) -> None:
    """The sink starts where it was, commits again, and every part there is is listed once, with what it holds."""
    before = paths(whole)
    sink = opened(directory, 8 + 8 * COMMITS)
    assert paths(directory) == before
    commit(sink, COMMITS)
    sink.close()
    listed = [line["path"] for line in manifest(directory)]
    assert sorted(listed) == sorted(set(listed)) == paths(directory)
    assert len(listed) == len(before) + 3
    assert not [one for one in verify(directory, rules, 1).findings if "_manifest" in one.file]
    assert len({row.trade_id for row in read_trades(directory)}) == 3 * (COMMITS + 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_byte_of_the_last_lines_costs_nothing_but_itself(whole: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    directory = Path(shutil.copytree(whole, tmp_path / "data"))
    content = (directory / "_manifest" / "c1.jsonl").read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    # By turns anywhere in the last line, in its seal, its end, and in any line.
    place = [chance.randrange(last, len(content)), len(content) - 5, len(content) - 1, chance.randrange(len(content))][seed % 4]
    byte = chance.choice([one for one in b'0123456789abcdef"{},:\n\0\xff' if one != content[place]])
    damage(directory, place, byte)
    if seed % 4 == 3:
        opened(directory, 8).close()
    check_it_goes_on(whole, directory)


def test_a_damaged_line_is_set_aside_and_told(whole: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(whole, tmp_path / "data"))
    path = directory / "_manifest" / "c1.jsonl"
    line = path.read_bytes().splitlines()[-1]
    damage(directory, path.stat().st_size - 100, ord("~"))
    bad = path.read_bytes().splitlines()[-1]
    with capture_logs() as logs:
        check_it_goes_on(whole, directory)
    (told,) = [entry for entry in logs if entry["event"] == "list_damaged"]
    assert (told["log_level"], told["lines"], told["file"]) == ("warning", 1, str(path))
    assert Path(told["set_aside"]).read_bytes() == bad + b"\n" != line + b"\n"
    assert Path(told["set_aside"]).parent == directory / "_damaged" / "_manifest"
    assert len(told["made_again"]) == 1


def test_a_line_whose_seal_alone_was_damaged_is_proven_by_the_next_one(whole: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(whole, tmp_path / "data"))
    path = directory / "_manifest" / "c1.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    damage(directory, len(b"".join(lines[:-1])) - 5, ord("~"))
    with capture_logs() as logs:
        check_it_goes_on(whole, directory)
    assert [entry["made_again"] for entry in logs if entry["event"] == "list_damaged"] == [[]]
    assert manifest(directory)[: len(lines)] == manifest(whole)


def test_a_line_whose_part_is_gone_is_set_aside_alone(whole: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(whole, tmp_path / "data"))
    gone = manifest(directory)[-1]["path"]
    (directory / gone).unlink()
    damage(directory, (directory / "_manifest" / "c1.jsonl").stat().st_size - 100, ord("~"))
    opened(directory, 8 + 8 * COMMITS).close()
    assert paths(directory) == [path for path in paths(whole) if path != gone]


def test_a_healthy_start_does_not_read_the_directories(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path(shutil.copytree(whole, tmp_path / "data"))
    monkeypatch.setattr(Path, "glob", None)
    opened(directory, 8 + 8 * COMMITS).close()
    opened(directory, 8).close()
    assert manifest(directory) == manifest(whole)


def test_what_compact_left_on_its_way_is_not_taken_for_a_part_that_a_line_lost(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    made.record(directory, seconds=20.0)
    shutil.copytree(directory, tmp_path / "merged")
    compact(tmp_path / "merged", HOUR)
    before = paths(directory)
    for path in (tmp_path / "merged").rglob("*.parquet"):
        beside = directory / path.relative_to(tmp_path / "merged")
        if not beside.exists():
            shutil.copy(path, beside)
    damage(directory, (directory / "_manifest" / "c1.jsonl").stat().st_size - 100, ord("~"))
    opened(directory, made.END + 1).close()
    assert paths(directory) == before


def test_a_damaged_list_of_merged_parts_stops_no_sink(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    made.record(directory, seconds=20.0)
    compact(directory, HOUR)
    replaced = replaced_paths(directory, "c1")
    path = directory / "_manifest" / "c1.compacted.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], b"~" + lines[-1][1:]]))
    sink = opened(directory, made.END + 1)
    feed(sink, [trade(1)])
    sink.commit(made.END + 1, made.END + 9)
    sink.close()
    assert 0 < len(replaced_paths(directory, "c1")) < len(replaced)
    assert len(part_paths(directory, "TRADES")) > 1


@pytest.mark.slow
def test_a_recorder_whose_list_was_damaged_between_two_runs_records_on(tmp_path: Path) -> None:
    for run in (1, 2):
        before = newest(tmp_path)
        recorder = start(tmp_path, run)
        wait_for_a_new_run(tmp_path, recorder, before)
        wait_until(lambda run=run: len(part_paths(tmp_path / "data", "L2")) > 5 * run)
        stop(recorder)
        if run == 1:
            seen = published(tmp_path)
            path = tmp_path / "data" / "_manifest" / "c1.jsonl"
            damage(tmp_path / "data", path.stat().st_size - 100, ord("~"))
    check(tmp_path, last_numbers(tmp_path), seen, 0)
