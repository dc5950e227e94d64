"""`verify` is silent on what is whole, finds what is not, and blames the file it is in.

XTRADER_CORRUPTIONS sets how many random corruptions are tried, XTRADER_SEED the first seed (default: a quick run).
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import xtrader
from tests.captures import captures
from tests.running import everything, log_of, logged, recorder
from tests.store import made
from tests.store.damage import DAMAGES, parts, relist, rewrite
from tests.store.recordings import START, record
from tests.waiting import until, within
from xtrader.cli.main import main
from xtrader.emulator.server import Emulator
from xtrader.feed.coverage import CoverageTracker
from xtrader.model.market import BookUpdate, Coverage
from xtrader.store.prove.verify import Report, verify
from xtrader.venues import rules

CORRUPTIONS = int(os.environ.get("XTRADER_CORRUPTIONS", "60"))
SEED = int(os.environ.get("XTRADER_SEED", "1"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "data"
    made.record(directory)
    return directory


def check(directory: Path) -> Report:
    return verify(directory, rules, 1)


def blamed(report: Report) -> set[str]:
    return {finding.file for finding in report.findings if finding.level == "damage"}


def copy(whole: Path, directory: Path) -> Path:
    return Path(shutil.copytree(whole, directory / "data"))


def test_a_recording_with_declared_gaps_has_these_holes_and_nothing_else(whole: Path) -> None:
    report = check(whole)
    assert report.exit_code == 1
    assert {finding.level for finding in report.findings} == {"hole"}
    assert sorted(finding.what.split(" from ")[0] for finding in report.findings) == sorted(
        [f"L2:{key}" for key in (made.OKX, made.BINANCE)] * 2 + [f"TRADES:{key}" for key in (made.OKX, made.BINANCE)]
    )
    assert sum(day.messages for day in report.days if day.subscription == f"L2:{made.OKX}") == 580
    lost = next(day for day in report.days if day.subscription == f"TRADES:{made.OKX}" and day.date == "2026-11-22")
    assert lost.live == pytest.approx((150 - 10.5) / 150, abs=1e-3)


def test_a_recording_without_gaps_is_clean(tmp_path: Path) -> None:
    made.record(tmp_path, end=made.LOST)
    report = check(tmp_path)
    assert (report.exit_code, list(report.findings)) == (0, [])


def test_the_recordings_of_others_are_clean_once_renormalised(tmp_path: Path) -> None:
    for number, source in enumerate((captures() / "recorded-1", captures() / "recorded-2" / "spot_btcusdt_20240808.gz")):
        directory = tmp_path / str(number)
        assert main(["renormalise", str(source), "--output-directory", str(directory)]) == 0
        report = check(directory)
        assert (report.exit_code, list(report.findings)) == (0, [])


@pytest.mark.slow
def test_an_emulated_recording_with_a_lost_connection_and_a_kill_has_declared_holes_and_no_damage(tmp_path: Path) -> None:
    venues = {"BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}
    beside: list[Report] = []

    async def record() -> None:
        async with Emulator(list(venues), instruments=1, rate=900) as emulator:
            variables = emulator.variables | {"XTRADER_ROTATE_SECONDS": "1"}
            async with recorder(tmp_path, everything(venues), variables) as process:
                await until(lambda: log_of(tmp_path).count("recording") and len(parts(tmp_path / "data")) > 20)
                for venue in emulator.venues.values():
                    for client in venue.clients:
                        client.close(1001, "going away")
                await logged(tmp_path, "disconnected", len(venues))
                await asyncio.sleep(2)
                process.kill()
                await process.wait()
            async with recorder(tmp_path, everything(venues), variables, "--shutdown-after", "4") as process:
                await asyncio.sleep(2)
                beside.append(await asyncio.to_thread(check, tmp_path / "data"))
                assert await within(process.wait()) == 0

    asyncio.run(record())
    report = check(tmp_path / "data")
    for found in (*beside, report):
        assert [finding for finding in found.findings if finding.level == "damage"] == []
    assert report.exit_code == 1
    holes = [finding.what for finding in report.findings if finding.level == "hole"]
    assert sum("going away" in what for what in holes) == 2 * len(venues)
    assert sum("not running" in what for what in holes) == 2 * len(venues)


@pytest.mark.parametrize("number", range(CORRUPTIONS))
def test_any_damage_is_found_and_laid_to_its_file(whole: Path, tmp_path: Path, number: int) -> None:
    chance = random.Random(SEED + number)
    name = list(DAMAGES)[number % len(DAMAGES)]
    directory = copy(whole, tmp_path)
    guilty = DAMAGES[name](directory, chance)
    report = check(directory)
    print(f"XTRADER_SEED={SEED} number {number}: {name} of {guilty}")
    assert report.exit_code == 2
    assert blamed(report) == {guilty.relative_to(directory).as_posix()}


def book_part(directory: Path, number: int) -> Path:
    return [path for path in parts(directory) if "stream=L2" in str(path) and "OKX" in str(path)][number]


def test_a_message_taken_out_is_found_even_if_the_list_agrees(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    path = book_part(directory, 1)
    table = pq.read_table(path, partitioning=None)
    sequence = table["sequence"][table.num_rows // 2]
    rewrite(path, table.filter(pa.compute.not_equal(table["sequence"], sequence)))
    relist(directory, path)
    report = check(directory)
    assert blamed(report) == {path.relative_to(directory).as_posix()}
    assert any("no gap row says why" in finding.what for finding in report.findings)


def test_a_trade_taken_out_is_found_even_if_the_list_agrees(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    path = next(path for path in parts(directory) if "stream=TRADES" in str(path) and "BINANCE" in str(path))
    table = pq.read_table(path, partitioning=None)
    rewrite(path, pa.concat_tables([table[:7], table[8:]]))
    relist(directory, path)
    assert blamed(check(directory)) == {path.relative_to(directory).as_posix()}


def test_a_crossed_book_that_no_row_tells_is_found(whole: Path, tmp_path: Path) -> None:
    directory = copy(whole, tmp_path)
    path = book_part(directory, 1)
    table = pq.read_table(path, partitioning=None)
    prices = table["price"].to_pylist()
    levels = zip(table["side"].to_pylist(), table["size"].to_pylist(), strict=True)
    row = next(row for row, (side, size) in enumerate(levels) if side == "bid" and size)
    prices[row] = 1020.0
    rewrite(path, table.set_column(table.schema.get_field_index("price"), "price", pa.array(prices)))
    relist(directory, path)
    report = check(directory)
    assert blamed(report) == {path.relative_to(directory).as_posix()}
    assert any("crossed" in finding.what for finding in report.findings)


@pytest.mark.parametrize(
    ("state", "is_end"), [("syncing", False), ("syncing", True), ("live", False), ("live", True), ("gap", True)]
)
def test_a_coverage_row_taken_out_is_found_even_if_the_list_agrees(whole: Path, tmp_path: Path, state: str, is_end: bool) -> None:
    directory = copy(whole, tmp_path)
    for guilty in (path for path in parts(directory) if "stream=COVERAGE" in str(path)):
        table = pq.read_table(guilty, partitioning=None)
        rows = zip(table["state"].to_pylist(), table["ts_to"].is_valid().to_pylist(), strict=True)
        row = next((row for row, found in enumerate(rows) if found == (state, is_end)), None)
        if row is not None and "2026-11-22" in str(guilty):
            rewrite(guilty, pa.concat_tables([table[:row], table[row + 1 :]]))
            relist(directory, guilty)
            break
    else:
        pytest.fail("no such row")
    report = check(directory)
    assert blamed(report) <= {guilty.relative_to(directory).as_posix(), *siblings(directory, guilty)}
    assert report.exit_code == 2


def siblings(directory: Path, path: Path) -> set[str]:
    """The other parts of the same day and instrument's coverage: a row that is missing shows where the next one is."""
    return {one.relative_to(directory).as_posix() for one in parts(directory) if one.parent.parent == path.parent.parent}


