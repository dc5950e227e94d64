"""`compact` makes large parts of small ones, and no instant of its work shows a row twice or not at all.

XTRADER_COMPACT_KILLS sets how many kills are tried, XTRADER_SEED the first seed (default: a quick run).
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.numbered import DAY_START, trade
from tests.store import made
from tests.store.compacting import killed
from tests.store.damage import bit_flip, parts
from xtrader.cli.main import main
from xtrader.errors import ConfigError
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.write_records import RecordWriter, write_records
from xtrader.sinks.described import read_groups
from xtrader.sinks.manifest import lines_in_force
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.compact import HOUR, Outcome, compact
from xtrader.store.mend.repair import repair
from xtrader.store.prove.digest import RowDigest
from xtrader.store.prove.verify import verify
from xtrader.store.prove.verify_parts import changed
from xtrader.venues import rules

KILLS = int(os.environ.get("XTRADER_COMPACT_KILLS", "8"))
SEED = int(os.environ.get("XTRADER_SEED", "1"))
TRADED = "OKX_SWAP@BTC-USDT-SWAP"


def held(directory: Path) -> dict[tuple[str, str, str], str]:
    """A digest of the rows of every stream, instrument and day, taken from the parts in force; each is the one that is listed."""
    digests: dict[tuple[str, str, str], RowDigest] = {}
    for line in sorted(lines_in_force(directory), key=lambda line: line.first_offset):
        assert changed(directory, line) is None
        digest = digests.setdefault((line.stream, line.instrument, line.path.split("/")[3]), RowDigest())
        for table in read_groups(directory / line.path, line.stream):
            digest.add(table)
    return {place: digest.value() for place, digest in digests.items()}


def made_small(directory: Path, seconds: float = 10.0) -> Path:
    made.record(directory, seconds=seconds)
    return directory


def test_an_hour_s_parts_become_one_with_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    directory = made_small(tmp_path / "data")
    before, was = held(directory), parts(directory)
    days = [(day.subscription, day.date, day.rows, day.live) for day in verify(directory, rules, 1).days]
    outcome = compact(directory, HOUR)
    assert held(directory) == before
    assert {path.relative_to(directory).as_posix() for path in parts(directory)} == {
        line.path for line in lines_in_force(directory)
    }
    assert len(parts(directory)) == len(before) == len(was) - outcome.merged + outcome.made
    report = verify(directory, rules, 1)
    assert report.exit_code == 1
    assert {finding.level for finding in report.findings} == {"hole"}
    assert [(day.subscription, day.date, day.rows, day.live) for day in report.days] == days
    assert compact(directory, HOUR) == Outcome(0, 0, 0, 0, 0, 0, [])


def test_a_merged_part_still_says_how_it_was_recorded(tmp_path: Path) -> None:
    directory = made_small(tmp_path / "data")
    compact(directory, 24 * HOUR)
    for line in lines_in_force(directory):
        facts = pq.read_metadata(directory / line.path).metadata
        assert facts[b"xtrader.collector"] == b"c1"
        assert facts[b"xtrader.instrument_key"].decode() == line.instrument
        assert line.settings["environment"] == "demo"
    assert compact(directory, 24 * HOUR).merged == 0


def test_parts_that_were_recorded_under_other_settings_are_not_mixed(tmp_path: Path) -> None:
    for number, environment in enumerate(("demo", "production")):
        records = [trade(100 * number + count) for count in range(50)]
        facts = {"OKX_SWAP": {"environment": environment}}
        write_records(records, ParquetSink(tmp_path, "c1"), "c1", facts, Rotation(0.01))
    compact(tmp_path, HOUR)
    assert sorted(line.settings["environment"] for line in lines_in_force(tmp_path)) == ["demo", "production"]


def test_a_damaged_part_stays_with_its_neighbours_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = made_small(tmp_path / "data")
    path = bit_flip(directory, random.Random(SEED))
    beside = sorted(path.parent.iterdir())
    assert main(["compact", str(directory)]) == 1
    assert "SHA-256 differs" in capsys.readouterr().err
    assert sorted(path.parent.iterdir()) == beside
    assert {finding.file for finding in verify(directory, rules, 1).findings if finding.level == "damage"} == {
        path.relative_to(directory).as_posix()
    }


def test_a_damaged_list_is_no_ground_to_work_on(tmp_path: Path) -> None:
    directory = made_small(tmp_path / "data")
    path = directory / "_manifest" / "c1.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ConfigError, match="repair"):
        compact(directory, HOUR)


def test_beside_a_recorder_only_what_it_is_done_with_is_merged_and_a_redone_commit_adds_nothing(tmp_path: Path) -> None:
    rows = [trade(number, TRADED, DAY_START + number * HOUR // 100) for number in range(450)]
    with RecordWriter(ParquetSink(tmp_path, "c1"), "c1", {}, Rotation(600.0)) as direct:
        for row in rows[:400]:
            direct.put(row)
        listed = lines_in_force(tmp_path)
        assert compact(tmp_path, HOUR).merged > 0
        assert max(listed, key=lambda line: line.last_offset) in lines_in_force(tmp_path)
        assert len(lines_in_force(tmp_path)) < len(listed)
        for row in rows[400:]:
            direct.put(row)
    compact(tmp_path, HOUR)
    assert trade_ids(tmp_path) == list(range(450))
    write_records(rows, ParquetSink(tmp_path, "c1"), "c1", {}, Rotation(600.0))
    assert trade_ids(tmp_path) == list(range(450))
    assert len(parts(tmp_path)) == len(lines_in_force(tmp_path))


@pytest.mark.parametrize("tidy", [lambda root: compact(root, HOUR), repair])
def test_what_was_never_finished_is_removed_but_not_what_another_is_writing(tmp_path: Path, tidy: Callable[[Path], object]) -> None:
    made_small(tmp_path, 60.0)
    beside = parts(tmp_path)[0].parent
    hidden = [beside / f".part-c1-{8:020d}{end}" for end in (".tmp", ".compact.tmp", ".repair.tmp")]
    own = tmp_path / "_unfinished" / "_store" / "000001.tmp"
    others = tmp_path / "_unfinished" / "c2" / "000001.tmp"
    for path in (*hidden, own, others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    tidy(tmp_path)
    assert [path for path in (*hidden, own, others) if path.exists()] == [others]


def trade_ids(directory: Path) -> list[int]:
    """The numbers of all trades that are in any file, whether it is listed or not."""
    return sorted(
        int(number) for path in parts(directory) for number in pq.read_table(path, partitioning=None)["trade_id"].to_pylist()
    )


@pytest.mark.slow
def test_killed_at_any_instant_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    whole = made_small(tmp_path / "whole", 20.0)
    before = held(whole)
    began = time.monotonic()
    shutil.copytree(whole, tmp_path / "first")
    assert not killed(tmp_path / "first", 60)
    usual = time.monotonic() - began
    directory, kills = tmp_path / "first", 0
    for number in range(20 * KILLS):
        if kills == KILLS:
            break
        if not number or not killed(directory, chance.random() * usual):
            shutil.rmtree(directory)
            shutil.copytree(whole, directory)
            continue
        kills += 1
        assert held(directory) == before, f"XTRADER_SEED={SEED} kill {kills}"
    assert kills == KILLS
    assert compact(directory, HOUR).problems == []
    assert held(directory) == before
    assert sorted(path.relative_to(directory).as_posix() for path in directory.glob("stream=*/**/*") if path.is_file()) == sorted(
        line.path for line in lines_in_force(directory)
    )
    report = verify(directory, rules, 1)
    assert {finding.level for finding in report.findings} == {"hole"}
