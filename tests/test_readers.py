"""The lines that the README gives for reading a recording work, word for word, in each reader: of one that is finished, of one that
is being made, and of one whose recorder was killed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import psutil
import pytest

import xtrader
from tests import reading
from tests.captures import captures
from tests.pipeline.killing import start
from tests.waiting import wait_until
from xtrader.cli.main import main

README = (Path(__file__).parents[1] / "README.md").read_text()


def line_for(reader: str) -> str:
    found = re.search(rf"^\| {reader} \| `([^`]+)` \|", README, re.MULTILINE)
    assert found is not None
    return found.group(1)


def read(reader: str, stream: str) -> Any:
    """What the reader's line gives, as a frame."""
    found = eval(line_for(reader).replace("TRADES", stream), {"pandas": pandas, "polars": polars, "duckdb": duckdb})
    return found.pl() if reader == "DuckDB" else found


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("readers")
    files = [str(path) for path in sorted((captures() / "recorded-1").glob("OKX.*"))]
    assert main(["renormalise", *files, "--output-directory", str(directory / "data")]) == 0
    return directory


@pytest.mark.parametrize("reader", ["pandas", "Polars", "DuckDB"])
@pytest.mark.parametrize("stream", ["TRADES", "L2"])
def test_a_reader_opens_all_of_a_stream_by_one_line(
    recording: Path, monkeypatch: pytest.MonkeyPatch, reader: str, stream: str
) -> None:
    monkeypatch.chdir(recording)
    frame = read(reader, stream)
    expected = reading.rows(recording / "data", stream)
    assert len(frame) == expected.num_rows > 0
    assert set(frame["exchange"].to_list()) == {"OKX_SPOT", "OKX_SWAP", "OKX_FUTURES"}
    assert {str(day) for day in frame["date"].to_list()} == {"2022-05-13"}
    assert sorted(frame["price"].to_list()) == sorted(expected["price"].to_pylist())
    assert sorted(x for x in frame["side"].to_list()) == sorted(expected["side"].cast("string").to_pylist())


def unfinished(directory: Path) -> list[Path]:
    return list((directory / "data").rglob("*.tmp"))


def stopped_amid_a_file(family: list[psutil.Process], directory: Path) -> bool:
    """Stop the processes; if nothing is unfinished now, let them go on."""
    for one in family:
        one.suspend()
    if unfinished(directory):
        return True
    for one in family:
        one.resume()
    return False


def test_every_line_works_beside_a_busy_recorder_and_after_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [(reader, stream) for reader in ("pandas", "Polars", "DuckDB") for stream in ("TRADES", "L2", "COVERAGE")]
    (gaps,) = re.findall(r"SELECT covers, cause, detail FROM 'data/[^\\]+", README)
    recorder = start(tmp_path, 1)
    family = [psutil.Process(recorder.pid)]
    beside = dict.fromkeys(lines, 0)

    def read_all() -> bool:
        for line in lines:
            beside[line] += bool(unfinished(tmp_path))
            assert len(read(*line)) > 0
        assert duckdb.sql(gaps).fetchall() == []
        assert xtrader.open("./data").trades("OKX_SWAP@SYM0-USDT-SWAP").to_arrow().num_rows > 0
        return min(beside.values()) >= 2

    try:
        wait_until(lambda: list(tmp_path.glob("data/stream=L2/**/*.parquet")))
        wait_until(read_all)
        assert recorder.poll() is None
        family = [psutil.Process(recorder.pid), *psutil.Process(recorder.pid).children()]
        wait_until(lambda: stopped_amid_a_file(family, tmp_path))
    finally:
        for one in family:
            one.kill()
        recorder.wait()
    for line in lines:
        assert len(read(*line)) == reading.rows(tmp_path / "data", line[1]).num_rows > 0
    assert unfinished(tmp_path)
