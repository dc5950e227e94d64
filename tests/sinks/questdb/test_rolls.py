"""Rolls between two recorders that write into one database: each event is one row, whichever of them sent it.

XTRADER_ROLLS sets how many rolls are made.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from pathlib import Path

from tests.app.processes_rolled import Places
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from xtrader.deploy.roll import Roll, perform
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth

ROLLS = int(os.environ.get("XTRADER_ROLLS", "1"))
EXCHANGE, SYMBOL = "OKX_SWAP", "BTC-USDT-SWAP"


def test_rolls_into_one_database_lose_nothing_and_double_nothing(tmp_path: Path, server: Server, prefix: str) -> None:
    async def main() -> Truth:
        async with Emulator([EXCHANGE], instruments=1, rate=300, keep_truth=True) as emulator:
            assert emulator.truth is not None
            variables = {**emulator.variables, **server.variables(), "QUESTDB_TABLE_PREFIX": prefix, "XTRADER_SINK": "questdb"}
            places = Places(tmp_path, f"L2:{EXCHANGE}@{SYMBOL},TRADES:{EXCHANGE}@{SYMBOL}", variables)
            try:
                names = itertools.cycle("ab")
                old = next(names)
                first = places.roll("nobody", old, 0.5, 60)
                await asyncio.to_thread(perform, Roll(first.old, first.new, first.start, first.undo, ()), lambda _: None)
                for _ in range(ROLLS):
                    new = next(names)
                    await asyncio.to_thread(perform, places.roll(old, new, 0.5, 60), lambda _: None)
                    old = new
                last = Roll(old, old, places.roll(old, old, 0.5, 60).switch, (), ())
                await asyncio.to_thread(perform, last, lambda _: None)
                assert '"finished":true' in places.log(old), places.log(old)[-2000:]
            finally:
                places.kill()
            return emulator.truth

    truth = asyncio.run(main())
    server.settle()
    trades = sorted(int(one.trade_id) for one in reading.trades(server, prefix))
    assert trades == [int(one.id) for one in truth.trades(EXCHANGE, SYMBOL) if trades[0] <= int(one.id) <= trades[-1]]
    found = [one.sequence for one in reading.updates(server, prefix) if not one.is_snapshot and one.sequence is not None]
    assert max(Counter(found).values()) == 1
    made = [one.sequence for one in truth.books(EXCHANGE, SYMBOL)]
    assert sorted(found) == [one for one in made if min(found) <= one <= max(found)]
