from __future__ import annotations

import asyncio
import json
import signal
import socket as sockets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.emulator.talk import ask, get, receive, talk
from tests.waiting import within
from xtrader.emulator.server import Emulator, venue
from xtrader.emulator.truth import BookEvent, Truth
from xtrader.emulator.venue import Allowance, Credits, Stage, Timers
from xtrader.errors import ConfigError

ALL = (
    "BINANCE_SPOT",
    "BINANCE_FUTURES",
    "BINANCE_COINM",
    "OKX_SPOT",
    "OKX_SWAP",
    "OKX_FUTURES",
    "OKX_OPTION",
    "DERIBIT",
)


@pytest.mark.parametrize("exchange", ALL)
def test_the_same_seed_publishes_the_same_events_whoever_looks(exchange: str) -> None:
    async def events(seed: int, look: str) -> Truth:
        truth = Truth()
        stage = Stage(seed=seed, timers=Timers(), interval=0.1, prints=1.0, operations=8, truth=truth)
        made = venue(exchange, 3, stage)
        made.begin()
        for number in range(30):
            stage.now = 0.1 * number
            for board in made.boards.values():
                if look:
                    made.answer(look, {"symbol": board.symbol})
                made.publish(board, board.market.step())
        return truth

    look = {"BINANCE_SPOT": "/api/v3/depth", "BINANCE_FUTURES": "/fapi/v1/depth"}.get(exchange, "")
    first, second, other = (asyncio.run(events(7, "")), asyncio.run(events(7, look)), asyncio.run(events(8, "")))
    for symbol in venue(exchange, 3, Stage(seed=7, timers=Timers(), interval=0.1, prints=1.0, operations=8)).boards:
        assert len(first.books(exchange, symbol)) > 20
        assert first.books(exchange, symbol) == second.books(exchange, symbol)
        assert first.trades(exchange, symbol) == second.trades(exchange, symbol) != []
        assert first.books(exchange, symbol) != other.books(exchange, symbol)


def test_variables_name_both_urls_of_every_exchange() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_SPOT", "DERIBIT"], instruments=1) as emulator:
            assert sorted(emulator.variables) == [
                "XTRADER_BINANCE_SPOT_REST_URL",
                "XTRADER_BINANCE_SPOT_WS_URL",
                "XTRADER_DERIBIT_REST_URL",
                "XTRADER_DERIBIT_WS_URL",
            ]
            ports = {url.rpartition(":")[2] for url in emulator.variables.values()}
            assert len(ports) == 2

    asyncio.run(main())


@pytest.mark.parametrize("exchange", ["NYSE", "BINANCE_OPTIONS", "SERVER"])
def test_an_exchange_that_is_not_emulated_is_named(exchange: str) -> None:
    with pytest.raises(ConfigError, match=exchange):
        Emulator([exchange])


def test_a_path_without_a_websocket_is_404() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP", "DERIBIT", "BINANCE_SPOT"], instruments=1, rate=0) as emulator:
            for exchange, path in (("OKX_SWAP", "/"), ("DERIBIT", "/ws"), ("BINANCE_SPOT", "/public/stream")):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(emulator.variables[f"XTRADER_{exchange}_WS_URL"] + path)
                assert caught.value.response.status_code == 404

    asyncio.run(main())


def test_a_client_that_does_not_read_is_cut_and_the_others_go_on() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=2000, operations=60, send_buffer=100_000) as emulator:
            port = int(emulator.variables["XTRADER_OKX_SWAP_WS_URL"].rpartition(":")[2])
            raw = sockets.socket()
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", port))
            args = [{"channel": "books", "instId": "BTC-USDT-SWAP"}]
            async with talk(emulator, "OKX_SWAP", "/ws/v5/public") as good:
                await ask(good, {"op": "subscribe", "args": args})
                async with connect(
                    "ws://127.0.0.1/ws/v5/public", sock=raw, compression=None, max_queue=1, close_timeout=0.1
                ) as slow:
                    await slow.send(json.dumps({"op": "subscribe", "args": args * 300}))
                    slow.transport.pause_reading()
                    clients = emulator.venues["OKX_SWAP"].clients
                    while len(clients) < 2:
                        await receive(good)
                    while len(clients) > 1:
                        await receive(good)
                    slow.transport.abort()
                assert (await receive(good))["action"] == "update"

    asyncio.run(within(main()))