def test_a_directory_without_recording_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_says_it_in_words_as_json_and_by_its_exit_code(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(whole), "--workers", "2"]) == 1
    assert "6 declared holes, no damage" in capsys.readouterr().out
    assert main(["verify", str(whole), "--json"]) == 1
    assert msgspec.json.decode(capsys.readouterr().out, type=Report) == check(whole)
    directory = copy(whole, tmp_path)
    parts(directory)[0].unlink()
    assert main(["verify", str(directory)]) == 2
    assert parts(whole)[0].name in capsys.readouterr().out


def test_a_book_that_was_shallow_for_a_while_is_named_and_says_so_itself(tmp_path: Path) -> None:
    key = "BINANCE_SPOT@BTCUSDT"
    tracker = CoverageTracker()

    def snapshot(ts: int, number: int) -> BookUpdate:
        return BookUpdate(key, True, [(100.0, 1.0)], [(101.0, 1.0)], number, None, None, ts)

    def live(ts: int, depth: int) -> list[Coverage]:
        return tracker.rows(Coverage(key, "L2", "live", "start", ts, None, depth=depth))

    def change(ts: int, number: int) -> BookUpdate:
        return BookUpdate(key, False, [(99.0, 1.0)], [], number, number - 1, None, ts)

    record(
        tmp_path,
        [
            *tracker.rows(Coverage(key, "L2", "syncing", "start", START, None)),
            snapshot(START + 1, 7),
            *live(START + 1, 1000),
            change(START + 2, 8),
            snapshot(START + 5, 8),
            *live(START + 5, 5000),
            change(START + 7, 9),
            *tracker.rows(Coverage(key, "L2", "gap", "shutdown", START + 9, None)),
        ],
    )
    report = verify(tmp_path, rules, 1)
    assert report.exit_code == 0
    ((level, what),) = ((finding.level, finding.what) for finding in report.findings)
    assert level == "note"
    assert what.endswith("1000 levels a side of 5000")
    dataset = xtrader.open(tmp_path)
    assert [dataset.book_at(key, START + ts).depth for ts in (1, 4, 5, 8)] == [1000, 1000, 5000, 5000]
