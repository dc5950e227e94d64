from __future__ import annotations

import asyncio
import json
import socket as sockets
from itertools import pairwise
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.emulator.talk import Side, alone, apply, ask, get, receive, talk
from tests.waiting import within
from xtrader.emulator import binance
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Stage, Timers

PREFIXES = {"BINANCE_SPOT": "/api/v3", "BINANCE_FUTURES": "/fapi/v1", "BINANCE_COINM": "/dapi/v1"}
PATHS = {"BINANCE_SPOT": "/stream", "BINANCE_FUTURES": "/public/stream", "BINANCE_COINM": "/stream"}
SYMBOLS = {"BINANCE_SPOT": "BTCUSDT", "BINANCE_FUTURES": "BTCUSDT", "BINANCE_COINM": "BTCUSD_PERP"}


def first_applicable(exchange: str, event: dict[str, Any], last: int) -> bool:
    if exchange == "BINANCE_SPOT":
        return bool(event["U"] <= last + 1 and event["u"] > last)
    return bool(event["U"] <= last <= event["u"])


@pytest.mark.parametrize("exchange", list(PREFIXES))
def test_a_book_built_from_a_snapshot_and_deltas_equals_the_truth(exchange: str) -> None:
    async def main() -> None:
        async with Emulator([exchange], instruments=2, rate=400, keep_truth=True) as emulator:
            symbol = SYMBOLS[exchange]
            async with talk(emulator, exchange, PATHS[exchange]) as socket:
                stream = f"{symbol.lower()}@depth@100ms"
                assert await ask(socket, {"method": "SUBSCRIBE", "params": [stream], "id": 1}) == {"result": None, "id": 1}
                events = [(await receive(socket))["data"] for _ in range(3)]
                status, _, snapshot = await get(emulator, exchange, f"{PREFIXES[exchange]}/depth?symbol={symbol}&limit=1000")
                assert status == 200
                events += [(await receive(socket))["data"] for _ in range(40)]
            bids: Side = {}
            asks: Side = {}
            apply(bids, snapshot["bids"])
            apply(asks, snapshot["asks"])
            last = snapshot["lastUpdateId"]
            bridge = next(number for number, event in enumerate(events) if event["u"] > last)
            assert first_applicable(exchange, events[bridge], last)
            assert events[bridge]["U"] <= last <= events[bridge]["u"], "the snapshot lies inside an event"
            for before, event in pairwise(events):
                if exchange == "BINANCE_SPOT":
                    assert event["U"] == before["u"] + 1
                else:
                    assert event["pu"] == before["u"] < event["U"] <= event["u"]
            if exchange != "BINANCE_SPOT":
                assert any(event["U"] != before["u"] + 1 for before, event in pairwise(events))
            for event in events[bridge:]:
                apply(bids, event["b"])
                apply(asks, event["a"])
                assert max(map(float, bids)) < min(map(float, asks))
            assert emulator.truth is not None
            assert (bids, asks) == emulator.truth.book(exchange, symbol, events[-1]["u"])

    asyncio.run(main())


def test_trades_on_the_wire_are_the_true_ones_and_contiguous() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_SPOT", "BINANCE_FUTURES"], instruments=1, rate=800, keep_truth=True) as emulator:
            async with talk(emulator, "BINANCE_SPOT", "/ws/btcusdt@trade") as socket:
                spot = [await receive(socket) for _ in range(50)]
            async with talk(emulator, "BINANCE_FUTURES", "/market/ws/btcusdt@aggTrade") as socket:
                futures = [await receive(socket) for _ in range(50)]
        assert emulator.truth is not None
        known = {trade.id: trade for trade in emulator.truth.trades("BINANCE_SPOT", "BTCUSDT")}
        for row in spot:
            trade = known[str(row["t"])]
            assert (trade.price, trade.size, trade.side, trade.ts) == (row["p"], row["q"], "sell" if row["m"] else "buy", row["T"])
        assert [row["t"] for row in spot] == list(range(spot[0]["t"], spot[0]["t"] + 50))
        known = {trade.id: trade for trade in emulator.truth.trades("BINANCE_FUTURES", "BTCUSDT")}
        for before, row in pairwise(futures):
            assert row["a"] == before["a"] + 1
            assert row["f"] == before["l"] + 1
            assert known[str(row["a"])].size == row["q"]

    asyncio.run(main())