def test_nothing_moves_at_rate_zero_and_rest_still_answers() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_FUTURES"], instruments=1, rate=0, keep_truth=True) as emulator:
            books = [(await get(emulator, "BINANCE_FUTURES", "/fapi/v1/depth?symbol=BTCUSDT&limit=5"))[2] for _ in range(2)]
            assert books[0]["bids"] == books[1]["bids"]
            assert books[0]["lastUpdateId"] == books[1]["lastUpdateId"]
            assert emulator.truth is not None
            assert [event.previous for event in emulator.truth.books("BINANCE_FUTURES", "BTCUSDT")] == [None]

    asyncio.run(main())


def test_the_rate_is_book_and_trade_messages_a_second() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_FUTURES"], instruments=5, rate=1000, keep_truth=True) as emulator:
            await asyncio.sleep(0.5)
            simulated = emulator.stage.now
            assert emulator.truth is not None
            books = sum(
                len(emulator.truth.books("BINANCE_FUTURES", name)) - 1 for name in emulator.venues["BINANCE_FUTURES"].boards
            )
            trades = sum(len(emulator.truth.trades("BINANCE_FUTURES", name)) for name in emulator.venues["BINANCE_FUTURES"].boards)
            assert books == pytest.approx(500 * simulated, abs=11)
            assert trades == pytest.approx(500 * simulated, rel=0.3)

    asyncio.run(main())


def test_the_command_prints_the_variables_writes_the_truth_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xtrader.emulator", "binance_futures", "DERIBIT", "--instruments", "2", "--rate", "400"]
    with subprocess.Popen([*command, "--truth", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(4)]
        variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)

        async def read() -> Any:
            async with connect(
                variables["XTRADER_BINANCE_FUTURES_WS_URL"] + "/public/ws/btcusdt@depth", compression=None
            ) as socket:
                return [await receive(socket) for _ in range(20)][-1]

        event = asyncio.run(read())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
    truth = Truth.load(tmp_path)
    known = {book.sequence: book for book in truth.books("BINANCE_FUTURES", "BTCUSDT")}
    written = known[event["u"]]
    assert [list(level) for level in written.bids] == event["b"]
    assert written.previous == event["pu"]
    assert truth.trades("DERIBIT", "BTC-PERPETUAL")


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        for _ in range(20):
            async with Emulator(["BINANCE_SPOT"], instruments=1, rate=0) as emulator:
                port = int(emulator.variables["XTRADER_BINANCE_SPOT_WS_URL"].rpartition(":")[2])
                if not free(port - 1):
                    continue  # Other programs on this machine have ports too.
                with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1, for OKX_SWAP, is in use; give another --port"):
                    async with Emulator(["DERIBIT", "OKX_SWAP"], instruments=1, rate=0, port=port - 1):
                        pass
                assert free(port - 1)
                return
        pytest.fail("no two ports in a row, the lower one free, in 20 tries")

    asyncio.run(main())


def free(port: int) -> bool:
    """Whether a server can be had on this port of loopback."""
    try:
        with sockets.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_the_book_of_the_truth_is_replayed_up_to_a_sequence() -> None:
    truth = Truth()
    for number, (bids, asks) in enumerate([([("1", "5"), ("2", "6")], [("3", "1")]), ([("2", "0.0")], []), ([], [("4", "2")])]):
        truth.add(BookEvent("X", "Y", number, number - 1 if number else None, 0, bids, asks))
    assert truth.book("X", "Y", 0) == ({"1": "5", "2": "6"}, {"3": "1"})
    assert truth.book("X", "Y", 1) == ({"1": "5"}, {"3": "1"})
    with pytest.raises(KeyError):
        truth.book("X", "Y", 3)


def test_allowances_and_credits_come_back_with_time() -> None:
    allowance = Allowance(2, 1.0)
    assert [allowance.take(at) for at in (0.0, 0.5, 0.9, 1.0, 1.4, 1.5)] == [True, True, False, True, False, True]
    credits = Credits(1000, 100, 0.0)
    assert [credits.take(600, at) for at in (0.0, 1.0, 2.0, 3.0)] == [True, False, True, False]
