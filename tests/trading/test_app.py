"""Runs from a recording: the same every time, decided again by their own files, and refused before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.store.recordings import record
from tests.trading.days import recording, strategy_file
from tests.trading.market import KEY, OTHER, SECOND, START, live, snapshot
from xtrader.errors import ConfigError
from xtrader.trading.app import TradeOptions, TradeRun, options_of, replay
from xtrader.trading.log import run_files
from xtrader.trading.log.run_log import read_log
from xtrader.trading.verify_run import verify_run


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recording(tmp_path_factory.mktemp("day"))


def options(day: Path, folder: Path, **facts: Any) -> TradeOptions:
    told = {"strategy": str(strategy_file(folder)), "places": (str(day),), "runs": folder / "runs"}
    return TradeOptions(**{**told, **facts})


def test_the_same_run_twice_is_the_same(day: Path, tmp_path: Path) -> None:
    one, two = (replay(options(day, tmp_path)) for _ in range(2))
    assert one.report.digest == two.report.digest
    assert one.report.fills > 3
    assert one.directory != two.directory
    # How long callbacks took is of the machine, not of the run: it is a warning at most.
    same = [msgspec.structs.replace(run.report, run="", warnings=[]) for run in (one, two)]
    assert same[0] == same[1]


def test_the_digest_is_the_same_whatever_the_seed_of_hashes(day: Path, tmp_path: Path) -> None:
    path = strategy_file(tmp_path)
    digests = set()
    for seed in ("0", "12345"):
        arguments = ["trade", "--strategy", str(path), "--runs", str(tmp_path / seed), str(day)]
        variables = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-m", "xtrader", *arguments], env=variables, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.splitlines()[-2])
    assert digests == {f"digest {replay(options(day, tmp_path)).report.digest}"}


@pytest.mark.parametrize("facts", [{"queue": "power(3)"}, {"params": {"size": "0.25"}}, {"delay_sigma": 0.5}])
def test_what_a_run_is_made_of_changes_its_digest(day: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    base = {"entry_delay": 5_000_000, "response_delay": 5_000_000}
    assert replay(options(day, tmp_path, **base)).report.digest != replay(options(day, tmp_path, **base, **facts)).report.digest


def test_a_run_is_decided_again_from_its_own_files(day: Path, tmp_path: Path) -> None:
    run = replay(
        options(day, tmp_path, start=START + 2 * SECOND, end=START + 15 * SECOND, params={"size": "0.3"}, seed=7, delay_sigma=0.3)
    )
    (tmp_path / "follower.py").write_text("the file is another one by now")
    found = verify_run(run.directory)
    assert (found.first, found.is_whole, found.digest) == (None, True, run.report.digest)
    assert found.rows > 10


def test_what_is_recorded_later_is_no_part_of_the_run(tmp_path: Path) -> None:
    day = recording(tmp_path / "day", seconds=6)
    run = replay(options(day, tmp_path))
    later = START + 60 * SECOND
    more = [live(KEY, later), *(snapshot(later + n * SECOND, 100 + n / 10, 100.2 + n / 10) for n in range(9))]
    record(day, more, collector="c2")
    assert replay(options(day, tmp_path)).report.digest != run.report.digest
    assert verify_run(run.directory).first is None


def test_a_changed_log_is_found_at_its_first_difference(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path))
    manifest = run_files.load(run.directory)
    manifest.params = {"size": "0.4"}
    run_files.save(run.directory, manifest)
    found = verify_run(run.directory)
    assert found.first is not None
    number, then, now = found.first
    assert '"quantity":"0.5"' in then
    assert '"quantity":"0.4"' in now
    assert number == found.rows


def test_limits_that_were_changed_in_a_manifest_are_refused(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path))
    manifest = run_files.load(run.directory)
    manifest.limits = {**manifest.limits, "max_loss.daily_usd": "9999"}
    with pytest.raises(ConfigError, match="its limits are not those of its hash"):
        options_of(manifest)


def test_a_run_that_was_cut_off_verifies_up_to_where_it_came(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path))
    manifest = run_files.load(run.directory)
    manifest.ended = manifest.digest = ""
    run_files.save(run.directory, manifest)
    (path,) = (run.directory / "log").iterdir()
    whole = path.read_bytes()
    for share in (0, 1, 3, 7, 10):
        path.write_bytes(whole[: len(whole) * share // 10])
        found = verify_run(run.directory)
        assert (found.first, found.is_whole) == (None, False)


def test_gaps_are_blind_time_and_nothing_is_decided_on_a_lost_book(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path, markets=(KEY,)))
    assert run.report.gaps == {KEY: 1}
    assert 1 <= run.report.blind_seconds[KEY] < 1.2
    (gap,) = [row for kind, row in read_log(run.directory / "log") if kind == "gap"]
    fills = [row for kind, row in read_log(run.directory / "log") if kind == "fill"]
    assert not [row for row in fills if gap["ts"] < row["ts_event"] < gap["ts"] + SECOND]


def test_a_range_begins_with_the_books_of_its_beginning(day: Path, tmp_path: Path) -> None:
    late = replay(options(day, tmp_path, start=START + 3 * SECOND, end=START + 9 * SECOND))
    assert late.report.first == START + 3 * SECOND + 60_000_000
    assert late.report.blind_seconds[KEY] == 0
    assert late.report.fills > 0


def test_positions_are_the_sum_of_the_fills_of_the_log(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path))
    sums: dict[str, Decimal] = {}
    for kind, row in read_log(run.directory / "log"):
        if kind == "fill":
            sign = 1 if row["side"] == "buy" else -1
            sums[row["instrument"]] = sums.get(row["instrument"], Decimal(0)) + sign * Decimal(row["quantity"])
    assert {one.instrument: one.quantity for one in run.report.holdings} == sums


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"markets": ("DOGEUSDT",)}, "nothing of DOGEUSDT is recorded here"),
        ({"start": START + 3600 * SECOND}, "no book of .* is live in this range"),
        ({"start": START + SECOND, "end": START}, "the range is empty"),
        ({"limits_file": Path("none.toml")}, "the limits 'none.toml' cannot be read: No such file"),
        ({"profile": "brave"}, "there is no profile 'brave'"),
        ({"queue": "best"}, "there is no queue model 'best'"),
        ({"mode": "live"}, "there is no mode 'live'"),
        ({"params": {"sise": 1}}, "did you mean size"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_leaves_nothing(day: Path, tmp_path: Path, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replay(options(day, tmp_path, **facts))
    assert not (tmp_path / "runs").exists()


def test_two_runs_in_one_directory_are_refused(day: Path, tmp_path: Path) -> None:
    run: TradeRun = replay(options(day, tmp_path, directory=tmp_path / "mine"))
    assert run.directory == tmp_path / "mine"
    with pytest.raises(ConfigError, match="is not empty: a run needs a directory of its own"):
        replay(options(day, tmp_path, directory=tmp_path / "mine"))


def test_only_the_markets_that_are_named_are_traded(day: Path, tmp_path: Path) -> None:
    run = replay(options(day, tmp_path, markets=("okx_swap@btcusdtswap",)))
    assert {one.instrument for one in run.report.holdings} == {OTHER}
