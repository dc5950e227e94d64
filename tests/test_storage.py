"""A disk that fills up while recording: feeds stop with rows that say so, nothing is torn, and it goes on with room again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests import reading
from tests.needs import small_file_system
from tests.running import log_of, logged, recorder, stop
from tests.waiting import within
from xtrader.emulator.server import Emulator


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    with small_file_system(tmp_path / "disk", "64m") as place:
        yield place


def test_recording_stops_before_the_disk_is_full_and_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    low = {"XTRADER_MIN_FREE_BYTES": "24MiB"}

    async def main() -> None:
        async with (
            Emulator(["OKX_SWAP"], instruments=1, rate=300) as emulator,
            recorder(small_disk, "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT", emulator.variables | low) as process,
        ):
            await logged(small_disk, "recording")
            await asyncio.sleep(1)
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(48 * 2**20))
            await logged(small_disk, "no_room")
            await asyncio.sleep(1)
            ballast.unlink()
            await asyncio.sleep(4)
            assert await stop(process) == 0, log_of(small_disk)

    asyncio.run(main())
    data = small_disk / "data"
    for covers in ("L2", "TRADES"):
        rows = [row for row in reading.coverage(data, "OKX_SWAP", "BTC-USDT-SWAP", covers) if row["ts_to"] is None]
        states = [(row["state"], row["cause"]) for row in rows]
        start = [("syncing", "start"), ("live", "start")]
        again = [("gap", "storage"), ("syncing", "storage"), ("live", "storage")]
        assert states == [*start, *again, ("gap", "shutdown")]
        gap = next(row for row in rows if row["cause"] == "storage")
        assert all(
            not gap["ts_from"] + 10**8 < ts < gap["ts_from"] + 10**9 for ts in reading.rows(data, "TRADES")["ts_recv"].to_pylist()
        )
    for part in data.rglob("*.parquet"):
        pq.ParquetFile(part, page_checksum_verification=True).read()


def test_a_disk_that_is_full_before_the_start_is_refused_with_the_figures(small_disk: Path) -> None:
    async def main() -> int:
        (small_disk / "ballast").write_bytes(bytes(48 * 2**20))
        low = {"XTRADER_MIN_FREE_BYTES": "24MiB"}
        async with recorder(small_disk, "L2:OKX_SWAP@BTCUSDT", low) as process:
            return await within(process.wait())

    assert asyncio.run(main()) == 2
    said = log_of(small_disk)
    assert "recording needs 24 MiB (XTRADER_MIN_FREE_BYTES=25165824)" in said
    assert "Traceback" not in said


def test_a_journal_that_cannot_be_written_ends_the_recorder_with_exit_code_74(small_disk: Path) -> None:
    async def main() -> int:
        none = {"XTRADER_MIN_FREE_BYTES": "1"}
        async with (
            Emulator(["OKX_SWAP"], instruments=1, rate=2000) as emulator,
            recorder(small_disk, "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT", emulator.variables | none) as process,
        ):
            await logged(small_disk, "recording")
            with (small_disk / "ballast").open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(2**16)):
                        pass
                except OSError:
                    # Full: what is left is less than a page, and the journal gets none of it.
                    pass
            return await within(process.wait())

    assert asyncio.run(main()) == 74
    assert "Traceback" not in log_of(small_disk)
