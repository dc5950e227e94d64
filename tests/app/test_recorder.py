"""The whole way, from real sockets to files that are read back: what the venues sent is what is there, each thing once.

XTRADER_KILLS sets how many kills (default: a quick run).
"""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

import xtrader
from tests import reading
from tests.captures import DERIBIT_LOGIN, DERIBIT_NAMES, captures, recorded_1
from tests.reading import check_books, check_trades
from tests.running import both, everything, in_sync, log_of, logged, recorder, stop
from tests.waiting import until, within
from xtrader.emulator.faults import parse
from xtrader.emulator.playback import Playback
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth

KILLS = int(os.environ.get("XTRADER_KILLS", "2"))
VENUES = {
    "BINANCE_SPOT": "BTCUSDT",
    "BINANCE_FUTURES": "BTCUSDT",
    "BINANCE_COINM": "BTCUSD_PERP",
    "OKX_SPOT": "BTC-USDT",
    "OKX_SWAP": "BTC-USDT-SWAP",
    "DERIBIT": "BTC-PERPETUAL",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_the_venues_published_is_what_the_files_hold(tmp_path: Path, number: int) -> None:
    async def main() -> Truth:
        async with Emulator(list(VENUES), instruments=2, rate=1200, keep_truth=True) as emulator:
            truth = emulator.truth
            assert truth is not None
            async with recorder(tmp_path, everything(VENUES), emulator.variables) as process:
                await in_sync(tmp_path)
                heard = {place: len(truth.trades(*place)) for place in VENUES.items()}
                await until(lambda: all(len(truth.trades(*place)) > 100 + heard[place] for place in heard))
                assert await stop(process, number) == 0, log_of(tmp_path)
            return truth

    truth = asyncio.run(main())
    data = tmp_path / "data"
    for exchange, symbol in VENUES.items():
        assert check_trades(data, truth, exchange, symbol) > 50
        assert check_books(data, truth, exchange, symbol) > 50
        for covers in ("L2", "TRADES"):
            states = [
                (row["state"], row["cause"]) for row in reading.coverage(data, exchange, symbol, covers) if row["ts_to"] is None
            ]
            assert states == [("syncing", "start"), ("live", "start"), ("gap", "shutdown")]
    assert reading.gaps(data, "shutdown") == []
    assert not list(data.rglob("*.tmp"))
    assert reading.rows(data, "INSTRUMENTS").num_rows == len(VENUES)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_tick_size_or_an_expiry_that_changes_while_recording_is_a_new_row_of_its_instrument(tmp_path: Path, workers: str) -> None:
    variables = {"XTRADER_CATALOGUE_INTERVAL": "1s", "XTRADER_WORKERS": workers}

    async def main() -> None:
        async with Emulator(list(VENUES), instruments=2, rate=300) as emulator:
            async with recorder(tmp_path, everything(VENUES), emulator.variables | variables) as process:
                await in_sync(tmp_path, int(workers))
                for exchange, symbol in VENUES.items():
                    emulator.add(parse(f"tick_change:{exchange}@{symbol}"))
                    if exchange != "BINANCE_SPOT":
                        emulator.add(parse(f"expiry_change:{exchange}@{symbol}"))
                await logged(tmp_path, "tick_size ", len(VENUES))
                await logged(tmp_path, "expiry None -> ", len(VENUES) - 1)
                assert await stop(process) == 0

    asyncio.run(main())
    recording = xtrader.open(tmp_path / "data")
    for exchange, symbol in VENUES.items():
        before, *_, after = reading.rows(tmp_path / "data", "INSTRUMENTS", exchange, symbol).to_pylist()
        assert after["tick_size"] == pytest.approx(before["tick_size"] / 10)
        assert before["expiry"] is None
        assert (after["expiry"] is None) is (exchange == "BINANCE_SPOT")
        assert {name: before[name] for name in ("kind", "base", "quote", "status", "source")} == {
            name: after[name] for name in ("kind", "base", "quote", "status", "source")
        }
        at = {moment: recording.instruments(f"{exchange}@{symbol}", at=moment).to_arrow() for moment in (before["ts_recv"], None)}
        assert [table["tick_size"].to_pylist() for table in at.values()] == [[before["tick_size"]], [after["tick_size"]]]


def test_an_expiry_beyond_what_files_can_hold_is_unknown_and_everything_is_recorded(tmp_path: Path) -> None:
    venues = {exchange: symbol for exchange, symbol in VENUES.items() if exchange != "BINANCE_SPOT"}

    async def main() -> None:
        async with Emulator(list(venues), instruments=2, rate=300) as emulator:
            for made in emulator.venues.values():
                for board in made.boards.values():
                    board.expiry = datetime(2286, 11, 20, 17, 46, 39, tzinfo=UTC)
            async with recorder(tmp_path, everything(venues), emulator.variables) as process:
                await in_sync(tmp_path)
                await asyncio.sleep(1)
                assert await stop(process) == 0

    asyncio.run(main())
    assert log_of(tmp_path).count("catalogue_numbers_unknown") == len(venues)
    for exchange, symbol in venues.items():
        (row,) = reading.rows(tmp_path / "data", "INSTRUMENTS", exchange, symbol).to_pylist()
        assert row["expiry"] is None
        assert row["tick_size"] > 0
        assert len(list(reading.messages(tmp_path / "data", exchange, symbol))) > 5


async def play(directory: Path, files: dict[str, list[Path]], subscriptions: str, variables: dict[str, str]) -> None:
    async with (
        Playback(files) as playback,
        recorder(directory, subscriptions, playback.variables | variables, "--offline-names") as process,
    ):
        await within(playback.done.wait())
        await asyncio.sleep(0.5)
        assert await stop(process) == 0, log_of(directory)


def test_the_recorded_binance_futures_session_comes_out_of_real_sockets_as_it_went_in(tmp_path: Path) -> None:
    symbols = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
    wanted = ",".join(both("BINANCE_FUTURES", symbol) for symbol in symbols)
    asyncio.run(play(tmp_path, {"BINANCE_FUTURES": recorded_1("BINANCE_FUTURES")}, wanted, {}))
    data = tmp_path / "data"
    stored = {symbol: list(reading.messages(data, "BINANCE_FUTURES", symbol)) for symbol in symbols}
    deltas = {symbol: [m for m in found if not m.is_snapshot] for symbol, found in stored.items()}
    assert sum(map(len, deltas.values())) == 752
    assert [sum(m.is_snapshot for m in found) for found in stored.values()] == [1, 1, 1, 1]
    assert all(after.prev_sequence == before.sequence for found in deltas.values() for before, after in pairwise(found))
    assert reading.rows(data, "TRADES").num_rows == 91
    assert reading.gaps(data, "shutdown") == []


def test_the_recorded_okx_session_comes_out_of_real_sockets_as_it_went_in(tmp_path: Path) -> None:
    instruments = {"OKX_SPOT": "BTC-USDT", "OKX_SWAP": "UNI-USD-SWAP", "OKX_FUTURES": "BTC-USD-220527"}
    asyncio.run(play(tmp_path, {exchange: recorded_1("OKX") for exchange in instruments}, everything(instruments), {}))
    data = tmp_path / "data"
    stored = {exchange: list(reading.messages(data, exchange, symbol)) for exchange, symbol in instruments.items()}
    assert sum(map(len, stored.values())) == 290
    assert reading.rows(data, "TRADES").num_rows == 74
    book = reading.Book()
    for message in stored["OKX_SPOT"]:
        book.apply(message)
        assert (len(book.bids), len(book.asks)) == (400, 400)
    assert reading.gaps(data, "shutdown") == []


def test_the_recorded_deribit_session_comes_out_of_real_sockets_as_it_went_in(tmp_path: Path) -> None:
    wanted = ",".join(both("DERIBIT", name) for name in DERIBIT_NAMES)
    asyncio.run(play(tmp_path, {"DERIBIT": recorded_1("DERIBIT")}, wanted, DERIBIT_LOGIN))
    data = tmp_path / "data"
    stored = [list(reading.messages(data, "DERIBIT", name)) for name in DERIBIT_NAMES]
    assert sum(map(len, stored)) == 46
    assert sum(m.is_snapshot for found in stored for m in found) == 10
    assert all(after.prev_sequence == before.sequence for found in stored for before, after in pairwise(found))
    assert reading.gaps(data, "shutdown") == []
    assert DERIBIT_LOGIN["DERIBIT_CLIENT_SECRET"] not in log_of(tmp_path)


@pytest.mark.parametrize(
    ("file", "exchange", "applied", "trades", "best", "levels"),
    [
        ("spot_btcusdt_20240808.gz", "BINANCE_SPOT", 3449, 9757, ((61685.99, 1.0087), (61686.0, 2.29327)), (1209, 2196)),
        ("usdm_btcusdt_20240808.gz", "BINANCE_FUTURES", 6547, 21313, ((61659.7, 1.486), (61659.8, 0.981)), (5018, 4578)),
    ],
)
def test_the_recorded_bitcoin_sessions_come_out_of_real_sockets_as_they_went_in(
    tmp_path: Path,
    file: str,
    exchange: str,
    applied: int,
    trades: int,
    best: tuple[tuple[float, float], tuple[float, float]],
    levels: tuple[int, int],
) -> None:
    variables = {"XTRADER_BINANCE_FUTURES_TRADES": "trade"}
    asyncio.run(play(tmp_path, {exchange: [captures() / "recorded-2" / file]}, both(exchange, "BTCUSDT"), variables))
    data = tmp_path / "data"
    book = reading.Book()
    stored = list(reading.messages(data, exchange, "BTCUSDT"))
    for message in stored:
        book.apply(message)
        assert max(book.bids) < min(book.asks)
    assert (len(stored), sum(m.is_snapshot for m in stored)) == (applied + 1, 1)
    bid, ask = max(book.bids), min(book.asks)
    assert ((bid, book.bids[bid]), (ask, book.asks[ask])) == best
    assert (len(book.bids), len(book.asks)) == levels
    ids = [int(row) for row in reading.rows(data, "TRADES")["trade_id"].to_pylist()]
    assert ids == list(range(ids[0], ids[0] + trades))
    assert reading.gaps(data, "shutdown") == []


def test_a_recorder_killed_again_and_again_loses_only_what_its_rows_say(tmp_path: Path) -> None:
    venues = {"BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP"}

    async def main() -> Truth:
        async with Emulator(list(venues), instruments=1, rate=1500, keep_truth=True) as emulator:
            assert emulator.truth is not None
            for run in range(1, KILLS + 1):
                async with recorder(tmp_path, everything(venues), emulator.variables) as process:
                    await in_sync(tmp_path, run)
                    await asyncio.sleep(1)
                    process.kill()
                    await process.wait()
            async with recorder(tmp_path, everything(venues), emulator.variables) as process:
                await in_sync(tmp_path, KILLS + 1)
                await asyncio.sleep(1)
                assert await stop(process) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    data = tmp_path / "data"
    for exchange, symbol in venues.items():
        stored = [row["trade_id"] for row in reading.rows(data, "TRADES", exchange, symbol).to_pylist()]
        assert len(stored) == len(set(stored))
        true = [trade.id for trade in truth.trades(exchange, symbol)]
        holes = sum(true.index(after) != true.index(before) + 1 for before, after in pairwise(stored))
        told = [
            row for row in reading.coverage(data, exchange, symbol, "TRADES") if row["state"] == "gap" and row["ts_to"] is not None
        ]
        assert holes <= len(told)
        assert [row["cause"] for row in told if "not running" in row["detail"]] == ["start"] * KILLS
        book = reading.Book()
        chain: int | None = None
        for message in reading.messages(data, exchange, symbol):
            assert message.is_snapshot or chain is None or message.prev_sequence is None or message.prev_sequence <= chain
            book.apply(message)
            chain = message.sequence
        assert max(book.bids) < min(book.asks)


def test_a_second_recorder_on_the_same_directory_is_refused_by_name_and_the_first_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=200) as emulator:
            async with recorder(tmp_path, both("OKX_SWAP", "BTCUSDT"), emulator.variables) as first:
                await logged(tmp_path, "recording")
                async with recorder(tmp_path, both("OKX_SWAP", "BTCUSDT"), emulator.variables) as second:
                    assert await within(second.wait()) == 2
                assert f"{first.pid}" in log_of(tmp_path)
                assert "Traceback" not in log_of(tmp_path)
                assert await stop(first) == 0

    asyncio.run(main())


