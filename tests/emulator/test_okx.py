from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from tests.emulator.talk import Side, alone, apply, ask, get, receive, talk
from xtrader.emulator.matching import OrderSide as Levels
from xtrader.emulator.okx import WINDOW, Okx
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers
from xtrader.emulator.window import floor, window_changes

PUBLIC = "/ws/v5/public"
SWAP = "BTC-USDT-SWAP"


def subscribe(*args: tuple[str, str], op: str = "subscribe", **more: Any) -> dict[str, Any]:
    return {**more, "op": op, "args": [{"channel": channel, "instId": name} for channel, name in args]}


async def books(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next `count` book messages as (action and data)."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await receive(socket)
        if message.get("action"):
            found.append({"action": message["action"], **message["data"][0]})
    return found


def test_a_book_is_a_chained_window_of_400_levels_that_equals_the_truth() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=800, operations=40, keep_truth=True) as emulator:
            assert emulator.truth is not None
            async with talk(emulator, "OKX_SWAP", PUBLIC) as socket:
                await ask(socket, subscribe(("books", SWAP)))
                messages = await books(socket, 80)
            assert [message["action"] for message in messages] == ["snapshot"] + ["update"] * 79
            assert messages[0]["prevSeqId"] == -1
            bids: Side = {}
            asks: Side = {}
            for before, message in zip([None, *messages], messages, strict=False):
                assert before is None or message["prevSeqId"] == before["seqId"]
                assert message["checksum"] == 0
                apply(bids, message["bids"])
                apply(asks, message["asks"])
                assert (len(bids), len(asks)) == (WINDOW, WINDOW)
                assert all(row[3] == "0" for row in message["bids"] + message["asks"] if row[1] == "0")
            assert (bids, asks) == emulator.truth.book("OKX_SWAP", SWAP, messages[-1]["seqId"])

    asyncio.run(main())


@given(st.integers(0, 2**32), st.sampled_from([-1, 1]))
@settings(deadline=None, max_examples=60)
def test_window_changes_turn_one_window_into_the_next(seed: int, sign: int) -> None:
    rng = Random(seed)
    side, order = Levels(sign), 0
    resting: list[tuple[int, int]] = []
    shown: dict[int, int] = {}
    before = None
    for _ in range(12):
        for _ in range(rng.randrange(150)):
            if resting and rng.random() < 0.4:
                side.remove(*resting.pop(rng.randrange(len(resting))))
            else:
                order += 1
                resting.append((order, rng.randrange(1000, 2200)))
                side.rest(*resting[-1], rng.randrange(1, 9))
        for price, lots in window_changes(side, WINDOW, before, side.drain()):
            if lots:
                shown[price] = lots
            else:
                shown.pop(price, None)
        before = floor(side, WINDOW)
        assert shown == dict(side.top(WINDOW))


def test_every_arg_is_acknowledged_with_the_id_and_an_unknown_one_gets_60018() -> None:
    async def main() -> None:
        async with alone("OKX_SWAP", PUBLIC) as (_, socket):
            args = [("trades", SWAP), ("books", "NOPE-USDT"), ("candles", SWAP), ("trades", SWAP)]
            replies = [await ask(socket, subscribe(*args, id="1512"))] + [await receive(socket) for _ in range(3)]
            assert [reply["event"] for reply in replies] == ["subscribe", "error", "error", "subscribe"]
            assert replies[0]["arg"] == {"channel": "trades", "instId": SWAP}
            assert replies[1]["code"] == "60018"
            assert replies[1]["msg"].startswith("Wrong URL or channel:books,instId:NOPE-USDT doesn't exist.")
            assert {(reply["id"], reply["connId"]) for reply in replies} == {("1512", replies[0]["connId"])}

    asyncio.run(main())


@pytest.mark.parametrize(("text", "code"), [("{", "60012"), ('{"op":"subscribe"}', "60012"), ('{"op":"dance","args":[]}', "60019")])
def test_bad_requests_get_an_error_and_the_connection_stays(text: str, code: str) -> None:
    async def main() -> None:
        async with alone("OKX_SWAP", PUBLIC) as (_, socket):
            assert (await ask(socket, text))["code"] == code
            await socket.send("ping")
            assert await socket.recv() == "pong"

    asyncio.run(main())


def test_a_silent_connection_is_closed_with_4004_and_pings_keep_it() -> None:
    async def main() -> None:
        timers = Timers(okx_silence=0.4)
        async with alone("OKX_SWAP", PUBLIC, timers=timers) as (emulator, silent), talk(emulator, "OKX_SWAP", PUBLIC) as lively:
            while silent.close_code is None:
                await lively.send("ping")
                assert await lively.recv() == "pong"
                await asyncio.sleep(0.05)
            assert silent.close_code == 4004
            assert lively.close_code is None

    asyncio.run(main())


