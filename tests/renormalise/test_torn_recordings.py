"""Real recordings, torn in every way: what is stored is true, what is missing is a gap, and nothing ends the conversion."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.captures import captures
from tests.recordings.raw_copy import copy_raw
from xtrader.errors import ConfigError
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline.write_records import write_records
from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Answered, Event, Received
from xtrader.renormalise.renormaliser import Renormaliser
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

SEEDS = 12
SLACK = 10_000_000_000
"""Nanoseconds by which a time may be off without being out of line with its neighbours'."""
LENGTHS = (1, 1, 2, 5, 20, 200, 2000, 20_000)


def make(name: str, form: str, directory: Path) -> None:
    """A recording in one of its forms: cryptofeed's text, plain or packed, hftbacktest's, or our own."""
    directory.mkdir()
    files = sorted((captures() / "recorded-1").glob(f"{name}.*"))
    if form in ("plain", "packed"):
        for path in files:
            data = path.read_bytes()
            (directory / path.name.removesuffix("" if form == "packed" else ".gz")).write_bytes(
                data if form == "packed" else gzip.decompress(data)
            )
        return
    if form == "raw":
        copy_raw(files, directory)
        return
    (recording,) = open_recordings(files)
    lines = [(event.ts, event.payload if isinstance(event, Received) else event.body) for event in frames(recording.events())]
    (directory / "a.gz").write_bytes(gzip.compress(b"".join(b"%d %b\n" % line for line in lines)))


def frames(events: Iterator[Event]) -> Iterator[Received | Answered]:
    """What hftbacktest's collector keeps."""
    for event in events:
        if isinstance(event, Received) or (isinstance(event, Answered) and b"lastUpdateId" in event.body[:100]):
            yield event


def tear(noise: Random, data: bytes) -> bytes:
    """Data, damaged in one of the ways in which files are."""
    begin, length = noise.randrange(len(data)), noise.choice(LENGTHS)
    match noise.choice(("cut", "end", "flip", "repeat", "append", "zeros")):
        case "cut":
            return data[:begin] + data[begin + length :]
        case "end":
            return data[:begin]
        case "flip":
            torn = bytearray(data)
            for _ in range(noise.choice((1, 3))):
                torn[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
            return bytes(torn)
        case "repeat":
            return data[:begin] + data[max(0, begin - length) : begin] + data[begin:]
        case "append":
            return data[:begin] + data
        case _:
            return data[:begin] + bytes(min(length, len(data) - begin)) + data[begin + length :]


def read(directory: Path) -> tuple[list[Record], Renormaliser]:
    renormaliser = Renormaliser([directory])
    return list(renormaliser.records()), renormaliser


def trades(records: list[Record]) -> dict[tuple[str, str], Trade]:
    found = [record for record in records if isinstance(record, Trade)]
    ids = Counter((trade.instrument, trade.trade_id) for trade in found)
    assert [one for one, count in ids.items() if count > 1] == [], "a trade is stored once"
    return {(trade.instrument, trade.trade_id): trade for trade in found}


def check_missing(truth: list[Record], records: list[Record]) -> None:
    """Every trade that is not there lies in a gap, or where nothing is said to be live."""
    kept = trades(records)
    for key, trade in trades(truth).items():
        if key in kept:
            continue
        mine = [
            row
            for row in records
            if isinstance(row, Coverage) and (row.instrument, row.stream) == (trade.instrument, "TRADES") and row.ts_to is not None
        ]
        is_live = any(row.state == "live" and row.ts_from < trade.ts_recv < (row.ts_to or 0) for row in mine)
        is_gap = any(row.state == "gap" and row.ts_from <= trade.ts_recv <= (row.ts_to or 0) for row in mine)
        assert is_gap or not is_live, key


FORMS = [(name, form) for name in ("BINANCE_FUTURES", "DERIBIT", "OKX") for form in ("packed", "plain", "raw")]


@pytest.mark.parametrize(("name", "form"), [*FORMS, ("BINANCE_FUTURES", "collected")])
def test_a_torn_recording_gives_true_rows_and_gaps_for_the_rest(tmp_path: Path, name: str, form: str) -> None:
    make(name, form, tmp_path / "whole")
    truth, _ = read(tmp_path / "whole")
    times = [record.ts_recv for record in truth if isinstance(record, Trade | BookUpdate)]
    begin = min(record.ts_from for record in truth if isinstance(record, Coverage)) - SLACK
    end = max(times) + SLACK
    for seed in range(SEEDS):
        noise = Random(f"{name} {form} {seed}")
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "torn")
        path = noise.choice(sorted((tmp_path / "torn").iterdir()))
        data = path.read_bytes()
        if path.suffix == ".gz" and noise.random() < 0.5:
            path.write_bytes(gzip.compress(tear(noise, gzip.decompress(data)), compresslevel=1))
        else:
            path.write_bytes(tear(noise, data))
        try:
            records, renormaliser = read(tmp_path / "torn")
        except ConfigError:
            continue
        for record in records:
            if isinstance(record, Trade | BookUpdate):
                assert begin <= record.ts_recv <= end, seed
            elif isinstance(record, Coverage):
                assert begin <= record.ts_from <= (record.ts_to or end) <= end, seed
        if name != "OKX":
            check_missing(truth, records)
        if seed % 4 == 0:
            made_of = {token: {"environment": "", "depth_window": ""} for token in renormaliser.markets}
            write_records(records, ParquetSink(tmp_path / f"out{seed}", "recorded"), "recorded", made_of)
            assert verify(tmp_path / f"out{seed}", rules, 1).exit_code < 2, seed
