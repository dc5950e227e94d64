"""Parquet parts: where they are, what is in them, and that they are never half there, twice there or changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.numbered import DAY_START, KEYS, trade, update
from tests.pipeline.parts import manifest, part_paths, read_trades, read_updates, rows_of
from tests.sinks.contract import SESSION, batches, feed
from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.records import schemas
from xtrader.sinks.parquet import hold
from xtrader.sinks.parquet import sink as parquet
from xtrader.sinks.parquet.sink import ParquetSink

BTC, OPTION, CHINESE, ODD = KEYS


def opened(directory: Path, first: int = 8, collector: str = "c1") -> ParquetSink:
    sink = ParquetSink(directory, collector)
    sink.open(first)
    sink.write(SESSION)
    return sink


def recorded(directory: Path, *rows: Record) -> ParquetSink:
    sink = opened(directory)
    feed(sink, rows)
    sink.commit(8, 96)
    return sink


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_a_part_is_where_the_partitions_say_and_its_name_says_its_journal_stretch(tmp_path: Path) -> None:
    recorded(tmp_path, update(1, BTC), trade(2, CHINESE), update(3, ODD)).close()
    name = "date=2026-11-21/part-c1-00000000000000000008-00000000000000000096.parquet"
    assert files(tmp_path) == [
        "_manifest/.c1.lock",
        "_manifest/c1.jsonl",
        f"stream=L2/exchange=OKX_SPOT/instrument=a%2Fb%2520%3Dc%20d/{name}",
        f"stream=L2/exchange=OKX_SWAP/instrument=BTC-USDT-SWAP/{name}",
        f"stream=TRADES/exchange=BINANCE_SPOT/instrument=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT/{name}",
    ]


def test_l2_has_a_row_per_level_and_one_for_a_message_without_levels(tmp_path: Path) -> None:
    t = DAY_START
    full = BookUpdate(BTC, True, [(2.0, 1.0), (1.0, 3.0)], [(4.0, 0.0)], 7, None, None, t)
    empty = BookUpdate(BTC, False, [], [], 7, 7, t + 1, t + 2)
    asks = BookUpdate(BTC, False, [], [(5.0, 0.5)], None, 7, t + 3, t + 4)
    recorded(tmp_path, full, empty, asks).close()
    (path,) = part_paths(tmp_path, "L2")
    assert [tuple(row.values()) for row in rows_of(path)] == [
        (None, t, 7, None, True, False, "bid", 2.0, 1.0),
        (None, t, 7, None, True, False, "bid", 1.0, 3.0),
        (None, t, 7, None, True, True, "ask", 4.0, 0.0),
        (t + 1, t + 2, 7, 7, False, True, None, None, None),
        (t + 3, t + 4, None, 7, False, True, "ask", 5.0, 0.5),
    ]


def test_columns_have_their_types_in_their_order(tmp_path: Path) -> None:
    instrument = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual")
    coverage = Coverage(BTC, "L2", "live", "start", DAY_START, None)
    recorded(tmp_path, instrument, coverage, update(1), trade(1)).close()
    for stream in ("INSTRUMENTS", "COVERAGE", "L2", "TRADES"):
        schema = schemas.SCHEMAS[stream]
        (path,) = part_paths(tmp_path, stream)
        found = pq.read_schema(path).remove_metadata()
        assert found.names == schema.names
        for field in schema:
            expected = pa.dictionary(pa.int32(), pa.string()) if pa.types.is_dictionary(field.type) else field.type
            kind = found.field(field.name).type
            assert kind == expected or pa.types.is_dictionary(kind), field.name
    assert schemas.L2.names == [
        "ts_event", "ts_recv", "sequence", "prev_sequence", "is_snapshot", "is_last", "side", "price", "size"
    ]  # fmt: skip
    assert schemas.TRADES.names == ["ts_event", "ts_recv", "trade_id", "side", "price", "size"]


def test_the_day_is_that_of_each_row_s_own_receive_time(tmp_path: Path) -> None:
    day = 86_400 * 10**9
    rows = [update(number, BTC, DAY_START + day - 5 + number) for number in range(10)]
    recorded(tmp_path, *rows).close()
    assert [path.parts[-2] for path in part_paths(tmp_path, "L2")] == ["date=2026-11-21", "date=2026-11-22"]
    assert sorted(read_updates(tmp_path), key=lambda row: row.ts_recv) == rows


def test_updates_that_waited_for_a_snapshot_of_the_next_day_are_in_its_file_behind_it(tmp_path: Path) -> None:
    second, midnight = 10**9, DAY_START + 24 * 3600 * 10**9
    before = update(1, BTC, midnight - 20 * second)
    snapshot = BookUpdate(BTC, True, [(2.0, 1.0)], [(4.0, 1.0)], 7, None, None, midnight + second)
    waited = BookUpdate(BTC, False, [(2.0, 2.0)], [], 8, 7, None, midnight - second)
    after = BookUpdate(BTC, False, [(2.0, 3.0)], [], 9, 8, None, midnight + 2 * second)
    recorded(tmp_path, before, snapshot, waited, after).close()
    first, last = part_paths(tmp_path, "L2")
    assert {row["ts_recv"] for row in rows_of(first)} == {before.ts_recv}
    assert [row["sequence"] for row in rows_of(last) if row["is_last"]] == [7, 8, 9]


@pytest.mark.parametrize("late", [0.2, 3599.0, 3601.0])
def test_trades_that_waited_for_one_of_the_next_day_are_in_its_file_behind_it(tmp_path: Path, late: float) -> None:
    midnight = DAY_START + 24 * 3600 * 10**9
    received = [midnight - 4000 * 10**9, midnight + 10**9, midnight - round(late * 10**9), midnight + 2 * 10**9]
    recorded(tmp_path, *(trade(number, BTC, ts) for number, ts in enumerate(received))).close()
    first, last = ([row["trade_id"] for row in rows_of(path)] for path in part_paths(tmp_path, "TRADES"))
    assert (first, last) == ((["0"], ["1", "2", "3"]) if late < 3600 else (["0", "2"], ["1", "3"]))


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    instrument = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual", tick_size=0.1)
    recorded(tmp_path, instrument, update(4), update(5)).close()
    (path,) = part_paths(tmp_path, "L2")
    facts = {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()}
    assert facts["xtrader.schema_version"] == "2"
    assert facts["xtrader.environment"] == "demo"
    assert facts["xtrader.collector"] == "c1"
    assert json.loads(facts["xtrader.instrument"])["tick_size"] == 0.1
    assert facts["xtrader.first_ts_recv"] == str(update(4).ts_recv)
    assert facts["xtrader.last_ts_event"] == str(update(5).ts_event)
    assert (facts["xtrader.first_sequence"], facts["xtrader.last_sequence"]) == ("4", "5")


def test_the_manifest_says_what_can_be_checked(tmp_path: Path) -> None:
    recorded(tmp_path, update(4), update(5), update(6)).close()
    (path,) = part_paths(tmp_path, "L2")
    (line,) = manifest(tmp_path)
    assert line["path"] == str(path.relative_to(tmp_path))
    assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert line["bytes"] == path.stat().st_size
    assert line["rows"] == pq.read_metadata(path).num_rows
    assert (line["first_sequence"], line["last_sequence"]) == (4, 6)
    assert (line["first_ts_recv"], line["last_ts_recv"]) == (update(4).ts_recv, update(6).ts_recv)
    assert (line["first_offset"], line["last_offset"]) == (8, 96)


def test_a_part_that_is_there_is_kept_and_a_manifest_line_that_is_missing_is_written(tmp_path: Path) -> None:
    recorded(tmp_path, update(1), trade(1)).close()
    paths = [*part_paths(tmp_path, "L2"), *part_paths(tmp_path, "TRADES")]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
    lines = manifest(tmp_path)
    list_path = tmp_path / "_manifest" / "c1.jsonl"
    whole = list_path.read_bytes()
    for length in (0, 1, whole.index(b"\n"), whole.index(b"\n") + 1, len(whole) - 1, len(whole)):
        list_path.write_bytes(whole[:length])
        recorded(tmp_path, update(1), trade(1)).close()
        assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before
        assert manifest(tmp_path) == lines


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    killed = ParquetSink(tmp_path, "c1", buffer_bytes=1)
    killed.open(8)
    feed(killed, [update(1), trade(2, CHINESE)])
    left = [path for path in files(tmp_path) if path.endswith(".tmp")]
    assert len(left) == 2
    assert {Path(path).parent.as_posix() for path in left} == {"_unfinished/c1"}
    other = opened(tmp_path, collector="c2")
    assert [path for path in files(tmp_path) if path.endswith(".tmp")] == left
    other.close()
    parquet.os.close(killed._lock)
    again = ParquetSink(tmp_path, "c1")
    again.abandon()
    again.open(16)
    again.close()
    assert not [path for path in files(tmp_path) if path.endswith((".tmp", ".open"))]


def test_what_a_killed_process_of_an_older_version_left_among_the_parts_is_removed(tmp_path: Path) -> None:
    opened(tmp_path).close()
    left = tmp_path / "stream=L2" / "exchange=X" / "instrument=Y" / "date=2026-11-21" / f".part-c1-{8:020d}.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PAR1")
    own = tmp_path / "kept.tmp"
    own.touch()
    names = [str(left.relative_to(tmp_path)), "kept.tmp", "\0", "gone/.part-c1-1.tmp"]
    (tmp_path / "_manifest" / ".c1.open").write_bytes("".join(f"{name}\n" for name in names).encode())
    opened(tmp_path).close()
    assert not left.exists()
    assert own.exists()
    assert not (tmp_path / "_manifest" / ".c1.open").exists()


def test_nothing_is_among_the_parts_before_it_is_whole(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "c1", buffer_bytes=1)
    sink.open(8)
    feed(sink, [update(1), trade(2, CHINESE)])
    assert not list(tmp_path.glob("stream=*"))
    sink.commit(8, 16)
    sink.close()
    assert {path.suffix for path in tmp_path.glob("stream=*/**/*") if path.is_file()} == {".parquet"}
    assert not list((tmp_path / "_unfinished").rglob("*.tmp"))


def test_one_collector_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "LOCK_SECONDS", 0.1)
    sink = opened(tmp_path)
    with pytest.raises(ConfigError, match=r"another process writes to .* as collector .c1."):
        opened(tmp_path)
    sink.close()
    opened(tmp_path).close()


def test_many_instruments_and_small_buffers_keep_each_instrument_s_order(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "c1", buffer_bytes=20_000)
    sink.open(8)
    sink.write(SESSION)
    rows = [update(number, f"OKX_SWAP@S{number % 7 if number % 3 else number % 100:03d}") for number in range(3000)]
    for start in range(0, len(rows), 50):
        feed(sink, rows[start : start + 50])
    sink.commit(8, 16)
    sink.close()
    assert read_updates(tmp_path) == sorted(rows, key=lambda row: row.instrument)


def test_a_flipped_bit_in_a_page_is_found_by_the_reader(tmp_path: Path) -> None:
    recorded(tmp_path, *(update(number) for number in range(500))).close()
    (path,) = part_paths(tmp_path, "L2")
    content = bytearray(path.read_bytes())
    end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    found = 0
    for place in range(100, end, 97):
        damaged = content.copy()
        damaged[place] ^= 4
        try:
            pq.read_table(pa.BufferReader(bytes(damaged)), page_checksum_verification=True)
        except OSError:
            found += 1
    assert found >= 0.95 * len(range(100, end, 97))


def test_pandas_polars_and_duckdb_open_it_in_one_line(tmp_path: Path) -> None:
    recorded(tmp_path, *(update(number, key) for number in range(100) for key in (BTC, CHINESE)), trade(1, CHINESE)).close()
    levels = sum(line["rows"] for line in manifest(tmp_path) if line["stream"] == "L2")
    from_pandas = pd.read_parquet(tmp_path / "stream=L2")
    from_polars = pl.read_parquet(f"{tmp_path}/stream=L2/**/*.parquet", hive_partitioning=True)
    from_duckdb = duckdb.sql(f"select * from read_parquet('{tmp_path}/stream=L2/**/*.parquet', hive_partitioning=true)")
    assert len(from_pandas) == len(from_polars) == len(from_duckdb) == levels
    assert set(from_pandas["instrument"]) == {"BTC-USDT-SWAP", "币安人生USDT"}
    assert set(from_polars["instrument"]) == {"BTC-USDT-SWAP", "币安人生USDT"}
    names = duckdb.sql("select distinct instrument from from_duckdb").fetchall()
    assert {name for (name,) in names} == {"BTC-USDT-SWAP", "币安人生USDT"}
    assert from_pandas["price"].sum() == pytest.approx(from_polars["price"].sum())
    assert str(from_polars.schema["ts_recv"]) == "Datetime(time_unit='ns', time_zone='UTC')"
    assert str(from_pandas["ts_recv"].dtype) == "datetime64[ns, UTC]"
    assert len(read_trades(tmp_path)) == 1


def test_batches_of_one_flush_share_its_time(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for batch in batches([Coverage(BTC, "L2", "live", "start", DAY_START - 7, None)], DAY_START + 3):
        sink.write(batch)
    sink.commit(8, 16)
    sink.close()
    (path,) = part_paths(tmp_path, "COVERAGE")
    (row,) = rows_of(path)
    assert row == {
        "ts_recv": DAY_START + 3, "covers": "L2", "state": "live", "cause": "start", "ts_from": DAY_START - 7, "ts_to": None,
        "detail": "", "ids_from": None, "ids_to": None, "depth": None,
    }  # fmt: skip
