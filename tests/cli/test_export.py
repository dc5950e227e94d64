"""What is exported is what the data set answers, to the last digit, in files that the field's tools read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import xtrader
from tests.store import made
from tests.stores import Both
from xtrader.clock import SECOND
from xtrader.look.lines import stamp

FROM, TO = made.BEGIN + 60 * SECOND, made.BEGIN + 120 * SECOND
RANGE = ("--from", stamp(FROM, 9), "--to", stamp(TO, 9))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export") / "rec"
    made.record(directory, seconds=100)
    return directory


@pytest.fixture
def both(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    monkeypatch.chdir(tmp_path)
    return Both(recording, "", capfd)


def exported(both: Both, what: str, name: str, *words: str) -> Path:
    ran = both.run(("export", what, "PLACE", "--output", name, *words), str(both.directory))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{name}: ")
    return Path(name)


def plain(table: Any) -> Any:
    """Words as text, times as integers."""
    for place, field in enumerate(table.schema):
        kind = pa.int64() if pa.types.is_timestamp(field.type) else pa.string() if pa.types.is_dictionary(field.type) else None
        if kind is not None:
            table = table.set_column(place, field.name, table[field.name].cast(kind))
    return table.combine_chunks()


def read_csv(path: Path, schema: Any) -> Any:
    options = pa_csv.ConvertOptions(
        column_types={field.name: field.type for field in schema}, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    return pa_csv.read_csv(path, convert_options=options)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
@pytest.mark.parametrize("stream", ["TRADES", "L2"])
def test_rows_are_those_of_the_data_set_to_the_last_digit(both: Both, stream: str, name: str) -> None:
    path = exported(both, f"{stream}:{made.OKX}", name, *RANGE)
    expected = plain(xtrader.open(both.directory).rows(stream, made.OKX, start=FROM, end=TO).to_arrow())
    schema = pa.schema(
        [field.with_type(pa.timestamp("ns", tz="UTC")) if field.name[:3] == "ts_" else field for field in expected.schema]
    )
    found = pq.read_table(path) if name.endswith("parquet") else read_csv(path, schema)
    assert plain(found).equals(expected)
    assert found.num_rows > 0
    assert [one.name for one in Path().iterdir()] == [name]


def test_an_ambiguous_name_or_a_star_is_all_that_fits(both: Both) -> None:
    for what in ("TRADES:BTCUSDT", "TRADES:*"):
        found = polars.read_parquet(exported(both, what, "all.parquet"))
        assert set(found["exchange"]) == {"BINANCE_SPOT", "OKX_SWAP"}
    assert len(polars.read_csv(exported(both, "INSTRUMENTS:*", "i.csv"))) == 2
    coverage = polars.read_csv(exported(both, f"COVERAGE:{made.OKX}", "c.csv"))
    assert set(coverage["state"]) == {"live", "gap", "syncing"}


def test_the_columns_of_tardis_are_theirs_with_times_in_microseconds(both: Both) -> None:
    data = xtrader.open(both.directory)
    trades = exported(both, f"TRADES:{made.OKX}", "t.csv.gz", "--columns", "tardis", *RANGE)
    assert gzip.decompress(trades.read_bytes()).decode().splitlines()[0].replace('"', "").strip() == (
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    )
    rows = duckdb.sql(f"SELECT timestamp, local_timestamp, id, side, price, amount FROM '{trades}'").fetchall()
    expected = plain(data.trades(made.OKX, start=FROM, end=TO).to_arrow()).to_pylist()
    assert [(one[0], one[1], str(one[2]), *one[3:]) for one in rows] == [
        (one["ts_event"] // 1000, one["ts_recv"] // 1000, one["trade_id"], one["side"], one["price"], one["size"])
        for one in expected
    ]
    book = exported(both, f"L2:{made.OKX}", "b.csv", "--columns", "tardis")
    assert book.read_text().splitlines()[0].replace('"', "") == (
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
    )
    levels = [one for one in plain(data.book_updates(made.OKX).to_arrow()).to_pylist() if one["price"] is not None]
    rows = duckdb.sql(f"SELECT timestamp, local_timestamp, is_snapshot, side, price, amount FROM '{book}'").fetchall()
    assert rows == [
        (
            (one["ts_recv"] if one["ts_event"] is None else one["ts_event"]) // 1000,
            *(one["ts_recv"] // 1000, one["is_snapshot"], one["side"], one["price"], one["size"]),
        )
        for one in levels
    ]


def test_books_and_bars_are_those_of_the_data_set(both: Both) -> None:
    data = xtrader.open(both.directory)
    lists = pq.read_table(exported(both, f"BOOKS:{made.OKX}", "b.parquet", "--every", "10s", "--depth", "3"))
    expected = data.books(made.OKX, every="10s", depth=3).to_arrow()
    assert lists.equals(expected)
    flat = polars.read_csv(exported(both, f"BOOKS:{made.OKX}", "b.csv", "--every", "10s", "--depth", "3"))
    assert flat.columns[:6] == ["ts", "sequence", "asks[0].price", "asks[0].size", "bids[0].price", "bids[0].size"]
    for level in range(3):
        for side in ("ask", "bid"):
            for what in ("price", "size"):
                column = expected[f"{side}_{what}s"].to_pylist()
                wanted = [None if row is None or len(row) <= level else row[level] for row in column]
                assert flat[f"{side}s[{level}].{what}"].to_list() == wanted
    bars = polars.read_csv(exported(both, f"BARS:{made.OKX}", "bars.csv", "--every", "1m"))
    assert bars["volume"].to_list() == data.bars(made.OKX, every="1m").to_arrow()["volume"].to_pylist()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((f"TRADE:{made.OKX}", "--output", "x.csv"), "did you mean TRADES?"),
        (("TRADES", "--output", "x.csv"), "names no instrument: give TRADES:EXCHANGE@INSTRUMENT"),
        (("BARS:*", "--output", "x.csv"), "BARS are of one instrument"),
        (("BARS:BTCUSDT", "--output", "x.csv"), f"may be {made.BINANCE}, {made.OKX}: say which"),
        ((f"TRADES:{made.OKX}", "--output", "x.xls"), "'x.xls' ends in none of .csv, .csv.gz, .parquet"),
        ((f"TRADES:{made.OKX}", "--output", "x.csv", "--every", "1s"), "--every is about BARS and BOOKS, not TRADES"),
        (("COVERAGE:*", "--output", "x.csv", "--columns", "tardis"), "only TRADES and L2 can be written in its columns"),
        (("TRADES:OKX_SWAP@BTCUSD", "--output", "x.csv"), "did you mean"),
        ((f"BARS:{made.OKX}", "--output", "x.csv", "--every", "soon"), "'soon' is no period"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_no_file(both: Both, words: tuple[str, ...], said: str) -> None:
    ran = both.run(("export", words[0], "PLACE", *words[1:]), str(both.directory))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err
    assert list(Path().iterdir()) == []


def test_an_empty_answer_is_a_file_with_headings_and_says_what_there_is(both: Both) -> None:
    words = ("export", f"TRADES:{made.OKX}", "PLACE", "--output", "x.csv", "--to", "2020-01-01")
    ran = both.run(words, str(both.directory))
    assert (ran.code, f"TRADES:{made.OKX} from 2026-11-21" in ran.err) == (0, True)
    assert len(Path("x.csv").read_text().splitlines()) == 1
