"""What was recorded live, and what `renormalise` makes of the raw traffic that was kept beside it: the same rows and files."""

from __future__ import annotations

import asyncio
from collections import defaultdict
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
from xtrader.model.market import Coverage, Record
from xtrader.pipeline.direct import write_recording
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
LOST = ("disconnect", "malformed")
"""Causes of which the text may tell more live: it says what a socket said."""


def told(records: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """The records of each stream of each instrument, in order. Of coverage the intervals as they were closed: the end of the live
    run is a gap that lasts."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for one in records:
        if isinstance(one, Instrument) or (isinstance(one, Coverage) and one.ts_to is None):
            continue
        if isinstance(one, Coverage) and one.state == "gap" and one.cause in LOST and one.ids_from is None:
            one = msgspec.structs.replace(one, detail="")
        name = f"coverage of {one.stream}" if isinstance(one, Coverage) else type(one).__name__
        found[one.instrument, name].append(one)
    return found


def files(records: list[Record], directory: Path) -> dict[str, bytes]:
    """What books and trades are on disk, by the name of the file."""
    kept = [one for one in records if not isinstance(one, Instrument | Coverage)]
    write_recording(kept, ParquetSink(directory, "x"), "x", {})
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.parquet")}


def renormalised(directory: Path) -> list[Record]:
    renormaliser = Renormaliser([directory])
    records = list(renormaliser.records())
    assert (renormaliser.remarks, renormaliser.is_all_kept) == ([], True)
    return records


def live(exchange: str, story: str, connections: int, raw: Path) -> Outcome:
    target = f"{exchange}@{SYMBOLS[exchange]}"
    faults = [parse(text.format(target=target)) for text in STORIES[story]]
    return record(
        Plan(faults, venues=[exchange], instruments=1, connections=connections, stopped=SECONDS, at_least=SECONDS, raw=raw)
    )


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("exchange", VENUES)
def test_a_raw_recording_gives_the_rows_and_the_files_of_the_live_run(exchange: str, story: str, tmp_path: Path) -> None:
    outcome = live(exchange, story, 1, tmp_path / "raw")
    records = renormalised(tmp_path / "raw")
    assert told(records) == told([*outcome.records])
    written = files(records, tmp_path / "again")
    assert len(written) == 2
    assert written == files([*outcome.records], tmp_path / "live")


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
            if connections > 1:
                # Live, two connections end one after the other, and each knows its own last message.
                for rows in (told_live, told_again):
                    del rows[-1]["ts_to"]
            assert told_again == told_live, (exchange, stream)


def intervals(directory: Path, exchange: str, symbol: str, stream: str) -> list[dict[str, Any]]:
    """The closed rows of coverage, but for when each was written."""
    rows = [row for row in reading.coverage(directory, exchange, symbol, stream) if row["ts_to"] is not None]
    return [{name: value for name, value in row.items() if name != "ts_recv"} for row in rows]
