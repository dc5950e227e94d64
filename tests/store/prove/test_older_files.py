"""Recordings of an older version, whose COVERAGE files lack the columns that came later, are read, verified and merged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

import xtrader
from tests.store import made
from tests.store.recordings import START, record
from xtrader.errors import ConfigError
from xtrader.model.market import BookUpdate, Coverage
from xtrader.records.batches import RareBatch
from xtrader.sinks.described import describe
from xtrader.sinks.manifest import Manifest, ManifestLine, coverage_of, stated
from xtrader.sinks.stored import batches
from xtrader.store.mend.compact import compact
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

ADDED = ["ids_from", "ids_to", "depth"]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A recording with its COVERAGE files as version 1 wrote them."""
    made.record(tmp_path)
    listed = tmp_path / "_manifest" / "c1.jsonl"
    lines = [msgspec.json.decode(text, type=ManifestLine) for text in listed.read_bytes().splitlines()]
    listed.write_bytes(b"")
    manifest = Manifest(listed)
    manifest.open(0)
    manifest.append([_older(tmp_path, line) if line.stream == "COVERAGE" else line for line in lines])
    return tmp_path


def _older(root: Path, line: ManifestLine) -> ManifestLine:
    table = pq.read_table(root / line.path, partitioning=None).drop_columns(ADDED)
    facts = {**table.schema.metadata, b"xtrader.schema_version": b"1"}
    pq.write_table(table.replace_schema_metadata(facts), root / line.path, compression="zstd", write_page_checksum=True)
    return describe(root, line.path, line.coverage)


def test_the_columns_that_an_older_file_lacks_are_null(older: Path) -> None:
    found = xtrader.open(older).coverage().to_arrow()
    assert found.num_rows > 0
    assert all(found[name].null_count == found.num_rows for name in ADDED)
    assert "a message is missing" in found["detail"].to_pylist()


def test_an_older_recording_verifies_as_it_did(older: Path) -> None:
    found = verify(older, rules, 1)
    assert found.exit_code == 1
    assert {finding.level for finding in found.findings} == {"hole"}


def test_older_files_are_merged_among_themselves(older: Path) -> None:
    before = xtrader.open(older).coverage().to_arrow()
    compact(older)
    assert xtrader.open(older).coverage().to_arrow().equals(before)
    assert verify(older, rules, 1).exit_code == 1


def test_a_list_says_of_coverage_without_numbers_what_it_always_said(older: Path) -> None:
    texts = (older / "_manifest" / "c1.jsonl").read_bytes().splitlines()
    lines = [msgspec.json.decode(text, type=ManifestLine) for text in texts]
    found = [(line, row) for line in lines for row in coverage_of(line)]
    assert found
    assert all(stated(row) in line.coverage for line, row in found)
    assert msgspec.json.encode(stated(Coverage(made.OKX, "L2", "gap", "silent", 1, 2, "why"))) == b'["gap","silent",1,2]'


def test_older_rows_are_loaded_as_they_were(older: Path) -> None:
    path = sorted(older.glob("stream=COVERAGE/exchange=OKX_SWAP/**/*.parquet"))[0]
    rows = [row for batch in batches(str(path), "COVERAGE", made.OKX) if isinstance(batch, RareBatch) for row in batch.rows]
    assert rows[0] == Coverage(made.OKX, "L2", "syncing", "start", made.BEGIN, None)


def test_a_column_that_was_never_there_is_an_error(older: Path) -> None:
    with pytest.raises(ConfigError, match="no column"):
        xtrader.open(older).trades(made.OKX, columns=["ids_from"]).to_arrow()


S = 10**9
KEY = "BINANCE_FUTURES@BTCUSDT"


def _crossing(cause: str, detail: str) -> list[Coverage | BookUpdate]:
    """A book that crosses, is resynced, and crosses again 10 s later; the messages that cross it are stored."""

    def told(state: str, cause: str, ts_from: int, ts_to: int | None, detail: str = "") -> Coverage:
        return Coverage(KEY, "L2", state, cause, START + ts_from * S, None if ts_to is None else START + ts_to * S, detail)

    def sent(number: int, previous: int | None, bid: float, ts: int) -> BookUpdate:
        asks = [(101.0, 1.0)] if previous is None else []
        return BookUpdate(KEY, previous is None, [(bid, 1.0)], asks, number, previous, None, START + ts * S)

    return [
        told("syncing", "start", 0, None),
        told("syncing", "start", 0, 1),
        sent(10, None, 100.0, 1),
        told("live", "start", 1, None),
        sent(11, 10, 100.5, 2),
        sent(12, 11, 102.0, 3),
        told("live", "start", 1, 2),
        told("gap", cause, 2, 3, detail),
        told("syncing", cause, 3, None),
        told("syncing", cause, 3, 4),
        sent(13, None, 100.0, 4),
        told("live", cause, 4, None),
        sent(14, 13, 103.0, 14),
        told("live", cause, 4, 20),
    ]


@pytest.mark.parametrize(
    ("cause", "detail", "level"),
    [
        ("venue_gap", "crossed book: bid 102.0 >= ask 101.0", "hole"),
        ("venue_gap", "a message is missing", "damage"),
        ("crossed", "crossed book: bid 102.0 >= ask 101.0", "damage"),
    ],
)
def test_only_a_recorder_that_knew_no_cause_crossed_may_have_stored_a_crossed_book(
    tmp_path: Path, cause: str, detail: str, level: str
) -> None:
    record(tmp_path, _crossing(cause, detail))
    assert level in {finding.level for finding in verify(tmp_path, rules, 1).findings}
    assert level == "damage" or verify(tmp_path, rules, 1).exit_code == 1
