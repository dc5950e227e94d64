"""The whole way, from real sockets to SQL: what the venues sent is in the tables, each thing once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.pipeline.parts import read_coverages, read_instruments, read_trades, read_updates
from tests.running import log_of, recorder, stop
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.test_recorder import everything
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth

VENUES = {"BINANCE_SPOT": "BTCUSDT", "BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}


def check_trades(server: Server, prefix: str, truth: Truth, exchange: str, symbol: str) -> int:
    """The trades in the table are an unbroken stretch of the true ones, equal in every field; how many."""
    where = f"exchange = '{exchange}' AND instrument = '{symbol}'"
    stored = [
        (row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"])
        for row in reading.rows(server, prefix + "trades", "ts_recv, ts, trade_id::long", where)
    ]
    true = [(t.id, t.side, float(t.price), float(t.size), t.ts * 10**6) for t in truth.trades(exchange, symbol)]
    first = true.index(min(stored, key=lambda row: int(row[0].split("-")[-1])))
    assert Counter(stored) == Counter(true[first : first + len(stored)])
    return len(stored)


def test_both_sinks_hold_what_the_venues_published_row_for_row(server: Server, prefix: str, tmp_path: Path) -> None:
    async def main() -> Truth:
        variables = server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}
        async with Emulator(list(VENUES), instruments=2, rate=1200, keep_truth=True) as emulator:
            assert emulator.truth is not None
            wanted = everything(VENUES)
            async with recorder(tmp_path, wanted, emulator.variables | variables, "--sink", "parquet,questdb") as process:
                await asyncio.sleep(6)
                assert await stop(process) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    data = tmp_path / "data"
    for exchange, symbol in VENUES.items():
        assert check_trades(server, prefix, truth, exchange, symbol) > 50
    assert Counter(map(repr, reading.trades(server, prefix))) == Counter(map(repr, read_trades(data)))
    assert Counter(map(repr, reading.updates(server, prefix))) == Counter(map(repr, read_updates(data)))
    assert Counter(map(repr, reading.coverages(server, prefix))) == Counter(map(repr, read_coverages(data)))
    assert Counter(map(repr, reading.instruments(server, prefix))) == Counter(map(repr, read_instruments(data)))
    assert server.sql(f"SELECT count() FROM '{prefix}coverage' WHERE state = 'gap' AND cause != 'shutdown'") == [[0]]
