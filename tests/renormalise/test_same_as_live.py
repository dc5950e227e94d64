"""What was recorded live, and what `renormalise` makes of the raw traffic that was kept beside it: the same rows and files."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import reading
from tests.cli.process import xtrader
from tests.faults.cases import SYMBOLS
from tests.faults.world import LOGIN, VENUES, Outcome, Plan, record
from tests.running import in_sync, log_of, recorder, stop
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline.write_records import write_records
from xtrader.renormalise.renormaliser import Renormaliser
from xtrader.sinks.parquet.sink import ParquetSink

SECONDS = 40
STORIES: dict[str, tuple[str, ...]] = {
    "nothing happens": (),
    "messages are lost": ("lost:L2:{target}:after=5,times=2,every=9", "lost:TRADES:{target}:after=7,times=3,every=4"),
    "messages come late": ("reorder:L2:{target}:after=5,times=2", "reorder:TRADES:{target}:after=5,times=3"),
    "books cross": ("crossings:L2:{target}:after=5,times=4",),
    "messages cannot be read": ("malformed:L2:{target}:after=5", "malformed:TRADES:{target}:after=40"),
    "connections are cut": ("close_1006:L2:{target}:after=5,times=3,every=20", "close_1001:TRADES:{target}:after=30"),
}

UNNAMED = frozenset({"BYBIT_LINEAR"})
"""Venues whose confirmations do not name what they confirm: a connection that brought nothing else is not seen in a recording."""
TROUBLE = (
    "close_1006:L2:{target}:after=5,times=4,every=25",
    "close_1006:TRADES:{target}:after=9,times=3,every=30",
    "lost:L2:{target}:after=30,times=3,every=17",
    "lost:TRADES:{target}:after=20,times=4,every=9",
    "malformed:TRADES:{target}:after=120",
)


def told(records: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """The records of each stream of each instrument, in order. Of coverage the intervals as they were closed: the end of the live
    run is a gap that lasts, from the last message of each; that of a recording comes with the last one of its connection."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for one in records:
        if isinstance(one, Instrument) or (isinstance(one, Coverage) and one.ts_to is None):
            continue
        if isinstance(one, Coverage) and (one.state, one.cause, one.ids_from) == ("gap", "disconnect", None):
            # Live, the text is what the socket said.
            one = msgspec.structs.replace(one, detail="")
        name = f"coverage of {one.stream}" if isinstance(one, Coverage) else type(one).__name__
        found[one.instrument, name].append(one)
    for rows in found.values():
        if isinstance(rows[-1], Coverage) and rows[-1].state == "live":
            rows[-1] = msgspec.structs.replace(rows[-1], ts_to=None)
    return found


def files(records: list[Record], directory: Path) -> dict[str, bytes]:
    """What books and trades are on disk, by the name of the file."""
    kept = [one for one in records if not isinstance(one, Instrument | Coverage)]
    write_records(kept, ParquetSink(directory, "x"), "x", {})
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.parquet")}


def renormalised(directory: Path) -> list[Record]:
    renormaliser = Renormaliser([directory])
    records = list(renormaliser.records())
    assert (renormaliser.remarks, renormaliser.is_all_kept) == ([], True)
    return records


def live(exchange: str, texts: Sequence[str], connections: int, raw: Path) -> Outcome:
    faults = [parse(text.format(target=f"{exchange}@{SYMBOLS[exchange]}")) for text in texts]
    return record(Plan(faults, venues=[exchange], instruments=1, connections=connections, stopped=SECONDS, raw=raw))


@pytest.mark.parametrize(
    ("exchange", "story"), [(one, story) for one in VENUES for story in STORIES if one not in UNNAMED or "cut" not in story]
)
def test_a_raw_recording_gives_the_rows_and_the_files_of_the_live_run(exchange: str, story: str, tmp_path: Path) -> None:
    outcome = live(exchange, STORIES[story], 1, tmp_path / "raw")
    records = renormalised(tmp_path / "raw")
    assert told(records) == told([*outcome.records])
    written = files(records, tmp_path / "again")
    assert len(written) == 2
    assert written == files([*outcome.records], tmp_path / "live")


@pytest.mark.parametrize("exchange", [one for one in VENUES if one not in UNNAMED])
def test_of_two_connections_in_trouble_the_raw_files_give_the_same_messages_live_times_and_missing_numbers(
    exchange: str, tmp_path: Path
) -> None:
    """Here both connections bring a message at the very same time, so which of the two it is taken from is not compared."""
    outcome = live(exchange, TROUBLE, 2, tmp_path / "raw")
    expected, found = told([*outcome.records]), told(renormalised(tmp_path / "raw"))
    assert found.keys() == expected.keys()
    for name, records in expected.items():
        assert [*essence(found[name])] == [*essence(records)], name
    assert any(isinstance(one, Coverage) and one.ids_from for records in expected.values() for one in records)


def essence(records: list[Record]) -> Iterator[tuple[object, ...]]:
    """What of records does not depend on which of two connections brought it first. The last interval's end does."""
    *_, last = records
    for one in records:
        if not isinstance(one, Coverage):
            assert isinstance(one, Trade | BookUpdate)
            yield one.sequence, one.ts_recv if isinstance(one, Trade) else one.is_snapshot
        elif one.state == "live" and one is not last and one.ts_from != one.ts_to:
            yield one.ts_from, one.ts_to
        elif one.state == "gap" and one.ids_from is not None:
            yield one.cause, one.ids_from, one.ids_to


@pytest.mark.parametrize("connections", [1, 2])
def test_the_command_makes_the_rows_of_the_recorder_of_the_raw_files_that_it_kept(connections: int, tmp_path: Path) -> None:
    wanted = ",".join(f"{stream}:{exchange}@{symbol}" for exchange, symbol in SYMBOLS.items() for stream in ("L2", "TRADES"))

    async def main() -> None:
        async with Emulator(VENUES, instruments=1, rate=400) as emulator:
            variables = {**emulator.variables, **LOGIN, "XTRADER_CONNECTIONS": str(connections)}
            async with recorder(tmp_path, wanted, variables, "--raw-directory", str(tmp_path / "raw")) as process:
                await in_sync(tmp_path)
                await asyncio.sleep(4)
                assert await stop(process) == 0, log_of(tmp_path)

    asyncio.run(main())
    ran = xtrader(tmp_path, "renormalise", "raw", "--output-directory", "again")
    assert (ran.returncode, ran.stderr) == (0, "")
    for exchange, symbol in SYMBOLS.items():
        for stream in ("L2", "TRADES"):
            expected, found = (reading.rows(tmp_path / name, stream, exchange, symbol) for name in ("data", "again"))
            assert found.num_rows > 50
            assert found.equals(expected), (exchange, stream)
            told_live, told_again = (intervals(tmp_path / name, exchange, symbol, stream) for name in ("data", "again"))
            # Live, each is known until its own last message.
            assert told_again[-1].pop("ts_to") >= told_live[-1].pop("ts_to")
            assert told_again == told_live, (exchange, stream)


def intervals(directory: Path, exchange: str, symbol: str, stream: str) -> list[dict[str, Any]]:
    """The closed rows of coverage, but for when each was written."""
    rows = [row for row in reading.coverage(directory, exchange, symbol, stream) if row["ts_to"] is not None]
    return [{name: value for name, value in row.items() if name != "ts_recv"} for row in rows]