def test_an_unchanged_book_is_confirmed_and_a_reset_of_numbers_keeps_the_chain() -> None:
    async def main() -> None:
        async with alone("OKX_SWAP", PUBLIC, timers=Timers(okx_keepalive=0.2)) as (emulator, socket):
            await ask(socket, subscribe(("books", SWAP)))
            venue = emulator.venues["OKX_SWAP"]
            assert isinstance(venue, Okx)
            snapshot, confirmed = await books(socket, 2)
            assert (confirmed["bids"], confirmed["asks"]) == ([], [])
            assert confirmed["seqId"] == confirmed["prevSeqId"] == snapshot["seqId"]
            venue.restart_numbering(venue.boards[SWAP])
            (reset,) = await books(socket, 1)
            assert reset["prevSeqId"] == snapshot["seqId"] > reset["seqId"]

    asyncio.run(main())


def test_trades_cover_their_ids_and_the_last_one_is_repeated_on_subscribing() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=400, keep_truth=True) as emulator:
            async with talk(emulator, "OKX_SWAP", PUBLIC) as first:
                await ask(first, subscribe(("trades", SWAP)))
                rows = [(await receive(first))["data"][0] for _ in range(40)]
            for before, row in pairwise(rows):
                assert int(row["tradeId"]) - int(row["count"]) == int(before["tradeId"])
            assert emulator.truth is not None
            known = {trade.id: trade for trade in emulator.truth.trades("OKX_SWAP", SWAP)}
            for row in rows:
                trade = known[row["tradeId"]]
                assert (trade.price, trade.size, trade.side, str(trade.ts)) == (row["px"], row["sz"], row["side"], row["ts"])
            async with talk(emulator, "OKX_SWAP", PUBLIC) as second:
                await ask(second, subscribe(("trades", SWAP)))
                assert int((await receive(second))["data"][0]["tradeId"]) >= int(rows[-1]["tradeId"])

    asyncio.run(main())


def test_resubscribing_gives_a_new_snapshot_and_unsubscribing_stops() -> None:
    async def main() -> None:
        async with alone("OKX_SWAP", PUBLIC, rate=400) as (_, socket):
            await ask(socket, subscribe(("books", SWAP)))
            await books(socket, 3)
            await socket.send(json.dumps(subscribe(("books", SWAP), op="unsubscribe")))
            while (await receive(socket)).get("event") != "unsubscribe":
                pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.1)
            await ask(socket, subscribe(("books", SWAP)))
            assert [message["action"] for message in await books(socket, 2)] == ["snapshot", "update"]

    asyncio.run(main())


def test_subscriptions_are_limited_to_480_an_hour() -> None:
    async def main() -> None:
        async with alone("OKX_SWAP", PUBLIC) as (_, socket):
            await socket.send(json.dumps(subscribe(*[("trades", SWAP)] * 481)))
            events = [await receive(socket) for _ in range(481)]
            assert [event["event"] for event in events] == ["subscribe"] * 480 + ["error"]
            assert events[-1]["code"] == "60014"

    asyncio.run(main())


def test_rest_answers_in_the_venues_envelope() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP", "OKX_OPTION"], instruments=2, rate=400) as emulator:
            async with talk(emulator, "OKX_SWAP", PUBLIC) as socket:
                await ask(socket, subscribe(("trades", SWAP)))
                trade = (await receive(socket))["data"][0]
            _, _, reply = await get(emulator, "OKX_SWAP", f"/api/v5/market/trades?instId={SWAP}&limit=500")
            assert trade in reply["data"]
            _, _, reply = await get(emulator, "OKX_SWAP", f"/api/v5/market/books?instId={SWAP}&sz=5")
            book = reply["data"][0]
            assert (len(book["bids"]), len(book["asks"])) == (5, 5)
            assert isinstance(book["seqId"], int)
            _, _, reply = await get(emulator, "OKX_SWAP", "/api/v5/public/instruments?instType=SWAP")
            assert [row["instId"] for row in reply["data"]] == [SWAP, "ETH-USDT-SWAP"]
            _, _, reply = await get(emulator, "OKX_SWAP", "/api/v5/public/instruments?instType=SPOT")
            assert reply == {"code": "0", "msg": "", "data": []}
            _, _, reply = await get(emulator, "OKX_OPTION", "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD")
            assert [row["optType"] for row in reply["data"]] == ["C", "P"]
            status, _, reply = await get(emulator, "OKX_OPTION", "/api/v5/public/instruments?instType=OPTION")
            assert (status, reply["code"]) == (400, "51000")
            _, _, reply = await get(emulator, "OKX_SWAP", "/api/v5/market/books?instId=NOPE")
            assert reply["code"] == "51001"
            statuses = [(await get(emulator, "OKX_OPTION", "/api/v5/public/time"))[0] for _ in range(11)]
            assert statuses == [200] * 10 + [429]

    asyncio.run(main())
