"""The end of the journal's budget while the database is away: recording pauses and says so, then both sinks hold the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from click.testing import CliRunner

from tests.pipeline.parts import read_coverages, read_trades, read_updates
from tests.running import in_sync, log_of, logged, recorder, stop
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.waiting import until
from xtrader.cli.verify import verify
from xtrader.emulator.server import Emulator

WANTED = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"


def test_at_the_budget_s_end_recording_pauses_and_goes_on_by_itself_and_both_sinks_hold_the_same(
    server: Server, prefix: str, tmp_path: Path
) -> None:
    variables = {"QUESTDB_TABLE_PREFIX": prefix, "XTRADER_JOURNAL_MAX_BYTES": "4MiB", "XTRADER_ROTATE_SECONDS": "1"}

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=1000) as emulator:
            given = emulator.variables | server.variables() | variables
            async with recorder(tmp_path, WANTED, given, "--sink", "parquet,questdb") as process:
                await until(lambda: server.exists(f"{prefix}trades"))
                server.stop()
                parts = len(list((tmp_path / "data").rglob("*.parquet")))
                await logged(tmp_path, "no_room")
                # What was recorded before the pause is in the files: the database's absence did not hold them up.
                await until(lambda: len(list((tmp_path / "data").rglob("*.parquet"))) > parts)
                await asyncio.to_thread(server.start)
                # The database proves what it has twice, a minute apart, before the journal is let go and there is room.
                await in_sync(tmp_path, 2, limit=300)
                paused = server.rows(f"{prefix}trades")
                await until(lambda: server.rows(f"{prefix}trades") > paused + 500)
                assert await stop(process) == 0, log_of(tmp_path)

    asyncio.run(main())
    data = tmp_path / "data"
    # All chains of numbers are whole but for declared gaps.
    assert CliRunner().invoke(verify, [str(data)], catch_exceptions=False).exit_code == 1
    coverages = read_coverages(data)
    for stream in ("TRADES", "L2"):
        told = [(row.state, row.cause) for row in coverages if row.stream == stream and row.ts_to is not None]
        again = [("gap", "storage"), ("syncing", "storage"), ("live", "storage")]
        assert told == [("syncing", "start"), ("live", "start"), *again]
    assert Counter(map(repr, reading.trades(server, prefix))) == Counter(map(repr, read_trades(data)))
    assert Counter(map(repr, reading.updates(server, prefix))) == Counter(map(repr, read_updates(data)))
    assert Counter(map(repr, reading.coverages(server, prefix))) == Counter(map(repr, coverages))
