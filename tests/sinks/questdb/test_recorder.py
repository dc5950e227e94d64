"""The whole way, from real sockets to SQL: what the venues sent is in the tables, each thing once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.captures import DERIBIT_LOGIN, DERIBIT_NAMES, captures, recorded_1
from tests.pipeline.parts import read_coverages, read_instruments, read_trades, read_updates
from tests.running import both, everything, log_of, recorder, stop
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.waiting import until, within
from xtrader.emulator.faults import parse
from xtrader.emulator.playback import Playback
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth

VENUES = {"BINANCE_SPOT": "BTCUSDT", "BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}
PREFIX = "recorded_"
PAGE = Path(__file__).parents[3] / "docs" / "questdb.md"


class Recorded(NamedTuple):
    """A recording into both sinks."""

    server: Server
    data: Path
    truth: Truth
    log: str


@pytest.fixture(scope="module")
def recorded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    directory = tmp_path_factory.mktemp("both")

    async def main() -> Truth:
        variables = server.variables() | {"QUESTDB_TABLE_PREFIX": PREFIX, "XTRADER_CATALOGUE_INTERVAL": "1s"}
        async with Emulator(list(VENUES), instruments=2, rate=1200, keep_truth=True) as emulator:
            assert emulator.truth is not None
            wanted = everything(VENUES)
            async with recorder(directory, wanted, emulator.variables | variables, "--sink", "parquet,questdb") as process:
                # Seen while it still records: rows are there within about a second, not when the recorder ends.
                await until(lambda: server.rows(f"{PREFIX}trades") > 500)
                for exchange, symbol in VENUES.items():
                    emulator.add(parse(f"tick_change:{exchange}@{symbol}"))
                await until(lambda: server.rows(f"{PREFIX}instruments") >= 2 * len(VENUES))
                assert await stop(process) == 0, log_of(directory)
            return emulator.truth

    truth = asyncio.run(main())
    return Recorded(server, directory / "data", truth, log_of(directory))


def test_the_tables_hold_the_true_trades_without_a_hole(recorded: Recorded) -> None:
    for exchange, symbol in VENUES.items():
        where = f"exchange = '{exchange}' AND instrument = '{symbol}'"
        stored = [
            (row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"])
            for row in reading.rows(recorded.server, f"{PREFIX}trades", "ts", where)
        ]
        true = [(t.id, t.side, float(t.price), float(t.size), t.ts * 10**6) for t in recorded.truth.trades(exchange, symbol)]
        places = [true.index(row) for row in stored]
        assert sorted(places) == list(range(min(places), min(places) + len(stored)))


def test_tables_and_files_hold_the_same_rows(recorded: Recorded) -> None:
    server, data, _, _ = recorded
    assert Counter(map(repr, reading.trades(server, PREFIX))) == Counter(map(repr, read_trades(data)))
    assert Counter(map(repr, reading.updates(server, PREFIX))) == Counter(map(repr, read_updates(data)))
    assert Counter(map(repr, reading.coverages(server, PREFIX))) == Counter(map(repr, read_coverages(data)))
    assert Counter(map(repr, reading.instruments(server, PREFIX))) == Counter(map(repr, read_instruments(data)))
    assert server.sql(f"SELECT count() FROM '{PREFIX}coverage' WHERE state = 'gap' AND cause != 'shutdown'") == [[0]]


def test_a_tick_size_that_changed_while_recording_is_a_row_of_its_own(recorded: Recorded) -> None:
    for exchange, symbol in VENUES.items():
        where = f"exchange = '{exchange}' AND instrument = '{symbol}'"
        ticks = [row["tick_size"] for row in reading.rows(recorded.server, f"{PREFIX}instruments", "ts", where)]
        assert ticks[0] == pytest.approx(10 * ticks[-1])


def test_the_best_prices_in_a_row_are_those_of_the_book_after_it(recorded: Recorded) -> None:
    for exchange, symbol in VENUES.items():
        where = f"exchange = '{exchange}' AND instrument = '{symbol}'"
        bids: dict[float, float] = {}
        asks: dict[float, float] = {}
        # Not by ts_recv: messages that waited for the snapshot were received before it.
        rows = reading.rows(recorded.server, f"{PREFIX}book_updates", "sequence, is_snapshot DESC", where)
        for row in rows:
            for side, pair in ((bids, row["bids"]), (asks, row["asks"])):
                if row["is_snapshot"]:
                    side.clear()
                side.update(reading.levels(pair))
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
            assert (row["bid_price"], row["bid_size"]) == max(bids.items())
            assert (row["ask_price"], row["ask_size"]) == min(asks.items())
        assert len(rows) > 20


def queries() -> Iterator[str]:
    yield from re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(8))
def test_an_example_query_of_the_documentation_answers(recorded: Recorded, number: int) -> None:
    query = list(queries())[number].strip().rstrip(";")
    ours = re.sub(r"\b(trades|book_updates|coverage)\b(?=\s+(WHERE|SAMPLE|ORDER))", rf"'{PREFIX}\1'", query)
    found = recorded.server.sql(ours)
    assert found
    assert any(value is not None for row in found for value in row[1:])
    assert len(list(queries())) == 8


def play(directory: Path, server: Server, prefix: str, files: dict[str, list[Path]], wanted: str, **more: str) -> None:
    """Record recordings through sockets into the server."""
    variables = server.variables() | {"QUESTDB_TABLE_PREFIX": prefix} | more

    async def main() -> None:
        async with Playback(files) as playback:
            # Most of the recordings hold no catalogue.
            flags = ("--sink", "questdb", "--offline-names")
            async with recorder(directory, wanted, playback.variables | variables, *flags) as process:
                await within(playback.done.wait())
                await asyncio.sleep(0.5)
                assert await stop(process) == 0, log_of(directory)

    asyncio.run(main())
    server.settle()
    assert server.sql(f"SELECT count() FROM '{prefix}coverage' WHERE state = 'gap' AND cause != 'shutdown'") == [[0]]


def counted(server: Server, prefix: str) -> tuple[int, int, int]:
    """Snapshots, deltas and trades."""
    ((snapshots,),) = server.sql(f"SELECT count() FROM '{prefix}book_updates' WHERE is_snapshot")
    ((messages,),) = server.sql(f"SELECT count() FROM '{prefix}book_updates'")
    ((trades,),) = server.sql(f"SELECT count() FROM '{prefix}trades'")
    return snapshots, messages - snapshots, trades


def test_the_recorded_binance_futures_session_is_in_the_tables(server: Server, prefix: str, tmp_path: Path) -> None:
    symbols = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
    wanted = ",".join(both("BINANCE_FUTURES", symbol) for symbol in symbols)
    play(tmp_path, server, prefix, {"BINANCE_FUTURES": recorded_1("BINANCE_FUTURES")}, wanted)
    assert counted(server, prefix) == (4, 752, 91)


def test_the_recorded_okx_session_is_in_the_tables(server: Server, prefix: str, tmp_path: Path) -> None:
    instruments = {"OKX_SPOT": "BTC-USDT", "OKX_SWAP": "UNI-USD-SWAP", "OKX_FUTURES": "BTC-USD-220527"}
    play(tmp_path, server, prefix, {exchange: recorded_1("OKX") for exchange in instruments}, everything(instruments))
    snapshots, deltas, trades = counted(server, prefix)
    assert (snapshots + deltas, trades) == (290, 74)


def test_the_recorded_deribit_session_is_in_the_tables(server: Server, prefix: str, tmp_path: Path) -> None:
    wanted = ",".join(both("DERIBIT", name) for name in DERIBIT_NAMES)
    play(tmp_path, server, prefix, {"DERIBIT": recorded_1("DERIBIT")}, wanted, **DERIBIT_LOGIN)
    snapshots, deltas, _ = counted(server, prefix)
    assert (snapshots, deltas) == (10, 36)


@pytest.mark.parametrize(
    ("file", "exchange", "applied", "trades", "best"),
    [
        ("spot_btcusdt_20240808.gz", "BINANCE_SPOT", 3449, 9757, [61685.99, 1.0087, 61686.0, 2.29327]),
        ("usdm_btcusdt_20240808.gz", "BINANCE_FUTURES", 6547, 21313, [61659.7, 1.486, 61659.8, 0.981]),
    ],
)
def test_the_recorded_bitcoin_sessions_are_in_the_tables(
    server: Server, prefix: str, tmp_path: Path, file: str, exchange: str, applied: int, trades: int, best: list[float]
) -> None:
    path = captures() / "recorded-2" / file
    play(tmp_path, server, prefix, {exchange: [path]}, both(exchange, "BTCUSDT"), XTRADER_BINANCE_FUTURES_TRADES="trade")
    assert counted(server, prefix) == (1, applied, trades)
    columns = "bid_price, bid_size, ask_price, ask_size"
    assert server.sql(f"SELECT {columns} FROM '{prefix}book_updates' WHERE NOT is_snapshot ORDER BY sequence DESC LIMIT 1") == [
        best
    ]
    crossed = f"SELECT count() FROM '{prefix}book_updates' WHERE bid_price >= ask_price"
    assert server.sql(crossed) == [[0]]
    ids = f"SELECT max(trade_id::long) - min(trade_id::long) + 1 FROM '{prefix}trades'"
    assert server.sql(ids) == [[trades]]
