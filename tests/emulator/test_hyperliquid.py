"""The emulated Hyperliquid as a client sees it: a greeting, echoes, whole books, past trades, and POST."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

from tests.emulator.talk import alone, ask, receive, receive_until_closed
from xtrader.clock import SystemClock
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers
from xtrader.feed.rest import Rest
from xtrader.venues import market
from xtrader.venues.base import Fetch


def subscription(kind: str, coin: str = "BTC") -> dict[str, Any]:
    return {"method": "subscribe", "subscription": {"type": kind, "coin": coin}}


def test_a_client_is_greeted_its_subscriptions_are_echoed_and_books_are_whole() -> None:
    async def run() -> None:
        async with alone("HYPERLIQUID", "/ws", rate=200) as (_, socket):
            assert await socket.recv() == "Websocket connection established."
            echo = await ask(socket, subscription("l2Book"))
            assert echo["data"]["subscription"] == {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None}
            last = 0
            for _ in range(10):
                book = await receive(socket)
                assert [len(side) for side in book["data"]["levels"]] == [20, 20]
                assert book["data"]["time"] > last
                last = book["data"]["time"]

    asyncio.run(run())


def test_errors_say_what_was_asked() -> None:
    async def run() -> None:
        async with alone("HYPERLIQUID", "/ws") as (_, socket):
            await socket.recv()
            refused = await ask(socket, subscription("l2Book", "NOPE"))
            assert refused == {"channel": "error", "data": 'Invalid subscription {"type":"l2Book","coin":"NOPE"}'}
            assert (await ask(socket, {"method": "ping"})) == {"channel": "pong"}

    asyncio.run(run())


def test_who_is_told_nothing_for_too_long_is_cut() -> None:
    async def run() -> None:
        async with alone("HYPERLIQUID", "/ws", timers=Timers(hyperliquid_silence=0.2)) as (_, socket):
            await socket.recv()
            assert await receive_until_closed(socket) == []

    asyncio.run(run())


def posted(url: str, body: object) -> Any:
    request = urllib.request.Request(url + "/info", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def test_a_request_with_a_body_is_answered_to_any_client() -> None:
    async def run() -> None:
        async with Emulator(["HYPERLIQUID"], instruments=2, rate=0) as emulator:
            url = emulator.variables["XTRADER_HYPERLIQUID_REST_URL"]
            meta = await asyncio.to_thread(posted, url, {"type": "meta"})
            assert [row["name"] for row in meta["universe"]] == ["BTC", "ETH"]
            assert await asyncio.to_thread(posted, url, {"type": "l2Book", "coin": "NOPE"}) is None
            venue = market("HYPERLIQUID", emulator.variables)
            async with Rest(SystemClock()) as rest:
                status, body = await rest.get(venue, Fetch("BTC", "probe", "/info", body='{"type":"l2Book","coin":"BTC"}'))
            assert (status, json.loads(body)["coin"]) == (200, "BTC")

    asyncio.run(run())
