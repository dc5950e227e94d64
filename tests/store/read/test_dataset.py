"""Questions to a data set: the rows are those of the files, as few bytes as possible are read, and names are forgiving."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import polars
import pyarrow as pa
import pytest
from fsspec.implementations.dirfs import DirFileSystem

import xtrader
from tests import reading
from tests.pipeline.numbered import trade, update
from tests.store import made
from tests.store.recordings import SECOND, START, instrument, record
from xtrader.errors import ConfigError
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.store.read.dataset import Dataset
from xtrader.store.read.times import nanoseconds, period

SWAP, PERPETUAL, SPOT = "OKX_SWAP@BTC-USDT-SWAP", "DERIBIT@BTC-PERPETUAL", "OKX_SPOT@BTC-USDT"
COUNT = 3000


def records() -> list[Record]:
    """300 seconds of two instruments, ten records a second each; the third one is only known, not traded."""
    found: list[Record] = [
        instrument("OKX_SWAP", "BTC-USDT-SWAP", "BTCUSDT"),
        instrument("DERIBIT", "BTC-PERPETUAL", "BTCUSD"),
        instrument("OKX_SPOT", "BTC-USDT", "BTCUSDT"),
        *(Coverage(key, "L2", "live", "start", START, None) for key in (SWAP, PERPETUAL)),
    ]
    for number in range(COUNT):
        ts = START + number * SECOND // 10
        make = update if number % 2 else trade
        found += [make(number, SWAP, ts), make(number, PERPETUAL, ts + 7)]
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("dataset"), records(), rotate_seconds=60)


@pytest.fixture(scope="module")
def dataset(directory: Path) -> Dataset:
    return xtrader.open(directory)


def plain(table: Any) -> Any:
    """Times as integers, words as text."""
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, column.name, table[column.name].cast("int64"))
        elif pa.types.is_dictionary(column.type):
            table = table.set_column(place, column.name, table[column.name].cast("string"))
    return table.combine_chunks()


@pytest.mark.parametrize("stream", ["TRADES", "L2"])
def test_the_rows_of_an_instrument_are_those_of_its_files_in_their_order(dataset: Dataset, directory: Path, stream: str) -> None:
    ask = dataset.trades if stream == "TRADES" else dataset.book_updates
    found = plain(ask(SWAP).to_arrow())
    assert plain(dataset.rows(stream, SWAP).to_arrow()).equals(found)
    files = plain(reading.rows(directory, stream, "OKX_SWAP", "BTC-USDT-SWAP"))
    assert found.drop_columns(["exchange", "instrument"]).equals(files.select(found.column_names[2:]))
    assert found.num_rows >= COUNT // 2
    assert set(found["exchange"].to_pylist()) == {"OKX_SWAP"}
    assert set(found["instrument"].to_pylist()) == {"BTC-USDT-SWAP"}


def test_several_instruments_come_in_the_order_of_receipt(dataset: Dataset) -> None:
    found = plain(dataset.trades().to_arrow())
    expected = sorted((START + number * SECOND // 10 + late, str(number)) for number in range(0, COUNT, 2) for late in (0, 7))
    assert list(zip(found["ts_recv"].to_pylist(), found["trade_id"].to_pylist(), strict=True)) == expected


@pytest.mark.parametrize("first", [0, 1, 599, 600, 601, 2998])
@pytest.mark.parametrize("length", [1, 2, 700])
def test_a_range_has_its_start_and_not_its_end(dataset: Dataset, first: int, length: int) -> None:
    start, end = (START + number * SECOND // 10 for number in (first, first + length))
    found = dataset.trades(SWAP, start=start, end=end, columns=["trade_id"]).to_arrow()
    assert found["trade_id"].to_pylist() == [str(number) for number in range(first, min(first + length, COUNT)) if not number % 2]
    messages = list(dataset.replay(SWAP, streams=["L2"], start=start, end=end))
    assert [one.sequence for one in messages if isinstance(one, BookUpdate)] == [
        number for number in range(first, min(first + length, COUNT)) if number % 2
    ]


def test_every_reader_gets_the_same_rows(dataset: Dataset) -> None:
    rows = dataset.trades(SWAP, end=START + 10 * SECOND)
    table = rows.to_arrow()
    assert table.schema == rows.schema
    assert table.num_rows == 50
    prices = table["price"].to_pylist()
    frame = rows.to_pandas()
    assert frame["price"].tolist() == prices
    assert frame["ts_event"].astype("int64[pyarrow]").tolist() == plain(table)["ts_event"].to_pylist()
    assert rows.to_polars()["price"].to_list() == prices
    assert rows.to_duckdb().aggregate("count(*), sum(size)").fetchall() == [(50, 25.0)]
    with duckdb.connect() as connection:
        assert rows.to_duckdb(connection).filter("side = 'buy'").aggregate("count(*)").fetchall() == [(17,)]
    assert polars.DataFrame(rows)["trade_id"].to_list() == table["trade_id"].to_pylist()
    assert pa.table(rows).equals(pa.table(rows.to_reader()))


@pytest.mark.parametrize("name", [SWAP, "okx_swap@btc-usdt-swap", "OKX_SWAP@BTCUSDT", "BTC-USDT-SWAP"])
def test_an_instrument_is_found_by_symbol_or_alias_in_any_case(dataset: Dataset, name: str) -> None:
    assert set(dataset.trades(name).to_arrow()["instrument"].to_pylist()) == {"BTC-USDT-SWAP"}


def test_a_name_without_an_exchange_means_all_that_have_it_and_a_book_needs_one(dataset: Dataset) -> None:
    assert dataset.instruments("BTCUSDT").to_arrow()["exchange"].to_pylist() == ["OKX_SPOT", "OKX_SWAP"]
    assert dataset.instruments(exchange="deribit").to_arrow()["instrument"].to_pylist() == ["BTC-PERPETUAL"]
    assert dataset.trades(["BTCUSD", "OKX_SPOT@BTCUSDT"]).to_arrow().num_rows == COUNT // 2
    with pytest.raises(ConfigError, match="BTCUSDT may be OKX_SPOT@BTC-USDT, OKX_SWAP@BTC-USDT-SWAP: say which"):
        dataset.book_at("BTCUSDT", START)


def test_a_symbol_of_one_exchange_hides_no_alias_of_another(tmp_path: Path) -> None:
    """BINANCE_SPOT calls it BTCUSDT; to OKX_SWAP that is an alias."""
    made.record(tmp_path, seconds=300)
    both = xtrader.open(tmp_path)
    one_by_one = [both.trades(key).to_arrow().num_rows for key in (made.OKX, made.BINANCE)]
    assert min(one_by_one) > 0
    assert both.trades("btcusdt").to_arrow().num_rows == sum(one_by_one)
    assert len(list(both.replay("BTCUSDT", streams=["TRADES"]))) == sum(one_by_one)
    for ask in (lambda: both.book_at("BTCUSDT", made.BEGIN), lambda: both.books("BTCUSDT"), lambda: both.bars("BTCUSDT")):
        with pytest.raises(ConfigError, match=f"BTCUSDT may be {made.BINANCE}, {made.OKX}: say which"):
            ask()
    assert set(both.trades("BINANCE_SPOT@BTCUSDT").to_arrow()["exchange"].to_pylist()) == {"BINANCE_SPOT"}


def test_what_is_here_is_a_row_per_stream_with_its_first_and_last_time(dataset: Dataset) -> None:
    found = plain(dataset.recorded().to_arrow()).to_pylist()
    assert [(one["exchange"], one["stream"]) for one in found] == [
        ("DERIBIT", "L2"), ("DERIBIT", "TRADES"), ("OKX_SWAP", "L2"), ("OKX_SWAP", "TRADES"),
    ]  # fmt: skip
    for row in found:
        ask = dataset.trades if row["stream"] == "TRADES" else dataset.book_updates
        recv = plain(ask(f"{row['exchange']}@{row['instrument']}").to_arrow())["ts_recv"].to_pylist()
        assert (row["ts_first"], row["ts_last"]) == (min(recv), max(recv))
    assert dataset.recorded(SPOT).to_arrow().num_rows == 0


def test_an_instrument_without_rows_of_a_stream_gives_an_empty_answer_of_the_same_columns(dataset: Dataset) -> None:
    empty = dataset.trades(SPOT)
    assert empty.to_arrow().num_rows == 0
    assert empty.to_arrow().schema == dataset.trades(SWAP).to_arrow().schema
    assert len(empty.to_pandas()) == len(empty.to_polars()) == 0
    assert dataset.bars(SPOT).to_arrow().num_rows == 0


def test_what_cannot_be_answered_is_said_in_one_sentence(dataset: Dataset, tmp_path: Path) -> None:
    for question, words in (
        (lambda: dataset.trades("OKX_SWAP@BTC-USDT-SWAPS"), "did you mean OKX_SWAP@BTC-USDT-SWAP"),
        (lambda: dataset.trades(exchange="KRAKEN"), "nothing of KRAKEN is recorded here; known are DERIBIT, OKX_SPOT, OKX_SWAP"),
        (lambda: dataset.trades(exchange="OKX_SWOP"), "nothing of OKX_SWOP is recorded here; did you mean OKX_SWAP"),
        (lambda: dataset.trades("BTC-USDT-SWOP"), "did you mean OKX_SWAP@BTC-USDT-SWAP"),
        (lambda: dataset.trades(start=START + 1, end=START), f"the start {START + 1} is after the end {START}"),
        (lambda: dataset.bars(SWAP, start="2026-11-22", end="2026-11-21"), "the start 2026-11-22 is after the end 2026-11-21"),
        (lambda: dataset.rows("trade"), "unknown stream 'trade': known are L2, TRADES, FUNDING"),
        (lambda: next(dataset.replay(streams=["L3"])), "unknown stream 'L3': known are"),
        (lambda: dataset.trades(columns=["prize"]), "TRADES has no column 'prize'"),
        (lambda: dataset.book_at(SWAP, "yesterday"), "'yesterday' is no time"),
        (lambda: dataset.bars(SWAP, every="0s"), "'0s' is no period"),
        (lambda: dataset.books(SWAP, depth=0), "depth 0"),
        (lambda: xtrader.open(tmp_path), "there is no recording in"),
        (lambda: xtrader.open(), "nothing to open"),
        (lambda: xtrader.open("nowhere://x/y"), "cannot read from nowhere://"),
    ):
        with pytest.raises(ConfigError, match=words):
            question()


def test_coverage_is_one_row_an_interval_and_only_of_the_range(tmp_path: Path) -> None:
    def told(state: str, start: int, end: int | None) -> Coverage:
        return Coverage(SWAP, "L2", state, "start", START + start * SECOND, None if end is None else START + end * SECOND, state)

    rows = [told("syncing", 0, None), told("syncing", 0, 1), told("live", 1, None), told("live", 1, 9), told("gap", 9, 10)]
    rows += [told("live", 10, None)]
    data = xtrader.open(record(tmp_path, rows))
    found = plain(data.coverage().to_arrow()).to_pylist()
    spans = [(row["state"], row["ts_from"] - START, row["ts_to"] and row["ts_to"] - START) for row in found]
    assert spans == [
        ("syncing", 0, SECOND),
        ("live", SECOND, 9 * SECOND),
        ("gap", 9 * SECOND, 10 * SECOND),
        ("live", 10 * SECOND, None),
    ]
    assert {row["collector"] for row in found} == {"c1"}
    part = data.coverage(start=START + 9 * SECOND, end=START + 10 * SECOND).to_arrow()
    assert part["state"].to_pylist() == ["gap"]


def test_the_instrument_is_the_one_that_was_told_last_or_last_before_a_time(tmp_path: Path) -> None:
    told = [instrument("OKX_SWAP", "BTC-USDT-SWAP", "BTCUSDT", START + n * SECOND, tick_size=float(n)) for n in (1, 2, 3)]
    data = xtrader.open(record(tmp_path, told, rotate_seconds=1))
    assert data.instruments().to_arrow()["tick_size"].to_pylist() == [3.0]
    assert data.instruments(at=START + 2 * SECOND).to_arrow()["tick_size"].to_pylist() == [2.0]
    assert data.instruments(at=START).to_arrow()["tick_size"].to_pylist() == []


class Counting(DirFileSystem):
    """Counts the bytes of Parquet files that are read."""

    cachable = False

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), fsspec.filesystem("file"))
        self.files: set[str] = set()
        self.bytes = 0

    def open(self, path: str, mode: str = "rb", **_: object) -> Any:
        file = super().open(path, mode, block_size=None)
        if path.endswith(".parquet"):
            self.files.add(path)
            inner = file.read

            def read(length: int = -1) -> bytes:
                found: bytes = inner(length)
                self.bytes += len(found)
                return found

            file.read = read
        return file


def cost(directory: Path, question: Any) -> tuple[int, int]:
    """(files, bytes) that a question to a fresh data set reads; the rare streams are not counted."""
    counting = Counting(directory)
    question(xtrader.open("", filesystem=counting)).to_arrow()
    return len({path for path in counting.files if "stream=L2" in path or "stream=TRADES" in path}), counting.bytes


def test_only_the_files_and_columns_that_matter_are_read(directory: Path) -> None:
    minute = {"start": START + 70 * SECOND, "end": START + 80 * SECOND}
    every_file, everything = cost(directory, lambda data: data.book_updates())
    one_file, one_minute = cost(directory, lambda data: data.book_updates(SWAP, **minute))
    _, one_column = cost(directory, lambda data: data.book_updates(SWAP, columns=["price"], **minute))
    assert (every_file, one_file) == (10, 1)
    assert one_minute < everything / 5
    assert one_column < one_minute
    assert cost(directory, lambda data: data.trades("OKX_SPOT@BTCUSDT"))[0] == 0


def test_a_file_that_no_list_knows_and_one_that_was_replaced_are_not_read(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    lists = copy / "_manifest" / "c1.jsonl"
    lines = [json.loads(line) for line in lists.read_text().splitlines()]
    parts = [line for line in lines if line["stream"] == "TRADES" and line["instrument"] == SWAP]
    shutil.copy(copy / parts[0]["path"], copy / parts[0]["path"].replace("part-", "part-z"))
    assert xtrader.open(copy).trades(SWAP).to_arrow().num_rows == COUNT // 2
    merged = parts[1] | {"replaces": [part["path"] for part in parts[2:]]}
    (copy / "_manifest" / "c1.compacted.jsonl").write_text(json.dumps(merged) + "\n")
    expected = parts[0]["rows"] + parts[1]["rows"]
    assert xtrader.open(copy).trades(SWAP).to_arrow().num_rows == expected
    with lists.open("a") as file:
        file.write('{"path": "a line in the mak')
    assert xtrader.open(copy).trades(SWAP).to_arrow().num_rows == expected


def test_a_damaged_file_is_an_error_and_no_wrong_rows(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    path = next(copy.glob("stream=TRADES/exchange=OKX_SWAP/*/*/*.parquet"))
    content = path.read_bytes()
    expected = xtrader.open(copy).trades(SWAP).to_arrow()
    refused = 0
    for place in range(4, len(content), len(content) // 40):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            assert xtrader.open(copy).trades(SWAP).to_arrow().equals(expected)
        except OSError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    "time",
    [
        START,
        "2026-11-21T00:00:00Z",
        "2026-11-21",
        "2026-11-21 00:00",
        "2026-11-21T01:00:00.000000000+01:00",
        datetime(2026, 11, 21, tzinfo=UTC),
        datetime(2026, 11, 21),
        datetime(2026, 11, 21, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_may_be_written_in_many_ways(time: Any) -> None:
    assert nanoseconds(time) == START


def test_no_digit_of_a_time_is_lost() -> None:
    assert nanoseconds("2026-11-21T00:00:00.123456789Z") == START + 123456789
    assert nanoseconds(datetime(2026, 11, 21, 0, 0, 0, 123456, tzinfo=UTC)) == START + 123456000
    assert [period(every) for every in ("100ms", "1s", "5m", timedelta(hours=1), 7)] == [10**8, 10**9, 300 * 10**9, 3600 * 10**9, 7]
