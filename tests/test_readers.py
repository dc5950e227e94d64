"""The lines that the README gives for reading a recording work, word for word, in each reader."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas
import polars
import pytest

from tests import reading
from tests.captures import captures
from xtrader.cli.main import main

README = (Path(__file__).parents[1] / "README.md").read_text()


def line_for(reader: str) -> str:
    found = re.search(rf"^\| {reader} \| `([^`]+)` \|", README, re.MULTILINE)
    assert found is not None
    return found.group(1)


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
    line = line_for(reader).replace("TRADES", stream)
    found = eval(line, {"pandas": pandas, "polars": polars, "duckdb": duckdb})
    frame = found.pl() if reader == "DuckDB" else found
    expected = reading.rows(recording / "data", stream)
    assert len(frame) == expected.num_rows > 0
    assert set(frame["exchange"].to_list()) == {"OKX_SPOT", "OKX_SWAP", "OKX_FUTURES"}
    assert {str(day) for day in frame["date"].to_list()} == {"2022-05-13"}
    assert sorted(frame["price"].to_list()) == sorted(expected["price"].to_pylist())
    assert sorted(x for x in frame["side"].to_list()) == sorted(expected["side"].cast("string").to_pylist())
