"""What `repair` leaves is whole again: every row that can be believed is in force, and what is lost is a declared gap.

XTRADER_REPAIRS sets how many random damages are tried, XTRADER_SEED the first seed (default: a quick run).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from itertools import pairwise
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests import reading
from tests.running import everything, logged, recorder
from tests.store import made
from tests.store.damage import DAMAGES, lost_list, parts, relist
from xtrader.cli.main import main
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError
from xtrader.pipeline.write_records import RecordWriter
from xtrader.sinks.manifest import ManifestLine, lines_in_force
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.mend.compact import HOUR, compact
from xtrader.store.mend.repair import ASIDE, Repaired, repair
from xtrader.store.prove.verify import Report, verify
from xtrader.store.prove.verify_parts import changed
from xtrader.venues import rules

REPAIRS = int(os.environ.get("XTRADER_REPAIRS", "12"))
SEED = int(os.environ.get("XTRADER_SEED", "1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("repair") / "data"
    made.record(directory)
    return directory


def copy(whole: Path, directory: Path) -> Path:
    return Path(shutil.copytree(whole, directory / "data"))


def check(directory: Path) -> Report:
    return verify(directory, rules, 1)


def rows(lines: list[ManifestLine]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for line in lines:
        found[line.stream, line.instrument] = found.get((line.stream, line.instrument), 0) + line.rows
    return found


@pytest.mark.parametrize("number", range(REPAIRS))
def test_after_any_damage_the_rest_is_whole_and_the_loss_is_declared(whole: Path, tmp_path: Path, number: int) -> None:
    chance = random.Random(SEED + number)
    name = list(DAMAGES)[number % len(DAMAGES)]
    directory = copy(whole, tmp_path)
    if chance.random() < 0.3:
        compact(directory, HOUR)
    before = lines_in_force(directory)
    guilty = DAMAGES[name](directory, chance)
    print(f"XTRADER_SEED={SEED} number {number}: {name} of {guilty}")
    broken = [line for line in before if changed(directory, line) is not None]
    repaired = repair(directory)
    report = check(directory)
    assert [finding for finding in report.findings if finding.level == "damage"] == []
    assert repaired.done
    intact, after = rows([line for line in before if line not in broken]), rows(lines_in_force(directory))
    assert all(after[place] >= count for place, count in intact.items())
    for line in broken:
        if line.stream in ("L2", "TRADES"):
            told = f"{line.stream}:{line.instrument} from"
            assert any(told in one.what and "storage" in one.what and line.path in one.what for one in report.findings)
    assert repair(directory) == Repaired([], [])


def test_a_clean_recording_is_left_as_it_is(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = copy(whole, tmp_path)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert main(["repair", str(directory)]) == 0
    assert capsys.readouterr().out == "Nothing to repair.\n"
    after = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != ".store.lock"}
    assert after == before


def test_what_is_broken_is_kept_and_the_user_is_told_what_is_lost(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = copy(whole, tmp_path)
    path = next(path for path in parts(directory) if "stream=L2" in str(path))
    count = pq.read_metadata(path).num_rows
    path.write_bytes(path.read_bytes()[:-20])
    broken = path.read_bytes()
    assert main(["repair", str(directory)]) == 1
    said = capsys.readouterr()
    assert f"lost: {count} rows of L2:{made.BINANCE}" in said.err
    assert (directory / ASIDE / path.relative_to(directory)).read_bytes() == broken
    assert not path.exists()


def test_a_bit_that_flipped_costs_its_row_group_and_no_other(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    path = next(path for path in parts(directory) if "stream=TRADES" in str(path))
    table, schema = pq.read_table(path, partitioning=None), pq.read_schema(path)
    pq.write_table(table.cast(schema), path, write_page_checksum=True, row_group_size=20, use_dictionary=False, compression="none")
    relist(directory, path)
    before = rows(lines_in_force(directory))
    group = pq.read_metadata(path).row_group(1)
    content = bytearray(path.read_bytes())
    content[group.column(4).data_page_offset + group.column(4).total_compressed_size - 1] ^= 4
    path.write_bytes(content)
    repaired = repair(directory)
    after = rows(lines_in_force(directory))
    assert before["TRADES", made.BINANCE] - after["TRADES", made.BINANCE] == group.num_rows == 20
    assert repaired.lost == [f"20 rows of TRADES:{made.BINANCE} that were in {path.relative_to(directory)}"]
    assert check(directory).exit_code == 1


def test_lost_coverage_comes_back_from_what_the_lists_say_of_it(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    for path in [path for path in parts(directory) if "stream=COVERAGE" in str(path)]:
        path.unlink()
    repaired = repair(directory)
    assert repaired.lost == [] or all("COVERAGE" in sentence for sentence in repaired.lost)
    report = check(directory)
    assert report.exit_code == 1
    causes = {finding.what.split(": ")[-1].split(",")[0] for finding in report.findings}
    assert {"venue_gap", "disconnect"} <= causes


def test_lists_that_are_gone_are_made_again_from_the_files(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    compact(directory, HOUR)
    before = rows(lines_in_force(directory))
    for _ in range(2):
        lost_list(directory, random.Random(SEED))
    assert check(directory).exit_code == 2
    assert repair(directory).lost == []
    assert rows(lines_in_force(directory)) == before
    assert {finding.level for finding in check(directory).findings} == {"hole"}


def test_beside_a_recorder_nothing_is_repaired(tmp_path: Path) -> None:
    with RecordWriter(ParquetSink(tmp_path, "c1"), "c1", {}) as direct:
        for record in made.records(made.BEGIN + 10 * made.STEP):
            direct.put(record)
        direct.flush()
        (tmp_path / "_manifest" / "c1.jsonl").touch()
        with pytest.raises(ConfigError, match="stop it first"):
            repair(tmp_path)


@pytest.mark.slow
def test_journals_that_were_left_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    venues = {"OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}

    async def record() -> None:
        async with Emulator(list(venues), instruments=1, rate=400) as emulator:
            variables = emulator.variables | {"XTRADER_WORKERS": "2"}
            async with recorder(tmp_path, everything(venues), variables) as process:
                await logged(tmp_path, '"recording"', 2)
                await asyncio.sleep(3)
                for child in psutil.Process(process.pid).children():
                    child.kill()
                process.kill()
                await process.wait()

    asyncio.run(record())
    data = tmp_path / "data"
    assert parts(data) == []
    monkeypatch.chdir(tmp_path)
    assert main(["repair", str(data)]) == 0
    assert capsys.readouterr().out.count("was finished") == len(venues)
    assert main(["repair", str(data)]) == 0
    assert capsys.readouterr().out == "Nothing to repair.\n"
    for exchange in venues:
        ids = [row.rpartition("-")[2] for row in reading.rows(data, "TRADES", exchange)["trade_id"].to_pylist()]
        assert len(ids) > 20
        assert all(int(after) > int(before) for before, after in pairwise(ids))
    report = check(data)
    assert report.exit_code == 1
    assert {finding.what.split(": ")[-1] for finding in report.findings} == {"start, the recorder was not running"}
