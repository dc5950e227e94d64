from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.captures import captures
from tests.cli.process import xtrader


def test_recordings_of_others_become_parquet_files_and_again_the_same_ones(tmp_path: Path) -> None:
    source = str(captures() / "recorded-1")
    ran = xtrader(tmp_path, "renormalise", source, "--output-directory", "out")
    assert ran.returncode == 0
    assert ran.stderr == f"xtrader: not read, as no recording is in it: {source}/LICENSE\n"
    (line,) = [line for line in ran.stdout.splitlines() if "L2:BINANCE_FUTURES@SUSHIUSDT" in line]
    assert [cell.strip() for cell in line.split("│")][3:7] == ["255", "252", "3", "0"]
    files = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.parquet")}
    (trades,) = (path for path in files if "stream=TRADES" in str(path) and "SUSHIUSDT" in str(path))
    assert pq.read_metadata(trades).num_rows == 40
    assert xtrader(tmp_path, "renormalise", source, "--output-directory", "out").returncode == 0
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.parquet")} == files


def test_a_truncated_recording_is_kept_up_to_the_damage_which_is_told(tmp_path: Path) -> None:
    whole = (captures() / "recorded-1" / "OKX.ws.1.0.gz").read_bytes()
    (tmp_path / "OKX.ws.1.0.gz").write_bytes(whole[: len(whole) // 2])
    ran = xtrader(tmp_path, "renormalise", "OKX.ws.1.0.gz", "--output-directory", "out")
    assert ran.returncode == 0
    assert "OKX.ws.1.0.gz" in ran.stderr
    assert ran.stderr.startswith("xtrader: ")
    assert list((tmp_path / "out").rglob("stream=L2/**/*.parquet"))


@pytest.mark.parametrize(("name", "why"), [("begins", "older days were pruned"), ("ends", "it is an extract")])
def test_a_directory_of_which_times_were_left_out_takes_no_old_recordings(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "out" / "_manifest").mkdir(parents=True)
    (tmp_path / "out" / "_manifest" / f"{name}-01700000000000000000").touch()
    ran = xtrader(tmp_path, "renormalise", str(captures() / "recorded-1"), "--output-directory", "out")
    assert ran.returncode == 2
    assert why in ran.stderr
    assert not list((tmp_path / "out").rglob("*.parquet"))
    ran = xtrader(tmp_path, "--subscriptions", "L2:OKX_SWAP@BTC-USDT-SWAP", "--output-directory", "out", "--shutdown-after", "0.1")
    assert (ran.returncode == 2) == (name == "ends"), ran.stderr
    assert (why in ran.stderr) == (name == "ends")


def test_a_book_that_could_not_be_made_is_no_success(tmp_path: Path) -> None:
    source = str(captures() / "recorded-1" / "BINANCE_FUTURES.ws.1.0.gz")
    ran = xtrader(tmp_path, "renormalise", source, "--output-directory", "out")
    assert ran.returncode == 1
    assert ran.stderr.count("the files hold no snapshot of its book") == 4
    assert list((tmp_path / "out").rglob("stream=TRADES/**/*.parquet"))