def test_a_stream_that_does_not_exist_or_is_on_the_other_route_is_acknowledged_and_silent() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_FUTURES"], instruments=1, rate=500) as emulator:
            silent = {"/public/stream": ["btcusdt@aggTrade", "nope@depth"], "/market/stream": ["btcusdt@depth@100ms"]}
            silent |= {"/stream": ["btcusdt@aggTrade"], "/private/stream": ["btcusdt@depth"]}
            for path, streams in silent.items():
                async with talk(emulator, "BINANCE_FUTURES", path) as socket:
                    assert await ask(socket, {"method": "SUBSCRIBE", "params": streams, "id": 3}) == {"result": None, "id": 3}
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(socket.recv(), 0.1)
                    listed = await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 4})
                    assert listed == {"result": streams, "id": 4}
            async with talk(emulator, "BINANCE_FUTURES", "/stream?streams=btcusdt@depth") as socket:
                assert (await receive(socket))["stream"] == "btcusdt@depth"

    asyncio.run(main())


def test_unsubscribing_stops_a_stream_and_combined_can_be_switched() -> None:
    async def main() -> None:
        async with alone("BINANCE_SPOT", "/ws", rate=500) as (_, socket):
            await ask(socket, {"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1})
            assert (await receive(socket))["e"] == "depthUpdate"
            await socket.send(json.dumps({"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}))
            while (await receive(socket)).get("id") != 2:
                pass
            assert (await receive(socket))["stream"] == "btcusdt@depth"
            await socket.send(json.dumps({"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 3}))
            while (await receive(socket)).get("id") != 3:
                pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("{", 3),
        ("[]", 2),
        ('{"id":1}', 2),
        ('{"method":"DANCE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":-1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":"text"}', 2),
        ('{"method":"GET_PROPERTY","params":["speed"],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined",3],"id":1}', 1),
    ],
)
def test_bad_requests_get_an_error_and_the_connection_stays(request_text: str, code: int) -> None:
    async def main() -> None:
        async with alone("BINANCE_FUTURES", "/public/stream") as (_, socket):
            assert (await ask(socket, request_text))["code"] == code
            assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 9}))["id"] == 9

    asyncio.run(main())


@pytest.mark.parametrize(("exchange", "most"), [("BINANCE_SPOT", 5), ("BINANCE_FUTURES", 10)])
def test_too_many_messages_a_second_end_the_connection(exchange: str, most: int) -> None:
    async def main() -> None:
        async with alone(exchange, PATHS[exchange]) as (emulator, socket):
            for number in range(most):
                await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": number})
            with pytest.raises(ConnectionClosed) as caught:
                await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 99})
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008
            assert emulator.venues[exchange].counts["too many messages"] == 1

    asyncio.run(main())


def test_pings_count_as_messages() -> None:
    async def main() -> None:
        async with alone("BINANCE_SPOT", "/ws") as (_, socket):
            for _ in range(6):
                await socket.ping()
            await within(socket.wait_closed())
            assert socket.close_code == 1008

    asyncio.run(main())


def test_more_than_1024_streams_end_the_connection() -> None:
    async def main() -> None:
        async with alone("BINANCE_SPOT", "/stream") as (_, socket):
            streams = [f"c{number}usdt@depth" for number in range(1025)]
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": streams, "id": 1}))
            await within(socket.wait_closed())
            assert socket.close_code == 1008

    asyncio.run(main())


def test_a_client_that_answers_no_ping_is_closed_and_one_that_does_stays() -> None:
    async def main() -> None:
        timers = Timers(spot_ping=0.3, spot_pong=0.3)
        async with Emulator(["BINANCE_SPOT"], instruments=1, rate=0, timers=timers) as emulator:
            port = int(emulator.variables["XTRADER_BINANCE_SPOT_WS_URL"].rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port, family=sockets.AF_INET)
            lines = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
            lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""]
            writer.write("\r\n".join(lines).encode())
            async with talk(emulator, "BINANCE_SPOT", "/ws") as socket:
                said = await within(reader.read())
                writer.close()
                assert b"101 Switching" in said
                assert b"keepalive ping timeout" in said
                assert (await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": 1}))["id"] == 1

    asyncio.run(main())


def test_a_connection_has_a_lifetime() -> None:
    async def main() -> None:
        async with alone("BINANCE_FUTURES", "/market/stream", timers=Timers(lifetime=0.2)) as (_, socket):
            await within(socket.wait_closed())
            assert socket.close_code == 1001

    asyncio.run(main())


@pytest.mark.parametrize(
    ("exchange", "weight", "limit", "most"), [("BINANCE_SPOT", 250, 5000, 6000), ("BINANCE_FUTURES", 20, 1000, 2400)]
)
def test_above_the_minutes_weight_there_is_429_until_the_next_minute(exchange: str, weight: int, limit: int, most: int) -> None:
    stage = Stage(seed=7, timers=Timers(), interval=0.0, prints=0.0, operations=8, epoch=1_795_262_649_000)
    venue = binance.venue(exchange, 1, stage)
    query = {"symbol": "BTCUSDT", "limit": str(limit)}
    for number in range(1, most // weight + 1):
        answer = venue.answer(f"{PREFIXES[exchange]}/depth", query)
        assert (answer.status, dict(answer.headers)["X-MBX-USED-WEIGHT-1M"]) == (200, str(number * weight))
    refused = venue.answer(f"{PREFIXES[exchange]}/depth", query)
    assert (refused.status, dict(refused.headers)["Retry-After"]) == (429, "51")
    assert json.loads(refused.body)["code"] == -1003
    stage.now = 51.0
    assert venue.answer(f"{PREFIXES[exchange]}/depth", query).status == 200


def test_rest_errors_have_the_venues_codes() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_SPOT", "BINANCE_FUTURES"], instruments=1, rate=0) as emulator:
            wrong = {
                "/api/v3/depth?symbol=NOPE": (400, -1121),
                "/api/v3/depth": (400, -1102),
                "/api/v3/depth?symbol=BTCUSDT&limit=x": (400, -1100),
            }
            for path, expected in wrong.items():
                status, _, body = await get(emulator, "BINANCE_SPOT", path)
                assert (status, body["code"]) == expected
            status, _, body = await get(emulator, "BINANCE_FUTURES", "/fapi/v1/depth?symbol=BTCUSDT&limit=7")
            assert (status, body["code"]) == (400, -4021)
            assert (await get(emulator, "BINANCE_FUTURES", "/api/v3/depth?symbol=BTCUSDT"))[0] == 404

    asyncio.run(main())


def test_rest_trades_continue_the_stream() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_FUTURES"], instruments=1, rate=400) as emulator:
            async with talk(emulator, "BINANCE_FUTURES", "/market/ws/btcusdt@aggTrade") as socket:
                seen = [await receive(socket) for _ in range(20)]
            path = f"/fapi/v1/aggTrades?symbol=BTCUSDT&fromId={seen[5]['a']}&limit=3"
            _, _, rows = await get(emulator, "BINANCE_FUTURES", path)
            assert [(row["a"], row["p"], row["q"], row["f"], row["l"], row["T"], row["m"]) for row in rows] == [
                (row["a"], row["p"], row["q"], row["f"], row["l"], row["T"], row["m"]) for row in seen[5:8]
            ]
            _, _, rows = await get(emulator, "BINANCE_FUTURES", "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=1")
            assert rows[0]["a"] >= seen[-1]["a"]

    asyncio.run(main())
