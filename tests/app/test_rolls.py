"""Rolls between two real recorders under load: nothing missing, nothing twice, never without a live subscription.

XTRADER_ROLLS sets how many rolls are made, XTRADER_FAILED_ROLLS how many that fail on purpose.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import duckdb
import pytest

import xtrader
from tests import reading
from tests.app.processes_rolled import Places
from tests.waiting import until
from xtrader.deploy.roll import Roll, RollUndone, perform
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth
from xtrader.store.mend.compact import compact
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

ROLLS = int(os.environ.get("XTRADER_ROLLS", "2"))
FAILED = int(os.environ.get("XTRADER_FAILED_ROLLS", "2"))
VENUES = {"BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP"}
LIST = ",".join(f"L2:{exchange}@{symbol},TRADES:{exchange}@{symbol}" for exchange, symbol in VENUES.items())
READY = 0.3

pytestmark = pytest.mark.timeout(300 + 60 * (ROLLS + FAILED))


def live_spans(data: Path, key: str, stream: str) -> list[tuple[int, int]]:
    """The times that are covered by any collector, joined."""
    rows = xtrader.open(data).coverage(key).to_arrow().to_pylist()
    spans = sorted(
        (row["ts_from"].value, row["ts_to"].value if row["ts_to"] is not None else 2**62)
        for row in rows
        if row["covers"] == stream and row["state"] == "live"
    )
    joined = [spans[0]]
    for start, end in spans[1:]:
        if start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def require_whole(data: Path, truth: Truth) -> None:
    """Every event once: through xtrader.open, then in the bare files that `compact` leaves."""
    for exchange, symbol in VENUES.items():
        key = f"{exchange}@{symbol}"
        assert [len(live_spans(data, key, stream)) for stream in ("L2", "TRADES")] == [1, 1]
        made = [int(one.id) for one in truth.trades(exchange, symbol)]
        ids = [int(one) for one in xtrader.open(data).trades(key).to_arrow()["trade_id"].to_pylist()]
        assert sorted(ids) == [one for one in made if min(ids) <= one <= max(ids)]
        changes = [one.sequence for one in xtrader.open(data).replay(key, streams=["L2"]) if not one.is_snapshot]  # type: ignore[union-attr]
        assert max(Counter(changes).values()) == 1
    before = [one for one in verify(data, rules, 1).findings if one.level == "damage"]
    assert before == []
    assert compact(data).repeated > 0
    assert [one for one in verify(data, rules, 1).findings if one.level == "damage"] == []
    for exchange, symbol in VENUES.items():
        files = f"{data}/stream=TRADES/exchange={exchange}/**/*.parquet"
        found = duckdb.sql(f"select cast(trade_id as bigint), count(*) from '{files}' group by 1 order by 1").fetchall()
        made = [int(one.id) for one in truth.trades(exchange, symbol)]
        assert found == [(one, 1) for one in made if found[0][0] <= one <= found[-1][0]]
        counts = Counter(one.sequence for one in reading.messages(data, exchange, symbol) if not one.is_snapshot)
        assert max(counts.values()) == 1
        changes = [one.sequence for one in truth.books(exchange, symbol)]
        if exchange.startswith("OKX"):
            assert sorted(counts) == [one for one in changes if min(counts) <= one <= max(counts)]  # type: ignore[type-var]


@asynccontextmanager
async def recording(tmp_path: Path) -> AsyncIterator[tuple[Places, Emulator]]:
    """Emulated venues under load, and a recorder in the place `a` that is ready."""
    async with Emulator(list(VENUES), instruments=1, rate=400, keep_truth=True) as emulator:
        places = Places(tmp_path, LIST, {**emulator.variables, "XTRADER_ROTATE_SECONDS": "5"})
        try:
            await do(places.roll("nobody", "a", READY, 60), only_start=True)
            yield places, emulator
        finally:
            places.kill()


async def do(roll: Roll, *, only_start: bool = False) -> list[str]:
    """Perform it beside the event loop; what was said."""
    said: list[str] = []
    chosen = Roll(roll.old, roll.new, roll.start, roll.undo, ()) if only_start else roll
    await asyncio.to_thread(perform, chosen, said.append)
    return said


def test_rolls_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    async def main() -> Truth:
        async with recording(tmp_path) as (places, emulator):
            names = itertools.cycle(["a", "b"])
            old = next(names)
            for _ in range(ROLLS):
                new = next(names)
                await do(places.roll(old, new, READY, 60))
                assert (places.is_running(old), places.is_running(new)) == (False, True)
                old = new
            await do(Roll(old, old, places.roll(old, old, READY, 60).switch, (), ()))
            assert '"finished":true' in places.log(old)
            assert emulator.truth is not None
            return emulator.truth

    require_whole(tmp_path / "data", asyncio.run(main()))


FAULTS = {
    "a version that does not start": ({"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"}, "No module named"),
    "never ready": ({"XTRADER_BINANCE_FUTURES_WS_URL": "ws://127.0.0.1:9"}, '"event":"settings"'),
    "settings that cannot be used": ({"SUBSCRIPTIONS": "L2:NOWHERE@BTCUSDT"}, "unknown exchange 'NOWHERE'"),
    "no room on the disk": ({"XTRADER_MIN_FREE_BYTES": "1000TiB"}, "MiB free, recording needs"),
}


def test_rolls_that_fail_leave_the_old_recorder_as_it_was(tmp_path: Path) -> None:
    async def main() -> Truth:
        async with recording(tmp_path) as (places, emulator):
            first = places.pid("a")
            for number, fault in zip(range(FAILED), itertools.cycle(FAULTS), strict=False):
                new = f"bad{number}"
                variables, sign = FAULTS[fault]
                with pytest.raises(RollUndone, match="a records on"):
                    await do(places.roll("a", new, READY, 12, variables))
                assert sign in places.log(new), fault
                await until(lambda new=new: not places.is_running(new))  # type: ignore[misc]
                assert (places.pid("a"), places.is_running("a")) == (first, True), fault
            await do(places.roll("a", "b", READY, 60))
            await do(Roll("b", "b", places.roll("b", "b", READY, 60).switch, (), ()))
            assert emulator.truth is not None
            return emulator.truth

    require_whole(tmp_path / "data", asyncio.run(main()))