def test_without_a_network_the_recorder_waits_says_so_and_stops_cleanly(tmp_path: Path) -> None:
    nowhere = {"XTRADER_OKX_SWAP_WS_URL": "ws://127.0.0.1:1", "XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1"}

    async def main() -> None:
        async with recorder(tmp_path, both("OKX_SWAP", "BTCUSDT"), nowhere, "--offline-names") as process:
            await logged(tmp_path, "disconnected", 3)
            assert await stop(process) == 0

    asyncio.run(main())
    assert log_of(tmp_path).count("disconnected") < 30
    rows = reading.coverage(tmp_path / "data", "OKX_SWAP", "BTC-USDT-SWAP", "L2")
    assert [(row["state"], row["cause"]) for row in rows][:1] == [("gap", "disconnect")]


def test_credentials_that_the_venue_refuses_end_the_start_with_one_sentence(tmp_path: Path) -> None:
    login = {"DERIBIT_CLIENT_ID": "somebody", "DERIBIT_CLIENT_SECRET": "wrong-secret"}

    async def main() -> None:
        async with Emulator(["DERIBIT"], instruments=1, rate=100) as emulator:
            async with recorder(tmp_path, both("DERIBIT", "BTC-PERPETUAL"), emulator.variables | login) as process:
                assert await within(process.wait()) == 2

    asyncio.run(main())
    said = log_of(tmp_path)
    assert "DERIBIT_CLIENT_ID" in said
    assert "wrong-secret" not in said
    assert "Traceback" not in said


def test_a_second_signal_stops_at_once_and_the_next_start_finishes_the_files(tmp_path: Path) -> None:
    async def main() -> Truth:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=500, keep_truth=True) as emulator:
            assert emulator.truth is not None
            async with recorder(tmp_path, both("OKX_SWAP", "BTCUSDT"), emulator.variables) as process:
                await in_sync(tmp_path)
                await asyncio.sleep(1)
                process.send_signal(signal.SIGINT)
                await logged(tmp_path, "stopping")
                process.send_signal(signal.SIGINT)
                assert await within(process.wait()) in (0, 130)
            async with recorder(tmp_path, both("OKX_SWAP", "BTCUSDT"), emulator.variables, "--shutdown-after", "2") as process:
                assert await within(process.wait()) == 0
            return emulator.truth

    truth = asyncio.run(main())
    stored = [row["trade_id"] for row in reading.rows(tmp_path / "data", "TRADES").to_pylist()]
    assert len(stored) == len(set(stored)) > 100
    assert set(stored) <= {trade.id for trade in truth.trades("OKX_SWAP", "BTC-USDT-SWAP")}
