"""What faults do to the messages, sockets and requests of the emulated venues, seen by plain clients."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from tests.emulator.talk import alone, ask, get, receive, receive_until_closed, talk
from tests.waiting import within
from xtrader.emulator.faults import Fault, parse
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers

PATHS = {"BINANCE_SPOT": "/stream", "BINANCE_FUTURES": "/public/stream", "OKX_SWAP": "/ws/v5/public", "DERIBIT": "/ws/api/v2"}
OKX = "OKX_SWAP"
SWAP = "BTC-USDT-SWAP"


async def subscribe_okx(socket: ClientConnection, channel: str = "books") -> None:
    said = await ask(socket, {"op": "subscribe", "args": [{"channel": channel, "instId": SWAP}]})
    assert said["event"] == "subscribe"


async def books(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [(await receive(socket))["data"][0] for _ in range(count)]


def test_a_lost_a_doubled_and_a_swapped_message_are_where_the_fault_says() -> None:
    async def main() -> None:
        faults = [parse(f"lost:L2:{OKX}:after=2"), parse(f"duplicate:L2:{OKX}:after=5"), parse(f"reorder:L2:{OKX}:after=8")]
        async with alone(OKX, PATHS[OKX], rate=200, faults=faults, keep_truth=True) as (emulator, socket):
            await subscribe_okx(socket)
            rows = await books(socket, 14)
            assert emulator.truth is not None
            numbers = [row["seqId"] for row in rows]
            sent = [event.sequence for event in emulator.truth.books(OKX, SWAP) if event.sequence >= numbers[0]][:14]
            _, _, _, lost, _, _, double, _, _, first, second = sent[:11]
            assert [number for number in sent if number not in numbers[:-1] and number < numbers[-1]] == [lost]
            assert numbers[5:7] == [double, double]
            assert numbers[numbers.index(second) : numbers.index(second) + 2] == [second, first]
            assert [fault.fault for fault in emulator.truth.faults] == ["lost", "duplicate", "reorder"]
            assert [fault.number for fault in emulator.truth.faults] == [lost, double, first]
            assert [fault.removed for fault in emulator.truth.faults] == [True, False, False]

    asyncio.run(main())


def test_a_silent_stream_is_silent_for_its_time_while_others_and_pings_go_on() -> None:
    async def main() -> None:
        fault = parse(f"silent:L2:{OKX}@{SWAP}:after=3,seconds=0.5")
        async with alone(OKX, PATHS[OKX], rate=200, faults=[fault], keep_truth=True) as (emulator, socket):
            await subscribe_okx(socket)
            await books(socket, 4)
            await subscribe_okx_quietly(socket)
            await socket.send("ping")
            kinds = []
            while kinds.count("books") < 2:
                text = await within(socket.recv())
                kinds.append("pong" if text == "pong" else json.loads(text)["arg"]["channel"])
            assert "pong" in kinds[: kinds.index("books")]
            assert "trades" in kinds[: kinds.index("books")]
            assert emulator.truth is not None
            told = [fault for fault in emulator.truth.faults if fault.fault == "silent"]
            assert len(told) > 20
            assert all(after.previous == before.number for before, after in pairwise(told))

    asyncio.run(main())


async def subscribe_okx_quietly(socket: ClientConnection) -> None:
    await socket.send(json.dumps({"op": "subscribe", "args": [{"channel": "trades", "instId": SWAP}]}))


@pytest.mark.parametrize(
    ("kind", "code"), [("close_1006", 1006), ("close_1001", 1001), ("truncated", 1006), ("compressed", 1002), ("bad_utf8", 1007)]
)
def test_a_connection_ends_as_the_fault_says(kind: str, code: int) -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200, faults=[parse(f"{kind}:L2:{OKX}:after=4")]) as (_, socket):
            await subscribe_okx(socket)
            with pytest.raises(ConnectionClosed):
                await books(socket, 10)
            said = socket.protocol.close_rcvd or socket.protocol.close_sent
            assert (said.code if said is not None else 1006) == code

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "answers", "delivers"), [("no_pong", False, True), ("half_open", False, False)])
def test_a_deaf_connection_answers_no_ping(kind: str, answers: bool, delivers: bool) -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200, faults=[parse(f"{kind}:L2:{OKX}:after=4")]) as (_, socket):
            await subscribe_okx(socket)
            await books(socket, 6)
            pong = await socket.ping()
            if delivers:
                await books(socket, 20)
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(socket.recv(), 0.5)
            assert pong.done() is answers
            socket.transport.abort()

    asyncio.run(main())


def test_a_freeze_stops_everything_and_what_was_queued_comes_after_it() -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200, faults=[parse(f"freeze:L2:{OKX}:after=4,seconds=0.6")]) as (_, socket):
            await subscribe_okx(socket)
            rows = await books(socket, 6)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.3)
            rows += await books(socket, 40)
            assert all(after["prevSeqId"] == before["seqId"] for before, after in pairwise(rows))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("exchange", "request_", "found"),
    [
        ("OKX_SWAP", {"op": "subscribe", "args": [{"channel": "books", "instId": SWAP}]}, ("code", "64008")),
        ("BINANCE_FUTURES", {"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}, ("stream", "!serverShutdown")),
        ("BINANCE_SPOT", {"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 1}, ("stream", "!serverShutdown")),
    ],
)
def test_a_notice_comes_before_the_end_of_the_connection(exchange: str, request_: Any, found: tuple[str, str]) -> None:
    async def main() -> None:
        fault = parse(f"notice:L2:{exchange}:after=3,seconds=0.4")
        async with alone(exchange, PATHS[exchange], rate=200, faults=[fault]) as (_, socket):
            await ask(socket, request_)
            messages = await receive_until_closed(socket)
            told = [number for number, message in enumerate(messages) if message.get(found[0]) == found[1]]
            assert len(told) == 1
            assert 3 <= told[0] < len(messages) - 10
            assert socket.close_code == 1001

    asyncio.run(main())


def test_an_acknowledged_subscription_that_never_delivers_is_silent_until_it_is_made_again() -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200, faults=[parse(f"never_delivers:L2:{OKX}")]) as (_, socket):
            await subscribe_okx(socket)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.3)
            await subscribe_okx(socket)
            assert len(await books(socket, 5)) == 5

    asyncio.run(main())


def test_a_gateway_that_is_behind_sends_the_last_trades_once_more_as_they_were() -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200, faults=[parse(f"behind:TRADES:{OKX}:after=5")]) as (_, socket):
            arg = {"channel": "trades", "instId": SWAP}
            await ask(socket, {"op": "subscribe", "args": [arg]})
            first = [await receive(socket) for _ in range(20)]
            await socket.send(json.dumps({"op": "subscribe", "args": [arg]}))
            while "event" not in (message := await receive(socket)):
                first.append(message)
            again = [await receive(socket) for _ in range(10)]
            places = [first.index(message) for message in again[1:]]
            assert places == sorted(places)
            assert places[-1] < len(first) - 1

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["refuse", "abort_connect"])
def test_a_connection_is_refused_as_often_as_the_fault_says(kind: str) -> None:
    async def main() -> None:
        async with Emulator([OKX], instruments=1, faults=[parse(f"{kind}:{OKX}:times=2")]) as emulator:
            for _ in range(2):
                with pytest.raises((InvalidHandshake, EOFError, OSError)):
                    async with talk(emulator, OKX, PATHS[OKX]):
                        pass
            async with talk(emulator, OKX, PATHS[OKX]) as socket:
                await subscribe_okx(socket)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [("rest_429:{}:seconds=3", 429, "3"), ("rest_418:{}", 418, "2"), ("rest_5xx:{}:code=502", 502, None)],
)
def test_a_request_is_refused_once_and_then_answered(fault: str, status: int, header: str | None) -> None:
    async def main() -> None:
        exchange = "BINANCE_FUTURES"
        async with Emulator([exchange], instruments=1, faults=[parse(fault.format(exchange))]) as emulator:
            got, headers, _ = await get(emulator, exchange, "/fapi/v1/depth?symbol=BTCUSDT")
            assert (got, headers.get("Retry-After")) == (status, header)
            assert (await get(emulator, exchange, "/fapi/v1/depth?symbol=BTCUSDT"))[0] == 200

    asyncio.run(main())


def test_a_stale_snapshot_is_the_last_one_again_and_a_slow_one_is_late() -> None:
    async def main() -> None:
        path = "/api/v3/depth?symbol=BTCUSDT"
        async with Emulator(["BINANCE_SPOT"], instruments=1, rate=400) as emulator:
            _, _, first = await get(emulator, "BINANCE_SPOT", path)
            emulator.add(parse("stale_snapshot:BINANCE_SPOT"))
            await asyncio.sleep(0.3)
            assert (await get(emulator, "BINANCE_SPOT", path))[2] == first
            assert (await get(emulator, "BINANCE_SPOT", path))[2]["lastUpdateId"] > first["lastUpdateId"]
            emulator.add(parse("slow_snapshot:BINANCE_SPOT:seconds=0.5"))
            began = asyncio.get_running_loop().time()
            await get(emulator, "BINANCE_SPOT", path)
            assert asyncio.get_running_loop().time() - began >= 0.5

    asyncio.run(main())


def test_a_delisted_instrument_is_gone_for_a_while_and_a_finer_tick_is_listed() -> None:
    async def main() -> None:
        path = "/api/v5/public/instruments?instType=SWAP"
        async with Emulator([OKX], instruments=2, rate=200) as emulator:
            async with talk(emulator, OKX, PATHS[OKX]) as socket:
                ticks = {row["instId"]: row["tickSz"] for row in (await get(emulator, OKX, path))[2]["data"]}
                assert sorted(ticks) == [SWAP, "ETH-USDT-SWAP"]
                await subscribe_okx(socket)
                emulator.add(parse(f"tick_change:L2:{OKX}@{SWAP}"))
                await books(socket, 3)
                ((_, tick),) = [(row["instId"], row["tickSz"]) for row in (await get(emulator, OKX, path))[2]["data"]][:1]
                assert float(tick) == pytest.approx(float(ticks[SWAP]) / 10)
                emulator.add(parse(f"delisted:L2:{OKX}@{SWAP}:seconds=0.4"))
                while SWAP in emulator.venues[OKX].boards:
                    await books(socket, 1)
                assert [row["instId"] for row in (await get(emulator, OKX, path))[2]["data"]] == ["ETH-USDT-SWAP"]
                while SWAP not in emulator.venues[OKX].boards:
                    await asyncio.sleep(0.05)
                assert len(await books(socket, 3)) == 3

    asyncio.run(main())


def test_a_burst_is_ten_messages_at_once_and_the_venues_clock_goes_wrong_by_hours() -> None:
    async def main() -> None:
        faults = [parse(f"burst:L2:{OKX}:after=3"), parse(f"venue_clock:L2:{OKX}:after=20")]
        async with alone(OKX, PATHS[OKX], rate=100, faults=faults) as (_, socket):
            await subscribe_okx(socket)
            stamps = [int(row["ts"]) for row in await books(socket, 30)]
            assert max(stamps.count(stamp) for stamp in stamps) >= 10
            assert stamps[-1] - stamps[0] > 17_000_000

    asyncio.run(main())


def test_faults_are_added_and_asked_for_over_http_on_the_venues_own_port() -> None:
    async def main() -> None:
        async with alone(OKX, PATHS[OKX], rate=200) as (emulator, socket):
            await subscribe_okx(socket)
            (*_, row) = await books(socket, 3)
            text = f"lost:L2:{OKX}@{SWAP}:times=2"
            status, _, added = await get(emulator, OKX, f"/_fault?add={urllib.parse.quote(text)}")
            assert (status, added) == (200, {"added": text})
            hole = None
            while hole is None:
                before = row["seqId"]
                (row,) = await books(socket, 1)
                hole = (before, row["prevSeqId"]) if row["prevSeqId"] != before else None
            _, _, told = await get(emulator, OKX, "/_fault")
            assert told["pending"] == []
            assert told["applied"][0]["previous"] == hole[0]
            assert told["applied"][-1]["number"] == hole[1]
            status, _, refused = await get(emulator, OKX, "/_fault?add=lost:DERIBIT")
            assert (status, "lists no such instrument" in refused["error"]) == (400, True)

    asyncio.run(main())


@pytest.mark.parametrize(("exchange", "most"), [("OKX_SWAP", 3), ("DERIBIT", 32), ("BINANCE_FUTURES", 300)])
def test_more_connections_than_the_venue_allows_are_refused(exchange: str, most: int) -> None:
    async def main() -> None:
        async with Emulator([exchange], instruments=1, rate=0) as emulator:
            url = emulator.variables[f"XTRADER_{exchange}_WS_URL"] + PATHS[exchange]
            loop = asyncio.get_running_loop()
            sockets: list[ClientConnection] = []
            began = loop.time()

            async def connect_until_refused() -> None:
                while loop.time() - began < 60:
                    sockets.append(await connect(url, compression=None, ping_interval=None))

            with pytest.raises(InvalidStatus) as refused:
                await connect_until_refused()
            assert refused.value.response.status_code == 429
            if loop.time() - began < 1:
                assert len(sockets) == most
            assert emulator.venues[exchange].counts["too many connects"] == 1
            for socket in sockets:
                socket.transport.abort()

    asyncio.run(main())


def test_a_client_that_asks_on_after_429_is_banned() -> None:
    async def main() -> None:
        async with Emulator(["BINANCE_FUTURES"], instruments=1, rate=0) as emulator:
            venue = emulator.venues["BINANCE_FUTURES"]
            statuses = []
            while not statuses or statuses[-1] != 418:
                statuses.append(venue.answer("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "1000"}).status)
            assert statuses.count(200) == 120
            assert statuses.count(429) == 60

    asyncio.run(main())


def test_some_ids_of_the_futures_trade_stream_belong_to_no_print_and_the_numbering_has_no_hole() -> None:
    async def main() -> None:
        async with alone("BINANCE_FUTURES", "/public/ws/btcusdt@trade", rate=3000, seed=5) as (_, socket):
            rows = [await receive(socket) for _ in range(600)]
            assert all(after["t"] == before["t"] + 1 for before, after in pairwise(rows))
            void = [row for row in rows if row["X"] == "NA"]
            assert void
            assert {(row["p"], row["q"]) for row in void} == {("0", "0")}
            assert all(row["X"] == "MARKET" and float(row["p"]) for row in rows if row not in void)

    asyncio.run(main())


def test_the_lifetime_of_a_connection_is_short_where_the_timers_say_so() -> None:
    async def main() -> None:
        path = "/stream?streams=btcusdt@depth"
        async with alone("BINANCE_SPOT", path, rate=100, timers=Timers(lifetime=0.3)) as (_, socket):
            assert await receive_until_closed(socket)
            assert socket.close_code == 1001

    asyncio.run(main())


def test_a_fault_concerns_its_own_stream_and_instrument_only() -> None:
    fault = Fault("lost", OKX, "L2", SWAP)
    assert fault.concerns("L2", SWAP)
    assert not fault.concerns("TRADES", SWAP)
    assert not fault.concerns("L2", "ETH-USDT-SWAP")
    assert Fault("lost", OKX).concerns("TRADES", "ETH-USDT-SWAP")
